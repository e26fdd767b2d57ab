"""Work side by side on the cores of a CPU.

An operation on a minute of sound is too small to be divided well among cores, so minutes are: each
is worked on by one thread, and torch leaves Python's lock while it computes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

MOST_WORKERS = 4  # bounds the memory of what is worked on at once

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    device: torch.device | str = "cpu",
) -> Iterator[Result]:
    """`work(item)` of each item, in order: on a CPU as many at once as torch has threads, at most
    4; on another device one after the other. Gradients are not recorded.

    Items are taken as workers become free, so that a long stream of them needs no memory.
    """
    work = torch.no_grad()(work)
    n_threads = torch.get_num_threads()
    n_workers = min(n_threads, MOST_WORKERS)
    if n_workers == 1 or torch.device(device).type != "cpu":
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(n_workers, "lt", torch.set_num_threads, (1,))
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > n_workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(n_threads)  # a worker's number holds for all of MKL
