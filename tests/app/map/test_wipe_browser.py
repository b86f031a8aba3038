"""The slider between two pictures of one map, in a browser, without the app around it."""

import shutil

import numpy as np
import pytest

from app.map.region import Picture
from app.map.view import _laid_over
from app.map.wipe import STYLE, Wipe
from benchmarks.app import OPTIONS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="There is no chromium.")]
PAGE = """<!doctype html><title>map</title>{style}<style>{css}</style><div id="map" style="width:400px;height:300px">
</div><script>{leaflet}</script><script>const map = L.map("map", {{zoomAnimation: false}}).setView([0, 0], 10);
map.createPane("traffic").style.zIndex = 350; const made = []; {script}</script>"""


def script():
    """What the macro writes for a layer over the map."""
    box, red = (-0.2, -0.15, 0.2, 0.15), np.zeros((2, 2, 4), np.uint8)
    red[..., 0] = red[..., 3] = 255
    blue = red[..., [2, 1, 0, 3]]
    group = _laid_over(
        [], [], [], Wipe(Picture(red, box), Picture(blue, box), ("Everything on", "With the plan"))
    )
    (layer,) = group._children.values()
    text = layer._template.module.script(layer, {})
    return text.replace(group.get_name(), "{addLayer: l => (made.push(l), map.addLayer(l))}")


def test_the_slider_wipes_from_one_picture_to_the_other():
    from offlinefolium.elements import _res as bundled
    from playwright.sync_api import sync_playwright

    def text(name):
        return next(content for url, content in bundled.items() if url.endswith(name))

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(OPTIONS))
        page = browser.new_page()
        page.set_default_timeout(300_000)
        page.set_content(
            PAGE.format(style=STYLE, css=text("leaflet.css"), leaflet=text("leaflet.js"), script=script())
        )
        slider = page.get_by_role("slider", name="Wipe between Everything on and With the plan")
        cuts = lambda: page.eval_on_selector_all(".wiped", "all => all.map(one => one.style.clipPath)")  # noqa: E731
        assert cuts() == ["inset(0px 50% 0px 0px)", "inset(0px 0px 0px 50%)"]
        for _ in range(20):
            slider.press("ArrowRight")
        line = page.locator(".wipe-line").bounding_box()
        assert line["x"] + 1.5 - page.locator("#map").bounding_box()["x"] == pytest.approx(240, abs=1)
        west, east = page.evaluate(
            "[-0.2, 0.2].map(lon => map.latLngToContainerPoint([0, lon]).x)"
        )  # of the pictures, on the screen
        right = float(cuts()[1].split()[3].removesuffix("%)"))
        assert right == pytest.approx(100 * (240 - west) / (east - west), abs=0.5)
        before = cuts()
        page.evaluate("map.panBy([30, 0], {animate: false})")
        assert cuts() != before  # the line stays, and the pictures move below it
        page.evaluate("made[0].remove()")
        assert page.locator(".wiped, .wipe").count() == 0
        browser.close()
