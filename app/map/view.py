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
import numpy as np
import shapely
import streamlit as st
from folium import plugins

from app.colours import ACCENT
from app.map import frame
from app.map.region import Picture, Region
from app.messages import plain
from app.server.cache import fingerprint

STYLE = "<style>.leaflet-container{background:#f6f6f4;font-family:'Source Sans 3',Arial,sans-serif}</style>"
Bounds: TypeAlias = tuple[float, float, float, float]  # west, south, east, north in degrees
MOST_SVG_DOTS = 1000  # beyond, one canvas holds them all
MAX_EDITABLE_CORNERS = 500  # Leaflet.draw makes a marker of every corner


class _ScaleBar(folium.MacroElement):
    """Leaflet's scale bar in metres alone; folium's own adds miles."""

    _name = "ScaleBar"
    _template = folium.template.Template(
        "{% macro script(this, kwargs) %}L.control.scale({imperial: false})"
        ".addTo({{ this._parent.get_name() }});{% endmacro %}"
    )


class _FitBounds(folium.MacroElement):
    """Show a box as soon as the map has a size: in a frame that is not laid out yet, Leaflet's own fit ends in NaN."""

    _name = "FitBounds"
    _template = folium.template.Template(
        "{% macro script(this, kwargs) %}(function fit(map, tries) {"
        "map.invalidateSize({animate: false}); const size = map.getSize();"
        "if (size.x > 30 && size.y > 30) map.fitBounds({{ this.box }}, {padding: [12, 12], animate: false});"
        "else if (tries > 0) setTimeout(function () { fit(map, tries - 1); }, 50);"
        "})({{ this._parent.get_name() }}, 200);{% endmacro %}"
    )

    def __init__(self, south: float, west: float, north: float, east: float):
        super().__init__()
        self.box = [[south, west], [north, east]]


@dataclass(frozen=True)
class Dots:
    """Round marks: positions in degrees, fill colours "#rrggbb", plain-text tooltips, radius in screen pixels."""

    lon: np.ndarray
    lat: np.ndarray
    colours: Sequence[str]
    tooltips: Sequence[str]
    radius: float | None = None  # None: smaller where there are many


class _DotLayer(folium.MacroElement):
    """All dots in one loop of the browser's: an element of folium's each would take 20,000 sites a minute."""

    _name = "DotLayer"
    _template = folium.template.Template(
        """{% macro script(this, kwargs) %}
        (function (group) {
            const {radius, weight, canvas, rows} = {{ this.data }};
            const shared = canvas ? {renderer: L.canvas()} : {};
            for (const [lat, lon, colour, text] of rows) {
                const dot = L.circleMarker([lat, lon], {radius, weight, color: "#ffffff", fill: true, fillColor: colour,
                    fillOpacity: 0.95, ...shared});
                const label = document.createElement("span");
                label.textContent = text;
                dot.bindTooltip(label).addTo(group);
            }
        })({{ this._parent.get_name() }});
        {% endmacro %}"""
    )

    def __init__(self, dots: Dots):
        super().__init__()
        self.data = _rows(dots)


def _rows(dots: Dots) -> str:
    """The dots as the browser's script takes them."""
    count = len(dots.lon)
    radius = dots.radius or (6 if count < 100 else 4.5 if count < 300 else 3.5)
    rows = [
        [round(float(lat), 6), round(float(lon), 6), str(colour), str(text)]
        for lat, lon, colour, text in zip(dots.lat, dots.lon, dots.colours, dots.tooltips, strict=True)
    ]
    data = {
        "radius": radius,
        "weight": 1.2 if radius > 4 else 0.6,
        "canvas": count > MOST_SVG_DOTS,
        "rows": rows,
    }
    return json.dumps(data).replace("<", "\\u003c")  # no text may end the script


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
    pictures: Sequence[Picture] = (),
    dots: Sequence[Dots] = (),
    clicks: bool = False,
    height: int = 520,
) -> MapEvents:
    """Show the region with an outline, pictures over it and dots on top, and whom to credit for it below.

    With `draw`, the outline is editable and its value counts only when the map is mounted: give a new `key` to bring a
    changed outline in. Without, the map is centred on the outline. With `places` (GeoJSON features that are
    there already), points and polygons can be drawn beside the outline, which stays as it is.
    """
    bounds = region.bounds
    if outline is not None and not (draw and _meet(outline.bounds, region.bounds)):
        bounds = _overlap(outline.bounds, region.bounds)
    shown = frame.base(
        fingerprint(
            region.identity, bounds, None if outline is None else outline.wkb, draw, json.dumps(places)
        ),
        lambda: _mounted(region, bounds, outline, draw, places),
    )
    over = frame.layers(
        fingerprint(*(part for p in pictures for part in (p.rgba, p.bounds)), *map(_rows, dots)),
        lambda: _laid_over(pictures, dots),
    )
    # in the order in which the component compares them
    wanted = (["last_clicked"] if clicks else []) + (["all_drawings"] if draw or places is not None else [])
    found = frame.show(shown, over, key, height, wanted)
    st.caption(plain(f"Open data: {region.name}. {region.attribution}"))
    click = found.get("last_clicked")
    return MapEvents(
        drawings=found.get("all_drawings"), clicked=(click["lng"], click["lat"]) if click else None
    )


