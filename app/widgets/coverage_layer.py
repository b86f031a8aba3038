"""The signal of a network as a layer of any page's map, once its coverage has been computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from app.map import raster
from app.map.raster import PixelPicture
from app.map.region import Picture
from app.state.results import Made
from app.state.slots import Slot
from app.state.workspace import Workspace

if TYPE_CHECKING:
    from planning.coverage import PixelGrid

PIXELS: Slot[tuple[PixelGrid, PixelPicture]] = Slot()  # the grid that they are of, and its picture


def grid_picture(space: Workspace, grid: PixelGrid) -> PixelPicture:
    """The pixels of a grid on the map, kept while pages show the same grid."""
    return space.cached(PIXELS, id(grid), lambda: (grid, PixelPicture(grid)))[1]


def pixel_picture(space: Workspace) -> PixelPicture:
    """The pixels of the present coverage on the map. Call only when there is one."""
    made = space.coverage
    assert made is not None
    return grid_picture(space, made.value.coverage.grid)


def signal_layer(space: Workspace, network: Made) -> tuple[Picture, str] | None:
    """RSRP outdoors with every cell on, and its legend; None where no coverage of this network is known."""
    made = space.coverage
    if made is None or made.basis.get("network") != network.identity:
        return None
    level = made.value.coverage.rsrp_dbm()
    rgba = raster.RSRP.rgba(np.where(np.isfinite(level), level, np.nan))
    return pixel_picture(space).picture(rgba), raster.RSRP.legend("RSRP outdoors, every cell on")
