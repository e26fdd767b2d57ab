"""What every process of a build needs, loaded once: the process from which they are forked imports
this module, and nobody else does (see `lt.build.pool`).

The garbage collector rests meanwhile: it would take a tenth of the time, and touch memory that
forked processes share.
"""

from __future__ import annotations

import gc
from importlib import import_module

gc.disable()
import_module("lt.build.pool")
import_module("torch").set_num_threads(1)  # a process that has started threads cannot be forked
import_module("lt.audio.features").nsgt(
    import_module("lt.config").SpectralConfig(), import_module("torch").device("cpu")
)
gc.freeze()
gc.enable()
