"""Sleep plans that are quick to make are shown while the program is solved."""

import pytest

from app.background import sleep
from app.server.jobs import Job
from app.state.workspace import Workspace
from planning.sleep import SleepSettings
from tests.app.making import until_finished


@pytest.mark.slow
def test_plans_are_published_before_the_program_and_after_it(space, monkeypatch):
    published = []
    monkeypatch.setattr(Job, "publish", lambda job, result: published.append(result[1]))
    settings = SleepSettings(time_limit=2, threads=1, allow_unserved=True)
    sleep.start(space, sleep.SleepRequest(["always-on", "night", "milp"], settings, quantile=0.9))
    job = until_finished(space.jobs["sleep"])
    assert job.error is None
    assert [list(some.plans) for some in published] == [
        ["always-on", "night"],
        ["always-on", "night", "milp"],
    ]
    assert [some.ranges for some in published] == [None, None]
    _, whole = job.result
    assert list(whole.plans) == ["always-on", "night", "milp"] and whole.ranges is not None


@pytest.mark.parametrize("own", ["", "night"])
def test_the_wanted_plan_is_shown_once_it_is_there_unless_another_is_chosen(own):
    space, wanted = Workspace(), sleep._Wanted("milp")
    sleep.choose(space, wanted, ["always-on", "night", "greedy"])
    assert space.sleep_choice == "greedy"
    space.sleep_choice = own or space.sleep_choice
    sleep.choose(space, wanted, ["always-on", "night", "greedy", "milp"])
    assert space.sleep_choice == (own or "milp")


def test_a_plan_that_is_there_at_once_stays_chosen():
    space, wanted = Workspace(sleep_choice="night"), sleep._Wanted("night")
    for there in (["always-on", "night"], ["always-on", "night", "milp"]):
        sleep.choose(space, wanted, there)
        assert space.sleep_choice == "night"
    space.sleep_choice = "always-on"
    sleep.choose(space, wanted, ["always-on", "night", "milp"])
    assert space.sleep_choice == "always-on"
