"""Parts of a run made by several processes: of this machine, or of the machines of a Dask cluster
(`plannerbase.workers`).

Tables come back to this process, which writes them. A worker that dies loses the part it was making, and another makes
it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from opendiff.errors import ClusterError
from opendiff.partitions import MadePart, Maker, Part, Recipe, make_part
from plannerbase import workers
from plannerbase.workers import Workers, WorkersError

SMALLER = "make parts smaller with --part-tiles"


def local_workers(count: int) -> AbstractContextManager[Maker]:
    """A maker of parts with `count` processes of this machine. Raises ClusterError."""
    return _makers(workers.local_workers(count, smaller=SMALLER))


def scheduler_at(address: str) -> AbstractContextManager[Maker]:
    """A maker of parts with the workers of the Dask scheduler at an address such as tcp://host:8786. Raises
    ClusterError where none answers."""
    return _makers(workers.scheduler_at(address, SMALLER))


@contextmanager
def _makers(at_work: AbstractContextManager[Workers]) -> Iterator[Maker]:
    try:
        with at_work as work:

            def make(recipe: Recipe, parts: list[Part]) -> Iterator[MadePart]:
                return (made for _, made in work(partial(make_part, recipe), parts))

            yield make
    except WorkersError as error:
        raise ClusterError(str(error)) from None
