"""The app in a browser as one person starts it: opened with its token, under the headers that it sends, quiet."""

import shutil

import pytest
from playwright.sync_api import sync_playwright

from benchmarks.app import MAP, OPTIONS
from benchmarks.session import app

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TOKEN = "token-of-the-browser"

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="There is no chromium.")]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("app")
    with app(folder, environment={"OPENDIFF_LIBRARY": str(folder / "library")}, token=TOKEN) as (address, _):
        yield address


@pytest.fixture
def page():
    """A page of a fresh browser, and what went wrong in its console."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(OPTIONS))
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(180_000)
        yield page
        browser.close()


def test_the_app_works_under_its_own_headers(server, page):
    errors, refused = [], []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None)
    page.goto(f"{server}?token={TOKEN}")
    assert "token" not in page.url
    page.get_by_role("button", name="Use example area").click()
    page.get_by_role("button", name="Next: generate traffic").click()
    page.get_by_role("button", name="Generate traffic", exact=True).click()
    page.get_by_text("Weekly mean").wait_for()
    page.frame_locator(MAP).last.locator(".leaflet-traffic-pane .leaflet-image-layer").wait_for()
    page.locator(".js-plotly-plot").first.wait_for()
    page.get_by_role("link", name="Compare", exact=True).click()
    page.get_by_role("button", name="Save as new").click()
    page.get_by_role("button", name="Duplicate").wait_for()
    assert errors == [] and refused == []
    # a script that somebody has brought into the page does not run
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))"
    )
    assert page.evaluate("window.ran") is None


def test_without_the_token_the_page_says_how_to_open_the_app(server, page):
    answer = page.goto(f"{server}traffic")
    assert answer.status == 403
    page.get_by_text("Open the app with the address that it printed at its start").wait_for()
    page.goto(f"{server}traffic?token={TOKEN}")
    page.get_by_role("heading", name="Traffic", exact=True).wait_for()
