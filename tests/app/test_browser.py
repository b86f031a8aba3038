"""The main job in a real browser that reaches nothing but this machine: draw, generate, plan sleep, download."""

import geopandas as gpd
import pytest

from benchmarks.app import MAP
from tests.app.browser import TOKEN, WORK_MS, draw_point, draw_polygon, fits, set_samples, to
from tests.opendiff.live.own_files import box_text, write_image, write_places

pytestmark = pytest.mark.browser


def test_a_page_without_a_plan_fits_its_window(page, with_traffic):
    """From the first page to the last where nothing is planned yet, in a narrow window and a wide one. Pages with plans
    are those of test_accessibility_browser."""

    def fits_both(name):
        for width in (1440, 480):
            page.set_viewport_size({"width": width, "height": 900})
            fits(page, name, width)

    page.set_viewport_size({"width": 480, "height": 900})
    page.goto(with_traffic)
    page.get_by_text("With data").wait_for()
    fits_both("area")
    page.get_by_role("button", name="Next: generate traffic").click()
    page.get_by_text("Weekly mean", exact=True).wait_for()
    fits_both("traffic")
    page.get_by_test_id("stExpandSidebarButton").click()
    page.get_by_role("link", name="Sleep", exact=True).click()
    page.get_by_role("heading", name="Sleep", exact=True).wait_for()
    page.get_by_test_id("stSidebarCollapseButton").get_by_role("button").click()
    page.get_by_role("button", name="Compare sleep strategies").wait_for()
    fits_both("sleep")
    page.set_viewport_size({"width": 1440, "height": 900})
    for name in ("Network", "Coverage", "Spectrum", "Compare", "Export"):
        to(page, name)
        fits(page, name.lower(), 1440)


def test_from_a_drawing_to_a_downloaded_plan(page, served, tmp_path):
    page.goto(served.address)
    draw_polygon(page, [(-28, -22), (25, -25), (30, 26), (-26, 22)])
    page.get_by_text("With data").wait_for()
    page.get_by_role("button", name="Next: generate traffic").click()
    set_samples(page)
    page.get_by_role("button", name="Generate traffic", exact=True).click()
    page.get_by_text("Weekly mean", exact=True).wait_for(timeout=WORK_MS)
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


def test_from_own_files_to_traffic(page, served, tmp_path):
    page.goto(served.address)
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
    page.get_by_text("Weekly mean", exact=True).wait_for(timeout=WORK_MS)
    page.get_by_text("Made from: Imagery from the file city.tif").wait_for()


def test_an_outline_is_refused_restored_and_deleted(page, served):
    page.goto(served.address)
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


def test_a_place_drawn_gets_a_site(page, with_traffic):
    page.goto(with_traffic)
    page.get_by_text("With data").wait_for()
    to(page, "Network")
    page.get_by_text("Optimised strategy", exact=True).click()
    page.get_by_text("Draw places on the map", exact=True).click()
    draw_point(page)
    page.get_by_text("Drawn: mandatory sites 1").wait_for()
    page.get_by_role("button", name="Deploy", exact=True).click()
    page.get_by_text("Network to plan with").wait_for(timeout=WORK_MS)
    page.get_by_role("radio", name="Optimised").click()
    page.get_by_text("Within reach and capacity (Mbit/s)", exact=True).wait_for()
    page.locator("span", has_text="forced").first.wait_for()  # in the legend of the sites
    sites = page.frame_locator(MAP).first.locator(".leaflet-overlay-pane path.leaflet-interactive")
    sites.first.wait_for()
    assert sites.count() > 10


def test_the_token_opens_the_app_and_its_headers_keep_scripts_out(chromium, served):
    context = chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(180_000)
    assert page.goto(f"{served.address}traffic").status == 403
    page.get_by_text("Open the app with the address that it printed at its start").wait_for()
    page.goto(f"{served.address}traffic?token={TOKEN}")
    page.get_by_role("heading", name="Traffic", exact=True).wait_for()
    assert "token" not in page.url
    # a script that somebody has brought into the page does not run
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))"
    )
    assert page.evaluate("window.ran") is None
    context.close()
