"""The public names of `opendiff` and `planning`: what they import, take and return, as the documents show them."""

import re
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

import opendiff
import planning
from opendiff.area import tile_frame, tiles_and_area, tiles_covering
from opendiff.cli import main as opendiff_command
from opendiff.errors import AreaError
from opendiff.traffic_table import read_traffic
from plannerbase import __version__
from planning.errors import InputError
from planning.prb import PrbSettings
from planning.scenario import Scenario
from planning.sleep import SleepSettings
from tests.planning.conftest import make_table

ROOT = Path(__file__).resolve().parents[1]
BOX = "115.90,28.66,115.93,28.69"
IMPORTS = """
import sys
import opendiff, planning
heavy = {"numpy", "pandas", "torch", "pulp", "highspy", "streamlit"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
opendiff.generate, opendiff.fetch, opendiff.load_model
assert not {"torch", "pulp", "highspy"} & set(sys.modules)
planning.deploy, planning.plan_sleep, planning.allocate_prbs, planning.map_coverage
assert "torch" not in sys.modules
"""
NO_TORCH = """
import sys
sys.modules["torch"] = None
from opendiff.cli import main
sys.exit(main(["info"]))
"""


@pytest.fixture(scope="module")
def week():
    return opendiff.generate(BOX, samples=4, seed=3)


@pytest.fixture(scope="module")
def table():
    return make_table(3, 3, 4, 168)


@pytest.fixture(scope="module")
def deployed(table):
    return planning.deploy(table, sites=6)


def run(code):
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_packages_wait_for_nothing_and_planning_needs_no_torch():
    done = run(IMPORTS)
    assert done.returncode == 0, done.stderr


def test_without_torch_a_command_ends_with_one_sentence():
    done = run(NO_TORCH)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "pip install torch" in done.stderr


@pytest.mark.parametrize("package", [opendiff, planning])
def test_every_public_name_exists_and_is_documented(package):
    assert set(package.__all__) <= set(dir(package))
    for name in set(package.__all__) - {"__version__"}:
        assert getattr(package, name).__doc__, name
    assert package.__version__ == __version__
    with pytest.raises(AttributeError, match="nonsense"):
        package.nonsense  # noqa: B018


@pytest.mark.parametrize("name", ["generate", "fetch", "load_model"])
def test_verbs_of_opendiff_say_what_they_take_return_and_raise(name):
    text = getattr(opendiff, name).__doc__
    assert all(f"\n    {part}\n    ---" in text for part in ("Parameters", "Returns", "Raises", "References"))


@pytest.mark.parametrize("name", ["deploy", "plan_sleep", "allocate_prbs", "map_coverage"])
def test_verbs_of_planning_say_what_they_take_return_and_raise(name):
    text = getattr(planning, name).__doc__
    assert all(f"\n    {part}\n    ---" in text for part in ("Parameters", "Returns", "Raises", "References"))


def test_the_command_generates_what_the_verb_returns(week, tmp_path):
    out = tmp_path / "t.parquet"
    assert (
        opendiff_command(
            ["generate", BOX, "--source", "demo", "--samples", "4", "--seed", "3", "--out", str(out)]
        )
        == 0
    )
    made = read_traffic(out)
    np.testing.assert_array_equal(made.traffic, week.traffic)
    np.testing.assert_array_equal(made.users, week.users)


def test_an_area_is_the_same_in_every_form(tmp_path):
    west, south, east, north = map(float, BOX.split(","))
    box = shapely.box(west, south, east, north)
    frame = gpd.GeoDataFrame(geometry=[box], crs="EPSG:4326")
    frame.to_file(tmp_path / "area.geojson", driver="GeoJSON")
    expected = tiles_covering(opendiff.Area(box))
    forms = [
        BOX, (west, south, east, north), box, frame, frame.geometry, frame.to_crs(3857), tmp_path / "area.geojson",
        opendiff.Area.from_geodataframe(frame),
    ]  # fmt: skip
    for form in forms:
        tiles, outline = tiles_and_area(form)
        pd.testing.assert_frame_equal(tiles[["x", "y"]], expected[["x", "y"]])
        np.testing.assert_allclose(tiles["covered_share"], expected["covered_share"], atol=1e-6)
        assert outline is not None
    listed, outline = tiles_and_area(expected)
    assert outline is None and len(listed) == len(expected)
    with pytest.raises(AreaError, match="not a int"):
        tiles_and_area(7)


