"""`python -m opendiff generate`: traffic of an area, as one table or as a folder of parts."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opendiff.commands.fetch import AREA_HELP, add_layer_option, add_source_options, choices_of, print_notes
from opendiff.commands.parsers import Commands, assignment
from opendiff.errors import TableError
from plannerbase.progress import StageBars

if TYPE_CHECKING:
    from opendiff.area import Tiles
    from opendiff.base_generator import ConditionSource, EnsembleGenerator, OpenDataSource
    from opendiff.measurements import Measurements


def add_command(commands: Commands) -> None:
    parser = commands.add_parser("generate", help="traffic of an area, as an ensemble of weeks")
    parser.add_argument("area", metavar="AREA", help=AREA_HELP)
    add_layer_option(parser)
    parser.add_argument(
        "--source",
        required=True,
        metavar="demo|demo:seoul|live|PACK",
        help="a bundled region (Nanchang, or by its name), open data fetched for the area, or a pack (a folder or a "
        "zip of one)",
    )
    parser.add_argument("--samples", type=int, default=20, help="weeks a tile (default 20)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same table (default 0)")
    parser.add_argument(
        "--out", type=Path, default=Path("traffic.parquet"), help="traffic table to write (Parquet)"
    )
    parser.add_argument(
        "--model", default="default", metavar="default|paper", help="model to use (default: default)"
    )
    parser.add_argument(
        "--weights",
        type=Path,
        default=None,
        metavar="DIR",
        help="folder that `train` made (default: as shipped)",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--guidance", type=float, default=None, help="guidance scale mu of eq. 8 (default: the model's)"
    )
    parser.add_argument(
        "--steps", type=int, default=None, help="sampler steps, two evaluations each (default: the model's)"
    )
    add_measured_options(parser.add_argument_group("conditioned on measurements"))
    parts = parser.add_argument_group(
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
    add_source_options(parser.add_argument_group("with --source live"))
    parser.set_defaults(run=run)


def add_measured_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--measured", type=Path, default=None, metavar="FILE",
        help="measured hours of tiles (x, y, hour, traffic or users), cells or places (CSV, XLSX or Parquet)",
    )  # fmt: skip
    group.add_argument(
        "--network",
        type=Path,
        default=None,
        metavar="FILE",
        help="where the measured cells are, and their azimuths",
    )
    group.add_argument(
        "--map", action="append", default=[], type=assignment, metavar="OURS=THEIRS",
        help="column of --measured: cell, time, traffic, users, lon, lat, x, y, hour (default: by usual names)",
    )  # fmt: skip
    group.add_argument(
        "--timezone",
        default="",
        metavar="ZONE",
        help="of the area, such as Asia/Shanghai or +08:00 (default: that of most rows)",
    )
    group.add_argument(
        "--unit",
        default="",
        metavar="UNIT",
        help="of measured traffic whose heading states none: MB, GB, Mbit/s ...",
    )
    group.add_argument(
        "--crs", default="", metavar="CODE",
        help="reference system of AREA and --network where they do not state theirs, such as EPSG:27700 or GCJ-02",
    )  # fmt: skip


def run(options: argparse.Namespace) -> None:
    from opendiff.api import generated, load_model
    from opendiff.area import MAX_TILES, read_tiles
    from opendiff.base_generator import check_settings
    from opendiff.partitions import MAX_RUN_TILES
    from plannerbase.report import Report

    check_settings(options.samples, options.seed, options.guidance or 0.0, options.steps or 1)
    if not options.out.parent.is_dir():
        raise TableError(f"The folder {options.out.parent} does not exist; make it or name another --out.")
    in_parts = (options.workers, options.scheduler, options.part_tiles) != (None, None, None)
    report = Report()
    most = MAX_RUN_TILES if in_parts else MAX_TILES
    tiles = read_tiles(options.area, most, report, options.layer, options.crs)
    print_notes(tuple(report))
    source, place = open_named(options, tiles)
    generator = load_model(options.model, device=options.device, weights=options.weights)
    area = Path(options.area).name if os.path.exists(options.area) else options.area
    measurements = measured_of(options)
    if in_parts:
        return run_parts(options, generator, source, place, tiles, area, measurements)
    made = generated(
        generator, source, tiles, samples=options.samples, measured=measurements, seed=options.seed,
        guidance_scale=options.guidance, steps=options.steps,
        progress=StageBars({"encode": "tiles", "generate": "tile-weeks"}),
    )  # fmt: skip
    print_notes(made.notes)
    ensemble = made.ensemble
    ensemble.metadata["area"] = area
    ensemble.save(options.out)
    print_made(options, source.name, len(ensemble.tiles), made.missing_tiles, ensemble.metadata["unit"])


def measured_of(options: argparse.Namespace) -> Measurements | None:
    """The measurements of --measured, with what was taken and left out on standard error."""
    if options.measured is None:
        if options.network is not None or options.map:
            raise TableError("--network and --map say how to read --measured; give that as well.")
        return None
    from opendiff.measured_files import read_measurements

    measurements = read_measurements(
        options.measured, options.network, dict(options.map), options.timezone, options.unit, options.crs
    )
    for entry in measurements.report.entries:
        print(f"{entry.kind}: {entry.line}", file=sys.stderr)
    return measurements


def open_named(options: argparse.Namespace, tiles: Tiles) -> tuple[OpenDataSource | ConditionSource, str]:
    """The source of --source, with live data of `tiles` fetched, and where another process finds it: "demo" or the
    path of a pack."""
    from opendiff.open_data.sources import PackSource
    from opendiff.opening import open_source

    if options.source == "live":
        from opendiff.live.source import LiveSource

        live = LiveSource(choices_of(options), progress=StageBars())
        live.prepare(tiles)
        print_notes(tuple(live.fetcher.told))
        return live, str(live.pack.root.resolve())
    source = open_source(options.source)
    return source, str(source.root.resolve()) if isinstance(source, PackSource) else source.name


def run_parts(
    options: argparse.Namespace,
    generator: EnsembleGenerator[Any],
    source: OpenDataSource | ConditionSource,
    place: str,
    tiles: Tiles,
    area: str,
    measurements: Measurements | None = None,
) -> None:
    """Generate tiles into a folder of parts; place: where other processes find the source."""
    from opendiff.cluster import local_workers, scheduler_at
    from opendiff.demo import is_bundled
    from opendiff.partitions import TILES_PER_PART, Maker, MeasuredTiles, Recipe, generate_dataset, make_here

    # what was not asked for is stated too, so that another version does not go on with other settings
    config = generator.model.config
    recipe = Recipe(
        source=place,
        source_name=source.name,
        model=options.model,
        weights=None if options.weights is None else str(options.weights.resolve()),
        checksum=generator.checksum,
        device=options.device,
        samples=options.samples,
        seed=options.seed,
        guidance_scale=config.guidance_scale if options.guidance is None else options.guidance,
        steps=config.steps if options.steps is None else options.steps,
        area=area,
        measured=None if measurements is None else MeasuredTiles.near(measurements, tiles),
        encoder_checksum="" if is_bundled(place) else generator.encoder_checksum,
    )
    makers: AbstractContextManager[Maker] = nullcontext(make_here)
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
            TILES_PER_PART if options.part_tiles is None else options.part_tiles,
            make,
            StageBars({"generate": "tiles"}),
        )
    print_notes(made.notes)
    if made.kept_parts:
        print(f"{made.kept_parts} of {made.parts} parts were there before", file=sys.stderr)
    unit = "relative" if measurements is None else measurements.unit
    print_made(options, source.name, made.tiles, made.missing_tiles, unit)


def print_made(
    options: argparse.Namespace, source: str, tiles: int, missing: int, unit: str = "relative"
) -> None:
    """Say what was written; missing: tiles that the source knows nothing of."""
    if missing:
        print(
            f"{missing} of {tiles + missing} tiles have no open data in {source} and are left out",
            file=sys.stderr,
        )
    what = "relative units" if unit == "relative" else unit
    print(f"{tiles} tiles x {options.samples} samples x 168 hours, {what}: {options.out}")
