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
from plannerbase import formats

NAME, EXAMPLE = "My area", "Example area"
PLACE = "area"  # where notes about the area are shown
FAR_KM, NEAR_KM = 150.0, 60.0  # from towns: an area so far, that swapped would be so near, is a slip
HALF_SIDE_KM = 3.0  # of the box around a place that was searched for


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
    """The union of all outlines drawn; none at all clears the area.

    What is drawn beside the example takes its place. Where the map shows other outlines than the area has by then, as
    after a fault, it is mounted anew.
    """
    from opendiff.area import Area

    if not drawings:
        space.clear_area()
        space.notes.pop(PLACE, None)
        return True
    name = space.area.name if space.area else NAME
    drawn = drawings
    if space.area is not None and name.startswith(EXAMPLE):
        drawn = [feature for feature in drawings if not _is_shape(feature, space.area.geometry)]
        if not drawn:
            return True
        name = NAME
    collection = {"type": "FeatureCollection", "features": drawn}
    taken = take_area(space, lambda: Area.from_geojson(collection, name), "reading the drawing")
    if not taken or len(drawn) < len(drawings):
        space.mount_anew()
    return taken


def _is_shape(feature: dict[str, Any], outline: Any) -> bool:
    """Whether a drawn feature is this outline as it was; an invalid one is not."""
    import shapely

    try:
        shape = shapely.geometry.shape(feature["geometry"])
        return shape.is_valid and shape.symmetric_difference(outline).area < 1e-6 * outline.area
    except (shapely.errors.ShapelyError, ValueError, KeyError):
        return False


def check_order(bounds: tuple[float, float, float, float], region: Region) -> None:
    """Raises AreaError where latitude and longitude look swapped: only swapped would the area lie in the region of open
    data or, far from any town as it is, near one.

    bounds: west, south, east, north of the area in degrees.
    """
    from app.map.gazetteer import nearest
    from opendiff.errors import AreaError

    west, south, east, north = bounds
    swapped = (south, west, north, east)
    if max(abs(west), abs(east)) > 85 or _meet(bounds, region.bounds):
        return
    lon, lat = (west + east) / 2, (south + north) / 2
    if not _meet(swapped, region.bounds):
        if nearest(lon, lat)[1] < FAR_KM or nearest(lat, lon)[1] > NEAR_KM:
            return
    town, away = nearest(lat, lon)
    raise AreaError(
        "Latitude and longitude look swapped: as given, the area lies at latitude "
        f"{formats.coordinate(lat, 3)}, longitude {formats.coordinate(lon, 3)}; "
        f"swapped, it would be {formats.number(away)} km from {town.label}. Give west, south, east, north "
        "(longitude first)."
    )


def _meet(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def around(space: Workspace, name: str, lon: float, lat: float) -> bool:
    """A box of 6 km around a place in degrees, named after it."""
    from opendiff.area import Area

    high = HALF_SIDE_KM / 111.32
    wide = high / math.cos(math.radians(lat))
    build = lambda: Area.from_box(lon - wide, lat - high, lon + wide, lat + high, name=name)  # noqa: E731
    return _mounted(space, take_area(space, build, "taking the place"))


def from_upload(space: Workspace, data: bytes, filename: str, layer: str = "", crs: str = "") -> bool:
    """The outlines in an uploaded file of any format that `opendiff.area` reads; layer, crs: as there."""
    from opendiff.area import Area, read_area_bytes

    def read() -> Area:
        area = read_area_bytes(data, filename, layer, crs)
        check_order(area.geometry.bounds, open_region(space.source))
        return area

    return _mounted(space, take_area(space, read, "reading the file"))


def from_box(space: Workspace, text: str) -> bool:
    """A box from its four bounds as typed: west, south, east, north in degrees."""
    return _mounted(space, take_area(space, lambda: _box(text, open_region(space.source)), "reading the box"))


def from_corners(space: Workspace, text: str) -> bool:
    """An outline from its corners as typed: longitude and latitude in degrees, one corner a line."""
    make = lambda: _outline(text, open_region(space.source))  # noqa: E731
    return _mounted(space, take_area(space, make, "reading the corners"))


def _outline(text: str, region: Region) -> Any:
    from opendiff.area import Area
    from opendiff.errors import AreaError

    try:
        lines = [line.replace(";", ",") for line in text.splitlines() if line.strip()]
        corners = [[float(part) for part in line.split(",")] for line in lines]
    except ValueError:
        corners = []
    if len(corners) < 3 or any(len(corner) != 2 for corner in corners):
        raise AreaError(
            "An outline needs three corners or more, each a line of longitude, latitude in degrees."
        )
    area = Area.from_geojson({"type": "Polygon", "coordinates": [[*corners, corners[0]]]}, NAME)
    check_order(area.geometry.bounds, region)
    return area


def _box(text: str, region: Region) -> Any:
    from opendiff.area import Area
    from opendiff.errors import AreaError

    try:
        numbers = [float(part) for part in text.replace(";", ",").split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 4:
        raise AreaError("A box needs four numbers, west, south, east, north in degrees, with commas between.")
    west, south, east, north = numbers
    area = Area.from_box(west, south, east, north, name="Box")
    check_order(area.geometry.bounds, region)
    return area


def example(space: Workspace) -> bool:
    """A box of 6 x 6 tiles near the middle of the region, with data on almost all of them; named after its town, so
    that those of two regions are told apart in the library."""
    from app.map.gazetteer import nearest
    from opendiff.area import Area
    from opendiff.area.tile_grid import tile_bounds

    def make() -> Area:
        x, y = _fullest_square(open_region(space.source), 6)
        west, _, _, north = tile_bounds(x, y)
        _, south, east, _ = tile_bounds(x + 5, y + 5)
        town, _ = nearest(float(west + east) / 2, float(south + north) / 2)
        return Area.from_box(
            float(west), float(south), float(east), float(north), name=f"{EXAMPLE}, {town.name}"
        )

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
