"""The jobs of a piece of open work: they outlive a reload of its page, and their user not for long.

A reload begins a new session, which finds its open work by its address and takes the jobs of that work over from the
session that is gone. A job that nobody takes over ends, and its result is dropped, after `limits().gone_seconds`.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streamlit.runtime import exists, get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.server import jobs
from app.server.limits import limits, owner
from app.state.workspace import Workspace


@dataclass(eq=False)
class _Held:
    """The session that waits for a job, and the job once it is started."""

    session: str
    job: jobs.Job | None = None


_lock = threading.Lock()
_held: dict[str, dict[str, _Held]] = {}  # by the work and the name of the job


def start(
    space: Workspace,
    name: str,
    label: str,
    work: Callable[[jobs.Job], Any],
    deliver: Callable[[Workspace, Any], None],
) -> None:
    """Start a job of the work in `space`; it is there as `space.jobs[name]` until its result is delivered."""
    most = limits()
    held = _Held(_session())
    bounds = jobs.Bounds(most.job_seconds, most.gone_seconds, lambda: _is_open(held.session))
    space.notes.pop(name, None)
    space.jobs[name] = held.job = jobs.start(
        label, work, deliver, bounds, owner(space.work), most.waiting_jobs
    )
    with _lock:
        _drop_forgotten()
        _held.setdefault(space.work, {})[name] = held


def take_over(space: Workspace) -> None:
    """Jobs of this work whose session is gone become this session's."""
    session = _session()
    with _lock:
        for name, held in _held.get(space.work, {}).items():
            if held.job and held.session != session and not _is_open(held.session):
                held.session = session
                space.jobs.setdefault(name, held.job)


def end(space: Workspace, name: str) -> None:
    """The job is over and its result, if there is one, delivered."""
    job = space.jobs.pop(name)
    with _lock:
        of_work = _held.get(space.work, {})
        if name in of_work and of_work[name].job is job:
            del of_work[name]
        if not of_work:
            _held.pop(space.work, None)


def _drop_forgotten() -> None:
    for work, of_work in list(_held.items()):
        for name, held in list(of_work.items()):
            if held.job and held.job.over and held.job.forgotten():
                del of_work[name]
        if not of_work:
            del _held[work]


def _session() -> str:
    context = get_script_run_ctx()
    return context.session_id if context else ""


def _is_open(session: str) -> bool:
    """Whether a browser shows this session. Outside a server there are no others."""
    return not exists() or get_instance().is_active_session(session)
