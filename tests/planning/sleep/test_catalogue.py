"""A strategy that is registered shows up everywhere by itself, and every strategy keeps what the catalogue promises."""

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import planning
from app.background.sleep import SleepRequest
from app.state.workspace import Workspace
from benchmarks import sleep as benchmark
from planning.cli import main, parser
from planning.scenario import Scenario
from planning.sleep import STRATEGIES, SleepSettings, Strategy, compared, plan_sleep, rule
from planning.sleep.rules import allowed
from tests.planning.conftest import make_table
from tests.planning.sleep.making import lawful, some_problem

SETTINGS = SleepSettings(time_limit=3)


def rest_of_the_night(problem, settings):
    """All but the coverage cells asleep from 1 to 4 h, as far as limits and coverage allow."""
    hour = np.arange(problem.hours) % 24
    groups = problem.groups
    asleep = (hour >= 1) & (hour < 4)
    counts = np.where(asleep, groups.coverage[:, None], groups.count[:, None])
    return allowed(problem, settings, counts)


@pytest.fixture
def registered(monkeypatch):
    """A further line of the catalogue."""
    line = Strategy("Deep night", rule(rest_of_the_night), compared=True, blind=True)
    monkeypatch.setitem(STRATEGIES, "deep-night", line)
    return "deep-night"


def test_a_new_strategy_is_in_command_line_and_scenario(registered, tmp_path, capsys):
    table = make_table(2, 2, 2, 24)
    table.to_pandas().reset_index().to_csv(tmp_path / "traffic.csv", index=False)
    traffic, out = str(tmp_path / "traffic.csv"), str(tmp_path / "plan.gpkg")
    Scenario.from_deployment(planning.deploy(table, sites=3), planning.Demand.of(table)).save(out)
    options = ["sleep", out, "--traffic", traffic, "--strategy", registered, "--out", out]
    assert parser().parse_args(options).strategy == registered
    assert main([*options, "--allow-unserved"]) == 0
    assert "deep-night" in capsys.readouterr().out
    scenario = Scenario.read(out)
    schedule = scenario.tables["sleep_schedule"]
    assert scenario.provenance["sleep"]["strategy"] == registered
    assert set(schedule.loc[~schedule["awake"].astype(bool), "hour"]) == {1, 2, 3}


def test_a_new_strategy_is_in_the_app_and_the_benchmarks(registered):
    def script():
        from app.state.workspace import workspace
        from app.widgets.sleep_settings import sleep_settings

        sleep_settings(workspace())

    test = AppTest.from_function(script, default_timeout=60)
    test.session_state["workspace"] = Workspace()
    test.run()
    assert not test.exception
    strategies = test.multiselect(key="sleep strategies")
    assert "Deep night" in strategies.options and registered in strategies.value
    assert registered in compared()
    assert registered not in benchmark.looking_at_traffic()


def test_app_and_command_plan_for_the_same_by_default():
    asked = SleepRequest([], SleepSettings())
    options = parser().parse_args(["sleep", "a.gpkg", "--traffic", "t.parquet", "--out", "b.gpkg"])
    shared = [asked.quantile, asked.rate_floor, asked.max_neighbours, asked.hours]
    assert shared == [options.quantile, options.rate_floor, options.neighbours, options.hours]


def test_a_new_strategy_changes_no_default(monkeypatch):
    before = compared()
    monkeypatch.setitem(STRATEGIES, "deep-night", Strategy("Deep night", rule(rest_of_the_night)))
    assert compared() == before


@pytest.mark.parametrize("name", [*STRATEGIES, "deep-night"])
def test_every_strategy_keeps_its_promises(name, registered):
    """On a demand that can be served: limits and coverage kept, the same plan again, and all traffic served by those
    that look at it and that a verdict may recommend."""
    problem = some_problem(4, hours=24, busy=0.4, cover_rows=6, whole_site=True)
    plan = plan_sleep(problem, name, SETTINGS)
    assert plan.parts.shape == (problem.groups.number_of_parts, 24) and plan.parts.dtype == bool
    assert lawful(problem, SETTINGS, plan.parts)
    assert (plan.evaluation.hole_km2 <= 1e-9).all()
    np.testing.assert_array_equal(plan_sleep(problem, name, SETTINGS).parts, plan.parts)
    line = STRATEGIES[name]
    if line.advised and not line.blind:
        assert plan.evaluation.unserved_mbps_hours == pytest.approx(0, abs=1e-6)
