"""Network calls side by side on the cores of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")


def side_by_side(run: Callable[[int], T], starts: Iterable[int], device: torch.device | str) -> Iterator[T]:
    """`run` of each start, in order.

    On a CPU several at once with one thread each: small networks leave threads that share a call mostly waiting for
    each other. Each call has one thread whatever the machine has, so its numbers do not depend on that. Few calls are
    under way at a time, and what was not begun when the caller stops is not.
    """
    threads = torch.get_num_threads()
    if torch.device(device).type != "cpu" or threads == 1:
        yield from map(run, starts)
        return
    pool = ThreadPoolExecutor(threads, "opendiff", lambda: torch.set_num_threads(1))
    try:
        under_way = []
        for start in starts:
            under_way.append(pool.submit(run, start))
            if len(under_way) > 2 * threads:
                yield under_way.pop(0).result()
        while under_way:
            yield under_way.pop(0).result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # torch keeps the last number for threads that are still to come
