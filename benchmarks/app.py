"""How quick the app is, measured in a real Chromium that reaches nothing but this machine."""

from __future__ import annotations

import argparse
import contextlib
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import compile_packages
from benchmarks.session import app
from benchmarks.tables import markdown
from planning.errors import InputError

SUMMARY = (
    "the app in a real browser: start, pages, first traffic, hours, memory of a session, requests elsewhere"
)
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
MAP = "iframe[title='streamlit_folium.st_folium']"
PAGES = ("Traffic", "Network", "Coverage", "Sleep", "Spectrum", "Compare", "Export", "Area")
LARGE_SAMPLES = 4
WAIT_MS = 120_000
HAND_MS = 120


@dataclass
class Watched:
    """What a page asked of other machines, and what went wrong in its console."""

    elsewhere: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sessions", type=int, default=5, help="sessions for the memory of one (default 5)")


def run(options: argparse.Namespace) -> tuple[str, dict[str, float]]:
    """The report and its figures."""
    if shutil.which("chromium") is None:
        raise InputError("There is no chromium on this machine; install it to measure the app.")
    sizes = (100,) if options.quick else (500, 10_000)
    sessions = 1 if options.quick else options.sessions
    figures: dict[str, float] = {}
    watched = Watched()
    compile_packages()
    with tempfile.TemporaryDirectory(prefix="opendiff-bench-") as folder, browser() as chromium:
        place = Path(folder)
        addresses = {size: made_work(place, size) for size in sizes}
        started = time.perf_counter()
        with app(place, environment={"OPENDIFF_LIBRARY": str(place / "library")}) as (url, process):
            page = open_page(chromium, watched, url)
            page.get_by_role("button", name="Use example area").wait_for()
            figures["ready_seconds"] = time.perf_counter() - started
            figures["ready_processor_seconds"] = before = processor_seconds(process)
            figures |= draw_to_traffic(page)
            figures["draw_to_traffic_processor_seconds"] = processor_seconds(process) - before
            figures["page_change_seconds"] = statistics.median(page_changes(page))
            page.context.close()
            for size, address in addresses.items():
                page = open_page(chromium, watched, f"{url}?work={address}")
                page.get_by_role("link", name="Traffic", exact=True).click()
                figures[f"hour_change_{size}_seconds"] = statistics.median(hour_changes(page))
                page.context.close()
            figures |= memory_of_session(chromium, watched, url, process, sessions)
    figures |= {"external_requests": len(watched.elsewhere), "console_errors": len(watched.errors)}
    rows = pd.DataFrame({"figure": list(figures), "value": list(figures.values())})
    notes = [f"- {text}" for text in (*watched.elsewhere[:5], *watched.errors[:5])]
    return "\n".join([markdown(rows, {"value": ",.2f"}), *notes]), figures


# --- the app and the browser -------------------------------------------------------------------------------------


@contextlib.contextmanager
def browser():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise InputError("playwright is missing; install requirements-dev.txt to measure the app.") from error
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(OPTIONS))
        yield chromium
        chromium.close()


def open_page(chromium, watched: Watched, url: str):
    """A page of a fresh session."""
    page = chromium.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(WAIT_MS)
    page.on("request", lambda request: None if is_own(request.url) else watched.elsewhere.append(request.url))
    page.on(
        "console", lambda message: watched.errors.append(message.text) if message.type == "error" else None
    )
    page.on("pageerror", lambda error: watched.errors.append(str(error)))
    page.goto(url)
    return page


def is_own(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))


def processor_seconds(process: subprocess.Popen) -> float:
    """What the server and the processes that it has started have taken so far, without the browser: unlike seconds of
    the clock, hardly more where other work shares the machine."""
    import psutil

    server_ = psutil.Process(process.pid)
    times = [some.cpu_times() for some in (server_, *server_.children(recursive=True))]
    return sum(t.user + t.system for t in times)


# --- what is measured --------------------------------------------------------------------------------------------


def draw_to_traffic(page) -> dict[str, float]:
    """Seconds from the last corner of a drawn outline to the picture of its traffic, clicks of the mouse included."""
    frame = page.frame_locator(MAP)
    frame.locator(".leaflet-image-layer").first.wait_for()
    frame.locator(".leaflet-draw-draw-rectangle").click()
    box = page.locator(MAP).bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(middle[0] - 70, middle[1] - 70, steps=4)
    page.wait_for_timeout(HAND_MS)
    page.mouse.down()
    page.mouse.move(middle[0] + 75, middle[1] + 75, steps=6)
    page.mouse.up()
    begun = time.perf_counter()
    page.get_by_role("button", name="Next: generate traffic").click()
    page.get_by_role("button", name="Generate traffic", exact=True).click()
    page.get_by_text("Weekly mean").wait_for()
    page.frame_locator(MAP).last.locator(".leaflet-traffic-pane .leaflet-image-layer").wait_for()
    seconds = time.perf_counter() - begun
    shown = page.get_by_test_id("stMetric").filter(has_text="Tiles × samples").inner_text()
    tiles, samples = (int(n.replace(",", "")) for n in re.findall(r"[\d,]+", shown)[:2])
    return {"draw_to_traffic_seconds": seconds, "drawn_tiles": tiles, "drawn_samples": samples}


