"""The benchmark of the samplers runs, and gives the figures it is read for."""

import json

import pytest

from benchmarks.cli import main
from benchmarks.sampler_quality import Quality


@pytest.mark.slow
def test_a_quick_run_gives_all_figures(tmp_path, capsys):
    out = tmp_path / "sampler.json"
    assert main(["sampler", "--quick", "--json", str(out)]) == 0
    figures = json.loads(out.read_text())
    assert figures["speedup_vs_published"] > 100 and figures["seconds_100x20_warm"] > 0
    assert figures["killed_workers"] == figures["killed_worker_table_equal"] == 1
    assert 100 < figures["peak_mb_100x20"] < 3000
    assert "tile-weeks" in capsys.readouterr().out


def test_loss_is_against_the_best_of_all_sizes_and_steps():
    rows = (
        (32, 1, 900, 2, 0.30, 0.02, 0.9),
        (64, 2, 4000, 2, 0.32, 0.02, 0.9),
        (64, 2, 4000, 4, 0.303, 0.02, 0.9),
    )
    quality = Quality(rows, (64, 2, 4))
    assert quality.figures()["ncrps_relative_loss"] == pytest.approx(0.01)
    assert quality.of_shipped() == {2: 0.32, 4: 0.303} and "0.303" in quality.text()
