"""Where networks run, and what keeps their numbers the same wherever that is.

Matrix products of another shape, on another device or in another order may differ in their last bits. A tile's traffic
must not depend on that: calls have one size whatever is asked for (their callers pad them), each has one thread on a
CPU, and what is left is rounded away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor

from opendiff.errors import ModelError

# Of the 24 of a float32: rounding moves at most 4e-6 of a number, above what float32 sums differ by.
LOST_BITS = 6
FIT_THREADS = 4  # of a fit, whose products are too small for more: further threads wait by spinning
CALLS_PER_THREAD = 2  # that wait or run at once, so that no thread is idle and few results are held

T = TypeVar("T")


def chosen_device(choice: str) -> str:
    """ "cpu" or "cuda" for one of them or "auto", which is a GPU where there is one. Raises ModelError."""
    if choice == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if choice.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError("No CUDA device can be used here; choose --device cpu or auto.")
    return choice


def side_by_side(run: Callable[[int], T], starts: Iterable[int], device: torch.device | str) -> Iterator[T]:
    """`run` of each start (of a batch), in order: network calls side by side on the cores of this machine.

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
        under_way: list[Future[T]] = []
        for start in starts:
            under_way.append(pool.submit(run, start))
            if len(under_way) > CALLS_PER_THREAD * threads:
                yield under_way.pop(0).result()
        while under_way:
            yield under_way.pop(0).result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # torch keeps the last number for threads that are still to come


@contextmanager
def few_threads(most: int = FIT_THREADS) -> Iterator[None]:
    """At most `most` threads for torch and for the BLAS of NumPy and SciPy, and no more than there were."""
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    before = torch.get_num_threads()
    torch.set_num_threads(min(before, most))
    try:
        with threadpool_limits(min(before, most)):
            yield
    finally:
        torch.set_num_threads(before)


def rounded(series: Tensor) -> Tensor:
    """Float32 numbers with their last bits rounded away (half to even), so that equal work in another order gives equal
    tables."""
    bits = series.view(torch.int32)
    half = ((bits >> LOST_BITS) & 1) + ((1 << (LOST_BITS - 1)) - 1)
    return (half.add_(bits) & -(1 << LOST_BITS)).view(torch.float32)
