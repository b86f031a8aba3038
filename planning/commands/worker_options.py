"""Options of commands whose work several processes can share: --workers, --scheduler and --work."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from plannerbase.workers import Workers, WorkersError, local_workers, scheduler_at, work_here
from planning.errors import ClusterError
from planning.shared_work import SharedWork


def add_worker_options(command: argparse.ArgumentParser, shared: str) -> None:
    """What `shared_work` looks at; shared: what is shared, for the help."""
    group = command.add_argument_group(
        "a large network on several processors or machines (needs Dask)",
        f"{shared}; the number of workers changes nothing of the result",
    )
    who = group.add_mutually_exclusive_group()
    who.add_argument(
        "--workers", type=int, metavar="N", help="share the work among N processes of this machine"
    )
    who.add_argument(
        "--scheduler", metavar="ADDRESS",
        help="share it among the workers of a Dask scheduler, such as tcp://host:8786; they need this version of the "
        "product",
    )  # fmt: skip
    group.add_argument(
        "--work", type=Path, metavar="DIR",
        help="keep what is finished in this folder: the same command goes on where it was stopped",
    )  # fmt: skip


@contextmanager
def shared_work(options: argparse.Namespace) -> Iterator[SharedWork | None]:
    """Who does the work by the options, None without any of them. Raises ClusterError."""
    if (options.workers, options.scheduler, options.work) == (None, None, None):
        yield None
        return
    who: AbstractContextManager[Workers] = nullcontext(work_here)
    if options.workers is not None:
        who = local_workers(options.workers, threads=1)
    if options.scheduler is not None:
        who = scheduler_at(options.scheduler)
    try:
        with who as workers:
            yield SharedWork(workers, options.work)
    except WorkersError as error:
        raise ClusterError(str(error)) from None
