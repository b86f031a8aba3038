"""Nothing drawn or chosen is lost while the map mounts, or while things come and go around it: in a real browser."""

import base64

import pytest

from benchmarks.app import MAP, until_quiet
from tests.app.browser import WORK_MS, draw_point, draw_polygon, set_samples, to

pytestmark = pytest.mark.browser
OUTLINE = ".leaflet-overlay-pane path.leaflet-interactive"


def generate(page, samples):
    page.get_by_role("link", name="Traffic", exact=True).click()
    set_samples(page, samples)
    page.get_by_role("button", name="Generate traffic", exact=True).click()


def frame_of(page):
    page.frame_locator(MAP).locator(".leaflet-image-layer").first.wait_for()
    return next(frame for frame in page.frames if "folium" in frame.url and not frame.is_detached())


def test_an_outline_drawn_stays_while_a_job_comes_to_its_end(page, served):
    """The panel of the job goes, the page moves up, and the same map is still mounted, with the outline in it."""
    page.goto(served.address)
    page.get_by_role("button", name="Use example area").click()
    page.get_by_text("With data").wait_for()
    generate(page, "100")  # long enough to draw meanwhile
    page.get_by_role("button", name="Cancel").wait_for()
    page.get_by_role("link", name="Area", exact=True).click()
    page.get_by_role("heading", name="Area", exact=True).wait_for()
    until_quiet(page)
    before = frame_of(page)
    before.evaluate("window.markedByTest = true")
    draw_polygon(page, [(120, -60), (190, -60), (190, 40), (120, 40)])
    page.frame_locator(MAP).locator(OUTLINE).nth(1).wait_for()
    page.get_by_role("button", name="Cancel").wait_for(state="detached", timeout=WORK_MS)
    until_quiet(page)
    assert frame_of(page).evaluate("window.markedByTest") is True
    assert page.frame_locator(MAP).locator(OUTLINE).count() == 2


def test_what_lies_below_a_map_does_not_move_when_it_mounts(page, served):
    """The map's script is held back: a button below it is where it will be, and a click on it counts."""
    page.set_viewport_size({"width": 480, "height": 1000})
    held = []
    page.route("**/leaflet.js", lambda route: held.append(route))
    page.goto(served.address)
    button = page.get_by_role("button", name="Use example area")
    button.wait_for()
    until_quiet(page)
    before = button.bounding_box()
    while not held:
        page.wait_for_timeout(20)
    held[0].continue_()
    frame_of(page)
    assert button.bounding_box() == before
    page.unroute("**/leaflet.js")
    page.mouse.click(before["x"] + before["width"] / 2, before["y"] + before["height"] / 2)
    page.get_by_text("With data").wait_for()


def test_places_drawn_are_there_again_on_return(page, with_traffic):
    """Two places, drawn before and after a visit of another page, count together."""
    page.goto(with_traffic)
    page.get_by_text("With data").wait_for()
    for count in (1, 2):
        page.get_by_role("link", name="Network").click()
        page.get_by_text("Optimised strategy", exact=True).click()
        page.get_by_text("Draw places on the map", exact=True).click()
        if count == 2:
            page.frame_locator(MAP).last.locator("path.leaflet-interactive").wait_for()
        draw_point(page, right=40 * count)
        page.get_by_text(f"Drawn: mandatory sites {count}").wait_for()
        page.get_by_role("link", name="Export").click()
        page.get_by_role("heading", name="Export", exact=True).wait_for()


def test_a_job_outlives_a_reload(page, served):
    """The page is loaded anew while traffic is generated: the new session shows the job, and gets its result."""
    page.goto(served.address)
    page.get_by_text("Type corners", exact=True).click()
    page.get_by_label("West, south, east, north (degrees)").fill(
        "115.76, 28.60, 115.96, 28.76"
    )  # some 350 tiles
    page.get_by_role("button", name="Take this box").click()
    page.get_by_text("With data").wait_for()
    page.get_by_role("link", name="Traffic", exact=True).click()
    page.get_by_text("Advanced", exact=True).click()
    page.get_by_label("Samples", exact=True).fill("60")
    page.get_by_label("Guidance scale", exact=True).fill("0.5")  # takes longer than a page takes to load
    page.get_by_role("button", name="Generate traffic", exact=True).click()
    page.get_by_role("button", name="Cancel").wait_for()
    page.wait_for_url("**work=*")
    page.goto(
        page.url.replace("/traffic?", "/?")
    )  # Streamlit looks for its files below a page first, and logs that
    page.get_by_role("button", name="Cancel").wait_for()
    page.get_by_role("button", name="Cancel").wait_for(state="detached", timeout=WORK_MS)
    page.get_by_role("link", name="Traffic", exact=True).click()
    page.get_by_text("Weekly mean", exact=True).wait_for()


def test_another_hour_runs_only_the_part_that_follows_it_and_is_kept(page, with_traffic):
    page.goto(with_traffic)
    page.get_by_text("With data").wait_for()
    to(page, "Traffic")
    page.get_by_text("Weekly mean", exact=True).wait_for()
    told = page.get_by_text("Map. Traffic of each tile, ")
    before, picture = told.inner_text(), frame_of(page).locator(".leaflet-traffic-pane .leaflet-image-layer")
    old = picture.get_attribute("src")
    received = []
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.webSocketFrameReceived", lambda frame: received.append(frame["response"]))
    page.get_by_role("slider").first.focus()
    page.keyboard.press("ArrowRight")
    told.filter(has_not_text=before).wait_for()
    until_quiet(page)
    page.wait_for_timeout(300)
    assert picture.count() == 1 and picture.get_attribute("src") != old
    sent = b"".join(base64.b64decode(frame["payloadData"]) for frame in received)
    assert b"Weekly mean" in sent and b"an ensemble of possible weeks" not in sent
    after = told.inner_text()
    assert after != before
    page.wait_for_timeout(500)  # the last change is written in the background
    page.goto(with_traffic)
    page.get_by_text("With data").wait_for()
    to(page, "Traffic")
    page.get_by_text("Weekly mean", exact=True).wait_for()
    assert told.inner_text() == after
