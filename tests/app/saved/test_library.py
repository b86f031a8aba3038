"""Scenarios saved, opened, renamed, copied and compared; open work found again; nothing half-written."""

import copy
import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import streamlit_folium
from streamlit.testing.v1 import AppTest

from app.background import cases, deployment, generation, sleep, spectrum
from app.errors import SavedWorkError
from app.saved import library, open_work, packing
from app.state.inputs import ScaleChoice, Upload
from app.state.results import Made
from app.state.workspace import Workspace
from planning.deployment.siting import SitingSettings
from planning.prb.sinr import rates_of
from planning.sleep import SleepSettings
from tests.app.making import ensemble, finished, plan_few_hours, space_over, write_pack

ASKED = sleep.SleepRequest(
    ["always-on", "greedy", "milp"], SleepSettings(time_limit=1, gap=0.02, threads=1), quantile=0.9
)


@pytest.fixture(scope="module")
def once_planned(tmp_path_factory):
    """A workspace with a network and a sleep plan, over a pack of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENDIFF_LIBRARY", str(tmp_path_factory.mktemp("unused")))
        space = space_over(write_pack(tmp_path_factory.mktemp("packs") / "city"))
        sleep.start(space, ASKED)
        finished(space)
    return space


@pytest.fixture
def planned(once_planned):
    """A copy of it for one test."""
    return copy.deepcopy(once_planned)


def test_a_saved_scenario_is_opened_as_it_was(planned, library_folder):
    identity = library.save(planned, "  Old   town ")
    (entry,) = library.entries()
    assert (entry.identity, entry.name) == (identity, "Old town")
    opened = Workspace()
    packing.unpack(library.parts_of(identity), opened, controls=False)
    assert opened.area.geometry.equals(planned.area.geometry) and opened.area.name == planned.area.name
    assert (opened.source, opened.scale, opened.hour) == (planned.source, planned.scale, planned.hour)
    before, after = planned.traffic.value, opened.traffic.value
    np.testing.assert_array_equal(after.traffic, before.traffic)
    for name in ("traffic", "network", "sleep"):
        made = getattr(opened, name)
        assert made.identity == getattr(planned, name).identity
        assert opened.outdated(made) is None  # everything still fits together
    for strategy, plan in planned.sleep.value.plans.items():
        again = opened.sleep.value.plans[strategy]
        np.testing.assert_array_equal(again.parts, plan.parts)
        assert again.evaluation.record() == pytest.approx(plan.evaluation.record())
        assert again.settings == plan.settings and again.notes == plan.notes
        assert (again.solve is None) == (plan.solve is None)
    pd.testing.assert_frame_equal(opened.sleep.value.risk, planned.sleep.value.risk)


def test_a_scenario_opens_in_other_tools(planned):
    path = library.library_folder() / f"{library.save(planned, 'City')}.gpkg"
    assert {"tiles", "sites", "cells", "sleep_schedule", "provenance"} <= set(gpd.list_layers(path)["name"])
    assert len(gpd.read_file(path, layer="sites")) == len(planned.network.value.plan.network.sites)


@pytest.mark.slow
def test_names_copies_and_deletion(planned):
    first = library.save(planned, "One")
    library.rename(first, "../../etc")  # a name never becomes a path
    copy = library.duplicate(first)
    assert {e.name for e in library.entries()} == {"../../etc", "../../etc copy"}
    assert all(library._FILE.fullmatch(p.name) for p in library.library_folder().glob("*.gpkg"))
    library.delete(first)
    assert [e.identity for e in library.entries()] == [copy]
    with pytest.raises(SavedWorkError, match="name"):
        library.rename(copy, "  ")
    for wrong in ("../x", "a" * 16 + "/..", ""):
        with pytest.raises(SavedWorkError):
            library.parts_of(wrong)


@pytest.mark.slow
def test_saving_over_a_scenario_that_fails_leaves_the_old_one(planned, monkeypatch):
    identity = library.save(planned, "Kept")
    before = (library.library_folder() / f"{identity}.gpkg").read_bytes()

    class FullDisk(sqlite3.Connection):
        def executemany(self, *args):
            raise OSError(28, "No space left on device")

    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: real(*a, **k, factory=FullDisk))
    with pytest.raises(SavedWorkError, match="No space left"):
        library.save(planned, "Kept", identity)
    assert [p.name for p in library.library_folder().glob("*.gpkg")] == [f"{identity}.gpkg"]
    assert (library.library_folder() / f"{identity}.gpkg").read_bytes() == before


@pytest.mark.parametrize("data", [b"", b"no database", b"SQLite format 3\0" + bytes(200)])
def test_a_file_that_is_no_scenario_is_refused(data, library_folder):
    with pytest.raises(SavedWorkError):
        packing.unpack(library.upload(data), Workspace())
    (library.library_folder() / f"{'0' * 16}.gpkg").write_bytes(data)
    assert library.entries() == []


def test_damaged_parts_are_one_sentence(planned):
    parts = library.parts_of(library.save(planned, "City"))
    for part in parts:
        for broken in (b"", parts[part][: len(parts[part]) // 2]):
            with pytest.raises(SavedWorkError):
                packing.unpack(parts | {part: broken}, Workspace(), controls=False)


@pytest.mark.slow
def test_open_work_is_kept_and_found_again(planned, monkeypatch):
    planned.work = open_work.new_work()
    open_work.keep(planned).result()
    assert open_work.keep(planned) is None  # nothing has changed
    planned.hour = 7
    traffic = open_work._work_folder(planned.work) / packing.TRAFFIC
    written = traffic.stat().st_mtime_ns
    open_work.keep(planned).result()
    assert traffic.stat().st_mtime_ns == written  # only what has changed is written

    monkeypatch.setattr(streamlit_folium, "_component_func", lambda *args, **kwargs: {})
    monkeypatch.setattr(generation, "warm_up", lambda: None)
    test = AppTest.from_file("../../../app/main.py", default_timeout=60)
    test.query_params["work"] = planned.work
    test.run()
    space = test.session_state["workspace"]
    assert not test.exception and not test.error
    assert space.work == planned.work and space.hour == 7
    assert space.sleep.identity == planned.sleep.identity

    stranger = AppTest.from_file("../../../app/main.py", default_timeout=60)
    stranger.query_params["work"] = "0" * 32
    stranger.run()
    assert stranger.session_state["workspace"].area is None
    assert stranger.session_state["workspace"].work != "0" * 32


@pytest.mark.slow
def test_work_that_nobody_comes_back_to_is_removed(planned):
    planned.work = open_work.new_work()
    open_work.keep(planned).result()
    open_work.forget_old_work()
    assert open_work.is_work(planned.work)
    open_work.forget_old_work(now=4e9)
    assert not open_work.is_work(planned.work)


def test_differences_are_against_the_baseline(planned):
    library.save(planned, "City")
    offers = list(cases.offers(planned).values())
    assert [offer.label for offer in offers[::3]] == ["open work · Always on", "City · Always on"]
    assert cases.opened(planned, offers) is None  # until the saved one is opened, in the background
    finished(planned)
    base, greedy, _, *saved = cases.opened(planned, offers)
    np.testing.assert_array_equal(saved[1].plan.awake, greedy.plan.awake)
    table = cases.table([base, greedy]).set_index("KPI")
    energy = table.loc["Energy (kWh a day)"]
    e = greedy.plan.evaluation
    assert energy[base.label] == pytest.approx(e.always_on_kwh)
    assert energy[f"Δ {greedy.label}"] == pytest.approx(e.energy_kwh - e.always_on_kwh)
    assert table.loc["Saving against always on (%)", greedy.label] == pytest.approx(100 * e.saving)


@pytest.mark.slow
def test_the_compare_page_saves_opens_and_compares(planned):
    def script():
        from app.views import compare

        compare.page()

    test = AppTest.from_function(script, default_timeout=60)
    test.session_state["workspace"] = planned
    test.run()
    assert not test.exception and not test.error
    test.text_input[0].set_value("First")
    next(b for b in test.button if b.label == "Save as new").click().run()
    assert not test.exception and not test.error
    assert [e.name for e in library.entries()] == ["First"]
    planned.traffic = None
    planned.hour = 3
    next(b for b in test.button if b.label == "Open").click().run()
    assert not test.exception and not test.error
    assert planned.traffic is not None and planned.hour != 3
    labels = [m.label for m in test.metric]
    assert labels.count("Energy (kWh a day)") >= 2
    assert (
        test.metric[labels.index("Energy (kWh a day)")].delta == ""
    )  # the baseline has no difference from itself


def test_work_opens_where_its_open_data_are_not(planned, tmp_path):
    parts = library.parts_of(library.save(planned, "City"))
    pack, opened = Path(planned.source), Workspace()
    pack.rename(tmp_path / "elsewhere")
    try:
        packing.unpack(parts, opened, controls=False)
    finally:
        (tmp_path / "elsewhere").rename(pack)  # it is that of the tests to come
    assert opened.tiles_with_data == 0 and "city" in opened.notes["area"]
    assert opened.sleep.value.plans.keys() == planned.sleep.value.plans.keys()


def test_traffic_alone_can_be_kept(space):
    space.work = open_work.new_work()
    open_work.keep(space).result()
    again = Workspace()
    open_work.reopen(space.work, again)
    assert again.network is None and again.traffic.identity == space.traffic.identity
    np.testing.assert_array_equal(again.traffic.value.users, ensemble(space.tiles, space.area).users)


@pytest.fixture(scope="module")
def once_everything(once_planned, tmp_path_factory):
    """The same with all kinds of plans, places and files; most hours of the spectrum are planned by a rule."""
    space = copy.deepcopy(once_planned)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENDIFF_LIBRARY", str(tmp_path_factory.mktemp("unused")))
        plan_few_hours(patch)
        outline = shapely.to_geojson(space.traffic.value.tiles.geometry.iloc[4])
        space.drawn_places = [{"type": "Feature", "properties": {}, "geometry": json.loads(outline)}]
        space.uploads = {
            "own sites file": Upload("own.csv", b"name,lon,lat\n"),
            "forced file": Upload("f.csv", b"x"),
        }
        space.edited_equipment = {"4G 20 MHz 8T 80 W": {"idle_w": 12.5}}
        deployment.start(space, 6, ["uniform", "optimised"], {"siting": SitingSettings(time_limit=1)})
        finished(space)
        spectrum.start(space, 44, 8, {"shadowing": True}, {"time_limit": 1.0, "seed": 3})
        finished(space)
        space.spectrum_choice = "best-sinr"
        spectrum.start_hours(space)
        finished(space)
    return space


@pytest.fixture
def everything(once_everything):
    """A copy of it for one test."""
    return copy.deepcopy(once_everything)


@pytest.mark.slow
def test_spectrum_deployments_places_and_files_are_opened_as_they_were(everything):
    opened = Workspace()
    packing.unpack(library.parts_of(library.save(everything, "All")), opened, controls=False)
    for name in ("drawn_places", "uploads", "edited_equipment", "spectrum_choice", "spectrum_hour"):
        assert getattr(opened, name) == getattr(everything, name), name
    for name in packing.RESULTS:
        before, after = getattr(everything, name), getattr(opened, name)
        assert (after.identity, after.basis) == (before.identity, before.basis)
        assert opened.outdated(after) == everything.outdated(before)
    assert "network has changed" in opened.outdated(opened.sleep)  # made for the one before
    chosen = everything.network.value.plan.strategy
    assert opened.network.value is opened.deployments.value.plans[chosen]  # one object, as it was

    pd.testing.assert_frame_equal(
        opened.deployments.value.table, everything.deployments.value.table, check_dtype=False
    )
    for strategy, deployed in everything.deployments.value.plans.items():
        again = opened.deployments.value.plans[strategy].plan
        assert replace(again, counts=0, sizing=0, tables=0, solve=0) == replace(
            deployed.plan, counts=0, sizing=0, tables=0, solve=0
        )
        np.testing.assert_array_equal(again.counts, deployed.plan.counts)
        pd.testing.assert_frame_equal(again.network.sites, deployed.plan.network.sites, check_dtype=False)
        pd.testing.assert_frame_equal(again.network.cells, deployed.plan.network.cells, check_dtype=False)
        assert again.sizing.shortfalls == deployed.plan.sizing.shortfalls
        for name, table in deployed.plan.tables.items():
            pd.testing.assert_frame_equal(again.tables[name], table, check_dtype=False)
        np.testing.assert_array_equal(
            opened.deployments.value.plans[strategy].demand.mbps, deployed.demand.mbps
        )
    assert again.solve.sentence == deployed.plan.solve.sentence

    pairs = list(
        zip(everything.spectrum.value.plans.values(), opened.spectrum.value.plans.values(), strict=True)
    )
    hours = everything.spectrum_hours.value.plans, opened.spectrum_hours.value.plans
    pairs += [(hours[0][hour], hours[1][hour]) for hour in hours[0]]
    for before, after in pairs:
        np.testing.assert_allclose(after.problem.gain, before.problem.gain)  # shadowing is drawn as it was
        pd.testing.assert_frame_equal(after.assignment(), before.assignment(), check_dtype=False)
        assert json.dumps(after.record()) == json.dumps(before.record())
        uses = np.zeros((len(after.station), after.problem.prbs), bool)
        for row, prbs in zip(uses, after.prbs, strict=True):
            row[prbs] = True
        np.testing.assert_allclose(rates_of(after.problem, after.station, uses), after.rate_mbps, rtol=1e-9)


@pytest.mark.slow
def test_a_plan_of_traffic_that_was_replaced_keeps_its_demand(everything):
    old = everything.network.value.demand
    everything.traffic = Made(ensemble(everything.tiles, everything.area, seed=9), everything.basis("area"))
    everything.scale = ScaleChoice(per_km2=777.0)
    opened = Workspace()
    packing.unpack(library.parts_of(library.save(everything, "Old")), opened, controls=False)
    again = opened.network.value.demand
    np.testing.assert_array_equal(again.mbps, old.mbps)
    assert again.scale == old.scale and again.metadata == old.metadata
    assert "generated" in opened.outdated(opened.network)
    assert not np.array_equal(opened.demand().mbps, old.mbps)


def test_uploaded_files_stay_until_they_are_removed(space, monkeypatch):
    monkeypatch.setattr(streamlit_folium, "st_folium", lambda *args, **kwargs: {})

    def script(name):
        import importlib

        importlib.import_module(f"app.views.{name}").page()

    def opened(name, space):
        test = AppTest.from_function(script, args=(name,), default_timeout=60)
        test.session_state["workspace"] = space
        return test.run()

    tile = shapely.centroid(space.tiles.geometry.iloc[0])
    data = f"name,lon,lat\nA,{tile.x},{tile.y}\n".encode()
    opened("deployment", space).file_uploader(key="own sites file").upload("own.csv", data, "text/csv").run()
    assert space.own_sites.network.sites["site"].tolist() == ["A"]
    again = Workspace()
    packing.unpack(library.parts_of(library.save(space, "With a file")), again, controls=False)
    test = opened("deployment", again)  # a fresh session: the uploader itself is empty
    assert again.own_sites.network.sites["site"].tolist() == ["A"]
    assert any(c.value.startswith("In use: own.csv") for c in test.caption)
    next(b for b in test.button if b.label == "Remove").click().run()
    assert again.own_sites is None and not again.uploads


def test_work_that_cannot_be_read_is_not_written_over(planned, monkeypatch):
    monkeypatch.setattr(streamlit_folium, "st_folium", lambda *args, **kwargs: {})
    monkeypatch.setattr(generation, "warm_up", lambda: None)
    planned.work = open_work.new_work()
    open_work.keep(planned).result()
    broken = open_work._work_folder(planned.work) / packing.NETWORKS
    broken.write_bytes(b"half")
    test = AppTest.from_file("../../../app/main.py", default_timeout=60)
    test.query_params["work"] = planned.work
    test.run()
    assert len(test.error) == 1 and "cannot be read" in test.error[0].value
    assert test.session_state["workspace"].work != planned.work
    assert broken.read_bytes() == b"half"


@pytest.mark.slow
def test_the_report_puts_scenarios_side_by_side(planned):
    library.save(planned, "City")

    def script():
        from app.views import export

        export.page()

    test = AppTest.from_function(script, default_timeout=60)
    test.session_state["workspace"] = planned
    test.run()
    choose = next(m for m in test.multiselect if "side by side" in m.label)
    choose.set_value(["open work · Always on", "City · Greedy"]).run()
    finished(planned)  # the opening of City
    next(b for b in test.run().button if b.label == "Make the report").click().run()
    finished(planned)
    assert not test.run().exception and not test.error and not planned.notes
    made = planned.report.value.decode()
    assert "<h2>Side by side</h2>" in made and "City · Greedy" in made and "Δ City · Greedy" in made
    planned.sleep_choice = "greedy"
    test.run()
    assert any("have changed since this report" in c.value for c in test.caption)
