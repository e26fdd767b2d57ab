"""Devices: from what the user writes after `--cuda` to a torch device that is really there, and its
memory.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def device(cuda: int | str = -1) -> torch.device:
    """`-1` or `cpu` -> the CPU; `N` or `cuda:N` -> CUDA device N; `cuda` -> CUDA device 0.

    Raises:
        ValueError: no such device on this machine (never a silent run on the CPU), or not a
        device's name.
    """
    import torch  # takes two seconds, which --help does not have

    name = str(cuda)
    if name in ("-1", "cpu"):
        return torch.device("cpu")
    number = "0" if name == "cuda" else name.removeprefix("cuda:")
    if not number.isdecimal():
        raise ValueError(f"'{name}' is not a device; use -1 or cpu, N or cuda:N, or cuda")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(number) >= count:
        raise ValueError(
            f"there is no CUDA device {int(number)}: this machine offers {count or 'none'}; "
            "use --cuda -1 for the CPU"
        )
    return torch.device("cuda", int(number))


def memory(device: torch.device) -> float:
    """All the memory of a device in bytes, in use or not; infinite where the system does not tell."""
    if device.type == "cuda":
        import torch

        return torch.cuda.get_device_properties(device).total_memory
    names = ("SC_PHYS_PAGES", "SC_PAGE_SIZE")
    if not set(names) <= set(getattr(os, "sysconf_names", ())):  # Windows
        return float("inf")
    return os.sysconf(names[0]) * os.sysconf(names[1])
