"""Coverage maps for other tools: cloud-optimised GeoTIFF, KMZ overlay for a globe, contours as GeoPackage."""

from __future__ import annotations

import io
import itertools
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

import contourpy
import geopandas as gpd
import numpy as np
import pyproj
import rasterio
import rasterio.shutil
import rasterio.warp
import shapely
from PIL import Image, ImageDraw, ImageFont
from rasterio.enums import Resampling
from rasterio.transform import from_origin

from planning.coverage.maps import CoverageMap, ramp
from planning.coverage.pixels import PixelGrid
from planning.errors import InputError
from planning.xml_text import without_controls

MAX_OVERLAY = 4096  # pixels a side of an overlay's picture
MAX_LEVELS = 50
RSRP_LEVELS = (-120.0, -110.0, -100.0, -90.0, -80.0, -70.0)
_LEGEND_STEPS = 7


def geotiff_bytes(grid: PixelGrid, maps: Sequence[CoverageMap], provenance: Mapping[str, Any]) -> bytes:
    """A cloud-optimised GeoTIFF in the grid's projection: a band a map, float32, NaN outside, with overviews."""
    if not maps:
        raise InputError("A GeoTIFF needs a map; name at least one.")
    rows, columns = grid.shape
    profile = {
        "driver": "GTiff", "width": columns, "height": rows, "count": len(maps), "dtype": "float32", "nodata": np.nan,
        "crs": grid.crs, "transform": _transform(grid), "tiled": True, "blockxsize": 256, "blockysize": 256,
    }  # fmt: skip
    with rasterio.MemoryFile() as plain, rasterio.MemoryFile() as optimised:
        with plain.open(**profile) as raster:
            for band, shown in enumerate(maps, start=1):
                raster.write(grid.raster(shown.values).astype(np.float32), band)
                raster.set_band_description(band, f"{shown.label} ({shown.unit})")
                raster.update_tags(band, name=shown.name, unit=shown.unit)
            raster.update_tags(
                **{k: v if isinstance(v, str) else json.dumps(v) for k, v in provenance.items()}
            )
        with plain.open() as raster:
            rasterio.shutil.copy(
                raster, optimised.name, driver="COG", compress="DEFLATE", blocksize=256,
                overview_resampling="NEAREST", predictor="FLOATING_POINT",
            )  # fmt: skip
        return bytes(optimised.read())


def kmz_bytes(grid: PixelGrid, shown: CoverageMap, about: Sequence[str] = ()) -> bytes:
    """A map as picture on a globe, with a legend at the corner of the screen. about: lines for its description."""
    picture, (west, south, east, north) = overlay_png(grid, shown)
    text = escape(without_controls("\n".join(about)))
    title = escape(f"{shown.label} ({shown.unit})")
    document = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<kml xmlns="http://www.opengis.net/kml/2.2"><Document>'
        f"<name>{title}</name><description>{text}</description><GroundOverlay><name>{title}</name>"
        "<color>b4ffffff</color><Icon><href>map.png</href></Icon><LatLonBox>"
        f"<north>{north:.8f}</north><south>{south:.8f}</south><east>{east:.8f}</east><west>{west:.8f}</west>"
        "</LatLonBox></GroundOverlay><ScreenOverlay><name>Legend</name><Icon><href>legend.png</href></Icon>"
        '<overlayXY x="0" y="0" xunits="fraction" yunits="fraction"/>'
        '<screenXY x="0.02" y="0.05" xunits="fraction" yunits="fraction"/></ScreenOverlay></Document></kml>'
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("doc.kml", document)
        archive.writestr("map.png", picture)
        archive.writestr("legend.png", legend_png(shown))
    return buffer.getvalue()


