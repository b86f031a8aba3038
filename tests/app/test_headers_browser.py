"""The app under the headers that docs/server.md gives the proxy: nothing that it needs is refused by the browser."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from benchmarks.app import MAP, OPTIONS
from tests.app.test_browser import CHROMIUM, server  # noqa: F401 (fixture)

ROOT = Path(__file__).resolve().parents[2]
# the test answers in the place of the server, as from nowhere
LOCAL = "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests"

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="There is no chromium.")]


def test_the_app_works_under_the_headers_of_the_documentation(server):  # noqa: F811
    text = (ROOT / "docs" / "server.md").read_text()
    headers = {
        name: quoted or plain
        for name, quoted, plain in re.findall(r'add_header ([\w-]+) (?:"([^"]+)"|([^";]+));', text)
    }
    assert set(headers) == {"X-Content-Type-Options", "Referrer-Policy", "Content-Security-Policy"}
    assert "http" not in headers["Content-Security-Policy"]
    errors = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*OPTIONS, LOCAL])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(90_000)
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.route("**/*", lambda route: _answered(route, headers))
        page.goto(server)
        page.get_by_role("button", name="Use example area").click()
        page.get_by_role("button", name="Next: generate traffic").click()
        page.get_by_role("button", name="Generate traffic", exact=True).click()
        page.get_by_text("Weekly mean").wait_for()
        page.frame_locator(MAP).last.locator(".leaflet-traffic-pane .leaflet-image-layer").wait_for()
        page.locator(".js-plotly-plot").first.wait_for()
        page.get_by_role("link", name="Compare", exact=True).click()
        page.get_by_role("button", name="Save as new").click()
        page.get_by_role("button", name="Duplicate").wait_for()
        browser.close()
    assert errors == []


def _answered(route, headers):
    answer = route.fetch()
    route.fulfill(response=answer, headers=answer.headers | {name.lower(): v for name, v in headers.items()})
