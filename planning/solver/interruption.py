"""Stopping solvers in the middle of a call: who starts the work says when it is to stop."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

_asked: ContextVar[Callable[[], bool]] = ContextVar("stop asked", default=lambda: False)


@contextlib.contextmanager
def stops_when(asked: Callable[[], bool]) -> Iterator[None]:
    """Inside, HiGHS asks `asked` now and then, from its own thread, and breaks off where it says yes; `Model.solve`
    then raises SolverError. CBC, a program of its own, ends at its time limit. A thread that is started inside begins
    with nobody asking."""
    token = _asked.set(asked)
    try:
        yield
    finally:
        _asked.reset(token)


def stop_asked() -> Callable[[], bool]:
    """What says whether the work at hand is to stop."""
    return _asked.get()
