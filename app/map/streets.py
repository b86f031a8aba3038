"""Streets, water, rail and place names on the map: of a pack's base map, or else names of towns alone, both offline.

The browser draws them from a file that this app serves beside the map's scripts: inside the map's own script they would
be sent anew with every run of a page. Lines lie in a pane below all layers, names in one above them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import folium
import folium.template
import numpy as np

from app.map.gazetteer import ATTRIBUTION, within

if TYPE_CHECKING:
    from opendiff.open_data.base_map import BaseMap

# kind: colour, width in pixels, zoom from which it is drawn, whether with a white edge; those on top last
LINES = {
    "coast": ("#6a9fc4", 1.5, 0, False),
    "river": ("#8cbcdc", 2.0, 10, False),
    "tertiary": ("#b3b1ab", 1.0, 13, False),
    "secondary": ("#a6a39b", 1.6, 12, False),
    "rail": ("#67727a", 1.2, 11, False),
    "primary": ("#8f8a80", 2.2, 10, True),
    "motorway": ("#b27a2c", 2.8, 0, True),
}
WATER = "#b5d6ea"
LEGEND = {"motorway": "motorway", "primary": "main road", "rail": "rail", "coast": "coast"}
NAMES = {
    "city": 0,
    "town": 10,
    "suburb": 12,
    "village": 12,
    "neighbourhood": 14,
}  # zoom from which they stand there
# of the gazetteer inside the bundled regions, by their source
BUNDLED_TOWNS = {
    "demo": (("Nanchang", 28.684, 115.853), ("Changleng", 28.7, 115.817)),
    "demo:seoul": (
        ("Seoul", 37.566, 126.978), ("Goyang-si", 37.656, 126.835), ("Seongnam-si", 37.439, 127.138),
        ("Bucheon-si", 37.499, 126.783), ("Gwangmyeong", 37.477, 126.866), ("Guri-si", 37.599, 127.139),
        ("Siheungdong", 37.452, 126.911),
    ),
}  # fmt: skip
STYLE = """<style>.leaflet-names-pane{pointer-events:none}
.leaflet-names-pane div{color:#22303a;font:600 12px 'Source Sans 3',Arial,sans-serif;white-space:nowrap;
text-align:center;text-shadow:0 0 3px #fff,0 0 3px #fff,0 0 4px #fff,0 0 5px #fff}
.leaflet-names-pane .city{font-size:15px}.leaflet-names-pane .town{font-size:13px}
@media (prefers-color-scheme: dark){.leaflet-streets-pane canvas{filter:brightness(0.62)}
.leaflet-names-pane div{color:#eef3f6;text-shadow:0 0 3px #000,0 0 3px #000,0 0 4px #000,0 0 5px #000}}</style>"""


@dataclass(frozen=True)
class Streets:
    """What is drawn, as the JSON that the browser takes, and whom to credit for it; both "" for nothing."""

    drawn: str = ""
    attribution: str = ""
    shown: tuple[tuple[str, str], ...] = ()  # name and colour of what it draws, for a legend


def streets_of(base_map: "BaseMap") -> Streets:
    """The base map of a pack."""
    import shapely

    kinds = np.array([*base_map.kinds, ""])[:-1]
    lines: dict[str, list] = {}
    for kind in LINES:
        lines[kind] = [_pairs(part) for part in shapely.get_parts(base_map.shapes[kinds == kind])]
    water = [
        [_pairs(ring) for ring in (part.exterior, *part.interiors)]
        for part in shapely.get_parts(base_map.shapes[kinds == "water"])
    ]
    names = [
        [round(shape.y, 5), round(shape.x, 5), kind, name]
        for kind, name, shape in zip(base_map.kinds, base_map.names, base_map.shapes, strict=True)
        if kind in NAMES and name
    ]
    shown = [(name, LINES[kind][0]) for kind, name in LEGEND.items() if lines[kind]]
    if water or lines["river"]:
        shown.append(("water", WATER))
    return Streets(_json(lines, water, names), base_map.attribution, tuple(shown))


def town_names(bounds: tuple[float, float, float, float]) -> Streets:
    """Names of the towns inside west, south, east, north (degrees), where there is no base map."""
    return _named([(place.name, place.lat, place.lon) for place in within(bounds)])


def bundled_names(source: str) -> Streets:
    """The same of a bundled region, without reading the gazetteer: the first page waits for it."""
    return _named(BUNDLED_TOWNS.get(source, ()))


def _named(towns: Sequence[tuple[str, float, float]]) -> Streets:
    """towns: name, latitude and longitude, most people first."""
    if not towns:
        return Streets()
    names = [
        [lat, lon, "city" if row == 0 else "town" if row < 8 else "suburb", name]
        for row, (name, lat, lon) in enumerate(towns)
    ]
    return Streets(_json({}, [], names), ATTRIBUTION)


def _pairs(line: object) -> list:
    """[[lat, lon], ...] of a line, to a metre."""
    import shapely

    return np.round(shapely.get_coordinates(line)[:, ::-1], 5).tolist()


def _json(lines: dict[str, list], water: list, names: list) -> str:
    """Names in the order in which they find room: those of large places first."""
    order = list(NAMES)
    names.sort(key=lambda name: order.index(name[2]))
    document = {"lines": lines, "water": water, "names": names}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


class StreetLayer(folium.MacroElement):
    """Draws what lies at an address of this server, by the panes `streets` and `names` of its map."""

    _name = "StreetLayer"
    _template = folium.template.Template(
        """{% macro script(this, kwargs) %}
        (async function (map) {
            const {url, lines, water, names} = {{ this.data }};
            const answer = await fetch(url).catch(() => null);
            if (!answer || !answer.ok) return;
            const found = await answer.json();
            const canvas = L.canvas({pane: "streets", padding: 0.3});
            const drawn = [];
            const draw = (shape, from) => drawn.push([shape, from]);
            const plain = {renderer: canvas, pane: "streets", interactive: false, smoothFactor: 1};
            const ground = {...plain, stroke: false, fillColor: water, fillOpacity: 1};
            if (found.water.length) draw(L.polygon(found.water, ground), 0);
            for (const [kind, [color, weight, from, edged]] of Object.entries(lines)) {
                const some = found.lines[kind] || [];
                if (!some.length) continue;
                if (edged) draw(L.polyline(some, {...plain, color: "#ffffff", weight: weight + 2}), from);
                draw(L.polyline(some, {...plain, color, weight, dashArray: kind === "rail" ? "6 3" : null}), from);
            }
            const labels = found.names.map(function ([lat, lon, kind, text]) {
                const label = document.createElement("div");
                label.textContent = text;
                label.className = kind;
                const icon = L.divIcon({html: label, className: "", iconSize: [0, 0]});
                label.style.transform = "translate(-50%, -50%)";
                label.style.width = "max-content";
                const marker = L.marker([lat, lon], {icon, pane: "names", interactive: false, keyboard: false});
                return [marker, names[kind], L.latLng(lat, lon), 8 * text.length + 8];
            });
            function show() {
                if (!map.getContainer().isConnected) return;
                const zoom = map.getZoom(), taken = [];
                for (const [shape, from] of drawn)
                    if ((zoom >= from) !== map.hasLayer(shape)) zoom >= from ? shape.addTo(map) : shape.remove();
                for (const [marker, from, at, width] of labels) {
                    const {x, y} = map.project(at), clear = zoom >= from && taken.every(
                        ([a, b, w]) => Math.abs(a - x) > (w + width) / 2 || Math.abs(b - y) > 20);
                    if (clear) taken.push([x, y, width]);
                    if (clear !== map.hasLayer(marker)) clear ? marker.addTo(map) : marker.remove();
                }
            }
            map.on("zoomend", show);
            show();
        })({{ this._parent.get_name() }});
        {% endmacro %}"""
    )

    def __init__(self, url: str):
        super().__init__()
        self.data = json.dumps({"url": url, "lines": LINES, "water": WATER, "names": NAMES})


def add_streets(base: folium.Map, url: str) -> None:
    """Put what lies at an address of this server onto the map."""
    folium.map.CustomPane("streets", z_index=250).add_to(base)
    folium.map.CustomPane("names", z_index=390, pointer_events=False).add_to(base)
    StreetLayer(url).add_to(base)
