"""Data-parallel workers: who this process is under `torchrun`, what it agrees on with the others,
and when it was asked to stop.

`torchrun` sets RANK, LOCAL_RANK and WORLD_SIZE; without them there is one worker. Rank 0 alone
writes files and speaks. Gradients and losses travel by NCCL on CUDA and gloo on CPU; what processes
agree on (`any`, `wait`) always by gloo, from host to host, so that no GPU is waited for.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from types import FrameType
from typing import Callable, TypeVar

import torch
from torch import Tensor, distributed

Result = TypeVar("Result")


@dataclass(frozen=True)
class Workers:
    """This process among `count`; `rank` 0 is the writer. `control` carries what the hosts agree
    on.
    """

    rank: int = 0
    count: int = 1
    control: distributed.ProcessGroup | None = None

    @property
    def writer(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def share(self, n_rows: int) -> slice:
        """This worker's rows of a batch: contiguous, sizes that differ by one at most."""
        return slice(self.rank * n_rows // self.count, (self.rank + 1) * n_rows // self.count)

    def sum(self, values: Tensor) -> Tensor:
        """The sum of a tensor over the workers; `values` itself may be changed."""
        if self.count > 1:
            distributed.all_reduce(values)
        return values

    def any(self, flag: bool) -> bool:
        """Whether any worker says so."""
        if self.count == 1:
            return flag
        votes = torch.tensor(float(flag))
        distributed.all_reduce(votes, group=self.control)
        return bool(votes)

    def wait(self) -> None:
        """Until all workers are here."""
        self.any(False)

    def after_writer(self, work: Callable[[], Result]) -> Result:
        """Do `work` in the writer first and then in the others; where it fails, the writer alone
        says why.

        Raises:
            SystemExit: in the others, when the writer failed.
        """
        if not self.writer:
            self._quit_if(self.any(False))
            return work()
        try:
            result = work()
        except BaseException:
            self.any(True)
            raise
        self.any(False)
        return result

    def leave(self) -> None:
        """Close the connections; the last thing that a worker does."""
        if self.count > 1:
            distributed.destroy_process_group()

    @staticmethod
    def _quit_if(failed: bool) -> None:
        if failed:
            raise SystemExit(1)


def join_workers(device: torch.device) -> Workers:
    """Join torchrun's group; alone without torchrun."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Workers()
    on_cuda = device.type == "cuda"
    if on_cuda:
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if on_cuda else "gloo")
    return Workers(
        distributed.get_rank(), count, distributed.new_group(backend="gloo") if on_cuda else None
    )


def local_cuda(cuda: int | str) -> int | str:
    """The CUDA device of this worker: `cuda` plus its number on this machine; the CPU stays the
    CPU.
    """
    number = "0" if cuda == "cuda" else str(cuda).removeprefix("cuda:")
    return int(number) + int(os.environ.get("LOCAL_RANK", "0")) if number.isdecimal() else cuda


@dataclass
class StopSignals:
    """Within its `with` block, SIGINT and SIGTERM are noted in `caught` instead of ending the
    process.
    """

    caught: int = 0
    _before: dict[int, object] = field(default_factory=dict)

    def __enter__(self) -> StopSignals:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.caught = number
