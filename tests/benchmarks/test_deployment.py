"""The deployment benchmark: its instances are what it says, its figures those of its tables."""

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks import deployment
from benchmarks.cli import main
from planning.deployment.judging import compare
from tests.benchmarks.test_plans import made_weeks


def test_instances_have_ten_candidates_a_place_and_a_binding_capacity():
    problem = deployment.covering_instance(2000, 400, 50, 0)
    near = np.bincount(problem.point, minlength=2000)
    assert 8.5 < near.mean() < 10.5  # fewer at the rim of the square
    assert problem.capacity.sum() / 400 * 50 == pytest.approx(0.8 * problem.need.sum())


def test_placement_is_judged_on_the_real_week():
    weeks = made_weeks()
    weeks.intensities["population"] = np.ones(len(weeks.x))
    table = deployment.placement_table(weeks)
    assert set(table["sites"]) == {2000, int(table["sites"].iloc[-1])}
    real = table[table["strategy"] == "real traffic"].iloc[0]
    assert real["jsd_traffic"] < 0.05 and table["jsd_traffic"].min() == real["jsd_traffic"]
    figures = deployment.placement_figures(table)
    row = table[(table["strategy"] == "uniform") & (table["sites"] == 2000)].iloc[0]
    assert figures["jsd_uniform"] == row["jsd_traffic"]
    assert {"jsd_traffic", "jsd_population", "covered_50_traffic"} <= set(figures)
    assert compare([1, 1], [1, 1]).jsd == pytest.approx(0)


@pytest.mark.slow
def test_the_quick_benchmark_writes_the_figures_of_the_issue(tmp_path, capsys):
    path = tmp_path / "d.json"
    parts = [word for part in ("covering", "files", "gravity") for word in ("--part", part)]
    assert main(["deployment", "--quick", "--json", str(path), "--sites", "40", *parts]) == 0
    figures = json.loads(path.read_text())
    assert {
        "m1000_300_40_seconds",
        "m1000_300_40_gap",
        "l5000_1000_100_seconds",
        "l5000_1000_100_gap",
    } <= set(figures)
    assert {"import_40_seconds", "export_40_seconds", "map_40_seconds"} <= set(figures) and figures[
        "same_40"
    ] == 1
    assert "Capacitated maximal covering" in capsys.readouterr().out
    assert main(["deployment", "--seeds", "0"]) == 2


def test_figures_take_the_worst_seed():
    table = pd.DataFrame(
        {
            "size": ["a", "a", "a"],
            "supply": [0.8, 0.8, 1.2],
            "seconds": [1.0, 2.0, 9.0],
            "gap": [0.01, 0.0, 0.5],
        }
    )
    figures = deployment.covering_figures(table, {"a": ()})
    assert figures["a_seconds"] == 2 and figures["a_gap"] == 0.01 and figures["a_supply_120_gap"] == 0.5