def test_an_ensemble_goes_over_to_the_planners_unchanged(week, tmp_path):
    week.save(tmp_path / "t.parquet")
    read = planning.TrafficTable.of(tmp_path / "t.parquet")
    for other in (week, week.to_pandas(), week.to_pandas("2024-01-01"), read):
        table = planning.TrafficTable.of(other)
        np.testing.assert_array_equal(table.traffic, week.traffic)
        np.testing.assert_array_equal(table.users, week.users)
        np.testing.assert_allclose(table.covered_share, week.tiles["covered_share"])
        assert set(table.intensities) == set(week.intensities)
        assert table.metadata["model_checksum"] == week.metadata["model_checksum"]


def test_a_frame_of_anybody_is_traffic(table):
    frame = table.to_pandas("2024-01-01").reset_index()
    frame.attrs = {}
    again = planning.TrafficTable.of(frame.sample(frac=1, random_state=0))
    np.testing.assert_array_equal(again.traffic, table.traffic)
    assert frame["time"].iloc[0].weekday() == 0 and frame["time"].iloc[0].hour == 0
    with pytest.raises(InputError, match="lacks the column traffic"):
        planning.TrafficTable.of(frame.drop(columns="traffic"))
    with pytest.raises(InputError, match="not a int"):
        planning.TrafficTable.of(7)


def test_statistics_are_those_of_the_table(week):
    share = week.tiles["covered_share"].to_numpy()
    by_hand = np.array(
        [np.median([(share * week.traffic[:, s, h]).sum() for s in range(week.samples)]) for h in range(168)]
    )
    found = week.statistics()
    assert found["busy_hour"] == by_hand.argmax() and found["tiles"] == len(week.tiles)
    assert found["mean"] == pytest.approx(by_hand.mean()) and found["peak"] == pytest.approx(by_hand.max())
    tiles = week.to_geodataframe()
    np.testing.assert_allclose(tiles["mean"], week.traffic.mean(axis=(1, 2)), rtol=1e-5)
    assert tiles.crs == "EPSG:4326" and (tiles["peak_hour"] < 168).all()


def test_a_scale_is_stated_by_one_figure(table):
    demand = planning.Demand.of(table, busy_hour_mbps=500.0)
    assert demand.mbps.sum(axis=0, dtype=float).mean(axis=0).max() == pytest.approx(500, rel=1e-5)
    assert planning.Demand.of(demand) is demand
    assert planning.Demand.on_scale_of(demand, table).scale == demand.scale
    for stated in (
        {"busy_hour_mbps": 1.0, "total_gb_day": 1.0},
        {"scale": demand.scale, "total_gb_day": 1.0},
    ):
        with pytest.raises(InputError, match="one scale"):
            planning.Demand.of(table, **stated)
    with pytest.raises(InputError, match="already"):
        planning.Demand.of(demand, busy_hour_mbps=1.0)


def test_a_network_goes_through_geodataframes_unchanged(deployed):
    network = deployed.network
    sites = network.to_geodataframe("sites").drop(columns=["lon", "lat"])
    again = planning.Network.from_geodataframe(sites.to_crs(32650), network.to_geodataframe("cells"))
    np.testing.assert_allclose(again.sites[["lon", "lat"]], network.sites[["lon", "lat"]], atol=1e-7)
    pd.testing.assert_frame_equal(again.cells, network.cells)
    named = planning.Network.from_geodataframe(sites[["geometry"]])
    assert named.sites["site"].tolist() == [f"S{i + 1:03d}" for i in range(len(sites))]
    with pytest.raises(InputError, match="must be a point"):
        planning.Network.from_geodataframe(sites.to_crs(32650).set_geometry(sites.to_crs(32650).buffer(1)))
    with pytest.raises(InputError, match="layers cells and sites"):
        network.to_geodataframe("beams")
    assert network.statistics()["cells"] == len(network.cells)
    assert len(network.to_pandas()) == len(network.cells)


