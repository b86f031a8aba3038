"""Command line: `python -m opendiff`. Heavy imports wait until a command needs them."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from opendiff.atomic import write_json
from opendiff.baselines.command import DESCRIPTION as BENCHMARK_DESCRIPTION
from opendiff.baselines.command import add_options as add_benchmark_options
from opendiff.baselines.command import run_benchmark
from opendiff.errors import OpenDiffError
from opendiff.live.command import FETCH_DESCRIPTION, add_options, run_fetch

if TYPE_CHECKING:
    from opendiff.area import Tiles
    from opendiff.generator import OpenDataSource, TrafficGenerator

AREA_HELP = (
    "a file (GeoJSON, KML, KMZ, GPKG, zipped Shapefile), a box W,S,E,N in degrees, "
    "or a CSV of tiles with columns x,y"
)
BAR_WIDTH = 30
REDRAW_SECONDS = 0.1


def main(arguments: list[str] | None = None) -> int:
    """Run one command; exit status 0, or 2 with one line on standard error for bad input."""
    options = build_parser().parse_args(_box_is_no_option(sys.argv[1:] if arguments is None else arguments))
    try:
        options.run(options)
    except OpenDiffError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"cancelled; {options.kept}", file=sys.stderr)
        return 130
    return 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m opendiff", description="Hourly mobile traffic of any area from open data."
    )
    parser.set_defaults(kept="nothing was written")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    generate = commands.add_parser("generate", help="traffic of an area, as an ensemble of weeks")
    generate.add_argument("area", metavar="AREA", help=AREA_HELP)
    generate.add_argument(
        "--source",
        required=True,
        metavar="demo|live|PACK",
        help="the bundled region, open data fetched for the area, or a pack (a folder or a zip of one)",
    )
    generate.add_argument("--samples", type=int, default=20, help="weeks a tile (default 20)")
    generate.add_argument("--seed", type=int, default=0, help="same seed, same table (default 0)")
    generate.add_argument(
        "--out", type=Path, default=Path("traffic.parquet"), help="traffic table to write (Parquet)"
    )
    generate.add_argument(
        "--model", default="default", metavar="default|paper", help="model to use (default: default)"
    )
    generate.add_argument(
        "--weights",
        type=Path,
        default=None,
        metavar="DIR",
        help="folder that `train` made (default: as shipped)",
    )
    generate.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    generate.add_argument(
        "--guidance", type=float, default=None, help="guidance scale mu of eq. 8 (default: the model's)"
    )
    generate.add_argument(
        "--steps", type=int, default=None, help="sampler steps, two evaluations each (default: the model's)"
    )
    parts = generate.add_argument_group(
        "a long run in parts",
        "--out is then a folder of Parquet files; the same command again goes on where it was",
    )
    makers = parts.add_mutually_exclusive_group()
    makers.add_argument(
        "--workers", type=int, default=None, metavar="N", help="share it among N processes of this machine"
    )
    makers.add_argument(
        "--scheduler",
        default=None,
        metavar="ADDRESS",
        help="share it among the workers of a Dask scheduler, such as tcp://host:8786; they need this version of the "
        "product and the source under the same path",
    )
    parts.add_argument("--part-tiles", type=int, default=None, metavar="N", help="tiles a part (default 256)")
    add_options(generate.add_argument_group("with --source live"))
    generate.set_defaults(run=run_generate)
    fetch = commands.add_parser(
        "fetch", help="open data of an area into a pack", description=FETCH_DESCRIPTION
    )
    fetch.add_argument("area", metavar="AREA", help=AREA_HELP)
    fetch.add_argument("--out", required=True, type=Path, metavar="PACK", help="folder of the pack")
    add_options(fetch)
    fetch.set_defaults(run=run_fetch, kept="what is fetched is kept")
    train = commands.add_parser("train", help="train the encoder or the sampler on a pack with traffic")
    train.add_argument("part", choices=("encoder", "sampler"))
    train.add_argument("--model", choices=("default", "paper"), default="default")
    train.add_argument("--data", required=True, type=Path, metavar="PACK")
    train.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the weights")
    train.add_argument("--epochs", type=int, default=None, help="of the model paper (default: the model's)")
    train.add_argument(
        "--pixels", type=int, default=None, help="image side that the encoder of the model paper sees"
    )
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    train.set_defaults(run=run_train)
    evaluate = commands.add_parser(
        "evaluate", help="spatial-block cross-validation against reference generators"
    )
    evaluate.add_argument("--data", required=True, type=Path, metavar="PACK")
    evaluate.add_argument(
        "--model",
        action="append",
        metavar="NAME",
        help="a model or reference; repeat for several (default: all but paper, which takes hours)",
    )
    evaluate.add_argument("--samples", type=int, default=60, help="weeks a tile (default 60)")
    evaluate.add_argument(
        "--paper-samples", type=int, default=10, help="weeks a tile of the model paper (default 10)"
    )
    evaluate.add_argument(
        "--work", type=Path, default=None, metavar="DIR",
        help="keep finished parts of the model paper here, so that an interrupted evaluation goes on",
    )  # fmt: skip
    evaluate.add_argument("--seed", type=int, default=0)
    evaluate.add_argument(
        "--out", type=Path, default=Path("report.json"), help="JSON report; the table goes to standard output"
    )
    evaluate.add_argument(
        "--plots",
        type=Path,
        default=None,
        metavar="HTML",
        help="page with plots; it shows true series of the pack, so keep it as private as the pack",
    )
    evaluate.set_defaults(run=run_evaluate)
    benchmark = commands.add_parser(
        "benchmark",
        help="the paper's tables: baselines, ablations, controllability",
        description=BENCHMARK_DESCRIPTION,
    )
    add_benchmark_options(benchmark)
    benchmark.set_defaults(run=run_benchmark, kept="what is finished is kept in --work")
    bundle = commands.add_parser(
        "bundle", help="build the bundled region from a pack with the shipped weights"
    )
    bundle.add_argument("--data", required=True, type=Path, metavar="PACK")
    bundle.set_defaults(run=run_bundle)
    info = commands.add_parser("info", help="versions, weights and devices")
    info.set_defaults(run=run_info)
    return parser


def run_generate(options: argparse.Namespace) -> None:
    from opendiff.area import MAX_TILES, read_tiles
    from opendiff.errors import TableError
    from opendiff.generator import TrafficGenerator, check_settings
    from opendiff.live.command import choices_of, print_notes
    from opendiff.opening import open_source
    from opendiff.partitions import MOST_TILES

    check_settings(options.samples, options.seed, options.guidance or 0.0, options.steps or 1)
    if not options.out.parent.is_dir():
        raise TableError(f"The folder {options.out.parent} does not exist; make it or name another --out.")
    in_parts = (options.workers, options.scheduler, options.part_tiles) != (None, None, None)
    tiles = read_tiles(options.area, MOST_TILES if in_parts else MAX_TILES)
    if options.source == "live":
        from opendiff.live.source import LiveSource

        source = LiveSource(choices_of(options), report=StageBars())
        source.prepare(tiles)
    else:
        source = open_source(options.source)
    generator = TrafficGenerator.load(options.model, options.device, options.weights)
    area = options.area if not Path(options.area).exists() else Path(options.area).name
    if in_parts:
        return run_parts(options, generator, source, tiles, area)
    conditions = generator.conditions(source, tiles, ProgressBar("encode", "tiles"))
    ensemble = generator.generate(
        conditions,
        options.samples,
        options.seed,
        options.guidance,
        options.steps,
        ProgressBar("generate", "tile-weeks"),
    )
    print_notes(conditions.notes)
    ensemble.metadata["area"] = area
    ensemble.save(options.out)
    print_made(options, source.name, len(ensemble.tiles), conditions.missing_tiles)


def run_parts(
    options: argparse.Namespace, generator: TrafficGenerator, source: OpenDataSource, tiles: Tiles, area: str
) -> None:
    from contextlib import nullcontext

    from opendiff.cluster import local_workers, scheduler_at
    from opendiff.live.command import print_notes
    from opendiff.partitions import TILES_A_PART, Recipe, generate_dataset, make_here

    # what was not asked for is stated too, so that another version does not go on with other settings
    config = generator.model.config
    recipe = Recipe(
        "demo" if options.source == "demo" else str(getattr(source, "pack", source).root.resolve()),
        source.name,
        options.model,
        None if options.weights is None else str(options.weights.resolve()),
        generator.checksum,
        options.device,
        options.samples,
        options.seed,
        config.guidance_scale if options.guidance is None else options.guidance,
        config.steps if options.steps is None else options.steps,
        area,
    )
    makers = nullcontext(make_here)
    if options.workers is not None:
        makers = local_workers(options.workers)
    if options.scheduler is not None:
        makers = scheduler_at(options.scheduler)
    options.kept = "finished parts are kept; the same command goes on with the others"
    with makers as make:
        made = generate_dataset(
            recipe,
            tiles,
            options.out,
            TILES_A_PART if options.part_tiles is None else options.part_tiles,
            make,
            ProgressBar("generate", "tiles"),
        )
    print_notes(made.notes)
    if made.kept_parts:
        print(f"{made.kept_parts} of {made.parts} parts were there before", file=sys.stderr)
    print_made(options, source.name, made.tiles, made.missing_tiles)


def print_made(options: argparse.Namespace, source: str, tiles: int, missing: int) -> None:
    if missing:
        print(
            f"{missing} of {tiles + missing} tiles have no open data in {source} and are left out",
            file=sys.stderr,
        )
    print(f"{tiles} tiles x {options.samples} samples x 168 hours, relative units: {options.out}")


def run_train(options: argparse.Namespace) -> None:
    from opendiff.checkpoint import write_checkpoint
    from opendiff.checksums import write_checksums
    from opendiff.generator import load_encoder
    from opendiff.pack_training import pretrained_trunk, read_training_data
    from opendiff.resume import TrainingState, fingerprint
    from opendiff.sources import PackSource
    from opendiff.training import train_model

    if options.model == "paper":
        return train_paper(options)
    if options.epochs is not None or options.pixels is not None:
        raise OpenDiffError(
            "--epochs and --pixels belong to --model paper; leave them out or name that model."
        )
    pack = PackSource(options.data)
    options.out.mkdir(parents=True, exist_ok=True)
    bar = StageBars()
    started = time.perf_counter()
    trunk = pretrained_trunk()
    data = read_training_data(pack, trunk, bar, turned=options.part == "encoder")
    command = f"python -m opendiff train {options.part} --data {pack.name} --seed {options.seed}"
    if options.part == "encoder":
        path = options.out / "encoder.safetensors"
        rows = data.has_imagery | data.features.has_poi
        state = TrainingState(path.with_suffix(".state"), fingerprint(options.seed, data.views[:, rows]))
        encoder = data.encoder(trunk, rows, options.seed, bar, state)
        write_checkpoint(path, encoder.state_dict(), {"model": "encoder", "command": command})
    else:
        own = options.out / "encoder.safetensors"
        encoder = load_encoder(own) if own.is_file() else load_encoder()
        conditions = data.conditions(encoder)
        rows = data.has_traffic
        path = options.out / "default.safetensors"
        key = fingerprint(options.seed, conditions.tokens[rows], data.series[rows])
        state = TrainingState(path.with_suffix(".state"), key)
        model = train_model(
            conditions.take(rows), data.series[rows], data.log_intensities[rows], data.blocks[rows], options.seed,
            device="cpu" if options.device == "auto" else options.device, report=bar, state=state,
        )  # fmt: skip
        model.save(path, {"command": command})
    state.finish()
    write_checksums(options.out)
    print(f"{path}, {time.perf_counter() - started:.0f} s")


def train_paper(options: argparse.Namespace) -> None:
    from opendiff.checksums import write_checksums
    from opendiff.paper.pack_training import train_encoder_on, train_sampler_on
    from opendiff.sources import PackSource

    if options.epochs is not None and options.epochs < 1:
        raise OpenDiffError(f"{options.epochs} epochs are not usable; choose at least 1.")
    if options.part == "sampler" and options.pixels is not None:
        raise OpenDiffError("--pixels is a matter of the encoder; the sampler takes the encoder as it is.")
    pack = PackSource(options.data)
    options.out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    device = "cpu" if options.device == "auto" else options.device
    command = (
        f"python -m opendiff train {options.part} --model paper --data {pack.name} --seed {options.seed}"
    )
    settings = {"epochs": options.epochs, "device": device, "report": StageBars()}
    if options.part == "encoder":
        path = train_encoder_on(pack, options.out, options.seed, command, options.pixels, **settings)
    else:
        path = train_sampler_on(pack, options.out, options.seed, command, **settings)
    write_checksums(options.out)
    print(f"{path}, {time.perf_counter() - started:.0f} s")


def run_evaluate(options: argparse.Namespace) -> None:
    from opendiff.evaluation import evaluate
    from opendiff.evaluation_tables import markdown_tables
    from opendiff.sources import PackSource

    for path in filter(None, (options.out, options.plots)):
        if not path.parent.is_dir():
            raise OpenDiffError(f"The folder {path.parent} does not exist; make it or name another file.")
    done = evaluate(
        PackSource(options.data), options.model, options.samples, options.seed, StageBars(), options.paper_samples,
        options.work,
    )  # fmt: skip
    write_json(options.out, done.report)
    if options.plots:
        from opendiff.evaluation_plots import save_plots

        save_plots(done, options.plots)
    print(markdown_tables(done.report))


def run_bundle(options: argparse.Namespace) -> None:
    from opendiff.checksums import write_checksums
    from opendiff.demo import build_demo
    from opendiff.generator import TrafficGenerator
    from opendiff.shipped import CHECKPOINTS
    from opendiff.sources import PackSource

    count = build_demo(TrafficGenerator.load("default", "cpu"), PackSource(options.data))
    write_checksums(CHECKPOINTS)
    print(f"{count} tiles in {CHECKPOINTS}")


def run_info(options: argparse.Namespace) -> None:
    import platform

    import torch

    from opendiff.checksums import file_checksum
    from opendiff.demo import DemoSource, region_bounds
    from opendiff.generator import SHIPPED, TrafficGenerator
    from opendiff.shipped import CHECKPOINTS

    print(f"Python {platform.python_version()}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"CUDA device: {torch.cuda.get_device_name() if torch.cuda.is_available() else 'none'}")
    for path in sorted(CHECKPOINTS.glob("*.safetensors")):
        print(f"{path.name}  {path.stat().st_size / 1e6:.2f} MB  {file_checksum(path)}")
    for name in SHIPPED:
        model = TrafficGenerator.load(name, "cpu").model
        count = sum(parameter.numel() for parameter in model.parameters())
        print(
            f"model {name}: {count:,} parameters, {model.config.steps} steps, "
            f"guidance scale {model.config.guidance_scale:g}"
        )
    tiles = DemoSource().covered_tiles()
    print(
        f"bundled region: {len(tiles)} tiles, {','.join(f'{v:.3f}' for v in region_bounds(tiles))} (W,S,E,N)"
    )


class ProgressBar:
    """One line on standard error with share and time left; silent where standard error is no terminal."""

    def __init__(self, what: str, unit: str = ""):
        self.what, self.unit = what, unit
        self.started = time.perf_counter()
        self.drawn = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.perf_counter()
        finished = 0 < total <= done  # a download may not know its total
        if not sys.stderr.isatty() or (not finished and now - self.drawn < REDRAW_SECONDS):
            return
        self.drawn = now
        left = (now - self.started) / max(done, 1) * (total - done)
        bar = "#" * min(BAR_WIDTH, BAR_WIDTH * done // total if total else 0)
        text = f"\r{self.what:<16}[{bar:<{BAR_WIDTH}}] {done}/{total or '?'} {self.unit}, {max(left, 0):.0f} s left "
        print(text, end="\n" if finished else "", file=sys.stderr, flush=True)


class StageBars:
    """A progress bar for each stage as it begins."""

    def __init__(self) -> None:
        self.bars: dict[str, ProgressBar] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        self.bars.setdefault(what, ProgressBar(what))(done, total)


def _box_is_no_option(arguments: list[str]) -> list[str]:
    """argparse takes a box that begins with a minus (west of Greenwich) for an option; a space before it
    helps."""
    return [f" {text}" if text[:1] == "-" and text.count(",") == 3 else text for text in arguments]