def _mounted(
    region: Region,
    bounds: Bounds,
    outline: shapely.Geometry | None,
    draw: bool,
    places: Sequence[dict[str, Any]] | None,
) -> folium.Map:
    """What does not change while the map is mounted."""
    base = _base_map(region, bounds)
    if draw:
        _add_drawing(base, outline)
    elif places is not None:
        _add_places(base, places)
    if outline is not None and not draw:
        _outline(outline).add_to(base)
    return base


def _laid_over(pictures: Sequence[Picture], dots: Sequence[Dots]) -> folium.FeatureGroup:
    group = folium.FeatureGroup(name="layers")
    for picture in pictures:
        _overlay(picture, pane="traffic", opacity=1.0).add_to(group)
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


def _base_map(region: Region, bounds: Bounds) -> folium.Map:
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
    root.header.add_child(folium.Element(STYLE), name="map_style")
    base.add_child(_FitBounds(south, west, north, east))
    _ScaleBar().add_to(base)
    folium.map.CustomPane("base", z_index=200).add_to(base)
    folium.map.CustomPane("traffic", z_index=350).add_to(base)
    _overlay(region.picture, pane="base", opacity=0.9).add_to(base)
    folium.GeoJson(
        region.outline,
        style_function=lambda _: {"color": "#5d6870", "weight": 1.5, "dashArray": "5 4", "fill": False},
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


def _outline(outline: shapely.Geometry) -> folium.GeoJson:
    return folium.GeoJson(
        shapely.geometry.mapping(outline),
        style_function=lambda _: {"color": ACCENT, "weight": 2.5, "fill": False},
        interactive=False,
        control=False,
    )


def _add_drawing(base: folium.Map, outline: shapely.Geometry | None) -> None:
    drawn = folium.FeatureGroup(name="drawn", control=False)
    if outline is not None:
        if editable(outline):
            for polygon in shapely.get_parts(outline):
                rings = [polygon.exterior, *polygon.interiors]
                folium.Polygon(
                    [[(lat, lon) for lon, lat in ring.coords[:-1]] for ring in rings],
                    color=ACCENT,
                    weight=2.5,
                    fill=True,
                    fill_opacity=0.15,
                ).add_to(drawn)
        else:
            _outline(outline).add_to(base)
    drawn.add_to(base)
    _draw_tools(drawn, points=False).add_to(base)


def _add_places(base: folium.Map, places: Sequence[dict[str, Any]]) -> None:
    """Tools for points and areas, with those that are there already in their group."""
    drawn = folium.FeatureGroup(name="drawn", control=False)
    for feature in places:
        shape = shapely.geometry.shape(feature["geometry"])
        if shape.geom_type == "Point":
            folium.CircleMarker((shape.y, shape.x), radius=8, color=ACCENT, fill=True).add_to(drawn)
        elif shape.geom_type == "Polygon":
            corners = [(lat, lon) for lon, lat in shape.exterior.coords[:-1]]
            folium.Polygon(corners, color=ACCENT, weight=2.5, fill=True, fill_opacity=0.15).add_to(drawn)
    drawn.add_to(base)
    _draw_tools(drawn, points=True).add_to(base)


def _draw_tools(drawn: folium.FeatureGroup, points: bool) -> plugins.Draw:
    style = {"color": ACCENT, "weight": 2.5, "fillOpacity": 0.15}
    return plugins.Draw(
        feature_group=drawn,
        show_geometry_on_click=False,
        draw_options={
            "polygon": {"shapeOptions": style, "showArea": False},
            "rectangle": {"shapeOptions": style, "showArea": False},
            "polyline": False,
            "circle": False,
            "marker": False,
            "circlemarker": {"color": ACCENT, "radius": 8} if points else False,
        },
    )


def editable(outline: shapely.Geometry) -> bool:
    """Whether the outline comes back as corners to drag; a very detailed one is only shown."""
    return shapely.get_num_coordinates(outline) <= MAX_EDITABLE_CORNERS


def add_dots(group: folium.FeatureGroup, dots: Dots) -> None:
    """Put dots into a layer of the map."""
    _DotLayer(dots).add_to(group)
