"""Nonstationary Gabor transform on a constant-Q scale in batched torch, with phase retrieval.

`NSGT` is the transform of an `NSGTDesign`, `griffin_lim` finds audio of given magnitudes. The
package has no defaults of its own for the scale and imports nothing of `lt`.
"""

from nsgt_wrap.design import NSGTDesign
from nsgt_wrap.phase_retrieval import frames_to_coefficients, griffin_lim
from nsgt_wrap.transform import NSGT

__all__ = ["NSGT", "NSGTDesign", "frames_to_coefficients", "griffin_lim"]
