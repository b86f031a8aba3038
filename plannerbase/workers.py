"""Work done by several processes: of this machine, or of the machines of a Dask cluster.

Dask is asked for here alone, and only by who wants it. Its workers need the same version of the product, and see the
source under the same path (a shared folder); results come back to this process. A worker that dies loses the task it
was at, and another does it. Nothing of a result depends on how many workers there are: a task is one function and its
argument.
"""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from distributed import Client, Future

IN_FLIGHT = 2  # tasks a thread of the workers has at hand, so that none waits for this process
CONNECT_SECONDS = 15
DEATHS = 3  # of workers that a task may outlive before it is the task's fault
KEPT_BYTES = 1 << 29  # of freed memory that a worker keeps for its next arrays
INSTALL = 'it needs Dask: install it with `python -m pip install "distributed>=2025.1"`'

# A function and its arguments in; (number of the argument, result) out as each is ready, in any order. Errors that the
# function raises come through as they are.
Workers: TypeAlias = Callable[[Callable[[Any], Any], Sequence[Any]], Iterator[tuple[int, Any]]]


class WorkersError(Exception):
    """The processes or machines that were to share the work cannot; the text is one sentence with cause and remedy."""


def work_here(function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    """Every task in this process, one after the other."""
    return ((number, function(task)) for number, task in enumerate(tasks))


@contextmanager
def local_workers(count: int, threads: int | None = None, smaller: str = "") -> Iterator[Workers]:
    """Processes of this machine.

    Parameters
    ----------
    count : number of processes.
    threads : of the numerical libraries in each; None shares the cores among the processes.
    smaller : how a user makes tasks smaller, for the error of a task that workers die of ("make parts smaller with
        --part-tiles").

    Raises
    ------
    WorkersError
        Without Dask, or for fewer than one process.
    """
    if count < 1:
        raise WorkersError(f"{count} workers cannot share the work; ask for at least 1.")
    distributed = _dask()
    each = threads or max(1, (os.cpu_count() or 1) // count)
    settings = {
        "distributed.nanny.pre-spawn-environ.OMP_NUM_THREADS": each,
        "distributed.nanny.pre-spawn-environ.OPENBLAS_NUM_THREADS": each,
        # Dask would have freed memory go back at once, and planners ask for it again: half of the time in the kernel
        "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": KEPT_BYTES,
        "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": KEPT_BYTES,
        "distributed.scheduler.allowed-failures": DEATHS,
        "distributed.worker.memory.terminate": False,  # the system does it; dying early loses work
        # scheduler and client live in this process, whose time the workers wait for
        "distributed.admin.large-graph-warning-threshold": "1 TB",
        "distributed.admin.tick.interval": "1s",
        "distributed.admin.tick.limit": "60s",
        "distributed.admin.system-monitor.interval": "10s",
    }
    import dask

    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=None,
            memory_limit=0,
            silence_logs=logging.ERROR,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield _workers(client, smaller)


@contextmanager
def scheduler_at(address: str, smaller: str = "") -> Iterator[Workers]:
    """The workers of the Dask scheduler at an address such as tcp://host:8786. Raises WorkersError where none
    answers."""
    distributed = _dask()
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError, TypeError) as error:
        raise WorkersError(
            f"No Dask scheduler answers at {address} ({error}); start one with `dask scheduler`, or name its address "
            "as tcp://host:8786."
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except TimeoutError:
            raise WorkersError(
                f"The Dask scheduler at {address} has no worker; start some with `dask worker {address}`."
            ) from None
        yield _workers(client, smaller)


def _workers(client: Client, smaller: str) -> Workers:
    def work(function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Keep few tasks in flight, so that neither workers nor this process hold many results."""
        distributed = _dask()
        from distributed.protocol.pickle import dumps  # by value what no module of the workers holds

        waiting = iter(enumerate(tasks))
        done = distributed.as_completed(with_results=False)
        number_of: dict[Any, int] = {}

        def submit(count: int) -> None:
            for _ in range(count):
                number, task = next(waiting, (-1, None))
                if number < 0:
                    return
                future = client.submit(_done, dumps((function, task)), pure=False, retries=0)
                number_of[future.key] = number
                done.add(future)

        submit(max(1, IN_FLIGHT * sum(client.nthreads().values())))
        for future in done:
            result = _result(future, smaller)
            number = number_of.pop(future.key)
            future.release()
            submit(max(1, IN_FLIGHT * sum(client.nthreads().values()) - done.count()))
            yield number, result

    return work


def _done(call: bytes) -> Any:
    """What a pickled function makes of its argument. As one piece: Dask takes each of thousands of small arrays in hand
    on its way through client, scheduler and worker."""
    function, task = pickle.loads(call)
    return function(task)


def _result(future: Future, smaller: str) -> Any:
    from distributed.scheduler import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        raise WorkersError(
            f"{DEATHS + 1} workers died while they did the same task ({error}); give them more memory"
            f"{f', or {smaller}' if smaller else ''}."
        ) from None
    except ModuleNotFoundError as error:
        raise WorkersError(
            f"A worker lacks the module {error.name}; install the same version of the product everywhere."
        ) from None
    except (OSError, CancelledError) as error:  # the scheduler is gone, or a worker cannot read what it needs
        if type(error).__module__.partition(".")[0] in ("opendiff", "planning"):
            raise
        raise WorkersError(
            f"The workers stopped ({str(error) or 'the scheduler is gone'}); what is finished and saved is kept, so "
            "start them again and give the same command."
        ) from None


def _dask() -> ModuleType:
    try:
        import distributed
    except ModuleNotFoundError:
        raise WorkersError(f"Sharing the work among processes is not set up here; {INSTALL}.") from None
    return distributed
