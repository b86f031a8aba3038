"""`planning coverage` end to end, its files read back, and one clear line with status 2 on bad input."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio

from planning.cli import main
from planning.demand import Demand, Scale
from planning.network import Network
from planning.scenario import Scenario
from tests.planning.conftest import make_table


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """traffic.csv, scenario.gpkg with a sleep schedule (all 5G cells asleep at hour 3), sites.csv."""
    folder = tmp_path_factory.mktemp("coverage")
    table = make_table(2, 2, 2, 24)
    tile, sample, hour = np.indices(table.traffic.shape).reshape(3, -1)
    columns = {"x": table.x[tile], "y": table.y[tile], "sample": sample, "hour": hour}
    pd.DataFrame(columns | {"traffic": table.traffic.ravel()}).to_csv(folder / "traffic.csv", index=False)
    demand = Demand.build(table, Scale.busy_hour(table, 400.0))
    box = Scenario.from_network(Network.from_sites([0.0], [0.0]), demand).tiles.total_bounds
    lon, lat = np.linspace(box[0], box[2], 5)[1:-1], np.linspace(box[1], box[3], 5)[1:-1]
    network = Network.from_sites(lon, lat)
    cells = network.cells
    night = {"cell": cells["cell"], "awake": cells["technology"] == "4G"}
    schedule = pd.concat([pd.DataFrame(night | {"hour": h}) for h in range(24)])
    schedule.loc[schedule["hour"] != 3, "awake"] = True
    Scenario.from_network(network, demand).with_table("sleep_schedule", schedule).save(
        folder / "scenario.gpkg"
    )
    network.sites[["site", "lon", "lat"]].to_csv(folder / "sites.csv", index=False)
    return folder


def test_all_outputs_of_an_hour_with_traffic_and_a_plan(folder, capsys):
    outs = [folder / f"night{end}" for end in (".tif", ".kmz", ".gpkg", ".csv")]
    arguments = [
        "coverage",
        str(folder / "scenario.gpkg"),
        "--traffic",
        str(folder / "traffic.csv"),
        "--hour",
        "3",
    ]
    arguments += ["--plan", "sleep", "--pixel", "100", "--busy-hour-mbps", "400", "--map", "sinr"]
    arguments += ["--levels", "0", "10", *(part for out in outs for part in ("--out", str(out)))]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "18 cells (9 asleep)" in printed and "Hour 3:" in printed and "Mbit/s served" in printed
    with rasterio.open(outs[0]) as raster:
        assert raster.count == 5 and raster.tags()["hour"] == "3"
        assert np.isfinite(raster.read(1)).any()
    assert set(gpd.read_file(outs[2])["from"]) <= {0.0, 10.0}
    cells = pd.read_csv(outs[3])
    asleep = ~cells["awake"]
    assert (cells.loc[asleep, ["load", "offered_mbps"]] == 0).all(axis=None)
    assert cells.loc[~asleep, "load"].sum() > 0
    assert (cells["band"][asleep] == "n41").all()


def test_a_file_of_sites_is_enough(folder, capsys):
    out = folder / "sites.tif"
    assert (
        main(["coverage", str(folder / "sites.csv"), "--out", str(out), "--pixel", "200", "--load", "1"]) == 0
    )
    assert "covered outdoors" in capsys.readouterr().out
    with rasterio.open(out) as raster:
        assert raster.width * 0.2 > 2


def test_measured_levels_tune_the_model(folder, capsys):
    sites = pd.read_csv(folder / "sites.csv")
    network = Network.from_sites(sites["lon"], sites["lat"])
    rng = np.random.default_rng(0)
    lon, lat = (
        rng.uniform(sites["lon"].min(), sites["lon"].max(), 60),
        rng.uniform(sites["lat"].min(), sites["lat"].max(), 60),
    )
    cell = rng.choice(network.cells["cell"][:3], 60)
    measured = folder / "measured.csv"
    pd.DataFrame({"lon": lon, "lat": lat, "cell": cell, "dbm": -100.0}).to_csv(measured, index=False)
    arguments = [
        "coverage",
        str(folder / "scenario.gpkg"),
        "--out",
        str(folder / "tuned.tif"),
        "--pixel",
        "200",
    ]
    assert main([*arguments, "--measured", str(measured)]) == 0
    assert "dB before and" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--out", "map.png"], "--out ends in one of"),
        (["--out", "absent/map.tif"], "does not exist"),
        (["--out", "map.tif", "--plan", "sleep"], "say which hour"),
        (["--out", "map.tif", "--band", "n78"], "no carrier 'n78'"),
        (["--out", "map.tif", "--load", "2"], "between 0 and 1"),
        (["--out", "map.tif", "--pixel", "7"], "between 20 and 200"),
        (["--out", "map.tif", "--threshold", "-90", "-80"], "4 thresholds"),
        (["--out", "map.tif", "--terrain", "absent.tif"], "no file"),
        (["--out", "map.tif", "--clutter-loss", "10=8"], "add --clutter"),
        (["--out", "map.tif", "--hour", "200"], "between 0 and 167"),
    ],
)
def test_bad_input_is_one_line_and_status_2(folder, more, message, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    assert main(["coverage", "scenario.gpkg", *more]) == 2
    printed = capsys.readouterr().err.strip().splitlines()
    assert message in printed[-1]
    assert not (folder / "map.tif").exists()


def test_a_plan_needs_a_scenario_that_has_one(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    arguments = ["coverage", "sites.csv", "--out", "map.tif", "--hour", "3", "--plan", "sleep"]
    assert main(arguments) == 2
    assert "holds no plan" in capsys.readouterr().err
