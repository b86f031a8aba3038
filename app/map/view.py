"""The map: one function `map_view` over folium, so that pages need not know how the map is made.

What must hold (measured, or read in streamlit-folium):
- the base map is the same for every picture of one key, or the frame is mounted anew and pan, zoom and drawings are
  lost; what changes goes into feature groups;
- `all_drawings` is None until the first event, then all outlines as they are now; panning and zooming cause no run;
- saved outlines come back as filled polygons in Draw's own group, or they could not be edited and deleted;
- traffic has a pane of its own below the outlines, one pixel a tile.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import folium
import folium.template
import shapely
import streamlit as st

from app.map import assets, frame, streets, wipe
from app.map.dots import Dots, add_dots, rows_of
from app.map.drawing import add_drawing, add_places, fixed_outline
from app.map.elements import FitBounds, ScaleBar, TileBackground
from app.map.region import Picture, Region
from app.messages import plain
from app.server import tile_servers
from app.server.cache import fingerprint
from app.server.tile_servers import TileServer

STYLE = """<style>.leaflet-container{background:#f6f6f4;font-family:'Source Sans 3',Arial,sans-serif}
@media (prefers-color-scheme: dark){.leaflet-container{background:#15191e}
.leaflet-base-pane img,.leaflet-tiles-pane img{filter:brightness(0.5) saturate(0.8)}
.data-edge{stroke:#c3cbd1}}</style>"""
Bounds: TypeAlias = tuple[float, float, float, float]  # west, south, east, north in degrees


@dataclass(frozen=True)
class MapEvents:
    """What the user did: the outlines drawn now (GeoJSON features; None before the first event), the last click."""

    drawings: list[dict[str, Any]] | None = None
    clicked: tuple[float, float] | None = None  # lon, lat


def map_view(
    key: str,
    region: Region,
    *,
    outline: shapely.Geometry | None = None,
    draw: bool = False,
    places: Sequence[dict[str, Any]] | None = None,
    points: bool = True,
    pictures: Sequence[Picture] = (),
    dots: Sequence[Dots] = (),
    marked: Sequence[Bounds] = (),
    wiped: wipe.Wipe | None = None,
    clicks: bool = False,
    height: int = 520,
) -> MapEvents:
    """Show the region with an outline, pictures over it and dots on top, and whom to credit for it below.

    With `draw`, the outline is editable and its value counts only when the map is mounted: give a new `key` to bring a
    changed outline in. Without, the map is centred on the outline. With `places` (GeoJSON features that are
    there already), polygons and with `points` also points can be drawn beside the outline, which stays as it is.
    marked: boxes that are outlined, such as the tile that was clicked. wiped: two pictures with a slider between them.
    """
    bounds = region.bounds
    if outline is not None and not (draw and _meet(outline.bounds, region.bounds)):
        bounds = _overlap(outline.bounds, region.bounds)
    tiles = tile_servers.chosen()
    if tiles is None and region.streets.drawn:
        assets.served(region.streets.drawn)  # a map that was rendered before may ask for it
    shown = frame.base(
        fingerprint(
            region.identity,
            bounds,
            None if outline is None else outline.wkb,
            draw,
            points,
            json.dumps(places),
            None if tiles is None else tiles.template,
        ),
        lambda: _mounted(region, bounds, outline, draw, places, points, tiles),
    )
    both = () if wiped is None else (wiped.before, wiped.after)
    over = frame.layers(
        fingerprint(
            *(part for p in (*pictures, *both) for part in (p.rgba, p.bounds)),
            *map(rows_of, dots),
            *marked,
            None if wiped is None else wiped.names,
        ),
        lambda: _laid_over(pictures, dots, marked, wiped),
    )
    # in the order in which the component compares them
    wanted = (["last_clicked"] if clicks else []) + (["all_drawings"] if draw or places is not None else [])
    found = frame.show(shown, over, key, height, wanted)
    st.caption(plain(_credits(region, tiles)))
    click = found.get("last_clicked")
    return MapEvents(
        drawings=found.get("all_drawings"), clicked=(click["lng"], click["lat"]) if click else None
    )


def _credits(region: Region, tiles: TileServer | None = None) -> str:
    """Whom to credit for what the map shows."""
    beside = region.streets.attribution if tiles is None else f"Map tiles: {tiles.attribution}"
    own = (
        "" if region.attribution == f"pack {region.name}" else region.attribution
    )  # that credits nobody else
    parts = (f"Open data: {region.name}", own, beside)
    return ". ".join(part.rstrip(". ") for part in parts if part)


def _mounted(
    region: Region,
    bounds: Bounds,
    outline: shapely.Geometry | None,
    draw: bool,
    places: Sequence[dict[str, Any]] | None,
    points: bool,
    tiles: TileServer | None,
) -> folium.Map:
    """What does not change while the map is mounted."""
    base = _base_map(region, bounds, tiles)
    if draw:
        add_drawing(base, outline)
    elif places is not None:
        add_places(base, places, points)
    if outline is not None and not draw:
        fixed_outline(outline).add_to(base)
    return base


def _laid_over(
    pictures: Sequence[Picture],
    dots: Sequence[Dots],
    marked: Sequence[Bounds],
    wiped: wipe.Wipe | None = None,
) -> folium.FeatureGroup:
    group = folium.FeatureGroup(name="layers")
    if wiped is not None:
        wipe.WipeLayer(wiped).add_to(group)
    for picture in pictures:
        _overlay(picture, pane="traffic", opacity=1.0).add_to(group)
    for west, south, east, north in marked:
        folium.Rectangle(
            [[south, west], [north, east]], color="#000000", weight=3, fill=False, interactive=False
        ).add_to(group)
    for some in dots:
        add_dots(group, some)
    return group


def _meet(one: Bounds, other: Bounds) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _overlap(inner: Bounds, outer: Bounds) -> Bounds:
    """What two boxes share; `inner` where they share nothing."""
    west, south = max(inner[0], outer[0]), max(inner[1], outer[1])
    east, north = min(inner[2], outer[2]), min(inner[3], outer[3])
    return (west, south, east, north) if west < east and south < north else inner


def _base_map(region: Region, bounds: Bounds, tiles: TileServer | None = None) -> folium.Map:
    west, south, east, north = bounds
    base = folium.Map(
        location=[(south + north) / 2, (west + east) / 2],
        zoom_start=12,
        tiles=None,
        min_zoom=3,
        max_zoom=19,
        zoom_snap=0.5,
        zoom_delta=1,
        attributionControl=False,
    )
    root: Any = base.get_root()  # the figure, which has a header
    root.header.add_child(folium.Element(STYLE + streets.STYLE + wipe.STYLE), name="map_style")
    base.add_child(FitBounds(south, west, north, east))
    ScaleBar().add_to(base)
    folium.map.CustomPane("base", z_index=200).add_to(base)
    folium.map.CustomPane("traffic", z_index=350).add_to(base)
    _overlay(region.picture, pane="base", opacity=0.9).add_to(base)
    if tiles is not None:
        folium.map.CustomPane("tiles", z_index=210).add_to(base)
        TileBackground(tiles.template).add_to(base)
    elif region.streets.drawn:
        streets.add_streets(base, assets.served(region.streets.drawn))
    folium.GeoJson(
        region.outline,
        style_function=lambda _: {
            "color": "#5d6870",
            "weight": 1.5,
            "dashArray": "5 4",
            "fill": False,
            "className": "data-edge",
        },
        interactive=False,
        control=False,
    ).add_to(base)
    return base


def _overlay(picture: Picture, pane: str, opacity: float) -> folium.raster_layers.ImageOverlay:
    west, south, east, north = picture.bounds
    return folium.raster_layers.ImageOverlay(
        image=picture.rgba,
        bounds=[[south, west], [north, east]],
        opacity=opacity,
        mercator_project=False,
        pixelated=True,
        pane=pane,
        interactive=False,
        control=False,
    )