def page_changes(page) -> list[float]:
    """Seconds from a click in the menu to the page's own heading; every page twice, the second time counts."""
    found = []
    for counted in (False, True):
        for name in PAGES:
            begun = time.perf_counter()
            page.get_by_role("link", name=name, exact=True).click()
            page.get_by_role("heading", name=name, exact=True).wait_for()
            until_quiet(page)
            if counted:
                found.append(time.perf_counter() - begun)
    return found


def until_quiet(page) -> None:
    """Until the script of the page has run to its end."""
    page.wait_for_function(
        "() => document.querySelector('[data-testid=\"stApp\"]').getAttribute('data-test-script-state') !== 'running'"
    )


def hour_changes(page, times: int = 5) -> list[float]:
    """Seconds from a key on the hour's slider to another picture on the map."""
    frame = page.frame_locator(MAP).last
    picture = frame.locator(".leaflet-traffic-pane .leaflet-image-layer")
    picture.wait_for()
    page.get_by_text("Weekly mean").wait_for()
    until_quiet(page)
    page.get_by_role("slider").first.focus()
    found = []
    for _ in range(times):
        old = picture.get_attribute("src")
        begun = time.perf_counter()
        page.keyboard.press("ArrowRight")
        while picture.count() != 1 or picture.get_attribute("src") == old:
            page.wait_for_timeout(5)
        found.append(time.perf_counter() - begun)
        until_quiet(page)
    return found


def memory_of_session(
    chromium, watched: Watched, url: str, process: subprocess.Popen, sessions: int
) -> dict[str, float]:
    """MB that the server grows by for a session with traffic and sleep plans of the example area; seconds of the five
    clicks to the first plans, of the clock and of the processor; and seconds until all strategies are there with their
    figures over the ensemble."""
    import psutil

    server_ = psutil.Process(process.pid)
    before, kept, seconds, complete, processor = server_.memory_info().rss, [], [], [], []
    for _ in range(sessions):
        begun, taken = time.perf_counter(), processor_seconds(process)
        page = open_page(chromium, watched, url)
        page.get_by_role("button", name="Use example area").click()
        page.get_by_role("button", name="Next: generate traffic").click()
        page.get_by_role("button", name="Generate traffic", exact=True).click()
        page.get_by_text("Weekly mean").wait_for()
        page.get_by_role("link", name="Sleep", exact=True).click()
        page.get_by_role("button", name="Compare sleep strategies").click()
        page.get_by_text("Show the plan of").wait_for()
        seconds.append(time.perf_counter() - begun)
        processor.append(processor_seconds(process) - taken)
        page.get_by_text("Energy, cost and CO₂ on the ensemble").wait_for()
        complete.append(time.perf_counter() - begun)
        kept.append(page)
    after = server_.memory_info().rss
    for page in kept:
        page.context.close()
    return {
        "memory_mb_per_session": (after - before) / sessions / 1e6,
        "first_plan_seconds": statistics.median(seconds),
        "first_plan_processor_seconds": statistics.median(processor),
        "all_plans_seconds": statistics.median(complete),
    }


# --- a large area ------------------------------------------------------------------------------------------------


def made_work(place: Path, tiles: int) -> str:
    """Open work with made traffic on a square of about so many tiles, over a made pack; returns its identity."""
    from app.saved import open_work, packing
    from app.state.results import Made
    from app.state.workspace import Workspace
    from opendiff.area import Area, tile_frame, tiles_covering
    from opendiff.area.tile_grid import tile_bounds
    from opendiff.open_data.sources import POI_COLUMNS, POPULATION_COLUMNS
    from opendiff.traffic_table import TrafficEnsemble

    side = round(np.sqrt(tiles))
    x0, y0 = 26_900, 13_600
    x, y = (v.ravel() for v in np.meshgrid(np.arange(x0, x0 + side), np.arange(y0, y0 + side), indexing="ij"))
    pack = place / f"pack{tiles}"
    pack.mkdir()
    counts = dict.fromkeys((*POI_COLUMNS, *POPULATION_COLUMNS), 1.0)
    pd.DataFrame({"z": 15, "x": x, "y": y} | counts).to_parquet(pack / "tiles.parquet")
    west, _, _, north = (float(v) for v in tile_bounds(x0, y0))
    _, south, east, _ = (float(v) for v in tile_bounds(x0 + side - 1, y0 + side - 1))
    margin = 1e-6
    area = Area.from_box(west + margin, south + margin, east - margin, north - margin, f"{tiles} tiles")
    rng = np.random.default_rng(0)
    day = 1.2 + np.sin((np.arange(168) % 24 - 9) / 24 * 2 * np.pi)
    traffic = rng.lognormal(0, 0.5, (len(x), LARGE_SAMPLES, 1)) * day
    covered = tiles_covering(area)
    metadata = {"area": area.to_geojson(), "area_name": area.name, "samples": LARGE_SAMPLES, "seed": 0}
    ensemble = TrafficEnsemble(
        tile_frame(covered["x"], covered["y"], covered["covered_share"]),
        traffic.astype(np.float32), (0.5 * traffic).astype(np.float32), {}, metadata,
    )  # fmt: skip
    space = Workspace(source=str(pack), work=open_work.new_work())
    space.set_area(area, covered, len(covered))
    space.traffic = Made(ensemble, space.basis("area"))
    at = place / "library" / "open work" / space.work
    at.mkdir(parents=True)
    for part, make in packing.pack(space).items():
        (at / part).write_bytes(make())
    return space.work
