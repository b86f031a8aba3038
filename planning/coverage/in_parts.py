"""Received levels of a large area part by part, by several processes: the numbers of `computing`, bit for bit.

Levels of a block of pixels depend on the block and the cells within reach of it alone. A part is a square of whole
blocks with all cells within reach of any of its pixels, so whatever the parts and whoever computes them, each block
comes out as in one process.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from plannerbase.progress import Progress
from planning.coverage.cells import RadioCells
from planning.coverage.computing import BLOCK_PIXELS, LevelWork, joined
from planning.coverage.levels import Levels
from planning.coverage.pixels import PixelGrid
from planning.coverage.settings import RadioSettings
from planning.coverage.terrain import Surroundings
from planning.network import Network
from planning.shared_work import Arrays, Lazily, SharedWork

BLOCKS_PER_SIDE = 8  # of a part: 65,536 pixels at most


@dataclass(frozen=True)
class LevelTask:
    """A part of a grid, and the cells within reach."""

    cells: RadioCells
    grid: PixelGrid
    settings: RadioSettings
    surroundings: Surroundings | None


def levels_in_parts(
    cells: RadioCells,
    grid: PixelGrid,
    settings: RadioSettings,
    surroundings: Surroundings | None,
    work: SharedWork,
    progress: Progress | None = None,
) -> tuple[Levels, np.ndarray]:
    """As `computing.received_levels`, by the processes of `work`.

    Raises
    ------
    ClusterError
        Where the workers cannot do it.
    InputError
        Where the folder of finished parts is that of another run.
    """
    whole = LevelWork(cells, grid, settings, surroundings)
    side = BLOCKS_PER_SIDE * int(np.sqrt(BLOCK_PIXELS))
    key = (grid.row // side).astype(np.int64) * 1_000_000 + grid.column // side
    order = np.argsort(key, kind="stable")  # pixels of a part stay in their order
    parts = np.split(order, np.flatnonzero(np.diff(key[order])) + 1)
    near = [whole.cells_near(pixels) for pixels in parts]

    def task(number: int) -> LevelTask:
        pixels, mine = parts[number], near[number]
        return LevelTask(
            _of_cells(cells, mine), _of_pixels(grid, pixels), settings, _around(surroundings, grid, pixels)
        )

    ground: list[np.ndarray | None] = []
    if surroundings is not None:
        elevation = surroundings.elevation
        ground = [surroundings.pixel_m, surroundings.clutter_db, surroundings.site_m]
        ground.append(None if elevation is None else elevation.values)
    arrays = [value for name, value in vars(cells).items() if name not in ("network", "notes")]
    with work.run(
        "coverage", grid.east_m, grid.north_m, grid.pixel_m, settings.record(), *arrays, *ground
    ) as run:
        made = run.results("received levels", levels_of_part, Lazily(len(parts), task), progress)
    found: list[tuple[np.ndarray, ...]] = [
        (one["count"], mine[one["cell"]].astype(np.int32), one["rsrp_dbm"], one["rest_mw"])
        for one, mine in zip(made, near, strict=True)
    ]
    return joined(found, parts, len(grid), len(cells), cells.carriers)


def levels_of_part(task: LevelTask) -> Arrays:
    """The levels of a part.

    Returns
    -------
    count : (pixels,) entries of each pixel. cell, rsrp_dbm : (entries,) row among the part's cells, and level, dBm.
    rest_mw : (pixels, carriers) float32.
    """
    work = LevelWork(task.cells, task.grid, task.settings, task.surroundings)
    blocks = work.blocks()
    carriers = task.cells.carriers
    levels, rest = joined(
        [work.levels(block) for block in blocks], blocks, len(task.grid), len(task.cells), carriers
    )
    return {
        "count": np.diff(levels.indptr), "cell": levels.cell, "rsrp_dbm": levels.rsrp_dbm, "rest_mw": rest,
    }  # fmt: skip


def _of_cells(cells: RadioCells, rows: np.ndarray) -> RadioCells:
    """Some cells; sites and carriers keep their numbers, and the network's tables stay here."""
    none = Network(cells.network.sites.iloc[:0], cells.network.cells.iloc[:0])
    names = (
        "site", "carrier", "environment", "frequency_mhz", "height_m", "azimuth_deg", "tilt_deg", "beamwidth_deg",
        "vertical_beamwidth_deg", "eirp_dbm", "threshold_dbm", "indoor_threshold_dbm", "indoor_db", "bandwidth_hz",
        "layers", "lte", "band",
    )  # fmt: skip
    return replace(cells, network=none, **{name: getattr(cells, name)[rows] for name in names})


def _of_pixels(grid: PixelGrid, pixels: np.ndarray) -> PixelGrid:
    names = ("lon", "lat", "east_m", "north_m", "row", "column", "tile", "weight")
    return replace(grid, **{name: getattr(grid, name)[pixels] for name in names})


def _around(surroundings: Surroundings | None, grid: PixelGrid, pixels: np.ndarray) -> Surroundings | None:
    if surroundings is None:
        return None
    clutter = surroundings.clutter_db
    return replace(
        surroundings, grid=_of_pixels(grid, pixels), pixel_m=surroundings.pixel_m[pixels],
        clutter_db=None if clutter is None else clutter[pixels],
    )  # fmt: skip
