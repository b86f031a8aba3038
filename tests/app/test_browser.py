"""The main job in a real browser that reaches nothing but this machine: draw, generate, plan sleep, download."""

import os
import shutil
from pathlib import Path

import geopandas as gpd
import pytest

from benchmarks.app import MAP, OPTIONS
from benchmarks.session import app as running_app
from tests.opendiff.live.own_files import box_text, write_image, write_places

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "build" / "screenshots"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WORK_MS = 300_000  # generation and planning on a slow machine
HAND_MS = 150  # between two clicks: Leaflet.draw takes a second one within 50 ms for a slip of the hand

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tmp_path_factory, traffic_work):
    """The app on a free port, as `make run` starts it; its library holds work with traffic."""
    folder = tmp_path_factory.mktemp("app")
    shutil.copytree(traffic_work[0], folder / "library")
    with running_app(folder, environment={"OPENDIFF_LIBRARY": str(folder / "library")}) as (address, _):
        yield address


@pytest.fixture
def page(server):
    """A page of a fresh browser. After the test: no request left this machine and nothing failed in the console."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("There is no chromium on this machine; .ci/run installs it.")
        pytest.skip("There is no chromium on this machine.")
    from playwright.sync_api import sync_playwright

    elsewhere, errors = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(OPTIONS))
        page = browser.new_page(viewport={"width": 1440, "height": 900}, accept_downloads=True)
        page.set_default_timeout(180_000)  # a machine may have other work
        page.on("request", lambda request: elsewhere.append(request.url) if not _own(request.url) else None)
        told = lambda message: f"{message.text} {message.location['url']}"  # noqa: E731
        page.on("console", lambda message: errors.append(told(message)) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(server)
        yield page
        browser.close()
    assert elsewhere == []
    assert errors == []


def _own(url):
    return url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))


def draw_point(page, right=0):
    """Draw a place with the mouse on the last map of the page; right: pixels from the middle of the map."""
    page.frame_locator(MAP).last.locator(".leaflet-draw-draw-circlemarker").click()
    map_ = page.locator(MAP).last
    box = None
    while box != map_.bounding_box():  # soon after it came, a page goes to its top once more
        map_.evaluate("map => map.scrollIntoView({block: 'center', behavior: 'instant'})")
        box = map_.bounding_box()
        page.wait_for_timeout(4 * HAND_MS)
    at = box["x"] + box["width"] / 2 + right, box["y"] + box["height"] / 2
    page.mouse.move(*at, steps=4)
    page.wait_for_timeout(HAND_MS)
    page.mouse.click(*at)


def draw_polygon(page, corners):
    """Draw with the mouse on the map of the Area page; corners in pixels from the middle of the map."""
    frame = page.frame_locator(MAP)
    frame.locator(".leaflet-image-layer").first.wait_for()
    frame.locator(".leaflet-draw-draw-polygon").click()
    box = page.locator(MAP).bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for right, down in [*corners, corners[0]]:
        page.mouse.move(middle[0] + right, middle[1] + down, steps=4)
        page.wait_for_timeout(HAND_MS)
        page.mouse.click(middle[0] + right, middle[1] + down)


def test_every_page_fits_its_window(page):
    """Five clicks from the start to a first plan in a narrow window; no page on the way is wider than the window, nor
    than a wide one."""

    def fits_both(name):
        for width in (1440, 480):
            page.set_viewport_size({"width": width, "height": 900})
            fits(page, name, width)

    page.set_viewport_size({"width": 480, "height": 900})
    page.get_by_role("button", name="Use example area").click()
    page.get_by_text("With data").wait_for()
    fits_both("area")
    page.get_by_role("button", name="Next: generate traffic").click()
    page.get_by_role("button", name="Generate traffic", exact=True).click()
    page.get_by_text("Weekly mean").wait_for(timeout=WORK_MS)
    fits_both("traffic")
    page.get_by_test_id("stExpandSidebarButton").click()
    page.get_by_role("link", name="Sleep", exact=True).click()
    page.get_by_role("heading", name="Sleep", exact=True).wait_for()
    page.get_by_test_id("stSidebarCollapseButton").get_by_role("button").click()
    page.get_by_role("button", name="Compare sleep strategies").click()
    page.get_by_text("Show the plan of").wait_for(timeout=WORK_MS)
    page.get_by_text("Energy, cost and CO₂ on the ensemble").wait_for(
        timeout=WORK_MS
    )  # all of them are there
    fits_both("sleep")
    page.set_viewport_size({"width": 1440, "height": 900})
    for name in ("Network", "Coverage", "Spectrum", "Compare", "Export"):
        page.get_by_role("link", name=name, exact=True).click()
        page.get_by_role("heading", name=name, exact=True).wait_for()
        fits(page, name.lower(), 1440)


def fits(page, name, width):
    """The page is no wider than its window; its picture is kept as build output, to be looked at."""
    page.wait_for_function(
        "() => document.querySelector('[data-testid=\"stApp\"]').getAttribute('data-test-script-state') !== 'running'"
    )
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}-{width}.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= width, name


def test_from_a_drawing_to_a_downloaded_plan(page, tmp_path):
    draw_polygon(page, [(-60, -45), (50, -50), (60, 55), (-55, 45)])
    page.get_by_text("With data").wait_for()
    page.get_by_role("button", name="Next: generate traffic").click()
    page.get_by_role("button", name="Generate traffic", exact=True).click()
    page.get_by_text("Weekly mean").wait_for(timeout=WORK_MS)
    # the map of the area alone may be still there for a moment
    page.frame_locator(MAP).last.locator(".leaflet-traffic-pane .leaflet-image-layer").wait_for()

    page.get_by_role("link", name="Sleep", exact=True).click()
    page.get_by_role("button", name="Compare sleep strategies").click()
    page.get_by_text("Show the plan of").wait_for(timeout=WORK_MS)
    page.get_by_text("Energy, cost and CO₂ on the ensemble").wait_for(
        timeout=WORK_MS
    )  # all of them are there

    # the same work again in another window, by its address; then side by side with what is saved in the library
    page.get_by_role("link", name="Compare").click()
    page.get_by_role("button", name="Save as new").click()
    page.get_by_role("button", name="Duplicate").wait_for()
    page.goto(f"{page.url.split('/compare')[0]}/?{page.url.split('?')[1]}")
    page.get_by_role("link", name="Sleep").click()
    page.get_by_text("Show the plan of").wait_for()
    page.get_by_role("link", name="Compare").click()
    page.get_by_text("against the baseline").first.wait_for()
    page.locator(".js-plotly-plot").first.wait_for()

    page.get_by_role("link", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="GeoPackage (QGIS)").click()
    plan = tmp_path / download.value.suggested_filename
    download.value.save_as(plan)

    assert plan.name == "my-area.gpkg"
    layers = set(gpd.list_layers(plan)["name"])
    assert {"tiles", "sites", "cells", "sleep_schedule", "energy_by_hour", "provenance"} <= layers
    schedule = gpd.read_file(plan, layer="sleep_schedule")
    cells = gpd.read_file(plan, layer="cells")
    assert len(schedule) == 24 * len(cells)
    assert 0 < (~schedule["awake"].astype(bool)).mean() < 1


def test_from_own_files_to_traffic(page, tmp_path):
    image, places = write_image(tmp_path / "city.tif"), write_places(tmp_path / "places.csv")
    page.get_by_text("Type corners", exact=True).click()
    page.get_by_label("West, south, east, north (degrees)").fill(box_text())
    page.get_by_role("button", name="Take this box").click()
    page.get_by_text("No tile of this area has open data").wait_for()
    page.get_by_role("radiogroup", name="Source").get_by_text("My own files", exact=True).click()
    inputs = page.locator("[data-testid='stFileUploader']")
    inputs.filter(has_text="Imagery").locator("input[type=file]").set_input_files(image)
    inputs.filter(has_text="POI").locator("input[type=file]").set_input_files(places)
    start = page.get_by_role("button", name="Make open data of my files")
    page.wait_for_function("b => !b.disabled", arg=start.element_handle())
    start.click()
    page.get_by_text("Imagery from the file city.tif").first.wait_for(timeout=WORK_MS)
    page.get_by_role("button", name="Next: generate traffic").click()
    page.get_by_role("button", name="Generate traffic", exact=True).click()
    page.get_by_text("Weekly mean").wait_for(timeout=WORK_MS)
    page.get_by_text("Made from: Imagery from the file city.tif").wait_for()


def test_an_outline_is_refused_restored_and_deleted(page):
    draw_polygon(page, [(-60, -45), (50, -50), (60, 55), (-55, 45)])
    page.get_by_text("With data").wait_for()
    draw_polygon(page, [(120, -60), (200, 60), (200, -60), (120, 60)])
    page.get_by_text("crosses itself").wait_for()
    page.get_by_text("With data").wait_for()  # what was there is still there

    page.get_by_role("link", name="Export").click()
    page.get_by_text("No traffic yet").wait_for()
    page.get_by_role("link", name="Area").click()
    frame = page.frame_locator(MAP)
    outline = frame.locator(".leaflet-overlay-pane path.leaflet-interactive")
    outline.wait_for()
    assert outline.count() == 1  # the one that was taken

    frame.locator(".leaflet-draw-edit-remove").click()
    outline.click()
    frame.locator(".leaflet-draw-actions a", has_text="Save").click()
    page.get_by_role("button", name="Use example area").wait_for()
    page.get_by_text("With data").wait_for(state="detached")


def test_a_place_drawn_gets_a_site(page, server, traffic_work):
    page.goto(f"{server}?work={traffic_work[1]}")
    page.get_by_text("With data").wait_for()
    page.get_by_role("link", name="Network").click()
    page.get_by_text("Optimised strategy", exact=True).click()
    page.get_by_text("Draw places on the map", exact=True).click()
    draw_point(page)
    page.get_by_text("Drawn: mandatory sites 1").wait_for()
    page.get_by_role("button", name="Deploy", exact=True).click()
    page.get_by_text("Network to plan with").wait_for(timeout=WORK_MS)
    page.get_by_role("radio", name="Optimised").click()
    page.get_by_text("Served (Mbit/s)", exact=True).wait_for()
    page.locator("span", has_text="forced").first.wait_for()  # in the legend of the sites
    sites = page.frame_locator(MAP).first.locator(".leaflet-overlay-pane path.leaflet-interactive")
    sites.first.wait_for()
    assert sites.count() > 10
