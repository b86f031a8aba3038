"""Round marks on the map: sites and users, each with what it says."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import folium
import folium.template
import numpy as np

MAX_SVG_DOTS = 1000  # beyond, one canvas holds them all


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
        self.data = rows_of(dots)


def rows_of(dots: Dots) -> str:
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
        "canvas": count > MAX_SVG_DOTS,
        "rows": rows,
    }
    return json.dumps(data).replace("<", "\\u003c")  # no text may end the script


def add_dots(group: folium.FeatureGroup, dots: Dots) -> None:
    """Put dots into a layer of the map."""
    _DotLayer(dots).add_to(group)
