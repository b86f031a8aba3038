"""The workbench in a real browser: work found again whole, every export and the report, all by keyboard too."""

import json
import re
import sqlite3
import zipfile

import pytest

from benchmarks.app import until_quiet
from tests.app.browser import PAGES, PLOTS, WORK_MS, to

pytestmark = pytest.mark.browser


def test_a_reload_brings_everything_back(page, finished):
    page.goto(finished)
    page.get_by_text("With data").wait_for()
    found = []

    def shown():
        to(page, "Network")
        page.get_by_text("Network to plan with").wait_for()
        found.append([page.get_by_role("radio", name=name).is_checked() for name in ("Uniform", "Optimised")])
        assert sum(found[-1]) == 1 and found[-1] == found[0]
        to(page, "Sleep")
        page.get_by_text("Show the plan of").wait_for()
        to(page, "Spectrum")
        page.get_by_text("24 hours:").wait_for()
        to(page, "Sleep")
        page.get_by_text("Change settings and plan again", exact=True).click()
        return page.get_by_role("spinbutton", name="Minimum on-time after wake-up (h)", exact=True)

    shown().fill("7")
    page.keyboard.press("Enter")
    until_quiet(page)
    page.get_by_role("radio", name="Always on", exact=True).click(force=True)
    until_quiet(page)
    to(page, "Area")
    page.get_by_label("Name", exact=True).fill("Renamed")
    page.keyboard.press("Enter")
    until_quiet(page)
    page.wait_for_timeout(500)  # the last change is written in the background
    page.goto(finished)
    page.get_by_text("With data").wait_for()
    assert page.get_by_label("Name", exact=True).input_value() == "Renamed"
    assert shown().input_value() == "7"
    assert page.get_by_role("radio", name="Always on", exact=True).is_checked()


def test_every_export_and_the_report(page, finished, tmp_path):
    page.goto(finished)
    page.get_by_text("With data").wait_for()
    to(page, "Export")
    while_a_file_is_written_its_button_says_so(page)
    checks = {
        "Traffic table (Parquet)": lambda data: data[:4] == b"PAR1",
        "GeoPackage (QGIS)": lambda data: data[:15] == b"SQLite format 3",
        "GeoJSON": lambda data: json.loads(data)["type"] == "FeatureCollection",
        "KML": lambda data: data.lstrip().startswith(b"<?xml"),
        "KMZ (Google Earth)": lambda data: data[:2] == b"PK",
        "Shapefile (zipped)": lambda data: data[:2] == b"PK",
        "Excel workbook": lambda data: data[:2] == b"PK",
        "CloudRF sites (CSV)": lambda data: data.startswith(b"lat,lon,alt,frq"),
        "CSV tables": lambda data: data[:2] == b"PK",
    }
    for label, is_right in checks.items():
        with page.expect_download() as download:
            page.get_by_role("button", name=label, exact=True).click()
        file = tmp_path / download.value.suggested_filename
        download.value.save_as(file)
        assert is_right(file.read_bytes()), label
        if file.suffix in (".zip", ".kmz", ".xlsx"):
            assert zipfile.ZipFile(file).testzip() is None
        elif file.suffix == ".gpkg":
            assert sqlite3.connect(file).execute("SELECT count(*) FROM prb_assignment").fetchone() == (12,)

    choose = page.get_by_role("combobox", name="Plans to put side by side")
    for option in ("open work · Greedy", "Kept aside · Always on"):
        choose.click()
        page.get_by_role("option", name=option).click()
        page.keyboard.press("Escape")
        until_quiet(page)
    page.get_by_role("button", name="Make the report").click()
    with page.expect_download(timeout=WORK_MS) as download:
        page.get_by_role("button", name="Download the report (HTML)").click(timeout=WORK_MS)
    report = tmp_path / download.value.suggested_filename
    download.value.save_as(report)
    read_offline(page.context.browser, report)


def while_a_file_is_written_its_button_says_so(page):
    button = page.get_by_role("button", name="GeoPackage (QGIS)", exact=True)
    told = page.get_by_text("Writing GeoPackage (QGIS): ")
    told.wait_for(state="attached")
    assert not told.is_visible()
    button.evaluate("button => button.disabled = true")  # as Streamlit does as long as the file is being made
    told.wait_for()
    assert re.search(r": \d+ tiles, 20 sites, \d+ cells\.$", told.inner_text())
    assert page.get_by_text("Writing ").filter(visible=True).count() == 1
    button.evaluate("button => button.disabled = false")
    told.wait_for(state="hidden")


def read_offline(browser, report):
    """Opened where there is no network, on screen and on paper, it shows its charts and asks for nothing."""
    context = browser.new_context(offline=True, viewport={"width": 1000, "height": 900})
    reader, asked, errors = context.new_page(), [], []
    reader.on("request", lambda request: asked.append(request.url))
    reader.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    reader.goto(report.as_uri())
    assert asked == [report.as_uri()]
    for heading in (
        "Traffic",
        "Map",
        "Deployment",
        "Sleep plan",
        "Spectrum plan",
        "Side by side",
        "Provenance",
    ):
        assert reader.get_by_role("heading", name=heading, exact=True).is_visible()
    figures = reader.get_by_role("img")
    assert figures.count() >= 11
    for i in range(figures.count()):
        box = figures.nth(i).bounding_box()
        assert box["width"] > 250 and box["height"] > 100
        assert figures.nth(i).locator("polyline, rect, circle").count() > 0
    for media, width in (("screen", 1000), ("print", 690), ("screen", 420)):
        reader.emulate_media(media=media, color_scheme="dark")
        reader.set_viewport_size({"width": width, "height": 900})
        assert reader.evaluate("document.documentElement.scrollWidth") <= width
        assert reader.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert errors == []
    context.close()


def test_numbers_are_a_keystroke_away(page, finished):
    """Behind the rest of the menu comes the page from top to bottom; the table behind a chart opens by Enter."""
    page.goto(finished)
    page.get_by_text("With data").wait_for()
    to(page, "Sleep")
    page.locator(PLOTS).first.wait_for()
    passed = []
    for _ in range(9):
        page.keyboard.press("Tab")
        passed.append(page.evaluate("document.activeElement.innerText.trim()"))
    links = [text for text in passed if any(text.endswith(name) for name in PAGES)]
    assert [text.split()[-1] for text in links] == list(PAGES[PAGES.index("Sleep") + 1 :])
    assert any("Next: spectrum" in text for text in passed[len(links) :])
    numbers = page.locator("summary", has_text="Numbers behind the charts and maps")
    numbers.focus()
    numbers.press("Enter")
    page.get_by_label("Chart or map").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="This table (CSV)").press("Enter")
    assert download.value.suggested_filename == "numbers.csv"
