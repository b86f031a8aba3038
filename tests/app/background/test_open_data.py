"""The part of the Area page for open data: own files to traffic without a network, live providers, zipped packs."""

import zipfile

import pytest
import requests
import streamlit_folium
from streamlit.testing.v1 import AppTest

from app.background import generation, open_data
from app.map import area_entry
from app.server.folders import keep_upload
from app.state.inputs import DEMO
from app.state.workspace import Workspace
from app.widgets.file_choices import GUESSED
from benchmarks.robustness.fault_server import FaultServer
from benchmarks.robustness.faults import environment, made_tiles, made_world
from opendiff.area import Area
from opendiff.errors import SourceError
from opendiff.poi.osm_files import tiles_bounds
from tests.app.making import until_finished
from tests.opendiff.live.own_files import box_text, write_image, write_places

TIMEOUT = 60


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """No request leaves unless a test puts the fault server in the providers' place; the cache is the test's own."""
    monkeypatch.setattr(
        streamlit_folium,
        "_component_func",
        lambda *args, **kwargs: {"all_drawings": None, "last_clicked": None},
    )
    monkeypatch.setattr(generation, "warm_up", lambda: None)
    monkeypatch.setenv("OPENDIFF_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def no_requests(monkeypatch):
    def request(*_, **__):
        raise AssertionError("a request was made")

    monkeypatch.setattr(requests.Session, "request", request)


def area_page(space):
    def script():
        from app.background import job_panel
        from app.state.workspace import workspace
        from app.views import area

        job_panel.deliver_finished(workspace())
        area.page()

    test = AppTest.from_function(script, default_timeout=TIMEOUT)
    test.session_state["workspace"] = space
    return test.run()


def traffic_page(space):
    def script():
        from app.background import job_panel
        from app.state.workspace import workspace
        from app.views import traffic

        job_panel.deliver_finished(workspace())
        traffic.page()

    test = AppTest.from_function(script, default_timeout=TIMEOUT)
    test.session_state["workspace"] = space
    return test.run()


def button(test, label):
    return next(b for b in test.button if b.label == label)


def choose(test, kind):
    next(r for r in test.radio if r.label == "Source").set_value(kind)
    return test.run()


def upload(test, label, path):
    uploader = next(u for u in test.file_uploader if u.label.startswith(label))
    uploader.set_value((path.name, path.read_bytes(), "application/octet-stream"))
    return test.run()


def finish(space, test):
    for job in list(space.jobs.values()):
        until_finished(job)
    return test.run()


@pytest.mark.slow
def test_own_files_lead_to_traffic_without_a_network(no_requests, tmp_path):
    space = Workspace()
    assert area_entry.from_box(space, box_text())
    assert space.tiles_with_data == 0
    test = area_page(space)
    assert any("No tile of this area has open data" in warning.value for warning in test.warning)
    choose(test, "My own files")
    assert button(test, "Make open data of my files").disabled
    upload(test, "Imagery", write_image(tmp_path / "city from above.tif"))
    upload(test, "POI", write_places(tmp_path / "places.csv"))
    button(test, "Make open data of my files").click().run()
    assert not test.exception and not test.error and open_data.JOB in space.jobs
    finish(space, test)
    assert not test.exception and not test.error and space.source != DEMO
    assert space.tiles_with_data == len(space.tiles) == 9
    assert any("Imagery from the file city_from_above.tif" in caption.value for caption in test.caption)

    test = traffic_page(space)
    next(n for n in test.number_input if n.label == "Samples").set_value(2)
    button(test, "Generate traffic").click().run()
    finish(space, test)
    assert not test.exception and not test.error
    ensemble = space.traffic.value
    assert len(ensemble.tiles) == 9 and (ensemble.traffic > 0).any()
    assert any("Made from: Imagery from the file" in caption.value for caption in test.caption)


@pytest.mark.slow
def test_columns_of_a_poi_table_are_chosen_and_remembered(no_requests, tmp_path):
    space = Workspace()
    assert area_entry.from_box(space, box_text())
    tile = space.tiles.geometry.iloc[0].centroid
    table = tmp_path / "places.csv"
    table.write_text(
        f"ost,nord,what\n{tile.x:.5f},{tile.y:.5f},restaurant\n{tile.x:.5f},{tile.y:.5f},hospital\n"
    )
    test = choose(area_page(space), "My own files")
    upload(test, "POI", table)
    box = {ours: test.selectbox(key=f"poi column {ours}") for ours in ("lon", "lat", "category")}
    assert all(b.options == [GUESSED, "ost", "nord", "what"] for b in box.values())
    for ours, theirs in (("lon", "ost"), ("lat", "nord"), ("category", "what")):
        test.selectbox(key=f"poi column {ours}").set_value(theirs)
    test.run()
    other = tmp_path / "known.csv"
    other.write_text("lon,lat,category\n115.9,28.67,restaurant\n")
    upload(test, "POI", other)
    assert [test.selectbox(key=f"poi column {c}").value for c in ("lon", "lat")] == [GUESSED, GUESSED]
    upload(test, "POI", table)
    assert [test.selectbox(key=f"poi column {c}").value for c in ("lon", "lat", "category")] == [
        "ost",
        "nord",
        "what",
    ]
    button(test, "Make open data of my files").click().run()
    finish(space, test)
    assert not test.exception and not test.error
    assert space.tiles_with_data > 0  # those around the places


@pytest.mark.slow
def test_live_data_is_a_choice_after_the_terms(tmp_path):
    with FaultServer(made_world(made_tiles())) as server, environment(server, tmp_path):
        space = Workspace()
        west, south, east, north = tiles_bounds(made_tiles())
        inset = 1e-5
        area = Area.from_box(west + inset, south + inset, east - inset, north - inset)
        area_entry.take_area(space, lambda: area, "taking the area")
        test = choose(area_page(space), "Live providers")
        fetch = lambda: button(test, "Fetch open data")  # noqa: E731
        country = next(t for t in test.text_input if t.label.startswith("Country"))
        assert len(country.value) == 3  # found by the nearest town
        country.set_value("")
        test.run()
        assert fetch().disabled and any("three letters" in caption.value for caption in test.caption)
        next(t for t in test.text_input if t.label.startswith("Country")).set_value("xxa")
        test.run()
        assert not fetch().disabled
        next(c for c in test.checkbox if c.label.startswith("Imagery")).check()
        test.run()
        assert fetch().disabled and any("Terms of use" in caption.value for caption in test.caption)
        next(c for c in test.checkbox if c.label.startswith("I have read")).check()
        test.run()
        assert not fetch().disabled and not server.asked
        fetch().click().run()
        finish(space, test)
        assert not test.exception and not test.error
        assert space.tiles_with_data == 9 and server.asked


@pytest.mark.slow
def test_what_could_not_be_had_is_said_on_the_page_and_kept_in_the_result(tmp_path):
    from opendiff.live.choices import Choices

    with FaultServer(made_world(made_tiles())) as server, environment(server, tmp_path):
        server.fail_always("/population", "404")
        space = Workspace()
        area = Area(made_tiles().union_all().envelope.buffer(-1e-5))
        area_entry.take_area(space, lambda: area, "taking the area")
        open_data.start(space, Choices(population="worldpop", poi="osm", country=("XXA",)))
        test = area_page(space)
        finish(space, test)
        assert any("Population is missing" in warning.value for warning in test.warning)
        generation.start(space, 1, 0, None)
        test = traffic_page(space)
        finish(space, test)
    assert any("Population is missing" in warning.value for warning in test.warning)
    assert any("Population is missing" in note for note in space.traffic.value.metadata["notes"])


def test_a_fetch_that_brings_nothing_leaves_the_source_as_it_was(tmp_path):
    from opendiff.live.choices import Choices

    with FaultServer(made_world(made_tiles())) as server, environment(server, tmp_path):
        server.fail_always("/api", "404")
        space = Workspace()
        area_entry.take_area(space, lambda: Area(made_tiles().geometry[0]), "taking the area")
        open_data.start(space, Choices(poi="osm"))
        test = finish(space, area_page(space))
    assert any("POI is missing" in error.value for error in test.error) and space.source == DEMO


def test_a_zipped_pack_is_uploaded_and_opened(pack, tmp_path):
    archive = tmp_path / "my city.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.write(pack / "tiles.parquet", "city/tiles.parquet")
    space = Workspace()
    test = choose(area_page(space), "Offline data package")
    upload(test, "or a zipped package", archive)
    assert not test.exception and not test.error
    assert space.source.endswith("my_city.zip")
    button(test, "Use example area").click().run()
    assert space.tiles_with_data > 0


def test_a_broken_zip_is_one_sentence(tmp_path):
    (tmp_path / "broken.zip").write_bytes(b"PK nothing")
    space = Workspace()
    test = choose(area_page(space), "Offline data package")
    upload(test, "or a zipped package", tmp_path / "broken.zip")
    assert any("no readable zip" in error.value for error in test.error) and space.source == DEMO


def test_uploads_are_kept_under_names_of_our_own(tmp_path):
    with (write_places(tmp_path / "a.csv")).open("rb") as file:
        path = keep_upload(file, "../../etc/pass wd.CSV", (".csv",))
        again = keep_upload(file, "../../etc/pass wd.CSV", (".csv",))
    assert path == again and path.startswith(str(tmp_path / "cache" / "uploads"))
    assert path.endswith("/etc_pass_wd.csv")
    with (tmp_path / "a.csv").open("rb") as file, pytest.raises(SourceError, match="another kind"):
        keep_upload(file, "a.exe", (".csv",))


def test_progress_is_told_in_the_unit_of_the_work():
    assert open_data.shown("imagery", 3, 40) == "imagery, 3 of 40 tiles"
    assert open_data.shown("population FRA", 12_000_000, 0) == "population FRA, 12 MB"
    assert open_data.shown("POI", 1, 2) == "POI, 1 of 2 tiles"
