"""Live open data: how fast and in how much memory a warm cache becomes conditions, which faults are survived, and how
well OpenStreetMap's counts stand for a map service's."""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.robustness.faults import SCENARIOS, survives, variables
from benchmarks.tables import markdown
from opendiff.area import Tiles, tile_frame
from opendiff.errors import OpenDiffError
from opendiff.live.choices import Choices
from opendiff.live.source import LiveSource
from opendiff.live.store import NO_IMAGERY, PackStore
from opendiff.open_data.features import with_halo
from opendiff.open_data.sources import POI_COLUMNS, POPULATION_STRIPS, image_path

SUMMARY = "live open data: a warm cache to conditions, faults survived, and OSM against a map service"
NOWHERE = "http://127.0.0.1:9"  # the discard port: any request fails, so a figure is of the cache alone
TIMED_TILES, QUICK_TILES = 1_000, 40
MANY_TILES, QUICK_MANY = 20_000, 2_000
IMAGED_OF_MANY = 2_000  # images are read 256 at a time, so more of them take time and no memory
PICTURES = 24
BESIDE = Path(__file__).parents[2] / "shared" / "data" / "nanchang"
CORNER = (16_400, 11_000)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        default=BESIDE if BESIDE.is_dir() else None,
        metavar="PACK",
        help="pack with POI of a map service and an extract osm_points.gpkg (default: the one beside the repository)",
    )
    parser.add_argument("--tiles", type=int, help=argparse.SUPPRESS)  # the child that measures memory
    parser.add_argument("--cache", type=Path, help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> tuple[str, dict[str, float]]:
    """The report in words and tables, and its figures by name."""
    if options.cache is not None:
        return "", {"peak_mb": _peak_mb(options.cache, options.tiles)}
    timed, many = (QUICK_TILES, QUICK_MANY) if options.quick else (TIMED_TILES, MANY_TILES)
    with tempfile.TemporaryDirectory() as folder:
        seconds, work = seconds_warm(Path(folder, "timed"), timed)
        peak = _peak_of_child(Path(folder, "many"), many, timed if options.quick else IMAGED_OF_MANY)
        injected, faults = injected_faults(Path(folder), options.quick)
    figures = {
        f"seconds_{timed}_tiles_warm": seconds,
        f"processor_seconds_{timed}_tiles_warm": work,
        f"peak_mb_{many}_tiles": peak,
        "faults_injected": injected,
        "faults_survived": injected - len(faults),
    }
    lines = [
        f"{timed:,} tiles with imagery, POI and population from a warm cache to conditions: {seconds:.1f} s "
        f"({work:.1f} s of processor time, over all cores)",
        f"{many:,} tiles, at most {IMAGED_OF_MANY:,} imaged, peak memory with torch and the encoder: {peak:,.0f} MB",
        f"{injected} faults of three providers, {injected - len(faults)} survived",
        *faults,
    ]
    if options.data is not None:
        text, agreement = poi_report(options.data)
        lines.append(text)
        figures |= agreement
    return "\n\n".join(lines), figures


def square(count: int) -> Tiles:
    """`count` tiles in rows of a square."""
    side = int(np.ceil(np.sqrt(count)))
    number = np.arange(count)
    return tile_frame(CORNER[0] + number // side, CORNER[1] + number % side)


def fill_cache(root: Path, choices: Choices, tiles: Tiles, imaged: int) -> None:
    """A pack as a fetch of `tiles` leaves it, images for the first `imaged` of them."""
    rng = np.random.default_rng(0)
    around = with_halo(tiles)
    store = PackStore.at(root)
    for modality in ("imagery", "population", "poi"):
        store.claim(modality, getattr(choices, f"{modality}_provider")(), choices.key(modality))
    values = {
        "poi": rng.poisson(3, (len(around), len(POI_COLUMNS))),
        "population": rng.gamma(0.5, 200, (len(around), POPULATION_STRIPS)),
    }
    store.add(around, values)
    if imaged < len(tiles):
        store.add(tiles.iloc[imaged:], {NO_IMAGERY: np.ones(len(tiles) - imaged, bool)})
    pictures = [_picture(rng) for _ in range(PICTURES)]
    for row in range(imaged):
        path = image_path(root, tiles["x"].iat[row], tiles["y"].iat[row])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pictures[row % PICTURES])


def seconds_warm(folder: Path, count: int) -> tuple[float, float]:
    """Seconds, and seconds of processor time, from a warm cache to the conditions of `count` tiles; imports and the
    making of the cache not counted."""
    from opendiff.generator import TrafficGenerator

    tiles = square(count)
    with _no_providers(folder):
        source = _live(folder)
        fill_cache(source.fetcher.store.root, source.choices, tiles, count)
        generator = TrafficGenerator.from_weights(None, "cpu")
        generator.keep_embeddings = False  # of images, which is most of the work
        generator.conditions(source, square(4))  # loads the encoder
        started, worked = time.perf_counter(), time.process_time()
        _require_no_notes(source.prepare(tiles))
        conditions = generator.conditions(source, tiles)
        seconds, work = time.perf_counter() - started, time.process_time() - worked
    if len(conditions.tiles) != count or (conditions.present.sum(axis=1) < 3).any():
        raise OpenDiffError("The warm cache has not led to all conditions; the benchmark is broken.")
    return seconds, work


def injected_faults(folder: Path, quick: bool) -> tuple[int, list[str]]:
    """How many faults were injected, and a sentence for each that was not survived."""
    scenarios = SCENARIOS[::10] if quick else SCENARIOS
    found = {s: survives(s, folder / f"fault{number}") for number, s in enumerate(scenarios)}
    return len(scenarios), [f"not survived: {s}: {reason}" for s, reason in found.items() if reason]


def poi_report(root: Path) -> tuple[str, dict[str, float]]:
    """Agreement of OSM's counts with the pack's, as text and figures."""
    from benchmarks.osm_poi import poi_agreement
    from opendiff.open_data.sources import PackSource

    agreement = poi_agreement(PackSource(root), root / "osm_points.gpkg")
    formats = {"OSM": ",.0f", "map service": ",.0f", "Pearson of log1p": ".2f", "Spearman": ".2f"}
    table = markdown(agreement.table(), formats)
    median = float(np.nanmedian(agreement.pearson))
    text = (
        f"POI of {agreement.tiles} tiles: Pearson correlation of log1p counts is {median:.2f} in the median category "
        f"and {agreement.total:.2f} for all places of a tile.\n\n{table}"
    )
    figures = {
        "osm_poi_correlation_median": median,
        "osm_poi_spearman_median": float(np.nanmedian(agreement.spearman)),
        "osm_poi_correlation_total": agreement.total,
        "osm_poi_per_service_poi": float(agreement.osm.sum() / agreement.service.sum()),
    }
    return text, figures


def _peak_of_child(folder: Path, count: int, imaged: int) -> float:
    """Peak memory, MB, of a process of its own that turns a warm cache of `count` tiles into conditions."""
    with _no_providers(folder):
        source = _live(folder)
        fill_cache(source.fetcher.store.root, source.choices, square(count), imaged)
        out = folder / "peak.json"
        command = [
            sys.executable,
            "-m",
            "benchmarks",
            "sources",
            "--cache",
            str(folder),
            "--tiles",
            str(count),
        ]
        subprocess.run([*command, "--json", str(out)], check=True, stdout=subprocess.DEVNULL)
        return json.loads(out.read_text())["peak_mb"]


def _peak_mb(folder: Path, count: int) -> float:
    import resource

    from opendiff.generator import TrafficGenerator

    tiles = square(count)
    source = _live(folder)
    source.prepare(tiles)  # of most tiles the made provider has no image, which it notes
    generator = TrafficGenerator.from_weights(None, "cpu")
    generator.keep_embeddings = False
    conditions = generator.conditions(source, tiles)
    if len(conditions.tiles) != count:
        raise OpenDiffError("The warm cache has not led to all conditions; the benchmark is broken.")
    unit = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _live(folder: Path) -> LiveSource:
    return LiveSource(Choices("esri", "worldpop", "osm", ("XXA",)), folder / "pack")


def _require_no_notes(notes: tuple[str, ...]) -> None:
    if notes:
        raise OpenDiffError(f"The cache was not warm; the benchmark is broken: {notes[0]}")


def _no_providers(folder: Path) -> AbstractContextManager[None]:
    """Within it every provider is at an address that does not answer."""
    folder.mkdir(parents=True, exist_ok=True)
    return variables(
        {
            "OPENDIFF_IMAGERY_URL": f"{NOWHERE}/{{z}}/{{y}}/{{x}}",
            "OPENDIFF_WORLDPOP_URL": f"{NOWHERE}/{{ISO}}.tif",
            "OPENDIFF_OVERPASS_URL": f"{NOWHERE}/api",
            "OPENDIFF_CACHE": str(folder / "cache"),
        }
    )


def _picture(rng: np.random.Generator) -> bytes:
    """A JPEG of the size and the number of bytes of satellite imagery."""
    coarse = rng.integers(40, 200, (32, 32, 3), np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((256, 256), Image.Resampling.BICUBIC)).astype(int)
    pixels = np.clip(pixels + rng.normal(0, 12, pixels.shape), 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=80)
    return out.getvalue()
