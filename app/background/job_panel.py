"""Running jobs above every page: what, how far, how long still, and Cancel. Finished ones hand over their results."""

from typing import Any

import streamlit as st

from app.background import session_jobs
from app.messages import errors_shown, sentence
from app.server.jobs import Job
from app.state import figures
from app.state.workspace import Workspace
from plannerbase import formats

REFRESH_SECONDS = 0.5
LONG_SECONDS = (
    4.0  # a job that takes longer is looked after at a slower pace: each look draws the page in the browser
)
LONG_REFRESH_SECONDS = 1.5
WAITING_SECONDS = 2.0  # while others have their turn; they may be many


def deliver_finished(space: Workspace) -> None:
    """Hand the results of finished jobs to the workspace, and what others have published so far.

    What failed or was cancelled is noted.

    Of a job that was cancelled the part that was finished is kept, where it is of use alone.
    """
    session_jobs.take_over(space)
    for name, job in list(space.jobs.items()):
        if not job.over:
            if (found := job.take_published()) is not None:
                _deliver(space, job, found)
            continue
        session_jobs.end(space, name)
        doing = job.label[0].lower() + job.label[1:]
        if job.state == "done" and not job.cancelled():
            space.notes.pop(name, None)
            _deliver(space, job, job.result)
            continue
        kept = _keep_partial(space, job, doing) if job.cancelled() else False
        if job.error is not None:
            space.notes[name] = sentence(job.error, doing)
        elif kept:
            st.toast(f"{job.label}: cancelled. The strategies that were finished are kept.")
        else:
            st.toast(f"{job.label}: cancelled. What was there before is still there.")


def _deliver(space: Workspace, job: Job, result: Any) -> None:
    for step in job.after:
        step(space)
    job.deliver(space, result)


def _keep_partial(space: Workspace, job: Job, doing: str) -> bool:
    """Whether the cancelled job had finished a part of its work, which is then delivered."""
    if job.partial is None:
        return False
    delivered = False
    with errors_shown(doing):
        _deliver(space, job, job.partial())
        delivered = True
    return delivered


def show_running(space: Workspace) -> None:
    """Progress of all running jobs, refreshed without a run of the page."""
    if space.jobs:
        pace = _pace(space)
        st.fragment(_panel, run_every=pace)(space, pace)


def _pace(space: Workspace) -> float:
    """Seconds from one look at the jobs to the next."""
    if all(job.state == "waiting" for job in space.jobs.values()):
        return WAITING_SECONDS
    youngest = min(job.seconds for job in space.jobs.values() if job.state != "waiting")
    return LONG_REFRESH_SECONDS if youngest > LONG_SECONDS else REFRESH_SECONDS


def _panel(space: Workspace, pace: float) -> None:
    figures.begin()
    news = any(job.over or job.has_published for job in space.jobs.values())
    if news or pace != _pace(space):
        st.rerun()  # of the page, which hands over results and sets the pace of this panel
    for name, job in space.jobs.items():
        left, right = st.columns([6, 1], vertical_alignment="center")
        left.progress(job.fraction, text=progress_text(job))
        if right.button("Cancel", key=f"cancel {name}", width="stretch"):
            job.cancel()
            st.rerun()


def progress_text(job: Job) -> str:
    """ "Generating traffic · 40 % · 12 s left"."""
    if job.state == "waiting":
        return f"{job.label} · waiting for other work on this server to finish"
    parts = [job.label]
    if job.what:
        parts.append(job.what)
    if job.total:
        parts.append(formats.percent(job.fraction))
    left = job.seconds_left
    parts.append(
        f"{formats.number(job.seconds)} s" if left is None else f"about {max(1, round(left))} s left"
    )
    return " · ".join(parts)
