"""Data-parallel workers under `torchrun`: rank, agreement between processes, and stop signals.

`torchrun` sets RANK, LOCAL_RANK and WORLD_SIZE; without them there is one worker. Only rank 0, the
writer, writes files and logs. Gradients and losses are reduced by NCCL on CUDA and gloo on CPU;
decisions (`any`, `wait`) always by gloo between the hosts, so that no GPU is waited for.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed

logger = logging.getLogger(__name__)
Result = TypeVar("Result")


class WriterFailed(RuntimeError):
    """Raised in the other workers when the writer failed, which alone reports the reason."""


@dataclass(frozen=True)
class Workers:
    """This process among the workers.

    Attributes:
        rank: 0 is the writer.
        count: number of workers.
        control: process group for decisions; None is the default group.
    """

    rank: int = 0
    count: int = 1
    control: distributed.ProcessGroup | None = None

    @property
    def writer(self) -> bool:
        """Whether this process writes files and logs."""
        return self.rank == 0

    def log(self, message: str) -> None:
        """Log a message, in the writer only."""
        if self.writer:
            logger.info(message)

    def rows(self, n_rows: int) -> slice:
        """This worker's rows of a batch: contiguous, with sizes that differ by one at most."""
        return slice(self.rank * n_rows // self.count, (self.rank + 1) * n_rows // self.count)

    def sum(self, values: Tensor) -> Tensor:
        """The sum of a tensor over the workers; `values` may be changed in place."""
        if self.count > 1:
            distributed.all_reduce(values)
        return values

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any worker."""
        if self.count == 1:
            return flag
        votes = torch.tensor(float(flag))
        distributed.all_reduce(votes, group=self.control)
        return bool(votes)

    def wait(self) -> None:
        """Wait until all workers are here."""
        self.any(False)

    def writer_first(self, work: Callable[[], Result]) -> Result:
        """Do `work` in the writer first and then in the others, so that one process reports errors.

        Raises:
            WriterFailed: in the others, when the writer failed.
        """
        if not self.writer:
            if self.any(False):
                raise WriterFailed
            return work()
        try:
            result = work()
        except BaseException:
            self.any(True)
            raise
        self.any(False)
        return result

    def leave(self) -> None:
        """Close the connections; the last call of a worker."""
        if self.count > 1:
            distributed.destroy_process_group()


def join_workers(device: torch.device) -> Workers:
    """Join the group of torchrun; without torchrun, a single worker."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Workers()
    on_cuda = device.type == "cuda"
    if on_cuda:
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if on_cuda else "gloo")
    control = distributed.new_group(backend="gloo") if on_cuda else None
    return Workers(distributed.get_rank(), count, control)


def local_cuda(cuda: int | str) -> int | str:
    """The CUDA device of this worker: `cuda` plus its local rank; the CPU stays the CPU."""
    number = "0" if cuda == "cuda" else str(cuda).removeprefix("cuda:")
    return int(number) + int(os.environ.get("LOCAL_RANK", "0")) if number.isdecimal() else cuda


@contextmanager
def noted_signals() -> Iterator[list[int]]:
    """Context that adds SIGINT and SIGTERM to the list it gives, instead of ending the process.

    Outside the main thread, where Python allows no handlers, the list stays empty.
    """
    noted: list[int] = []
    previous = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, lambda number, frame: noted.append(number))
    try:
        yield noted
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
