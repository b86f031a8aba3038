"""How fast traffic is generated and what the speed costs: the published procedure and ours, one process and several."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.sampler_workers import seconds_and_peak, workers_report
from benchmarks.tables import markdown

SUMMARY = "speed of the samplers beside their error, of the encoder, and of several workers"
STEPS = (1, 2, 4, 8, 16, 32)
TILES, SAMPLES = 100, 20  # of the interactive case
FIRST_SAMPLES = 4  # of an ensemble, how soon they are there
PAPER_ROWS = 16  # tile-weeks of the published procedure that are timed
ROUNDS = 3  # the procedures are timed in turn, this often, and the median counts
IMAGES = 200
COUNTRY_TILES, COUNTRY_SAMPLES = 20_000, 5
QUICK_COUNTRY = (640, 2, 64)  # tiles, samples, tiles a part
GPU_TILE_WEEKS = 1_000_000
# Dense bf16 operations a second that the maker states.
GPU_PEAKS = {"H100": 989e12, "H200": 989e12}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, default=None, metavar="PACK",
        help="also cross-validate on this pack, every number of steps and size of the network",
    )  # fmt: skip


def run(options: argparse.Namespace) -> tuple[str, dict[str, float]]:
    from opendiff.partitions import TILES_PER_PART

    quick = options.quick
    figures: dict[str, float] = {}
    steps = STEPS[:3] if quick else STEPS
    figures["peak_mb_100x20"] = peak_of_interactive_case()
    quality = None
    if options.data is not None:
        from benchmarks.sampler_quality import cross_validate

        quality = cross_validate(options.data, steps, quick)
        figures |= quality.figures()
    speed, found = speed_table(steps, quick, quality.of_shipped() if quality else {})
    figures |= found
    images, one = images_a_second(8 if quick else IMAGES)
    known = known_images_a_second()
    figures |= {
        "encoder_images_per_second": images,
        "encoder_images_per_second_one_thread": one,
        "known_images_per_second": known,
    }
    lines = [
        "Tile-weeks a second on a CPU, all cores, from conditions in memory to weeks in memory; nCRPS by spatial "
        f"cross-validation where a pack is given. `paper` has random weights here.\n\n{speed}",
        f"{TILES} tiles x {SAMPLES} samples x 168 hours from warm conditions: {figures['seconds_100x20_warm']:.2f} s; "
        f"the first 4 samples of each tile after {figures['seconds_first_4_samples']:.2f} s; "
        f"the whole command holds {figures['peak_mb_100x20']:,.0f} MB",
        f"Images of 256 x 256 pixels through the encoder: {images:.0f} a second on all cores, {one:.0f} on one; known "
        f"ones are looked up at {known:,.0f} a second",
    ]
    if quality:
        lines.insert(1, quality.text())
    text, found = workers_report(
        *(QUICK_COUNTRY if quick else (COUNTRY_TILES, COUNTRY_SAMPLES, TILES_PER_PART))
    )
    lines.append(text)
    figures |= found
    text, found = gpu_report(quick)
    lines.append(text)
    return "\n\n".join(lines), figures | found


def speed_table(steps: tuple[int, ...], quick: bool, ncrps: dict[int, float]) -> tuple[str, dict[str, float]]:
    """The published procedure and ours in turn, as a table and figures."""
    from opendiff.demo import DemoSource
    from opendiff.generator import TrafficGenerator

    generator = TrafficGenerator.load("default", "cpu")
    shipped = generator.model.config.steps
    source = DemoSource()
    conditions = generator.conditions(source, source.covered_tiles().iloc[:TILES].reset_index(drop=True))
    rows, steps_made = (4, 5) if quick else (PAPER_ROWS, None)
    paper, whole = published(rows, steps_made)
    generator.generate(conditions, 1)  # threads and memory are there
    of_paper: list[float] = []
    of_ours: dict[int, list[float]] = {count: [] for count in {*steps, shipped}}
    first: list[float] = []
    for _ in range(1 if quick else ROUNDS):
        of_paper.append(rows / seconds(paper) / whole)
        for count, rates in of_ours.items():
            taken = seconds(partial(generator.generate, conditions, SAMPLES, steps=count))
            rates.append(TILES * SAMPLES / taken)
        first.append(seconds(partial(generator.generate, conditions, FIRST_SAMPLES)))
    rate = {count: statistics.median(rates) for count, rates in sorted(of_ours.items())}
    base = statistics.median(of_paper)
    table = pd.DataFrame(
        [
            ["paper", 400, 800, base, 1.0, np.nan],
            *(
                [f"default{' (shipped)' * (count == shipped)}", count, 2 * count, speed, speed / base,
                 ncrps.get(count, np.nan)]
                for count, speed in rate.items()
            ),
        ],
        columns=["model", "steps", "passes", "tile-weeks/s", "times paper", "nCRPS"],
    )  # fmt: skip
    figures = {
        "speedup_vs_published": rate[shipped] / base,
        "seconds_100x20_warm": TILES * SAMPLES / rate[shipped],
        "seconds_first_4_samples": statistics.median(first),
        "tile_weeks_per_second": rate[shipped],
        "tile_weeks_per_second_published": base,
        "shipped_steps": shipped,
    }
    formats = {"tile-weeks/s": ",.2f", "times paper": ",.0f", "nCRPS": ".4f"}
    return markdown(table, formats), figures


def peak_of_interactive_case() -> float:
    """Memory, MB, of the command line that generates the interactive case from the bundled region."""
    from opendiff.demo import DemoSource

    with tempfile.TemporaryDirectory() as folder:
        area = Path(folder) / "tiles.csv"
        DemoSource().covered_tiles().iloc[:TILES][["x", "y"]].to_csv(area, index=False)
        command = [
            sys.executable, "-m", "opendiff", "generate", str(area), "--source", "demo", "--samples", str(SAMPLES),
            "--out", str(Path(folder) / "traffic.parquet"),
        ]  # fmt: skip
        return seconds_and_peak(command)[1]


def published(rows: int, steps_made: int | None) -> tuple[Callable[[], object], float]:
    """The published procedure, 400 steps with two passes each, for `rows` tile-weeks; and how many times as long the
    whole takes where only `steps_made` of the steps are made."""
    import torch

    from opendiff.area import tile_frame
    from opendiff.paper.ddpm import quadratic_schedule
    from opendiff.paper.generator import ImageConditions, PaperGenerator
    from opendiff.paper.model import PaperModel

    torch.manual_seed(0)
    model = PaperModel().eval()
    steps = model.config.steps
    made = steps_made or steps
    model.schedule = quadratic_schedule(made, model.config.first_beta, model.config.last_beta)
    tiles = tile_frame(np.arange(rows), np.zeros(rows, int))
    embedding = np.random.default_rng(0).normal(size=(rows, model.config.denoiser.condition_width))
    present = np.ones(rows, bool)
    conditions = ImageConditions(tiles, embedding.astype(np.float32), present, present)
    generator = PaperGenerator(model)
    return lambda: generator.generate(conditions, 1), steps / made


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def images_a_second(count: int) -> tuple[float, float]:
    """Images through the trunk of the encoder, on all cores and on one."""
    import torch

    from opendiff.encoder.weights import load_encoder

    encoder = load_encoder()
    images = np.random.default_rng(0).integers(0, 256, (count, 256, 256, 3), np.uint8)
    encoder.image_features(images[:8])
    every = count / seconds(lambda: encoder.image_features(images))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        one = count / 2 / seconds(lambda: encoder.image_features(images[: count // 2]))
    finally:
        torch.set_num_threads(threads)
    return every, one


def known_images_a_second(count: int = 200) -> float:
    """Images whose embedding is in the cache."""
    from opendiff.conditions import TOKEN_WIDTHS
    from opendiff.encoder import Encoder
    from opendiff.encoder.embeddings import EmbeddingCache, image_key

    images = np.random.default_rng(0).integers(0, 256, (count, 256, 256, 3), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        cache = EmbeddingCache(Path(folder) / "embeddings.sqlite", TOKEN_WIDTHS[0])
        cache.write({image_key(image): np.zeros(TOKEN_WIDTHS[0], np.float32) for image in images})
        return count / seconds(lambda: Encoder().image_tokens(images, cache))


def gpu_report(quick: bool) -> tuple[str, dict[str, float]]:
    """A million tile-weeks on a GPU, its first call in a fresh process, and the share of its peak that is reached."""
    import torch

    if not torch.cuda.is_available():
        return "No GPU was there, so gpu_seconds_1m and gpu_cold_seconds are not measured.", {}
    from opendiff.demo import DemoSource
    from opendiff.generator import TrafficGenerator

    cold = gpu_cold_seconds()
    generator = TrafficGenerator.load("default", "cuda")
    source = DemoSource()
    conditions = generator.conditions(source, source.covered_tiles())
    tiles = len(conditions.tiles)
    total = GPU_TILE_WEEKS // 100 if quick else GPU_TILE_WEEKS
    samples = min(1000, total // tiles)
    runs = -(-total // (samples * tiles))
    generator.generate(conditions, 40)
    torch.cuda.synchronize()
    taken = seconds(lambda: [generator.generate(conditions, samples, seed) for seed in range(runs)])
    rate = runs * samples * tiles / taken
    name = torch.cuda.get_device_name()
    work = operations_a_tile_week()
    peak = next((value for key, value in GPU_PEAKS.items() if key in name), float("nan"))
    share = rate * work / peak
    text = (
        f"{name}: {runs * samples * tiles:,} tile-weeks in {taken:.2f} s, {rate:,.0f} a second, at "
        f"{work / 1e6:.1f} million operations each {share:.2%} of the card's peak; the first tile-weeks of a process "
        f"after {cold:.1f} s. {generator.device_note}"
    )
    return text.strip(), {
        "gpu_seconds_1m": GPU_TILE_WEEKS / rate,
        "gpu_cold_seconds": cold,
        "gpu_tile_weeks_per_second": rate,
        "gpu_share_of_peak": share,
        "gpu_operations_a_tile_week": work,
    }


FIRST_CALL = """
import time
from opendiff.demo import DemoSource
from opendiff.generator import TrafficGenerator
source = DemoSource()
generator = TrafficGenerator.load("default", "cuda")
conditions = generator.conditions(source, source.covered_tiles())
started = time.perf_counter()
generator.generate(conditions, 20)
print(time.perf_counter() - started)
"""


def gpu_cold_seconds() -> float:
    """Seconds of the first call of a process that has compiled nothing yet, nor finds compiled kernels on the disk."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", FIRST_CALL], check=True, capture_output=True, text=True,
            env=os.environ | {"TRITON_CACHE_DIR": folder},
        )  # fmt: skip
    return float(done.stdout.split()[-1])


def operations_a_tile_week() -> float:
    """Multiplications and additions of the matrix products that make a tile-week: of the network along its path, and of
    the shape's covariance. Those that are made once a tile are left out.

    They are those of the products as they are written in `opendiff.default.folded`, without the padding of a kernel.
    """
    from opendiff.conditions import MODALITIES
    from opendiff.default.folded import PLACE_WIDTH, PLACES
    from opendiff.default.model import ModelConfig
    from opendiff.default.representation import SHAPE_WIDTH

    config = ModelConfig()
    width, tokens = config.width, config.heads * (len(MODALITIES) + 1)
    block = (
        width * 3 * width  # queries, keys and values
        + 2 * PLACES * width  # scores and sums of the attention among places, all heads
        + width * width
        + 2 * width * tokens  # the same to the condition, with the weights around it inside
        + tokens * tokens  # sums of each head's shares
        + 2 * width * 2 * width
    )
    evaluation = PLACES * (PLACE_WIDTH * width + config.layers * block)
    evaluation += (PLACES - 1) * width * (PLACE_WIDTH - 2)
    return 2.0 * (2 * config.steps * evaluation + SHAPE_WIDTH**2)
