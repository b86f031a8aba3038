"""Running jobs above every page: what, how far, how long still, and Cancel. Finished ones hand over their results."""

import streamlit as st

from app.background import session_jobs
from app.messages import sentence
from app.server.jobs import Job
from app.state.workspace import Workspace

REFRESH_SECONDS = 0.5
WAITING_SECONDS = 2.0  # while others have their turn; they may be many


def deliver_finished(space: Workspace) -> None:
    """Hand the results of finished jobs to the workspace; note what failed or was cancelled."""
    session_jobs.take_over(space)
    for name, job in list(space.jobs.items()):
        if not job.over:
            continue
        session_jobs.end(space, name)
        if job.state == "done" and not job.cancelled():
            space.notes.pop(name, None)
            for step in job.after:
                step(space)
            job.deliver(space, job.result)
        elif job.error is not None:
            space.notes[name] = sentence(job.error, job.label[0].lower() + job.label[1:])
        else:
            st.toast(f"{job.label}: cancelled. What was there before is still there.")


def show_running(space: Workspace) -> None:
    """Progress of all running jobs, refreshed without a run of the page."""
    if space.jobs:
        waits = _all_wait(space)
        st.fragment(_panel, run_every=WAITING_SECONDS if waits else REFRESH_SECONDS)(space, waits)


def _all_wait(space: Workspace) -> bool:
    return all(job.state == "waiting" for job in space.jobs.values())


def _panel(space: Workspace, waits: bool) -> None:
    if any(job.over for job in space.jobs.values()) or waits != _all_wait(space):
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
        parts.append(f"{job.fraction:.0%}")
    left = job.seconds_left
    parts.append(f"{job.seconds:.0f} s" if left is None else f"about {max(1, round(left))} s left")
    return " · ".join(parts)
