"""Faults that users found in the workbench, each held by a test."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import shapely

from app.background import job_panel, session_jobs
from app.background.deployment import start as deploy
from app.charts.deployment import users_covered
from app.files.scenario import left_out
from app.map import area_entry
from app.map.region import open_region
from app.saved import library
from app.state.inputs import ScaleChoice
from app.state.results import Comparison, Made
from app.state.workspace import Workspace
from app.views.sleep import moved_by_sleep
from opendiff.errors import AreaError
from tests.app.making import X0, Y0, box_of_tiles, until_finished
from tests.app.test_pages import button, drawn, metrics, open_page, run_jobs, texts  # noqa: F401 (a fixture)


def feature(geometry):
    return {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(geometry)}


def test_every_strategy_has_a_line_of_its_own_in_the_chart_of_users_covered():
    names = ["traffic", "poi", "business", "population", "uniform", "optimised", "uploaded"]
    table = pd.DataFrame({"strategy": names, "covered_0": 0.5, "covered_30": 0.5, "covered_50": 0.5})
    lines = users_covered(table, str).data
    assert [line.name for line in lines] == names
    assert len({line.line.color for line in lines}) == len(names)
    assert len({line.marker.symbol for line in lines}) == len(names)
    legend = users_covered(table, str).layout.legend
    assert legend.yanchor == "bottom" and legend.y > 1  # it hides no line, however many rows it has
    widths = [line.line.width for line in lines]
    assert widths == sorted(widths, reverse=True) and widths[0] > widths[3]  # the same values still show


def test_enter_in_the_name_saves_nothing(drawn, space):  # noqa: F811
    test = open_page("compare", space)
    form = next(
        block.proto.form
        for block in blocks(test.main)
        if block.type == "form" and hasattr(block.proto, "form")
    )
    assert form.form_id == "save scenario" and not form.enter_to_submit
    assert library.entries() == []


def blocks(block):
    for child in block.children.values():
        if hasattr(child, "children"):
            yield child
            yield from blocks(child)


def test_the_layer_of_data_coverage_has_a_legend(drawn, pack):  # noqa: F811
    space = Workspace(source=str(pack))
    drawn["all_drawings"] = [feature(box_of_tiles(X0, Y0, X0 + 2, Y0).geometry)]
    test = open_page("area", space)
    choose = next(c for c in test.button_group if c.label == "Data coverage (click to show)")
    choose.set_value(["poi"] if isinstance(choose.value, list) else "poi").run()
    legends = [h.proto.body for h in test.get("html")]
    assert any("POI: known" in text and "POI: not known" in text for text in legends)


def test_the_page_of_the_network_shows_one_number_of_sites(drawn, space):  # noqa: F811
    deploy(space, 7, ["traffic"], {})
    until_all(space)
    test = open_page("deployment", space)
    assert test.number_input[0].value == 7
    assert metrics(test)["Sites"] == "7"


def until_all(space):
    for job in list(space.jobs.values()):
        until_finished(job)
    job_panel.deliver_finished(space)


@pytest.mark.slow
def test_always_on_shows_no_arrow_and_moves_nothing(drawn, space):  # noqa: F811
    """Traffic that a full sector leaves to others with everything on is not moved by sleep."""
    test = open_page("sleep", space)
    test.multiselect(key="sleep strategies").set_value(["always-on", "greedy"]).run()
    button(test, "Compare sleep strategies").click().run()
    test = run_jobs(space, test)
    next(g for g in test.button_group if g.label == "Show the plan of").set_value("always-on").run()
    power = next(m for m in test.metric if m.label == "Power this hour")
    assert power.delta == "no change" and power.proto.color == power.proto.MetricColor.GRAY
    assert metrics(test)["Traffic moved by sleep"] == "0.0%"


def test_spill_with_everything_on_is_not_moved_by_sleep():
    on = SimpleNamespace(hours=2, evaluation=SimpleNamespace(offloaded=np.array([5.0, 1.0])))
    plan = SimpleNamespace(hours=2, evaluation=SimpleNamespace(offloaded=np.array([5.0, 4.0])))
    comparison = Comparison({"always-on": on, "greedy": plan}, pd.DataFrame())
    np.testing.assert_allclose(moved_by_sleep(comparison, plan), [0, 3])


def test_a_rejected_outline_leaves_the_map(space):
    before, mounted = space.area, space.map_version
    bow = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
    assert not area_entry.from_drawings(space, [feature(bow)])
    assert space.area is before and space.map_version == mounted + 1
    assert "crosses itself" in space.notes[area_entry.PLACE]


def test_a_shape_drawn_beside_the_example_takes_its_place(pack):
    space = Workspace(source=str(pack))
    assert area_entry.example(space)
    example, mounted = space.area, space.map_version
    mine = box_of_tiles(X0 + 1, Y0 + 1, X0 + 1, Y0 + 1)
    assert area_entry.from_drawings(space, [feature(example.geometry), feature(mine.geometry)])
    assert space.area.name == area_entry.NAME
    assert space.area.geometry.equals(mine.geometry) and space.map_version == mounted + 1
    other = box_of_tiles(X0 + 3, Y0 + 1, X0 + 3, Y0 + 1)
    area_entry.from_drawings(space, [feature(mine.geometry), feature(other.geometry)])
    assert space.area.geometry.area == pytest.approx(mine.geometry.area + other.geometry.area)


def test_an_example_that_is_edited_is_the_users_own(pack):
    space = Workspace(source=str(pack))
    area_entry.example(space)
    mine = box_of_tiles(X0 + 1, Y0 + 1, X0 + 2, Y0 + 1)
    area_entry.from_drawings(space, [feature(mine.geometry)])
    assert space.area.name == area_entry.NAME


def test_swapped_latitude_and_longitude_are_refused(space):
    west, south, east, north = space.area.geometry.bounds
    before = space.area
    document = box_of_tiles(X0 + 1, Y0 + 1, X0 + 2, Y0 + 1).to_geojson()
    swapped = [[[lat, lon] for lon, lat in ring] for ring in document["coordinates"]]
    upload = json.dumps({"type": "Polygon", "coordinates": swapped}).encode()
    assert not area_entry.from_box(space, f"{south}, {west}, {north}, {east}")
    assert "swapped" in space.notes[area_entry.PLACE]
    assert not area_entry.from_upload(space, upload, "swapped.geojson")
    assert not area_entry.from_corners(
        space, "\n".join(f"{lat}, {lon}" for lon, lat in document["coordinates"][0][:3])
    )
    assert space.area is before


def test_swapped_coordinates_that_are_both_possible_are_refused(space):
    """Paris with its latitude first lies in the sea off Somalia."""
    region = open_region(space.source)
    with pytest.raises(AreaError, match=r"swapped.* Paris|swapped.*France"):
        area_entry.check_order((48.84, 2.30, 48.88, 2.36), region)
    area_entry.check_order((2.30, 48.84, 2.36, 48.88), region)
    area_entry.check_order((45.3, 2.0, 45.4, 2.1), region)  # Mogadishu


def test_plans_that_the_files_leave_out_are_told_and_old_files_are_locked(drawn, space):  # noqa: F811
    deploy(space, 5, ["traffic", "uniform"], {})
    until_all(space)
    space.sleep = Made(Comparison({}, pd.DataFrame()), space.basis("traffic", "scale", "network"))
    assert left_out(space) == []
    space.network = Made(space.deployments.value.plans["uniform"], space.deployments.basis)
    assert left_out(space) == ["the sleep plan"]
    test = open_page("export", space)
    assert any("leave out the sleep plan" in text for text in texts(test.warning))
    assert not any(b.proto.disabled for b in test.get("download_button"))
    space.scale = ScaleChoice(per_km2=1000.0)
    test = open_page("export", space)
    files = [b for b in test.get("download_button") if "GeoPackage" in b.proto.label]
    assert files and all(b.proto.disabled for b in files)
    next(t for t in test.toggle if t.label.startswith("Offer files of the network")).set_value(True).run()
    assert not any(b.proto.disabled for b in test.get("download_button"))


def test_a_network_that_is_out_of_date_is_not_called_missing(drawn, space):  # noqa: F811
    deploy(space, 5, ["traffic"], {})
    until_all(space)
    space.scale = ScaleChoice(per_km2=1000.0)
    test = open_page("sleep", space)
    said = " ".join(texts(test.caption))
    assert "The network is out of date" in said and "No network yet" not in said


def test_strategies_that_were_finished_are_kept_on_cancel(drawn, space, monkeypatch):  # noqa: F811
    from app.server.jobs import Job

    report = Job.report

    def cancel_in_the_second(self, done, total, what=""):
        if what.startswith("uniform"):
            self.cancel()
        report(self, done, total, what)

    monkeypatch.setattr(Job, "report", cancel_in_the_second)
    deploy(space, 5, ["traffic", "uniform"], {})
    until_all(space)
    assert list(space.deployments.value.plans) == ["traffic"]
    assert space.deployments.value.table["strategy"].tolist() == ["traffic"]
    assert space.network.value.plan.strategy == "traffic" and not space.notes


@pytest.mark.slow
def test_sleep_strategies_that_were_finished_are_kept_on_cancel(drawn, space, monkeypatch):  # noqa: F811
    from app.background import sleep
    from planning.sleep import SleepSettings, strategies

    made = strategies.plan_sleep

    def cancel_before_greedy(problem, strategy, *rest):
        if strategy == "greedy":
            space.jobs[sleep.JOB].cancel()
        return made(problem, strategy, *rest)

    monkeypatch.setattr(strategies, "plan_sleep", cancel_before_greedy)
    sleep.start(space, sleep.SleepRequest(["always-on", "night", "greedy"], SleepSettings()))
    until_all(space)
    assert list(space.sleep.value.plans) == ["always-on", "night"] and space.sleep_choice == "night"
    test = open_page("sleep", space)
    assert not test.exception and not test.error


def test_a_cancelled_job_without_a_finished_part_leaves_everything(drawn, space):  # noqa: F811
    def work(job):
        job.cancel()
        job.report(0, 1)

    session_jobs.start(space, "traffic", "Generating traffic", work, lambda space, result: 1 / 0)
    until_all(space)
    assert not space.jobs and not space.notes


def test_a_grey_fetch_says_why(drawn, pack):  # noqa: F811
    space = Workspace(source=str(pack))
    test = open_page("area", space)
    test.radio[0].set_value("Live providers").run()
    assert any("Choose the area first" in text for text in texts(test.caption))
    area_entry.example(space)
    test.run()
    assert button(test, "Fetch open data").disabled is False  # the country is found by itself
    test.checkbox(key="live poi").set_value(False)
    test.checkbox(key="live population").set_value(False).run()
    assert button(test, "Fetch open data").disabled
    assert any("Choose at least one" in text for text in texts(test.caption))


def test_where_there_is_no_data_the_page_says_what_to_get_and_where_to_put_it(drawn, pack):  # noqa: F811
    space = Workspace(source=str(pack))
    area_entry.around(space, "Paris", 2.35, 48.857)
    test = open_page("area", space)
    assert space.area.name == "Paris" and space.tiles_with_data == 0
    (command,) = [c.value for c in test.get("code")]
    assert "--country FRA" in command and command.startswith("python -m opendiff fetch 2.3")
    assert any("Offline data package" in text for text in texts(test.markdown))


def test_coverage_is_saved_with_the_work_and_computed_anew(drawn, space, monkeypatch):  # noqa: F811
    from app.background import coverage
    from app.saved import packing
    from planning.coverage import RadioSettings

    deploy(space, 5, ["traffic"], {})
    until_all(space)
    settings = RadioSettings(pixel_m=100.0, indoor_share=0.6, thresholds_dbm=(-118.0, -117.0, -116.0, -105.0))
    coverage.start(space, coverage.CoverageRequest(settings))
    until_all(space)
    parts = {name: make() for name, make in packing.pack(space).items()}
    again = Workspace()
    packing.unpack(parts, again)
    assert again.coverage is None and coverage.saved_request(again).settings == settings
    test = run_jobs(again, open_page("coverage", again))
    assert not test.exception and not test.error
    found = again.coverage.value.coverage
    assert found.settings == settings and again.coverage_saved is None
    np.testing.assert_array_equal(found.covered(), space.coverage.value.coverage.covered())
    again.network = Made(again.network.value, again.network.basis)  # another network: it does not fit
    again.coverage, again.coverage_saved = None, packing.coverage.record(space)
    assert coverage.saved_request(again) is None
