"""The pages run by AppTest: what they show, what their buttons do, and that faults are told in the page."""

import io
import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import streamlit_folium
from streamlit.testing.v1 import AppTest

from app.background import generation
from app.map.known_tiles import known_picture, known_tiles, layer_picture, shown_layers
from app.state.inputs import ScaleChoice
from app.state.results import Made
from app.state.workspace import Workspace
from app.widgets.traffic_details import EXPLAINED
from opendiff.area import tile_index
from opendiff.metrics import score
from opendiff.open_data.sources import PackSource
from plannerbase import formats
from tests.app.making import X0, Y0, box_of_tiles, ensemble, plan_few_hours, until_finished

TIMEOUT = 60
ONE_PAGE = Path(__file__).with_name("one_page.py")


@pytest.fixture
def drawn(monkeypatch):
    """Stands for the browser's map: put features here, and the app gets them as drawn."""
    events = {"all_drawings": None, "last_clicked": None}
    mounted = {}  # a drawing belongs to the map that it was made on: one that is mounted anew has none

    def component(*args, **kwargs):
        drawings = events["all_drawings"]
        key = mounted.setdefault(id(drawings), kwargs["key"])
        return events | {"all_drawings": drawings if key == kwargs["key"] else None}

    monkeypatch.setattr(streamlit_folium, "_component_func", component)
    monkeypatch.setattr(generation, "warm_up", lambda: None)
    return events


def open_page(name, space):
    test = AppTest.from_file(str(ONE_PAGE), default_timeout=TIMEOUT)
    test.session_state["page of this test"] = name
    test.session_state["workspace"] = space
    return test.run()


def texts(elements):
    return [element.value for element in elements]


def button(test, label):
    return next(b for b in test.button if b.label == label)


def metrics(test):
    return {metric.label: metric.value for metric in test.metric}


def test_the_app_starts_on_the_area_page(drawn, pack):
    test = AppTest.from_file("../../app/main.py", default_timeout=TIMEOUT)
    test.session_state["workspace"] = Workspace(source=str(pack))
    test.run()
    assert not test.exception and not test.error
    assert button(test, "Use example area")


def test_an_outline_drawn_is_measured(drawn, pack):
    space = Workspace(source=str(pack))
    area = box_of_tiles(X0 - 1, Y0, X0 + 1, Y0)
    drawn["all_drawings"] = [{"type": "Feature", "properties": {}, "geometry": area.to_geojson()}]
    test = open_page("area", space)
    shown = metrics(test)
    assert shown["Tiles"] == "3" and shown["With data"] == "1"
    geodesic_km2 = 3.45  # three tiles of 1.22 km at the equator x cos(28 N), squared
    assert float(shown["Area (km²)"]) == pytest.approx(geodesic_km2, rel=0.03)
    assert any("2 tiles have no open data" in text for text in texts(test.caption))


def test_what_each_source_knows_is_counted_and_painted(drawn, pack):
    """The pack has no image, and POI and population on all but its first column of tiles."""
    space = Workspace(source=str(pack))
    area = box_of_tiles(X0, Y0, X0 + 2, Y0)
    drawn["all_drawings"] = [{"type": "Feature", "properties": {}, "geometry": area.to_geojson()}]
    test = open_page("area", space)
    choose = next(c for c in test.button_group if c.label.startswith("Data coverage"))
    assert choose.options == ["Imagery 0 of 3", "Population 2 of 3", "POI 2 of 3"]
    choose.set_value("poi").run()
    assert not test.exception and not test.error
    known = known_tiles(space.source, space.tiles)
    np.testing.assert_array_equal(known["poi"], space.tiles["x"] > X0)
    picture = known_picture(space.tiles, known["poi"])
    assert picture.rgba.shape == (1, 3, 4) and not (picture.rgba[0, 0] == picture.rgba[0, 1]).all()


def test_a_layer_that_is_only_shown_is_offered_and_painted(drawn, pack):
    table = pd.read_parquet(pack / "tiles.parquet")
    height = np.where(table["x"] == X0 + 1, 20.0, np.nan)
    table.assign(building_height=height).to_parquet(pack / "tiles.parquet")
    space = Workspace(source=str(pack))
    area = box_of_tiles(X0, Y0, X0 + 2, Y0)
    drawn["all_drawings"] = [{"type": "Feature", "properties": {}, "geometry": area.to_geojson()}]
    test = open_page("area", space)
    choose = next(c for c in test.button_group if c.label.startswith("Data coverage"))
    assert choose.options[-1] == "Building height 1 of 3"
    choose.set_value("building_height").run()
    assert not test.exception and not test.error
    values = shown_layers(space.source, space.tiles)["building_height"]
    picture, top = layer_picture(space.tiles, values)
    assert top == 20 and (picture.rgba[0, :, 3] > 0).tolist() == [False, True, False]


