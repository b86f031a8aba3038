"""What the tests in a real browser share: the app that they all use, and hands on its pages."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.app import MAP, until_quiet
from benchmarks.app import OPTIONS as OF_ALL
from benchmarks.session import app

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TOKEN = "token-of-the-browser"
WORK_MS = 300_000  # generation and planning on a slow machine
HAND_MS = 150  # between two clicks: Leaflet.draw takes a second one within 50 ms for a slip of the hand
SOLVER_SECONDS = 1  # that a program may take: these tests need a plan, not the best one
OPEN_WORK = "open work"  # the folder of a library that holds it
# Of Playwright's own list, which this one replaces, what may ask a network or changes what is drawn; and the pages of
# the address bar, which each window loads although nobody sees it: half of what an empty window takes.
NOT_USED = (
    "DestroyProfileOnBrowserClose", "HttpsUpgrades", "LensOverlay", "MediaRouter", "PaintHolding",
    "ThirdPartyStoragePartitioning", "OptimizationHints", "NetworkTimeServiceQuerying", "AimEnabled",
    "PreconnectToSearch", "WebUIOmniboxPopup", "WebUIOmniboxAimPopup",
)  # fmt: skip
OPTIONS = (*OF_ALL, f"--disable-features={','.join(NOT_USED)}")
# Moving signs of work would be drawn sixty times a second, by the processor: half of what a test in a browser takes.
STILL = """
const still = new CSSStyleSheet();
still.replaceSync("*, *::before, *::after { animation: none !important; transition: none !important; }");
document.adoptedStyleSheets = [...document.adoptedStyleSheets, still];
"""
PAGES = ("Area", "Traffic", "Network", "Coverage", "Sleep", "Spectrum", "Compare", "Export")
PLOTS = ".js-plotly-plot:visible"


@dataclass(frozen=True)
class Served:
    """The app as `make run` starts it, with the token that opens it, and its library."""

    address: str
    library: Path

    def kept(self, work: tuple[Path, str]) -> str:
        """The address of a copy of the work with this number in a library; saved scenarios come with it."""
        library, number = work
        copy = secrets.token_hex(16)
        for place in library.iterdir():
            if place.name == OPEN_WORK:
                shutil.copytree(place / number, self.library / OPEN_WORK / copy)
            elif place.is_dir():
                shutil.copytree(place, self.library / place.name, dirs_exist_ok=True)
            else:
                shutil.copy2(place, self.library)
        return f"{self.address}?work={copy}"

    def forget(self) -> None:
        """Empty the library, so that the next test finds nothing of this one."""
        for place in self.library.iterdir():
            if place.is_dir():
                shutil.rmtree(place, ignore_errors=True)
            else:
                place.unlink(missing_ok=True)


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """The app on a free port, with an empty library."""
    library = folder / "library"
    library.mkdir()
    told = {"OPENDIFF_LIBRARY": str(library), "OPENDIFF_MAX_SOLVER_SECONDS": str(SOLVER_SECONDS)}
    with app(folder, environment=told, token=TOKEN) as (address, _):
        yield Served(address, library)


def is_own(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))


def to(page, name):
    """Go to a page of the menu."""
    page.get_by_role("link", name=name, exact=True).click()
    page.get_by_role("heading", name=name, exact=True).wait_for()
    until_quiet(page)


def set_samples(page, samples="6"):
    """Of the traffic to be generated; what is computed over an ensemble of few takes little time."""
    page.get_by_text("Advanced", exact=True).click()
    page.get_by_label("Samples", exact=True).fill(samples)


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


def fits(page, name, width):
    """The page is no wider than its window. (`python -m benchmarks screenshots --every` makes pictures to look at.)"""
    until_quiet(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width, name