def contours(grid: PixelGrid, shown: CoverageMap, levels: Sequence[float]) -> gpd.GeoDataFrame:
    """Polygons between levels, in degrees: columns from, to (None above the last), unit, km2.

    levels: ascending, in the map's unit. Raises InputError for levels that do not ascend, or none.
    """
    steps = [float(v) for v in levels]
    if not steps or len(steps) > MAX_LEVELS or any(b <= a for a, b in itertools.pairwise(steps)):
        raise InputError(f"Contours need 1 to {MAX_LEVELS} levels in ascending order.")
    if len(set(grid.row.tolist())) < 2 or len(set(grid.column.tolist())) < 2:
        raise InputError("Contours need an area of at least 2 x 2 pixels; choose smaller pixels.")
    values = grid.raster(np.where(np.isfinite(shown.values), shown.values, -1e6).astype(float))
    east = grid.corner_m[0] + grid.pixel_m * (np.arange(grid.shape[1]) + 0.5)
    north = grid.corner_m[1] - grid.pixel_m * (np.arange(grid.shape[0]) + 0.5)
    maker = contourpy.contour_generator(
        east, north, np.ma.masked_invalid(values), fill_type=contourpy.FillType.OuterOffset
    )
    to_degrees = pyproj.Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform
    rows = []
    for low, high in zip(steps, [*steps[1:], np.inf], strict=True):
        found: Any = maker.filled(low, min(high, 1e9))
        points, offsets = found
        shapes = [
            shapely.Polygon(ring[o[0] : o[1]], [ring[a:b] for a, b in itertools.pairwise(o[1:])])
            for ring, o in zip(points, offsets, strict=True)
        ]
        if shapes:
            whole = shapely.MultiPolygon(shapes)
            degrees = shapely.transform(whole, lambda xy: np.column_stack(to_degrees(xy[:, 0], xy[:, 1])))
            rows.append(
                {
                    "from": low, "to": None if np.isinf(high) else high, "unit": shown.unit, "km2": whole.area / 1e6,
                    "geometry": degrees,
                }
            )  # fmt: skip
    columns = ["from", "to", "unit", "km2", "geometry"]
    return gpd.GeoDataFrame(rows, columns=columns, geometry="geometry", crs="EPSG:4326")


def legend_png(shown: CoverageMap) -> bytes:
    """The scale of colours with its unit."""
    high, wide = 24, 150
    entries: list[tuple[str, float | None]]
    if shown.name == "server":
        entries = [("colours tell sectors apart", None)]
    else:
        steps = np.linspace(shown.high, shown.low, _LEGEND_STEPS if shown.name != "covered" else 3)
        entries = [
            (f"{v:,.0f} {shown.unit}" if shown.name != "covered" else _CLASSES[round(v)], v) for v in steps
        ]
    image = Image.new("RGBA", (wide + 60, high * (len(entries) + 1)), (255, 255, 255, 230))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default()
    draw.text((6, 6), shown.label, fill=(0, 0, 0), font=font)
    for i, (text, value) in enumerate(entries, start=1):
        if value is not None:
            red, green, blue = (
                ramp(np.array((value - shown.low) / (shown.high - shown.low))).astype(int).tolist()
            )
            draw.rectangle((6, high * i, 30, high * i + high - 4), fill=(red, green, blue, 255))
        draw.text((38 if value is not None else 6, high * i + 5), text, fill=(0, 0, 0), font=font)
    return _png(image)


_CLASSES = {0: "not covered", 1: "outdoors", 2: "indoors too"}


def overlay_png(
    grid: PixelGrid, shown: CoverageMap, mercator: bool = False
) -> tuple[bytes, tuple[float, float, float, float]]:
    """(PNG, (west, south, east, north) in degrees): the map as picture, transparent where it has no value.

    Its rows are even in latitude, as KML wants them; with `mercator` even in Web Mercator, as web maps show them.
    """
    crs = "EPSG:3857" if mercator else "EPSG:4326"
    rows, columns = grid.shape
    left, top = grid.corner_m
    bounds = (left, top - rows * grid.pixel_m, left + columns * grid.pixel_m, top)
    shrink = max(1.0, max(rows, columns) / MAX_OVERLAY)
    transform, width, height = rasterio.warp.calculate_default_transform(
        grid.crs, crs, columns, rows, *bounds,
        dst_width=int(columns / shrink), dst_height=int(rows / shrink),
    )  # fmt: skip
    colours = np.zeros((4, rows, columns), np.uint8)
    colours[:, grid.row, grid.column] = shown.colours().T
    out = np.zeros((4, height, width), np.uint8)
    rasterio.warp.reproject(
        colours, out, src_transform=_transform(grid), src_crs=grid.crs, dst_transform=transform, dst_crs=crs,
        resampling=Resampling.nearest,
    )  # fmt: skip
    west, north = transform.c, transform.f
    box = (west, north + height * transform.e, west + width * transform.a, north)
    degrees = rasterio.warp.transform_bounds(crs, "EPSG:4326", *box)
    return _png(Image.fromarray(np.moveaxis(out, 0, -1), "RGBA")), degrees


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _transform(grid: PixelGrid) -> rasterio.Affine:
    return from_origin(*grid.corner_m, grid.pixel_m, grid.pixel_m)
