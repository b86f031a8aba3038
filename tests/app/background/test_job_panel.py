"""How often running jobs are looked after."""

from app.background import job_panel
from app.server import jobs
from app.state.workspace import Workspace


def test_a_long_job_is_looked_after_at_a_slower_pace(monkeypatch):
    now = [10.0]
    monkeypatch.setattr(jobs, "clock", lambda: now[0])
    space, job = Workspace(), jobs.Job("long", lambda space, result: None)
    space.jobs["long"] = job
    assert job_panel._pace(space) == job_panel.WAITING_SECONDS
    job.state, job.started = "running", 10.0
    assert job_panel._pace(space) == job_panel.REFRESH_SECONDS
    now[0] += job_panel.LONG_SECONDS + 1
    assert job_panel._pace(space) == job_panel.LONG_REFRESH_SECONDS
    space.jobs["next"] = jobs.Job("waits", lambda space, result: None)
    assert job_panel._pace(space) == job_panel.LONG_REFRESH_SECONDS
    space.jobs["next"].state, space.jobs["next"].started = "running", now[0]
    assert job_panel._pace(space) == job_panel.REFRESH_SECONDS