def test_a_crossing_outline_is_refused_in_one_sentence(drawn, space):
    before = space.area
    bow = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
    drawn["all_drawings"] = [{"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(bow)}]
    test = open_page("area", space)
    assert [("crosses itself" in text) for text in texts(test.error)] == [True]
    assert space.area is before and space.traffic is not None


def test_a_wrong_pack_is_refused_and_the_source_stays(drawn, space):
    source = space.source
    test = open_page("area", space)
    test.text_input[-1].set_value("/no/such/folder")
    next(b for b in test.button if b.label == "Open the package").click()
    test.run()
    assert any("no pack" in text for text in texts(test.error))
    assert space.source == source


@pytest.mark.parametrize("name", ["traffic", "coverage", "sleep", "spectrum", "deployment", "export"])
def test_pages_without_an_area_say_what_comes_first(drawn, pack, name):
    space = Workspace(source=str(pack))
    test = open_page(name, space)
    assert not test.exception and not test.error
    assert [text for text in texts(test.markdown) if text.startswith("**No ")] == [
        "**No area yet.** Draw one on the map, or take the example."
    ]
    button(test, "Use example area").click().run()
    assert not test.exception and not test.error
    known = PackSource(pack).covered_tiles()
    assert space.tiles_with_data == tile_index(known).isin(tile_index(space.tiles)).sum() > 0
    assert not any("No area yet" in text for text in texts(test.markdown))


def test_traffic_shows_the_median_of_the_ensemble(drawn, space):
    space.hour = 30
    test = open_page("traffic", space)
    assert not test.exception and not test.error
    totals = space.demand().mbps.sum(axis=0)
    profile = np.median(totals, axis=0)
    shown = metrics(test)
    assert float(shown["Now, Tue 06:00"].split()[0].replace(",", "")) == pytest.approx(profile[30], rel=0.01)
    busy = int(profile.argmax())
    label = f"Busy hour, {formats.weekday(busy // 24)} {busy % 24:02d}:00"
    assert float(shown[label].split()[0].replace(",", "")) == pytest.approx(profile[busy], rel=0.01)
    assert any("5,000 subscribers per km²" in text for text in texts(test.caption))
    button(test, "Busy hour").click().run()
    assert space.hour == busy


def test_a_click_shows_the_week_of_that_tile(drawn, space):
    tile = space.traffic.value.tiles.iloc[4]
    point = tile.geometry.centroid
    drawn["last_clicked"] = {"lng": point.x, "lat": point.y}
    test = open_page("traffic", space)
    assert f"**Tile {tile.x}, {tile.y}**" in texts(test.markdown)


def test_traffic_of_another_area_is_kept_and_marked(drawn, space):
    made = space.traffic
    space.area = box_of_tiles(X0 + 1, Y0, X0 + 1, Y0)
    test = open_page("traffic", space)
    assert any("has changed" in text for text in texts(test.warning))
    assert space.traffic is made and "Weekly mean" in metrics(test)


def test_a_scale_is_set_for_all_pages(drawn, space):
    test = open_page("traffic", space)
    test.radio[0].set_value("busy hour").run()
    test.number_input[0].set_value(1234.0).run()
    assert space.scale == ScaleChoice(kind="busy hour", busy_mbps=1234.0)
    assert any("1,234 Mbit/s in the busiest hour" in text for text in texts(test.caption))


def test_downloads_hold_the_traffic(space):
    from app.files.traffic import csv_bytes, parquet_bytes

    made = space.traffic.value
    for table in (
        pd.read_parquet(io.BytesIO(parquet_bytes(made))),
        pd.read_csv(io.BytesIO(csv_bytes(made))),
    ):
        assert len(table) == made.traffic.size
        row = table[(table.x == made.tiles.x[2]) & (table.y == made.tiles.y[2]) & (table["sample"] == 3)]
        np.testing.assert_allclose(row.sort_values("hour").traffic, made.traffic[2, 3], rtol=1e-5)


def test_an_unexpected_error_is_one_plain_sentence(drawn, space, monkeypatch, caplog):
    from app import messages

    with caplog.at_level("ERROR"):
        text = messages.sentence(ZeroDivisionError("inner detail"), "making the plan")
    assert "while making the plan" in text and "inner detail" not in text
    assert "inner detail" in caplog.text


def test_a_finished_job_lands_in_the_workspace(drawn, space):
    from app.background import job_panel
    from app.server import jobs

    other = ensemble(space.tiles, space.area, samples=2)
    basis = space.basis("area")
    job = jobs.start(
        "Generating traffic", lambda job: other, lambda space, e: setattr(space, "traffic", Made(e, basis))
    )
    space.jobs["traffic"] = until_finished(job)
    job_panel.deliver_finished(space)
    assert space.traffic.value is other and not space.jobs and not space.notes


def run_jobs(space, test):
    """Wait for the jobs of the workspace and show the page with their results."""
    from app.background import job_panel

    for job in space.jobs.values():
        until_finished(job)
    job_panel.deliver_finished(space)
    return test.run()


def test_measurements_beside_the_generated_week(drawn, space):
    """The first sample given as measured: its figures are those of the metrics module on the same arrays."""
    made = space.traffic.value
    frame = pd.DataFrame(
        {
            "x": np.repeat(made.tiles["x"], 168),
            "y": np.repeat(made.tiles["y"], 168),
            "hour": np.tile(np.arange(168), len(made.tiles)),
            "traffic": made.traffic[:, 0].ravel(),
        }
    )
    test = open_page("traffic", space)
    choose = next(c for c in test.button_group if c.label == "More of this traffic")
    choose.set_value("measured").run()
    next(s for s in test.selectbox if s.label == "Its unit").set_value("relative units")
    test.file_uploader[0].upload("week.csv", frame.to_csv(index=False).encode(), "text/csv").run()
    assert not test.exception and not test.error
    shown = next(d.value for d in test.dataframe if "Figure" in d.value).set_index("Figure")["Value"]
    expected = score(made.traffic[:, 0], made.traffic)
    for name in ("ncrps", "nmae", "coverage_90"):
        assert shown[EXPLAINED[name]] == pytest.approx(expected[name], abs=1e-3)
    for view in ("heat map", "patterns"):
        next(c for c in test.button_group if c.label == "More of this traffic").set_value(view).run()
        assert not test.exception and not test.error


@pytest.mark.slow
def test_coverage_is_computed_for_the_network_and_compared_with_an_outage(drawn, space):
    test = open_page("coverage", space)
    button(test, "Compute coverage").click().run()
    test = run_jobs(space, test)
    cover = space.coverage.value.coverage
    assert space.network is not None and len(cover.cells) == len(space.network.value.plan.network.cells)
    assert not test.exception and not test.error
    table = test.dataframe[0].value.set_index("Of")
    everything = table["All on"]
    assert everything["Ground, outdoors"] == pytest.approx(100 * cover.covered().mean())
    assert list(table.columns) == ["All on"]

    site = cover.network.sites["site"].iloc[0]
    next(m for m in test.multiselect if m.label == "Sites switched off").set_value([site]).run()
    assert not test.exception
    on = (cover.network.cells["site"] != site).to_numpy()
    shares = test.dataframe[0].value.set_index("Of")
    assert shares["Plan"]["Ground, indoors"] == pytest.approx(100 * cover.covered(on, indoors=True).mean())
    loads = test.dataframe[1].value.set_index("")
    assert loads.loc["Cells on"].tolist() == [f"{len(on):,}", f"{on.sum():,}"]
    was, now = (float(v.removesuffix("%")) for v in loads.loc["Unserved"])
    assert 0 <= was <= now
    assert any(text.startswith("**The plan") for text in texts([*test.success, *test.warning]))
    next(g for g in test.button_group if g.label == "Network").set_value("Slider").run()
    assert not test.exception and not test.error

    test = open_page("deployment", space)
    assert not any("dBm" in h.proto.body for h in test.get("html"))
    next(g for g in test.button_group if g.label == "Map").set_value("signal").run()
    assert not test.exception and not test.error
    assert any("dBm" in h.proto.body for h in test.get("html"))


def test_a_clicked_place_lists_the_cells_that_reach_it(drawn, space):
    test = open_page("coverage", space)
    button(test, "Compute coverage").click().run()
    run_jobs(space, test)
    cover = space.coverage.value.coverage
    lon, lat = cover.grid.lon[7], cover.grid.lat[7]
    drawn["last_clicked"] = {"lng": lon, "lat": lat}
    test = open_page("coverage", space)
    shown = next(d.value for d in test.dataframe if "RSRP (dBm)" in d.value)
    assert shown["Cell"][0] == cover.network.cells["cell"].iloc[cover.best_server()[7]]
    assert shown["RSRP (dBm)"][0] == pytest.approx(cover.rsrp_dbm()[7], abs=0.06)
    assert shown["RSRP (dBm)"].is_monotonic_decreasing


def covered_mbps_hours(space, sample):
    """Traffic of a week of the ensemble where a cell covers its users, by tile."""
    from planning.coverage import Coverage

    demand = space.demand()
    cover = Coverage.of(space.network.value.plan.network, demand.x, demand.y)
    share = np.bincount(cover.grid.tile, cover.grid.weight * cover.covered_users(), demand.tiles)
    return float((demand.mbps[:, sample].astype(float).sum(axis=1) * share).sum())


@pytest.mark.slow
def test_sleep_deploys_a_network_and_compares_strategies(drawn, space):
    test = open_page("sleep", space)
    button(test, "Compare sleep strategies").click().run()
    assert "sleep" in space.jobs
    run_jobs(space, test)
    assert not test.exception and not test.error and not space.notes
    table = space.sleep.value.table.set_index("strategy")
    assert list(table.index) == ["always-on", "night", "threshold", "greedy", "milp"]
    assert table.loc["always-on", "saving"] == 0
    assert 0 < table.loc["milp", "saving"] < 1
    # planned on 4 of the 5 samples, replayed on the fifth, which is one week
    replayed = covered_mbps_hours(space, sample=4)
    assert table.loc["milp", "replay_demand_mbps_hours"] == pytest.approx(replayed, rel=1e-5)
    shown = test.dataframe[0].value.set_index("Strategy")
    assert shown.loc["Optimised (MILP)", "Saving"] == pytest.approx(100 * table.loc["milp", "saving"])
    assert metrics(test)["Saved"] == f"{table.loc['milp', 'saving']:.1%}"
    ranges = space.sleep.value.ranges.set_index(["strategy", "figure"])
    saved_kwh = ranges.loc[("milp", "saved_kwh_per_year"), "mean"]
    assert metrics(test)["Energy saved (MWh per year)"] == f"{saved_kwh / 1000:,.0f}"
    assert "Energy cost saved (per year)" not in metrics(test)
    assert any("set an electricity price" in text for text in texts(test.caption))
    table = next(t.value for t in test.dataframe if "Figure" in t.value)
    shares = table.set_index("Figure")["Mean"]
    mean = ranges.loc[("milp", "saving"), "mean"]
    assert shares["Saving (%)"] == pytest.approx(100 * mean, rel=1e-3)
    assert any("Recommended" in t or "Keep everything on" in t for t in texts([*test.success, *test.info]))
    assert len(space.network.value.plan.network.sites) == 16  # 1.5 a km2 of 9 tiles of 1.148 km2


@pytest.mark.slow
def test_prices_by_hour_and_drawn_areas_go_into_the_plan_and_a_click_filters_its_schedule(drawn, space):
    test = open_page("sleep", space)
    test.multiselect(key="sleep strategies").set_value(["night"]).run()
    test.text_input(key="tariff by hour").set_value("0-6 0").run()
    assert any("no price for hour 6" in text for text in texts(test.error))
    test.number_input(key="tariff").set_value(1.0).run()
    assert not test.error
    quiet = space.traffic.value.tiles.geometry.iloc[4]
    drawn["all_drawings"] = [
        {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(quiet)}
    ]
    next(t for t in test.toggle if t.label == "Draw such areas").set_value(True).run()
    assert len(space.never_areas) == 1
    button(test, "Compare sleep strategies").click().run()
    run_jobs(space, test)
    assert not test.exception and not test.error and not space.notes
    plan = space.sleep.value.plans["night"]
    sites = plan.network.sites
    inside = shapely.intersects_xy(quiet, sites["lon"], sites["lat"])[plan.network.site_of_cell]
    assert inside.any() and plan.awake[inside].all() and not plan.awake[~inside].all()
    # cells sleep from 0 to 6 o'clock, when a kWh costs nothing, and wake when it costs 1
    ranges = space.sleep.value.ranges.set_index("figure")["mean"]
    assert ranges["saved_kwh_per_day"] > 0
    assert ranges["saved_cost_per_day"] == pytest.approx(-plan.evaluation.wake_kwh.sum())
    site = sites.iloc[2]
    drawn["last_clicked"] = {"lng": site.lon + 5e-4, "lat": site.lat}
    test.run()
    assert test.selectbox(key="sleep site").value == site.site
    windows = next(f.value for f in test.dataframe if "Wake at" in f.value)
    assert set(windows["Site"]) <= {site.site}
    test.selectbox(key="sleep site").set_value("all sites").run()  # the same click does not come back
    assert test.selectbox(key="sleep site").value == "all sites"


@pytest.mark.slow
def test_energy_figures_and_measured_traffic_go_into_the_plan(drawn, space):
    test = open_page("sleep", space)
    next(s for s in test.selectbox if s.label == "Depth of sleep").set_value("carrier off").run()
    next(t for t in test.toggle if t.label == "Whole sites may sleep").set_value(True).run()
    table = space.traffic_table()
    measured = pd.DataFrame(
        {
            "x": np.repeat(table.x, 168),
            "y": np.repeat(table.y, 168),
            "hour": np.tile(np.arange(168), len(table.x)),
        }
    ).assign(traffic=table.traffic[:, 0].ravel())
    upload = next(u for u in test.file_uploader if u.label.startswith("Validate plans"))
    upload.upload("measured.csv", measured.to_csv(index=False).encode(), "text/csv").run()
    button(test, "Compare sleep strategies").click().run()
    run_jobs(space, test)
    assert not test.exception and not test.error and not space.notes
    comparison = space.sleep.value
    plan = comparison.plans["milp"]
    figures = plan.network.equipment().set_index("equipment")
    assert figures.loc["4G 20 MHz 8T 80 W", "sleep_w"] == 67.3  # 35 % of 192.4 W
    assert plan.problem.groups.site_sleeps
    replayed = comparison.table.set_index("strategy").loc["milp", "replay_demand_mbps_hours"]
    assert replayed == pytest.approx(covered_mbps_hours(space, sample=0), rel=1e-4)
    assert comparison.judged_on == "the measured traffic"
    assert comparison.risk["quantile"].tolist() == [0.5, 0.75, 0.9, 0.95, 0.99, 1.0]
    assert comparison.risk["unserved_share"].is_monotonic_decreasing


@pytest.mark.slow
def test_a_network_that_is_too_small_is_one_sentence_with_the_remedy(drawn, space):
    space.scale = ScaleChoice(kind="busy hour", busy_mbps=1e7)
    test = open_page("sleep", space)
    button(test, "Compare sleep strategies").click().run()
    run_jobs(space, test)
    (text,) = texts(test.error)
    assert "Mbit/s" in text and "too small" in text and "unexpected" not in text
    assert space.sleep is None and space.traffic is not None


@pytest.mark.slow
def test_deployment_compares_strategies_and_chooses_the_network(drawn, space):
    test = open_page("deployment", space)
    test.number_input[0].set_value(12)
    test.number_input(key="siting time limit").set_value(1)
    button(test, "Deploy").click().run()
    run_jobs(space, test)
    assert not test.exception and not test.error and not space.notes
    table = space.deployments.value.table.set_index("strategy")
    assert set(table.index) == {"traffic", "poi", "business", "population", "uniform", "optimised"}
    assert (table["sites"] == 12).all()
    assert table.loc["traffic", "jsd_traffic"] < table.loc["uniform", "jsd_traffic"]
    best, worst = table["served_share"].idxmax(), table["served_share"].idxmin()
    assert (
        table.loc[space.network.value.plan.strategy, "served_share"]
        >= table.loc[best, "served_share"] - 0.001
    )
    space.sleep = Made("a plan", space.basis("network"))
    test.button_group[0].set_value(worst).run()
    assert space.network.value.plan.strategy == worst
    assert "network has changed" in space.outdated(space.sleep)


@pytest.mark.slow
def test_spectrum_shows_the_network_by_hour_and_plans_the_cluster_that_is_clicked(drawn, space):
    from app.files.scenario import scenario_of

    space.hour = 44
    test = open_page("spectrum", space)
    button(test, "Compute utilisation of Tue").click().run()
    run_jobs(space, test)
    assert not test.exception and not test.error and not space.notes
    found = space.utilisation.value.found
    assert found.hours == tuple(range(24, 48))
    row = found.by_hour().set_index("hour").loc[44]
    shown = metrics(test)
    assert shown["Hour"] == "Tue 20:00" and shown["Downlink served"] == f"{row['served_share']:.1%}"
    assert shown["Missing"] == f"{row['missing_mbps']:,.1f} Mbit/s"
    sites = space.network.value.plan.network.sites
    assert len(scenario_of(space).tables["utilisation_cells"]) == 24 * len(found.network.cells)
    drawn["last_clicked"] = {"lng": float(sites["lon"].iloc[0]), "lat": float(sites["lat"].iloc[0])}
    test.run()
    test.number_input(key="prb cluster").set_value(2).run()
    next(b for b in test.button if b.label.startswith("Plan the 2 sites around")).click().run()
    run_jobs(space, test)
    assert not test.exception and not test.error and not space.notes
    plan = space.spectrum.value.plans["optimised"]
    assert plan.problem.stations == 2 and not plan.problem.uplink
    assert any("No plan serves more" in text for text in texts(test.caption))


@pytest.mark.slow
def test_spectrum_allocates_beside_rules(drawn, space, monkeypatch):
    plan_few_hours(monkeypatch)
    space.hour = 44
    test = open_page("spectrum", space)
    test.button_group[0].set_value("plan").run()
    test.number_input(key="prb users").set_value(10)
    test.number_input(key="prb time limit").set_value(1)
    button(test, "Allocate PRBs at Tue 20:00").click().run()
    run_jobs(space, test)
    assert not test.exception and not test.error and not space.notes
    plans = space.spectrum.value.plans
    assert list(plans) == ["optimised", "round-robin", "best-sinr", "proportional-fair"]
    assert space.spectrum_hour == 44
    table = test.dataframe[0].value
    assert table["Plan"].tolist() == [
        "Optimised",
        "Nearest, round robin",
        "Best SINR first",
        "Proportional fair",
    ]
    button(test, "Plan the 24 hours of this day").click().run()
    run_jobs(space, test)
    assert not test.exception and not test.error and not space.notes
    hours = space.spectrum_hours.value
    assert list(hours.plans) == list(range(24, 48)) and "24 hours" in hours.sentence
    assert metrics(test)["Demands met"] == f"{int(plans['optimised'].met.sum())} of 10"


@pytest.mark.slow
def test_the_exported_plan_holds_what_was_made(drawn, space, tmp_path):
    from app.files.scenario import download, file_stem, scenario_of
    from planning.scenario import Scenario

    for name, label in (("sleep", "Compare sleep strategies"), ("spectrum", "Allocate PRBs at Mon 20:00")):
        test = open_page(name, space)
        if name == "sleep":
            test.multiselect(key="sleep strategies").set_value(["greedy", "milp"])
        else:
            test.button_group[0].set_value("plan").run()
            test.number_input(key="prb users").set_value(10)
            test.number_input(key="prb time limit").set_value(1)
        button(test, label).click().run()
        run_jobs(space, test)
    test = open_page("export", space)
    assert not test.exception and not test.error
    assert test.dataframe[0].value["State"].tolist() == ["up to date"] * 4
    assert file_stem(space) == "test-area"
    back = Scenario.read(download(scenario_of(space), "gpkg"))
    chosen = space.sleep.value.plans[space.sleep_choice]
    assert {"sleep_schedule", "sleep_comparison", "prb_assignment"} <= set(back.tables)
    np.testing.assert_array_equal(
        back.tables["sleep_schedule"]["awake"].astype(bool).to_numpy(), chosen.awake.ravel()
    )
    assert back.provenance["scale"]["sentence"] == space.stated_scale().sentence
    sentence = space.stated_scale().sentence
    space.scale = ScaleChoice(per_km2=1000.0)
    assert scenario_of(space).provenance["scale"]["sentence"] == sentence  # the plan stays what it was
    space.network = Made(space.network.value, space.network.basis)
    assert "sleep_schedule" not in scenario_of(space).tables  # made for another network


def test_a_cancelled_job_leaves_everything_as_it_was(drawn, space):
    from app.background import job_panel
    from app.server import jobs

    made = space.traffic
    job = jobs.start(
        "Generating traffic", lambda job: "result", lambda result: setattr(space, "traffic", result)
    )
    until_finished(job)
    job.cancel()
    space.jobs["traffic"] = job
    job_panel.deliver_finished(space)
    assert space.traffic is made and not space.jobs and not space.notes


def test_progress_is_told_in_words():
    from app.background import job_panel
    from app.server import jobs

    job = jobs.Job("Planning sleep", lambda result: None)
    assert "waiting for other work" in job_panel.progress_text(job)
    job.state = "running"
    job.report(1, 4, "greedy")
    assert job_panel.progress_text(job) == "Planning sleep · greedy · 25% · 0 s"
    job.started = time.monotonic() - 10
    assert job_panel.progress_text(job) == "Planning sleep · greedy · 25% · about 30 s left"


def test_an_uploaded_outline_becomes_the_area(drawn, space):
    import json

    test = open_page("area", space)
    document = json.dumps(box_of_tiles(X0 + 1, Y0 + 1, X0 + 2, Y0 + 1).to_geojson()).encode()
    test.file_uploader(key="area file").upload("south.geojson", document, "application/geo+json").run()
    assert not test.exception and not test.error
    assert (space.area.name, len(space.tiles)) == ("south", 2)
    test.file_uploader(key="area file").upload("wrong.geojson", b"{}", "application/geo+json").run()
    assert len(test.error) == 1
    assert space.area.name == "south"


def grid_of_sites(space, count=6) -> bytes:
    """Sites as a foreign CSV, in the middles of the first tiles of the area."""
    at = shapely.centroid(space.traffic.value.tiles.geometry.to_numpy()[:count])
    table = pd.DataFrame(
        {
            "Name": [f"own {i}" for i in range(count)],
            "Easting": shapely.get_x(at),
            "Northing": shapely.get_y(at),
        }
    )
    return table.to_csv(index=False).encode()


@pytest.mark.slow
def test_uploaded_sites_become_the_network_that_sleep_plans_on(drawn, space):
    test = open_page("deployment", space)
    test.file_uploader(key="own sites file").upload("own.csv", grid_of_sites(space), "text/csv").run()
    assert not test.exception and not test.error
    assert any("6 sites and" in text for text in texts(test.markdown))
    button(test, "Plan with these sites").click().run()
    run_jobs(space, test)
    assert not test.exception and not test.error and not space.notes
    assert space.network.value.plan.strategy == "uploaded"
    assert space.network.value.plan.network.sites["site"].tolist() == [f"own {i}" for i in range(6)]
    test = open_page("sleep", space)
    assert any("your sites" in text and "6 sites" in text for text in texts(test.caption))


@pytest.mark.slow
def test_a_file_is_reported_and_its_choices_are_remembered_for_the_next_of_its_shape(drawn, space):
    cases = Path(__file__).parents[1] / "cases"
    book = (cases / "03_only_largest_table/sheet_per_tech.xlsx").read_bytes()
    mime = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    test = open_page("deployment", space)
    test.file_uploader(key="own sites file").upload("a.xlsx", book, mime).run()
    assert len(space.own_sites.network.cells) == 6
    report = [e.label for e in test.expander if "Validation report of a.xlsx" in e.label]
    assert report and "assumed" in report[0]
    test.selectbox(key="own layer").set_value("5G").run()
    assert not test.exception and len(space.own_sites.network.cells) == 3
    operators = (cases / "19_opencellid_forms/ocid_ops.csv").read_bytes()
    test.file_uploader(key="own sites file").upload("b.csv", operators, "text/csv").run()
    test.selectbox(key="own network").set_value("460-0").run()
    assert len(space.own_sites.network.cells) == 2
    test.file_uploader(key="own sites file").upload("c.xlsx", book, mime).run()
    assert not test.exception and len(space.own_sites.network.cells) == 3


def test_sites_far_away_or_unreadable_are_told_in_the_page(drawn, space):
    test = open_page("deployment", space)
    test.file_uploader(key="own sites file").upload(
        "own.csv", b"name,lon,lat\nA,2.3,48.8\n", "text/csv"
    ).run()
    button(test, "Plan with these sites").click().run()
    run_jobs(space, test)
    assert any("No site of 1 lies in or near the area" in text for text in texts(test.error))
    test.file_uploader(key="own sites file").upload("bad.csv", b"a,b\n1,2\n", "text/csv").run()
    assert any("column mapping" in text for text in texts(test.error))
    assert space.network is None and space.traffic is not None


@pytest.mark.slow
def test_optimised_keeps_existing_and_drawn_places(drawn, space):
    tiles = space.traffic.value.tiles
    must, no_go = tiles.geometry.iloc[8].centroid, tiles.geometry.iloc[4]
    test = open_page("deployment", space)
    test.file_uploader(key="own sites file").upload("own.csv", grid_of_sites(space, 2), "text/csv").run()
    drawn["all_drawings"] = [
        {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(g)} for g in (must, no_go)
    ]
    next(t for t in test.toggle if t.label.startswith("Draw places")).set_value(True).run()
    assert len(space.drawn_places) == 2
    test.selectbox(key="siting existing").set_value("keep").run()
    test.multiselect(key="deploy strategies").set_value(["optimised"]).run()
    test.number_input(key=f"sites {space.area_identity}").set_value(5).run()
    test.number_input(key="siting time limit").set_value(1).run()
    button(test, "Deploy").click().run()
    run_jobs(space, test)
    assert not test.exception and not test.error and not space.notes
    table = space.deployments.value.table.set_index("strategy")
    assert set(table.index) == {"optimised", "uploaded"} and "jsd_real" in table
    assert table.loc["uploaded", "jsd_real"] == pytest.approx(0, abs=1e-6)
    ranked = space.network.value.plan.tables["deployment_ranking"]
    assert sorted(ranked["origin"]) == ["existing", "existing", "forced", "new", "new"]
    assert not shapely.contains_xy(no_go, ranked["lon"], ranked["lat"])[ranked["origin"] == "new"].any()
    shown = metrics(test)
    assert shown["Within reach and capacity (Mbit/s)"] == f"{space.network.value.plan.served_mbps:,.0f}"
    from app.files.scenario import download, scenario_of
    from planning.scenario import Scenario

    back = Scenario.read(download(scenario_of(space), "gpkg"))
    assert {"deployment_ranking", "deployment_curve", "deployment_comparison"} <= set(back.tables)
    again = back.provenance["deployment"]
    assert again["solve"]["status"] == space.network.value.plan.solve.status
    assert again["served_mbps"] == pytest.approx(space.network.value.plan.served_mbps)


def test_an_uploaded_outline_in_metres_is_read_by_the_system_that_is_named_for_it(drawn, space):
    import json

    degrees = box_of_tiles(X0 + 1, Y0 + 1, X0 + 2, Y0 + 1)
    metres = gpd.GeoSeries([degrees.geometry], crs="EPSG:4326").to_crs("EPSG:3857").iloc[0]
    before = space.area
    test = open_page("area", space)
    document = json.dumps(shapely.geometry.mapping(metres)).encode()
    test.file_uploader(key="area file").upload("m.geojson", document, "application/geo+json").run()
    assert len(test.error) == 1 and "metres" in test.error[0].value and space.area is before
    test.text_input(key="area crs").set_value("EPSG:3857").run()
    assert not test.exception and not test.error and len(space.tiles) == 2
    np.testing.assert_allclose(space.area.geometry.bounds, degrees.geometry.bounds, atol=1e-6)


def test_a_layer_of_an_uploaded_file_of_areas_can_be_chosen(drawn, space, tmp_path):
    path = tmp_path / "two.gpkg"
    for name, first in (("north", Y0), ("south", Y0 + 1)):
        frame = gpd.GeoDataFrame(
            geometry=[box_of_tiles(X0 + 1, first, X0 + 1, first).geometry], crs="EPSG:4326"
        )
        frame.to_file(path, layer=name)
    test = open_page("area", space)
    test.file_uploader(key="area file").upload(path.name, path.read_bytes(), "application/geopackage").run()
    assert not test.error and len(space.tiles) == 2
    test.selectbox(key="area layer").set_value("south").run()
    assert not test.exception and not test.error and space.tiles["y"].tolist() == [Y0 + 1]


def test_sheet_and_columns_of_measured_power_are_chosen_and_remembered(drawn, space):
    import openpyxl

    book = openpyxl.Workbook()
    for name, idle in (("day", 100), ("night", 300)):
        sheet = book.create_sheet(name)
        sheet.append(["when", "how much", "drawn"])
        for load in range(12):
            sheet.append([f"t{load}", load, idle + 2 * load])
    book.remove(book.worksheets[0])
    out = io.BytesIO()
    book.save(out)
    mime = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    test = open_page("sleep", space)
    test.file_uploader(key="power measurements").upload("p.xlsx", out.getvalue(), mime).run()
    assert any("column" in text for text in texts(test.error))
    test.selectbox(key="power layer").set_value("night").run()
    test.selectbox(key="power column load").set_value("how much").run()
    test.selectbox(key="power column power").set_value("drawn").run()
    assert not test.exception and not test.error
    assert any("300" in str(frame.value) for frame in test.dataframe)
    test.file_uploader(key="power measurements").upload("q.xlsx", out.getvalue() + b"", mime).run()
    assert test.selectbox(key="power column load").value == "how much"
