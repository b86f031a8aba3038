"""The operator's counters in a real browser: upload them and the network, generate, plan sleep, export."""

import geopandas as gpd
import pytest

from benchmarks.operator_export import write_export
from tests.app.browser import WORK_MS, set_samples

pytestmark = [pytest.mark.browser, pytest.mark.slow]
BOX = "115.89, 28.67, 115.95, 28.72"


def test_from_counters_to_an_exported_plan(page, served, tmp_path):
    page.goto(served.address)
    counters, network, _ = write_export(tmp_path, cells=45, weeks=2, step_minutes=60)
    page.get_by_text("Type corners", exact=True).click()
    page.get_by_label("West, south, east, north (degrees)").fill(BOX)
    page.get_by_role("button", name="Take this box").click()
    page.get_by_text("With data").wait_for()
    page.get_by_role("button", name="Next: generate traffic").click()
    page.get_by_text("Your own measurements", exact=True).click()
    inputs = page.locator("[data-testid='stFileUploader']")
    inputs.filter(has_text="Counters of").locator("input[type=file]").set_input_files(counters)
    page.get_by_text("give the network file as well").wait_for(timeout=WORK_MS)
    # a file that comes while the page is being drawn with the one before may be lost to the page
    page.locator("[data-test-script-state='notRunning']").wait_for(timeout=WORK_MS)
    inputs.filter(has_text="Network: where").locator("input[type=file]").set_input_files(network)
    page.get_by_text("measured tiles, in Mbit/s").wait_for(timeout=WORK_MS)
    set_samples(page)
    page.get_by_role("button", name="Generate traffic", exact=True).click()
    page.get_by_text("Weekly mean", exact=True).wait_for(timeout=WORK_MS)
    page.get_by_text("Where to measure next", exact=True).wait_for()
    page.get_by_role("button", name="Scale: measured").wait_for()

    page.get_by_role("link", name="Network", exact=True).click()
    page.get_by_text("Your own sites", exact=True).click()
    inputs.filter(has_text="Your sites").locator("input[type=file]").set_input_files(network)
    page.get_by_role("button", name="Plan with these sites").click()
    page.get_by_text("45 cells").first.wait_for(timeout=WORK_MS)
    page.get_by_role("link", name="Sleep", exact=True).click()
    page.get_by_role("button", name="Compare sleep strategies").click()
    page.get_by_text("Show the plan of").wait_for(timeout=WORK_MS)
    page.get_by_text("Energy, cost and CO₂ on the ensemble").wait_for(
        timeout=WORK_MS
    )  # all of them are there

    page.get_by_role("link", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="GeoPackage (QGIS)").click()
    plan = tmp_path / download.value.suggested_filename
    download.value.save_as(plan)
    cells = gpd.read_file(plan, layer="cells")
    assert len(cells) == 45 and cells["idle_w"].between(190, 210).any()
