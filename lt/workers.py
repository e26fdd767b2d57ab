"""Data-parallel workers: who this process is under `torchrun`, and what it adds up with the others.

`torchrun` sets RANK, LOCAL_RANK and WORLD_SIZE; without them there is one worker. Rank 0 alone writes files.
"""
from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class Workers:
    """This process among `count`; `rank` 0 is the writer."""
    rank: int = 0
    count: int = 1

    @property
    def writer(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def share(self, n_rows: int) -> slice:
        """This worker's rows of a batch: contiguous, sizes that differ by one at most."""
        return slice(self.rank * n_rows // self.count, (self.rank + 1) * n_rows // self.count)

    def sum(self, values: Tensor) -> Tensor:
        """The sum of a tensor over the workers."""
        if self.count > 1:
            distributed.all_reduce(values)
        return values

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether any worker says so."""
        return flag if self.count == 1 else bool(self.sum(torch.tensor(float(flag), device=device)) > 0)

    def wait(self) -> None:
        """Until all workers are here."""
        if self.count > 1:
            distributed.barrier()


def join_workers(device: torch.device) -> Workers:
    """Join torchrun's group, by NCCL on CUDA and gloo on CPU; alone without torchrun."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Workers()
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return Workers(distributed.get_rank(), count)


def local_cuda(cuda: int) -> int:
    """The CUDA device of this worker: `cuda` plus its number on this machine; -1 stays the CPU."""
    return cuda if cuda < 0 else cuda + int(os.environ.get("LOCAL_RANK", "0"))
