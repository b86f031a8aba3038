"""Parts of a run made by several processes: of this machine, or of the machines of a Dask cluster.

Dask is asked for here alone, and only by who wants it. Its workers need the same version of the product, and see the
source under the same path (a shared folder); tables come back to this process, which writes them. A worker that dies
loses the part it was making, and another makes it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING

from opendiff.errors import ClusterError, OpenDiffError
from opendiff.partitions import MadePart, Maker, Part, Recipe, make_part

if TYPE_CHECKING:
    from distributed import Client, Future

IN_FLIGHT = 2  # parts a thread of the workers has at hand, so that none waits for this process
CONNECT_SECONDS = 15
DEATHS = 3  # of workers that a part may outlive before it is the part's fault
INSTALL = 'it needs Dask: install it with `python -m pip install "distributed>=2025.1"`'


@contextmanager
def local_workers(count: int) -> Iterator[Maker]:
    """A maker of parts with `count` processes of this machine. Raises ClusterError."""
    if count < 1:
        raise ClusterError(f"{count} workers cannot share the work; ask for at least 1.")
    distributed = _dask()
    threads = max(1, (os.cpu_count() or 1) // count)
    settings = {
        "distributed.nanny.pre-spawn-environ.OMP_NUM_THREADS": threads,
        "distributed.scheduler.allowed-failures": DEATHS,
        "distributed.worker.memory.terminate": False,  # the system does it; dying early loses work
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
        yield _maker(client)


@contextmanager
def scheduler_at(address: str) -> Iterator[Maker]:
    """A maker of parts with the workers of the Dask scheduler at an address such as tcp://host:8786. Raises
    ClusterError where none answers."""
    distributed = _dask()
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError, TypeError) as error:
        raise ClusterError(
            f"No Dask scheduler answers at {address} ({error}); start one with `dask scheduler`, or name its address "
            "as tcp://host:8786."
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except TimeoutError:
            raise ClusterError(
                f"The Dask scheduler at {address} has no worker; start some with `dask worker {address}`."
            ) from None
        yield _maker(client)


def _maker(client: Client) -> Maker:
    def make(recipe: Recipe, parts: list[Part]) -> Iterator[MadePart]:
        """Keep few parts in flight, so that neither workers nor this process hold many tables."""
        distributed = _dask()
        waiting = iter(parts)
        done = distributed.as_completed(with_results=False)

        def submit(count: int) -> None:
            for _ in range(count):
                part = next(waiting, None)
                if part is None:
                    return
                done.add(client.submit(make_part, recipe, part, pure=False, retries=0))

        submit(max(1, IN_FLIGHT * sum(client.nthreads().values())))
        for future in done:
            made = _result(future)
            future.release()
            submit(max(1, IN_FLIGHT * sum(client.nthreads().values()) - done.count()))
            yield made

    return make


def _result(future: Future) -> MadePart:
    from distributed.scheduler import KilledWorker

    try:
        return future.result()
    except OpenDiffError:
        raise
    except KilledWorker as error:
        raise ClusterError(
            f"{DEATHS + 1} workers died while they made the same part ({error}); give them more memory, or make parts "
            "smaller with --part-tiles."
        ) from None
    except (OSError, CancelledError) as error:  # the scheduler is gone, or a worker cannot read what it needs
        raise ClusterError(
            f"The workers stopped ({str(error) or 'the scheduler is gone'}); finished parts are kept, so start them "
            "again and give the same command."
        ) from None
    except ModuleNotFoundError as error:
        raise ClusterError(
            f"A worker lacks the module {error.name}; install the same version of the product everywhere."
        ) from None


def _dask() -> ModuleType:
    try:
        import distributed
    except ModuleNotFoundError:
        raise ClusterError(f"Sharing the work among processes is not set up here; {INSTALL}.") from None
    return distributed
