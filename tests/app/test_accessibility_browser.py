"""Pages for everybody, in a real browser: axe-core in both themes, names of menus, tools that cover nothing, phones."""

from importlib import resources

import pytest

from benchmarks.app import until_quiet
from tests.app.test_browser import WORK_MS, page  # noqa: F401 (a fixture)
from tests.app.test_workbench_browser import PAGES, place, server, to, work  # noqa: F401 (fixtures)

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(page, scheme):  # noqa: F811
    """axe-core (MPL-2.0), which the package axe-playwright-python carries, on every page and in every map."""
    axe = (resources.files("axe_playwright_python") / "axe.min.js").read_text()
    page.emulate_media(color_scheme=scheme)
    page.reload()  # the theme is chosen when the page is loaded
    page.get_by_text("With data").wait_for()
    found = []
    for name in PAGES:
        to(page, name)
        page.wait_for_timeout(1500)  # of maps and charts
        maps = [frame for frame in page.frames if "folium" in frame.url and not frame.is_detached()]
        for frame in (page.main_frame, *maps):
            frame.evaluate(axe)
            told = frame.evaluate("axe.run(document, {iframes: false, resultTypes: ['violations']})")
            found += [
                (name, one["id"], [node["html"][:200] for node in one["nodes"][:3]])
                for one in told["violations"]
                if one["impact"] in ("serious", "critical")
            ]
    assert found == []


def test_the_tools_of_a_table_do_not_cover_the_way_to_the_next_page(page):  # noqa: F811
    page.get_by_text("With data").wait_for()
    to(page, "Network")
    table = page.get_by_test_id("stDataFrame").first
    table.hover()
    tools = page.get_by_test_id("stElementToolbar").first
    box, button = tools.bounding_box(), page.get_by_role("button", name="Next: coverage").bounding_box()
    assert box["y"] >= button["y"] + button["height"]


@pytest.mark.parametrize("width", [1024, 720, 390])
def test_the_menu_says_what_it_is_at_any_width(page, width):  # noqa: F811
    """1,024 px, and 1,440 px at 200 % zoom, and a phone: links with names, or a button that says "Menu"."""
    page.get_by_text("With data").wait_for()
    page.set_viewport_size({"width": width, "height": 844})
    until_quiet(page)
    links = page.get_by_role("link", name="Coverage", exact=True).filter(visible=True)
    folded = page.get_by_test_id("stExpandSidebarButton")
    if width == 1024:
        links.wait_for()
        edge = links.locator("xpath=..").bounding_box()
        assert edge["x"] + edge["width"] <= width
    else:
        folded.wait_for()
        label = folded.evaluate("b => getComputedStyle(b, '::after').content")
        assert label == '"Menu"'
        menu, work_menu = folded.bounding_box(), page.locator(".st-key-scenarios").bounding_box()
        assert menu["x"] + menu["width"] <= work_menu["x"]
    assert page.get_by_role("button", name="Scenarios").is_visible()


def test_the_first_button_of_a_phone_is_above_the_fold(page, server):  # noqa: F811
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(server.split("?")[0])
    button = page.get_by_role("button", name="Use example area")
    button.wait_for(timeout=WORK_MS)
    until_quiet(page)
    box = button.bounding_box()
    assert box["y"] + box["height"] < 844
    assert page.get_by_text("The map shows Nanchang, China").is_visible()
    page.get_by_text("Recent work").first.wait_for()
