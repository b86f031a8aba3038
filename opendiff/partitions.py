"""A long run in parts: tiles in compact groups, each generated on its own into one Parquet file of a dataset.

The dataset is a folder of traffic tables `part-00000.parquet`, ... which `opendiff.traffic_table`, pandas, Dask and
DuckDB read as one. `_run.json` beside them says what is being made, so that a run which was stopped goes on where it
was. What makes the parts, this process or a cluster (`opendiff.cluster`), changes none of their numbers: noise and
conditions of a tile depend on nothing but the tile.
"""

from __future__ import annotations

import base64
import functools
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from opendiff.area import Tiles, tile_frame
from opendiff.base_generator import EnsembleGenerator
from opendiff.conditioned import condition, near_area
from opendiff.errors import ModelError, OutsideSource, SourceError, TableError
from opendiff.generator import TrafficGenerator
from opendiff.measurements import Measurements
from opendiff.opening import open_source, source_checksum
from opendiff.storage.atomic import locked, replacing, write_json
from opendiff.storage.resume import fingerprint
from opendiff.traffic_table import TrafficEnsemble
from opendiff.week import HOURS
from plannerbase.progress import Progress
from plannerbase.traffic_file import PART_GLOB, RUN_FILE

if TYPE_CHECKING:
    from opendiff.demo import DemoSource
    from opendiff.open_data.sources import PackSource

TILES_PER_PART = 256
MAX_RUN_TILES = 2_000_000  # of a run in parts
BLOCK_TILES = 16  # side of the squares that parts are cut from: a compact part reads a smaller halo
PLACES = (
    "source",
    "weights",
    "device",
)  # of a recipe: where things are, which changes nothing of what is made
LOCK_FILE = "_lock"  # readers of Parquet datasets leave out names that begin with _


@dataclass(frozen=True)
class MeasuredTiles:
    """Measurements as text, as they travel to other processes and into `_run.json`."""

    packed: str
    unit: str
    name: str

    @staticmethod
    def near(measurements: Measurements, tiles: Tiles) -> MeasuredTiles:
        """The measured tiles that count in an area. Raises TableError where there is none."""
        near, _ = near_area(measurements.sorted(), tiles)
        buffer = io.BytesIO()
        arrays = {name: getattr(near, name) for name in ("x", "y", "traffic", "users", "noise")}
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        return MeasuredTiles(base64.b64encode(buffer.getvalue()).decode(), near.unit, near.name)

    def measurements(self) -> Measurements:
        """What was packed."""
        with np.load(io.BytesIO(base64.b64decode(self.packed)), allow_pickle=False) as arrays:
            own = {name: arrays[name] for name in ("x", "y", "traffic", "users", "noise")}
        return Measurements(**own, unit=self.unit, name=self.name)


@dataclass(frozen=True)
class Recipe:
    """What every part is made by: plain values, as they travel to other processes.

    source: "demo" or the path of a pack, called source_name in the tables; weights: a folder, or None for the shipped
    ones; checksum, encoder_checksum: of the weights, so that a worker which has others says so (the encoder's is ""
    where the source holds conditions and needs none); measured: tiles that the ensemble is conditioned on.
    """

    source: str
    source_name: str
    model: str
    weights: str | None
    checksum: str
    device: str
    samples: int
    seed: int
    guidance_scale: float | None
    steps: int | None
    area: str = ""
    encoder_checksum: str = ""
    measured: MeasuredTiles | None = None


@dataclass(frozen=True)
class Part:
    """Tile numbers and covered shares (tiles,) of one part."""

    number: int
    x: np.ndarray
    y: np.ndarray
    covered_share: np.ndarray

    @property
    def file(self) -> str:
        """Name of its Parquet file in the folder of the run."""
        return PART_GLOB.replace("*", f"{self.number:05}")


@dataclass(frozen=True)
class MadePart:
    """A part as the bytes of its Parquet file."""

    part: Part
    table: bytes


@dataclass(frozen=True)
class DatasetSummary:
    """A finished run. missing_tiles: those about which the source knows nothing, which are in no part; kept_parts: of
    the parts, those that were there before; notes: sentences on what could not be had."""

    tiles: int
    missing_tiles: int
    parts: int
    kept_parts: int
    notes: tuple[str, ...]


# How parts are made: a recipe and parts in, each made part out as it is ready, in any order.
Maker = Callable[[Recipe, list[Part]], Iterator[MadePart]]


def make_here(recipe: Recipe, parts: list[Part]) -> Iterator[MadePart]:
    """Every part in this process, one after the other."""
    return (make_part(recipe, part) for part in parts)


def make_part(recipe: Recipe, part: Part) -> MadePart:
    """Generate one part. Raises ModelError where this process has other weights than the recipe asks for."""
    generator, source = _opened(recipe.source, recipe.model, recipe.weights, recipe.device, recipe.measured)
    encoder = generator.encoder_checksum if recipe.encoder_checksum else ""
    if (generator.checksum, encoder) != (recipe.checksum, recipe.encoder_checksum):
        raise ModelError(
            f"A worker has other weights of the model {recipe.model} than the run was started with; install the same "
            "version of the product everywhere."
        )
    tiles = tile_frame(part.x, part.y, part.covered_share)
    try:
        conditions = replace(generator.known_conditions(source, tiles), source=recipe.source_name)
        ensemble = generator.generate(
            conditions, recipe.samples, recipe.seed, recipe.guidance_scale, recipe.steps
        )
        ensemble.metadata["area"] = recipe.area
    except OutsideSource:
        nothing = np.empty((0, recipe.samples, HOURS), np.float32)
        ensemble = TrafficEnsemble(tiles.iloc[:0], nothing, nothing)
    buffer = io.BytesIO()
    ensemble.write(buffer)
    return MadePart(part, buffer.getvalue())


