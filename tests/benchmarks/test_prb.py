"""The PRB benchmark: its instances are what they say, its figures those of the issue."""

import json

import numpy as np
import pytest

from benchmarks import prb
from benchmarks.cli import main


def test_stations_are_a_hexagonal_grid():
    places = prb.hexagon(19)
    metres = np.hypot(*(places[:, None] - places).transpose(2, 0, 1))
    assert np.sort(metres[0])[1:7] == pytest.approx(prb.STATION_M)
    np.fill_diagonal(metres, np.inf)
    assert metres.min() == pytest.approx(prb.STATION_M)
    assert len(prb.hexagon(3)) == 3


def test_instances_are_seeded_and_as_large_as_stated():
    size = prb.SIZES[1]
    problem = prb.instance(size, 4.0, "downlink", 3)
    assert problem.gain.shape == (60, 7) and problem.prbs == 50 and problem.radio.link == "downlink"
    assert problem.demand_mbps.mean() == pytest.approx(4.0)
    assert problem.metres.min(axis=1).max() < prb.STATION_M / np.sqrt(3) * 1.01
    np.testing.assert_array_equal(problem.gain, prb.instance(size, 4.0, "downlink", 3).gain)
    assert not np.array_equal(problem.gain, prb.instance(size, 4.0, "downlink", 4).gain)


def test_quick_run_gives_the_figures_of_the_issue(tmp_path, monkeypatch, capsys):
    small = tuple(
        prb.replace(size, users=6, stations=3, prbs=min(size.prbs, 12), seconds=0.5) for size in prb.SIZES
    )
    monkeypatch.setattr(prb, "SIZES", small)
    out = tmp_path / "prb.json"
    assert main(["prb", "--quick", "--links", "uplink", "--json", str(out)]) == 0
    figures = json.loads(out.read_text())
    for name in (
        "exact_10_3_6_seconds",
        "m60_7_50_seconds",
        "m60_7_50_gap",
        "l500_20_273_seconds",
        "l500_20_273_gap",
        "l500_20_273_unserved",
        "gain_over_best_baseline",
    ):
        assert np.isfinite(figures[name])
    assert figures["gain_over_best_baseline"] >= 0
    assert capsys.readouterr().out.count("| uplink") == 6
    assert main(["prb", "--quick", "--seed", "-1"]) == 2
