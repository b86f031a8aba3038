"""Pages for everybody, in a real browser: axe-core in both themes, names of menus, tools that cover nothing, phones."""

from importlib import resources

import pytest

from benchmarks.app import until_quiet
from tests.app.browser import PAGES, PLOTS, WORK_MS, fits, to

pytestmark = pytest.mark.browser
CONTROLS = {
    "button", "link", "textbox", "spinbutton", "slider", "combobox", "checkbox", "radio", "switch", "tab", "searchbox",
    "listbox", "figure",
}  # fmt: skip


def test_every_page_fits_and_is_for_everybody(page, finished):
    """Each page in one visit: its width on a desk and on a phone, its names, and axe-core in both themes; tools of a
    table, and the menu at any width."""
    page.goto(finished)
    page.get_by_text("With data").wait_for()
    tree = page.context.new_cdp_session(page)
    found = []
    for name in PAGES:
        to(page, name)
        if name not in ("Area", "Network", "Coverage", "Export"):
            page.locator(PLOTS).first.wait_for()
        if name == "Network":
            tools_cover_nothing(page)
        page.wait_for_timeout(500)  # of maps and charts
        fits(page, name.lower(), 1440)
        has_names(page, tree, name)
        for scheme in ("light", "dark"):
            wear(page, scheme)
            found += [(scheme, name, *broken) for broken in broken_rules(page, colours_only=scheme == "dark")]
        wear(page, "light")
        page.set_viewport_size({"width": 480, "height": 900})
        fits(page, f"full-{name.lower()}", 480)
        page.set_viewport_size({"width": 1440, "height": 900})
    assert found == []
    menu_has_names(page)


def has_names(page, tree, name):
    """By Chromium's own accessibility tree; every chart is a figure that tells its range."""
    nodes = tree.send("Accessibility.getFullAXTree")["nodes"]
    told = [
        (node["role"]["value"], node.get("name", {}).get("value", "").strip())
        for node in nodes
        if not node["ignored"] and "role" in node
    ]
    assert [role for role, says in told if role in CONTROLS and not says] == [], name
    assert sum(role == "figure" for role, _ in told) == page.locator(PLOTS).count(), name
    if name in ("Traffic", "Network", "Sleep", "Spectrum"):
        assert any(says.startswith("Map. ") for _, says in told), name


def wear(page, scheme):
    """The theme follows that of the desk while the page is open."""
    page.emulate_media(color_scheme=scheme)
    page.wait_for_function(
        """scheme => {
          const colour = getComputedStyle(document.querySelector('[data-testid="stApp"]')).backgroundColor;
          const [red, green, blue] = colour.match(/\\d+/g).map(Number);
          return (red + green + blue < 380) === (scheme === 'dark');
        }""",
        arg=scheme,
    )
    page.wait_for_timeout(50)


def broken_rules(page, colours_only=False):
    """What axe-core (MPL-2.0), which the package axe-playwright-python carries, finds in the page and in every map.

    colours_only: the rules of colours alone, for another theme of a page whose names and structure are checked.
    """
    # no rule that is asked for needs the text of the style sheets, which takes seconds to collect
    asked = {"iframes": False, "resultTypes": ["violations"], "preload": False}
    if colours_only:
        asked["runOnly"] = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
    axe = (resources.files("axe_playwright_python") / "axe.min.js").read_text()
    found = []
    maps = [frame for frame in page.frames if "folium" in frame.url and not frame.is_detached()]
    for frame in (page.main_frame, *maps):
        if not frame.evaluate("'axe' in window"):
            frame.evaluate(axe)
        told = frame.evaluate("asked => axe.run(document, asked)", asked)
        found += [
            (one["id"], [node["html"][:200] for node in one["nodes"][:3]])
            for one in told["violations"]
            if one["impact"] in ("serious", "critical")
        ]
    return found


def tools_cover_nothing(page):
    """The tools that a table shows under the mouse do not lie over the way to the next page."""
    table = page.get_by_test_id("stDataFrame").first
    table.hover()
    tools = page.get_by_test_id("stElementToolbar").first
    box, button = tools.bounding_box(), page.get_by_role("button", name="Next: coverage").bounding_box()
    assert box["y"] >= button["y"] + button["height"]
    page.mouse.move(0, 0)


def menu_has_names(page):
    """1,024 px, and 1,440 px at 200 % zoom, and a phone: links with names, or a button that says "Menu"."""
    links = page.get_by_role("link", name="Coverage", exact=True).filter(visible=True)
    folded = page.get_by_test_id("stExpandSidebarButton")
    for width in (1024, 720, 390):
        page.set_viewport_size({"width": width, "height": 844})
        until_quiet(page)
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


def test_the_first_button_of_a_phone_is_above_the_fold(page, served, finished_work):
    page.set_viewport_size({"width": 390, "height": 844})
    served.kept(finished_work)
    page.goto(served.address)
    button = page.get_by_role("button", name="Use example area")
    button.wait_for(timeout=WORK_MS)
    until_quiet(page)
    box = button.bounding_box()
    assert box["y"] + box["height"] < 844
    assert page.get_by_text("The map shows Nanchang, China").is_visible()
    page.get_by_text("Recent work").first.wait_for()
