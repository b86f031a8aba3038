"""The benchmark of live open data runs, and gives the figures it is read for."""

import json

import pytest

from benchmarks import sources
from benchmarks.cli import main


@pytest.mark.slow
def test_a_quick_run_gives_all_figures(tmp_path, nanchang_pack, monkeypatch, capsys):
    monkeypatch.setattr(sources, "QUICK_TILES", 8)
    monkeypatch.setattr(sources, "QUICK_MANY", 100)
    out = tmp_path / "sources.json"
    assert main(["sources", "--quick", "--data", str(nanchang_pack), "--json", str(out)]) == 0
    figures = json.loads(out.read_text())
    assert figures["faults_injected"] == figures["faults_survived"] > 3
    assert 0 < figures["seconds_8_tiles_warm"] and 100 < figures["peak_mb_100_tiles"] < 3000
    assert 0.3 < figures["osm_poi_correlation_median"] < figures["osm_poi_correlation_total"]
    assert "map service" in capsys.readouterr().out
