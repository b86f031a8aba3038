"""Outlines and places on the map that its user draws, edits and deletes with the mouse."""

from collections.abc import Sequence
from typing import Any

import folium
import shapely
from folium import plugins

from app.colours import ACCENT

MAX_EDITABLE_CORNERS = 500  # Leaflet.draw makes a marker of every corner


def add_drawing(base: folium.Map, outline: shapely.Geometry | None) -> None:
    """Tools for areas, with the outline in their group where it can be edited, or else beside it."""
    drawn = folium.FeatureGroup(name="drawn", control=False)
    if outline is not None:
        if editable(outline):
            for polygon in shapely.get_parts(outline):
                _polygon(polygon).add_to(drawn)
        else:
            fixed_outline(outline).add_to(base)
    drawn.add_to(base)
    _draw_tools(drawn, points=False).add_to(base)


def add_places(base: folium.Map, places: Sequence[dict[str, Any]], points: bool = True) -> None:
    """Tools for areas, and points if wanted, with those that are there already (GeoJSON features) in their group."""
    drawn = folium.FeatureGroup(name="drawn", control=False)
    for feature in places:
        shape = shapely.geometry.shape(feature["geometry"])
        if shape.geom_type == "Point":
            folium.CircleMarker((shape.y, shape.x), radius=8, color=ACCENT, fill=True).add_to(drawn)
        elif shape.geom_type == "Polygon":
            _polygon(shape).add_to(drawn)
    drawn.add_to(base)
    _draw_tools(drawn, points).add_to(base)


def _polygon(polygon: shapely.Polygon) -> folium.Polygon:
    """Filled, or it could not be clicked to be deleted."""
    rings = [polygon.exterior, *polygon.interiors]
    corners = [[(lat, lon) for lon, lat in ring.coords[:-1]] for ring in rings]
    return folium.Polygon(corners, color=ACCENT, weight=2.5, fill=True, fill_opacity=0.15)


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


def fixed_outline(outline: shapely.Geometry) -> folium.GeoJson:
    """An outline that is shown only."""
    return folium.GeoJson(
        shapely.geometry.mapping(outline),
        style_function=lambda _: {"color": ACCENT, "weight": 2.5, "fill": False},
        interactive=False,
        control=False,
    )