def test_a_sleep_plan_counts_its_hours(deployed, table):
    plan = planning.plan_sleep(
        deployed, table, strategy="greedy", settings=SleepSettings(allow_unserved=True)
    )
    layer = plan.to_geodataframe()
    np.testing.assert_array_equal(layer["hours_asleep"], (~plan.awake).sum(axis=1))
    assert pd.api.types.is_integer_dtype(layer["hours_asleep"]) and layer["hours_asleep"].sum() > 0
    by_hour = plan.to_pandas()
    assert by_hour.index.names == ["cell", "hour"] and len(by_hour) == plan.awake.size
    by_time = plan.to_pandas("2024-01-01")
    assert by_time.index.get_level_values("time").max() == pd.Timestamp("2024-01-01 23:00")
    assert plan.statistics()["saving"] == plan.evaluation.saving
    # the plan of the verb is that of the command
    plans, frame = planning.compare_sleep(
        deployed.network, table, strategies=["always-on", "greedy"], held_out=table,
        settings=SleepSettings(allow_unserved=True),
    )  # fmt: skip
    np.testing.assert_array_equal(plans["greedy"].parts, plan.parts)
    assert frame["replay_saving"].notna().all()
    assert all(len(repr(made)) < 400 for made in (plan, plan.problem, deployed, deployed.network, table))


@pytest.mark.slow
def test_coverage_and_prbs_by_one_call(deployed, table):
    coverage = planning.map_coverage(deployed.network, table)
    pixels = coverage.to_geodataframe()
    assert pixels.area.to_numpy() == pytest.approx(coverage.grid.pixel_m**2)
    assert pixels["covered"].mean() == pytest.approx(coverage.statistics()["covered_outdoors"])
    around = planning.map_coverage(deployed.network)
    lon, lat = deployed.network.sites[["lon", "lat"]].to_numpy().T
    assert around.grid.lon.min() < lon.min() and around.grid.lat.max() > lat.max()
    plan = planning.allocate_prbs(deployed, table, users=6, settings=PrbSettings(time_limit=1))
    assert plan.problem.users.hour == planning.Demand.of(table).busy_hour()
    assert len(plan.to_geodataframe()) == len(plan.to_pandas()) == len(plan.met)
    assert plan.statistics()["met"] == plan.met.sum() and len(repr(plan)) < 400 and len(repr(coverage)) < 400
    drawn = [
        coverage.plot(),
        coverage.plot("sinr"),
        plan.plot(),
        deployed.plot(),
        deployed.network.plot(),
        table.plot(),
    ]
    assert all(len(figure.data) >= 1 for figure in drawn)
    with pytest.raises(InputError, match="no map"):
        coverage.plot("nonsense")


def test_samples_of_files_under_examples_are_read():
    """`sites.csv`, `measured.csv` and `tiles.csv`, as the documents name them."""
    from opendiff.area import read_tiles
    from planning.measured_traffic import read_measured

    folder = ROOT / "examples"
    tiles = read_tiles(folder / "tiles.csv")
    assert len(tiles) > 10
    network = planning.import_network(folder / "sites.csv").network
    assert len(network.sites) > 5
    made = opendiff.generate(folder / "tiles.csv", samples=2, measured=folder / "measured.csv")
    assert made.metadata["unit"] == "Mbit/s" and len(made.tiles) > 10
    measured, _ = read_measured((folder / "measured.csv").read_bytes(), "measured.csv", {}, "", "")
    assert (
        measured.hours in (24, 168)
        and tile_frame(measured.x, measured.y).merge(tiles, on=["x", "y"]).shape[0]
    )


@pytest.mark.parametrize("document", ["README.md", "docs/tutorial.md"])
@pytest.mark.slow
def test_the_python_of_the_documents_runs(document, tmp_path, monkeypatch):
    """Their blocks one after the other, in one place, as somebody would type them."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / document).read_text(), re.M | re.S)
    assert blocks
    names = {}
    for block in blocks:
        exec(compile(block, document, "exec"), names)
    if "plan" in names:  # from box to plan
        assert 0 < names["plan"].evaluation.saving < 1
        scenario = Scenario.from_deployment(names["deployed"], planning.Demand.of(names["week"]))
        assert len(scenario.with_sleep(names["plan"]).to_bytes()) > 0
