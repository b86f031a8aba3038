"""--workers, --scheduler and --work: the same files as without, and one clear line with status 2 where they cannot."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from planning.cli import main
from planning.scenario import Scenario
from tests.planning.conftest import make_table


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """traffic.csv and scenario.gpkg of six sites."""
    folder = tmp_path_factory.mktemp("workers")
    table = make_table(2, 2, 2, 24)
    tile, sample, hour = np.indices(table.traffic.shape).reshape(3, -1)
    columns = {"x": table.x[tile], "y": table.y[tile], "sample": sample, "hour": hour}
    values = {"traffic": table.traffic.ravel(), "users": table.users.ravel()}
    pd.DataFrame(columns | values).to_csv(folder / "traffic.csv", index=False)
    arguments = ["deploy", str(folder / "traffic.csv"), "--sites", "6", "--busy-hour-mbps", "900"]
    assert main([*arguments, "--out", str(folder / "scenario.gpkg")]) == 0
    return folder


def ran(folder, *arguments) -> int:
    command, *rest = arguments
    asked = [command, str(folder / "scenario.gpkg"), "--traffic", str(folder / "traffic.csv")]
    return main([*asked, *map(str, rest)])


def test_work_that_is_kept_gives_the_same_coverage(folder, tmp_path):
    for out, more in (("plain.csv", ()), ("kept.csv", ("--work", tmp_path / "work"))):
        assert ran(folder, "coverage", "--hour", "9", "--pixel", "100", "--out", tmp_path / out, *more) == 0
    assert (tmp_path / "plain.csv").read_bytes() == (tmp_path / "kept.csv").read_bytes()
    assert list((tmp_path / "work").glob("coverage-*/received levels-*.npz"))


@pytest.mark.slow
def test_one_area_has_the_schedule_of_one_process(folder, tmp_path):
    for out, more in (("plain.gpkg", ()), ("kept.gpkg", ("--work", tmp_path / "work"))):
        assert ran(folder, "sleep", "--gap", "0.02", "--out", tmp_path / out, *more) == 0
    plain, kept = (Scenario.read(tmp_path / f"{n}.gpkg").tables["sleep_schedule"] for n in ("plain", "kept"))
    pd.testing.assert_frame_equal(plain, kept)


@pytest.mark.slow
def test_hours_of_users_are_planned_by_workers_as_by_one_process(folder, tmp_path):
    for out, more in (("plain.gpkg", ()), ("shared.gpkg", ("--workers", "2"))):
        asked = ("--hours", "8-10", "--users", "12", "--baseline", "--out", tmp_path / out)
        assert ran(folder, "prb", *asked, *more) == 0
    plain, shared = (Scenario.read(tmp_path / f"{n}.gpkg").tables for n in ("plain", "shared"))
    for name in ("prb_hours", "prb_assignment"):
        pd.testing.assert_frame_equal(plain[name], shared[name])


def test_what_cannot_be_shared_is_named(folder, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out.csv"
    assert ran(folder, "coverage", "--out", out, "--workers", "0") == 2
    assert "at least 1" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert ran(folder, "coverage", "--out", out, "--workers", "2") == 2
    assert "pip install" in capsys.readouterr().err
    assert not out.exists()
