"""Devices: from the value of `--cuda` to a torch device that exists, and its memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def cuda_index(name: int | str) -> int:
    """The number of the CUDA device that `name` means, -1 for the CPU.

    `-1` or `cpu` -> -1; `N` or `cuda:N` -> N; `cuda` -> 0.

    Raises:
        ValueError: not the name of a device.
    """
    text = str(name)
    if text in ("-1", "cpu"):
        return -1
    number = "0" if text == "cuda" else text.removeprefix("cuda:")
    if not number.isdecimal():
        raise ValueError(f"'{text}' is not a device; use -1 or cpu, N or cuda:N, or cuda")
    return int(number)


def device(cuda: int | str = -1) -> torch.device:
    """The torch device of a name (see `cuda_index`).

    Raises:
        ValueError: this machine has no such device (never a silent run on the CPU), or it is not
        the name of one.
    """
    import torch  # takes two seconds, too long for --help

    index = cuda_index(cuda)
    if index < 0:
        return torch.device("cpu")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index >= count:
        raise ValueError(
            f"there is no CUDA device {index}: this machine offers {count or 'none'}; "
            "-1 or cpu is the CPU"
        )
    return torch.device("cuda", index)


def memory(device: torch.device) -> float:
    """The memory of a device in bytes, used or free; infinite where the system does not tell."""
    if device.type == "cuda":
        import torch

        return torch.cuda.get_device_properties(device).total_memory
    names = ("SC_PHYS_PAGES", "SC_PAGE_SIZE")
    if not set(names) <= set(getattr(os, "sysconf_names", ())):  # Windows
        return float("inf")
    return os.sysconf(names[0]) * os.sysconf(names[1])


def cpu_count() -> int:
    """Number of cores that this process may use (where the system tells, else those it has)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
