"""From what the user drew, typed or uploaded to the area of the workspace; a fault leaves the area as it was."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from app.map.region import Region, open_region
from app.messages import sentence
from app.server.limits import limits
from app.state.workspace import Workspace

NAME = "My area"
PLACE = "area"  # where notes about the area are shown


def take_area(space: Workspace, make: Callable[[], Any], doing: str) -> bool:
    """Make an area and keep it with its tiles; on a fault keep the old one and note what is wrong."""
    from opendiff.area import tiles_covering

    try:
        area = make()
        tiles = tiles_covering(area, limits().tiles)
        region = open_region(space.source)
        with_data = int(region.tiles_with_data(tiles["x"].to_numpy(), tiles["y"].to_numpy()).sum())
    except Exception as error:
        space.notes[PLACE] = sentence(error, doing)
        return False
    space.notes.pop(PLACE, None)
    space.set_area(area, tiles, with_data)
    return True


def from_drawings(space: Workspace, drawings: list[dict[str, Any]]) -> bool:
    """The union of all outlines drawn; none at all clears the area."""
    from opendiff.area import Area

    if not drawings:
        space.clear_area()
        space.notes.pop(PLACE, None)
        return True
    name = space.area.name if space.area else NAME
    collection = {"type": "FeatureCollection", "features": drawings}
    return take_area(space, lambda: Area.from_geojson(collection, name), "reading the drawing")


def from_upload(space: Workspace, data: bytes, filename: str) -> bool:
    """The outlines in an uploaded file of any format that `opendiff.area` reads."""
    from opendiff.area import read_area_bytes

    return _mounted(space, take_area(space, lambda: read_area_bytes(data, filename), "reading the file"))


def from_box(space: Workspace, text: str) -> bool:
    """A box from its four bounds as typed: west, south, east, north in degrees."""
    return _mounted(space, take_area(space, lambda: _box(text), "reading the box"))


def _box(text: str) -> Any:
    from opendiff.area import Area
    from opendiff.errors import AreaError

    try:
        numbers = [float(part) for part in text.replace(";", ",").split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 4:
        raise AreaError("A box needs four numbers, west, south, east, north in degrees, with commas between.")
    west, south, east, north = numbers
    return Area.from_box(west, south, east, north, name="Box")


def example(space: Workspace) -> bool:
    """A box of 6 x 6 tiles near the middle of the region, with data on almost all of them."""
    from opendiff.area import Area
    from opendiff.area.tile_grid import tile_bounds

    def make() -> Area:
        x, y = _fullest_square(open_region(space.source), 6)
        west, _, _, north = tile_bounds(x, y)
        _, south, east, _ = tile_bounds(x + 5, y + 5)
        return Area.from_box(float(west), float(south), float(east), float(north), name="Example area")

    return _mounted(space, take_area(space, make, "taking the example area"))


def _fullest_square(region: Region, side: int) -> tuple[int, int]:
    """North-western tile of a square of tiles near the middle of the region, of which nine in ten have data.

    Where there is no such square, of those with the most data the one nearest to the middle.
    """
    left, top = int(region.x.min()), int(region.y.min())
    columns, rows = int(region.x.max()) - left + 1, int(region.y.max()) - top + 1
    has_data = np.zeros((columns + side, rows + side), int)
    has_data[region.x - left, region.y - top] = 1
    count = sliding_window_view(has_data, (side, side)).sum(axis=(2, 3))
    enough = min(int(count.max()), math.ceil(0.9 * side * side))
    across, down = np.indices(count.shape)
    middle = (side - 1) / 2
    away = np.hypot(across + middle - (region.x - left).mean(), down + middle - (region.y - top).mean())
    x, y = np.unravel_index(np.argmin(np.where(count >= enough, away, np.inf)), count.shape)
    return left + int(x), top + int(y)


def _mounted(space: Workspace, taken: bool) -> bool:
    """An area that was not drawn on the map comes onto it by mounting the map anew."""
    if taken:
        space.mount_anew()
    return taken


def count_again(space: Workspace) -> None:
    """After a change of the source: how many tiles of the same area have data there."""
    area = space.area
    if area is not None:
        take_area(space, lambda: area, "counting the tiles with data")