@functools.lru_cache(maxsize=1)
def _opened(
    source: str, model: str, weights: str | None, device: str, measured: MeasuredTiles | None
) -> tuple[EnsembleGenerator[Any], DemoSource | PackSource]:
    """Generator and source of a process, opened once."""
    generator, opened = TrafficGenerator.load(model, device, weights), open_source(source)
    if measured is not None:
        generator = condition(generator, opened, measured.measurements())
    return generator, opened


def cut(tiles: Tiles, tiles_a_part: int = TILES_PER_PART) -> list[Part]:
    """Parts of at most `tiles_a_part` tiles that lie together."""
    x, y = tiles["x"].to_numpy(), tiles["y"].to_numpy()
    order = np.lexsort((y, x, y // BLOCK_TILES, x // BLOCK_TILES))
    share = tiles["covered_share"].to_numpy()
    rows = [order[start : start + tiles_a_part] for start in range(0, len(order), tiles_a_part)]
    return [Part(number, x[row], y[row], share[row]) for number, row in enumerate(rows)]


def generate_dataset(
    recipe: Recipe,
    tiles: Tiles,
    out: Path,
    tiles_a_part: int = TILES_PER_PART,
    make: Maker = make_here,
    progress: Progress | None = None,
) -> DatasetSummary:
    """Generate `tiles` into the folder `out`, or what is not there yet of the same run; progress counts tiles.

    Raises TableError where the folder holds something else or is written by another process, SourceError where the
    source knows nothing of any tile.
    """
    if tiles_a_part < 1:
        raise TableError(f"Parts of {tiles_a_part} tiles cannot be made; ask for at least 1.")
    parts = cut(tiles, tiles_a_part)
    stated = asdict(recipe) | {"tiles_a_part": tiles_a_part, "tiles": len(tiles), "parts": len(parts)}
    decisive = {name: value for name, value in stated.items() if name not in PLACES}
    stated["run"] = fingerprint(
        decisive,
        source_checksum(recipe.source, tiles),
        *(tiles[column].to_numpy() for column in ("x", "y", "covered_share")),
    )
    _claim(out, stated)
    with _written(out), locked(out / LOCK_FILE, waiting=functools.partial(_busy, out)):
        write_json(out / RUN_FILE, stated | {"complete": False})
        for torn in out.glob(f".{PART_GLOB}"):  # of a process that was killed while it wrote
            torn.unlink()
        left = [part for part in parts if not _finished(out / part.file)]
        total = done = len(tiles)
        done -= sum(len(part.x) for part in left)
        if progress:
            progress(done, total, "generate")
        for made in make(recipe, left) if left else ():
            with replacing(out / made.part.file) as temporary:
                temporary.write_bytes(made.table)
            done += len(made.part.x)
            if progress:
                progress(done, total, "generate")
        headings = [_heading(out / part.file) for part in parts]
        known = sum(heading["tiles"] for heading in headings)
        notes = tuple(dict.fromkeys(note for heading in headings for note in heading.get("notes", ())))
        write_json(out / RUN_FILE, stated | {"complete": True, "known_tiles": known})
    if not known:
        raise SourceError(
            f"The source {recipe.source_name} has no imagery, POI or population for this area; draw where it has data."
        )
    return DatasetSummary(known, len(tiles) - known, len(parts), len(parts) - len(left), notes)


def _claim(out: Path, stated: dict[str, Any]) -> None:
    """Make the folder, or see that what it holds is this run. Raises TableError."""
    try:
        out.mkdir(exist_ok=True)
    except OSError as error:
        raise TableError(f"The folder {out} cannot be made ({error}); name another --out.") from None
    if not {file.name for file in out.iterdir() if not file.name.startswith(".")} - {LOCK_FILE}:
        return
    try:
        before = json.loads((out / RUN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise TableError(f"{out} holds something else than a run in parts; name another --out.") from None
    if before.get("run") != stated["run"]:
        changed = [name for name, value in stated.items() if name != "run" and before.get(name) != value]
        raise TableError(
            f"{out} holds another run (it differs in {', '.join(changed) or 'its tiles or its source'}); name another "
            "--out, or remove the folder."
        )


@contextmanager
def _written(out: Path) -> Iterator[None]:
    """Convert write errors (full disk, no permission) to TableError; completed parts are kept."""
    try:
        yield
    except OSError as error:
        raise TableError(
            f"{out} cannot be written ({error.strerror or error}); make room or name another --out, and give the "
            "command again."
        ) from None


def _busy(out: Path) -> None:
    raise TableError(f"Another process is writing {out}; wait for it, or name another --out.")


def _finished(path: Path) -> bool:
    """Whether a part is there; it was written whole or not at all, but a disk may have damaged it since."""
    try:
        return bool(_heading(path))
    except TableError:
        return False


def _heading(path: Path) -> dict[str, Any]:
    """What a part says of itself (`opendiff.traffic_table`). Raises TableError where it is not whole."""
    try:
        return json.loads(pq.read_schema(path).metadata[b"opendiff"])
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise TableError(
            f"{path} cannot be read ({error}); remove it and run the same command again."
        ) from None
