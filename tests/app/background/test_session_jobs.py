"""Jobs across a reload of the page: the new session takes them over, and nobody else's."""

import threading

import pytest

from app.background import job_panel, session_jobs
from app.server import jobs
from app.state.workspace import Workspace

WAIT = 60
WORK, OTHER = "a" * 32, "b" * 32


@pytest.fixture
def sessions(monkeypatch):
    """Who is in a session now, and which sessions a browser shows."""
    state = {"me": "one", "open": {"one"}}
    monkeypatch.setattr(session_jobs, "_session", lambda: state["me"])
    monkeypatch.setattr(session_jobs, "_is_open", lambda session: session in state["open"])
    monkeypatch.setattr(session_jobs, "_held", {})
    return state


def held_back(space):
    """Starts a job that ends when the returned event is set, with the number 7 for `space.hour`."""
    go_on = threading.Event()

    def work(job):
        go_on.wait(WAIT)
        return 7

    def deliver(space, result):
        space.hour = result

    session_jobs.start(space, "traffic", "Making", work, deliver)
    return go_on


def finish(job):
    for thread in threading.enumerate():
        if thread.name == "job: Making":
            thread.join(WAIT)
    assert job.finished


def test_the_result_comes_to_the_session_that_came_back(sessions):
    before, after = Workspace(work=WORK), Workspace(work=WORK)
    go_on = held_back(before)
    job = before.jobs["traffic"]
    sessions |= {"me": "two", "open": {"two"}}
    job_panel.deliver_finished(after)
    assert after.jobs == {"traffic": job}  # its panel shows the job, running
    go_on.set()
    finish(job)
    job_panel.deliver_finished(after)
    assert after.hour == 7 and not after.jobs and not session_jobs._held
    assert before.hour != 7


@pytest.mark.parametrize("work, still_open", [(OTHER, set()), (WORK, {"one"})])
def test_nobody_gets_the_job_of_other_work_or_of_a_session_that_is_open(sessions, work, still_open):
    before, other = Workspace(work=WORK), Workspace(work=work)
    go_on = held_back(before)
    job = before.jobs["traffic"]
    sessions |= {"me": "two", "open": {"two"} | still_open}
    job_panel.deliver_finished(other)
    assert not other.jobs
    go_on.set()
    finish(job)
    job_panel.deliver_finished(other)
    assert other.hour != 7


def test_a_result_that_nobody_comes_back_for_is_dropped(sessions, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(jobs, "clock", lambda: now[0])
    before = Workspace(work=WORK)
    held_back(before).set()
    finish(before.jobs["traffic"])
    sessions |= {"me": "two", "open": {"two"}}
    held_back(Workspace(work=OTHER)).set()  # looks for what is forgotten: not yet
    assert set(session_jobs._held) == {WORK, OTHER}
    now[0] += session_jobs.limits().gone_seconds
    third = Workspace(work="c" * 32)
    held_back(third).set()
    assert set(session_jobs._held) == {OTHER, "c" * 32}


def test_a_job_that_took_too_long_is_told_in_its_place(sessions, monkeypatch):
    monkeypatch.setenv("OPENDIFF_MAX_JOB_SECONDS", "60")
    now, at_work, go_on = [1.0], threading.Event(), threading.Event()
    monkeypatch.setattr(jobs, "clock", lambda: now[0])
    space = Workspace(work=WORK)

    def work(job):
        at_work.set()
        go_on.wait(WAIT)
        job.report(1, 2)

    session_jobs.start(space, "traffic", "Making", work, lambda space, result: None)
    assert at_work.wait(WAIT)
    now[0] += 61
    job_panel.deliver_finished(space)
    go_on.set()
    assert "longer than the 1 minutes" in space.notes["traffic"] and not space.jobs
