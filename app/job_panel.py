"""Running jobs above every page: what, how far, how long still, and Cancel. Finished ones hand over their results."""

import streamlit as st

from app.jobs import Job
from app.messages import sentence
from app.state import Workspace

REFRESH_SECONDS = 0.5


def deliver_finished(space: Workspace) -> None:
    """Hand the results of finished jobs to the workspace; note what failed or was cancelled."""
    for name, job in list(space.jobs.items()):
        if not job.over:
            continue
        del space.jobs[name]
        if job.state == "done" and not job.cancelled():
            space.notes.pop(name, None)
            for step in job.after:
                step()
            job.deliver(job.result)
        elif job.state == "failed" and job.error is not None:
            space.notes[name] = sentence(job.error, job.label[0].lower() + job.label[1:])
        else:
            st.toast(f"{job.label}: cancelled. What was there before is still there.")


def show_running(space: Workspace) -> None:
    """Progress of all running jobs, refreshed without a run of the page."""
    if space.jobs:
        _panel(space)


@st.fragment(run_every=REFRESH_SECONDS)
def _panel(space: Workspace) -> None:
    if any(job.over for job in space.jobs.values()):
        st.rerun()
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
