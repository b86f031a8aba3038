"""The cluster benchmark: its small case runs, and its figures are those of the issue."""

import json
from contextlib import contextmanager

import pytest

from benchmarks import cluster
from benchmarks.cli import build_parser, main
from plannerbase.workers import work_here


def test_it_is_one_of_the_benchmarks():
    options = build_parser().parse_args(["cluster", "--quick", "--part", "coverage"])
    assert options.benchmark == "cluster" and options.quick and options.part == "coverage"
    assert main(["cluster", "--seed", "-1"]) == 2


@pytest.mark.slow
def test_the_quick_case_has_the_figures_and_survives_a_killed_worker(tmp_path, monkeypatch, capsys):
    """On fewer sites; of the three runs, the one with the killed worker has processes, and the others this one."""
    runs = []

    @contextmanager
    def workers(count, threads):
        runs.append(count)
        if len(runs) < 3:
            yield work_here
        else:
            with local_workers(count, threads) as real:
                yield real

    local_workers = cluster.local_workers
    monkeypatch.setattr(cluster, "local_workers", workers)
    monkeypatch.setattr(cluster, "QUICK_SITES", 24)
    assert main(["cluster", "--quick", "--part", "sleep", "--json", str(tmp_path / "cluster.json")]) == 0
    figures = json.loads((tmp_path / "cluster.json").read_text())
    named = ("sleep_20000_seconds_1_worker", "sleep_20000_seconds_2_workers", "sleep_20000_gap")
    assert all(figures[name] > 0 for name in named)
    assert figures["sleep_20000_gap"] <= 0.03 and figures["sleep_20000_unserved"] == 0
    assert runs == [1, 2, 2] and figures["killed_workers"] == figures["killed_worker_plan_equal"] == 1
    assert "the same" in capsys.readouterr().out
