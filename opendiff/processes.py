"""Independent work in several processes of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

import torch

from opendiff.errors import OpenDiffError

T = TypeVar("T")
R = TypeVar("R")


def in_processes(work: Callable[[T], R], jobs: Iterable[T], workers: int = 1) -> Iterator[R]:
    """`work` of each job, in the order of the jobs; with several workers side by side, one thread each.

    work: at the top of a module, or a partial of such a function, so that a process can be told it. A GPU is shared:
    small networks leave it waiting for the processor, which is what more processes mend.

    Raises OpenDiffError where a process ends by itself, and what `work` raises.
    """
    if workers < 1:
        raise OpenDiffError(f"{workers} workers can do nothing; ask for at least 1.")
    if workers == 1:
        yield from map(work, jobs)
        return
    pool = ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,))
    try:
        yield from pool.map(work, jobs)
    except BrokenProcessPool:
        raise OpenDiffError(
            "A worker process ended by itself, perhaps for want of memory; ask for fewer --workers."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)
