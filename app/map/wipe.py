"""Before and after on one map: two pictures in the same place, and a slider that wipes from one to the other."""

import json
from dataclasses import dataclass

import folium
import folium.template
from folium.utilities import image_to_url

from app.map.region import Picture

STYLE = """<style>.wipe{position:absolute;inset:0;z-index:800;pointer-events:none}
.wipe-line{position:absolute;top:0;bottom:0;width:3px;margin-left:-1.5px;background:#fff;box-shadow:0 0 4px #000}
.wipe input{position:absolute;left:0;right:0;bottom:26px;width:100%;margin:0;pointer-events:auto;cursor:ew-resize;
accent-color:#0b6e99;height:28px}
.wipe span{position:absolute;bottom:58px;padding:1px 8px;border-radius:3px;background:#fffffff0;color:#22303a;
font:600 13px 'Source Sans 3',Arial,sans-serif}.wipe span:first-of-type{left:8px}.wipe span:last-of-type{right:8px}
</style>"""


@dataclass(frozen=True)
class Wipe:
    """Two pictures of the same ground and what each is called: left of the line the one, right of it the other."""

    before: Picture
    after: Picture
    names: tuple[str, str]


class WipeLayer(folium.MacroElement):
    """Both pictures in the pane `traffic`, each cut at the line, and the control that moves it.

    The line stays where it is while the pictures change with the hour.
    """

    _name = "WipeLayer"
    _template = folium.template.Template(
        """{% macro script(this, kwargs) %}
        (function (group) {
            const {before, after, names, label} = {{ this.data }};
            const Wipe = L.Layer.extend({
                onAdd: function (map) {
                    this.images = [before, after].map(function ([url, box]) {
                        return L.imageOverlay(url, box, {pane: "traffic", className: "wiped"}).addTo(map);
                    });
                    const over = this.over = L.DomUtil.create("div", "wipe", map.getContainer());
                    this.line = L.DomUtil.create("div", "wipe-line", over);
                    for (const name of names) L.DomUtil.create("span", "", over).textContent = name;
                    const range = this.range = L.DomUtil.create("input", "", over);
                    range.type = "range"; range.min = 0; range.max = 100; range.step = 0.5;
                    range.setAttribute("aria-label", label);
                    range.value = window.wipeShare ?? 50;
                    L.DomEvent.disableClickPropagation(range);
                    L.DomEvent.on(range, "keydown dblclick pointerdown touchstart", L.DomEvent.stopPropagation);
                    L.DomEvent.on(range, "input", this.cut, this);
                    map.on("move zoom zoomend viewreset resize", this.cut, this);
                    this.cut();
                },
                onRemove: function (map) {
                    map.off("move zoom zoomend viewreset resize", this.cut, this);
                    this.images.forEach(image => image.remove());
                    this.over.remove();
                },
                cut: function () {
                    const share = window.wipeShare = Number(this.range.value), map = this._map;
                    const at = map.getSize().x * share / 100;
                    this.line.style.left = at + "px";
                    this.range.setAttribute("aria-valuetext", Math.round(share) + " % " + names[0]);
                    const across = map.containerPointToLayerPoint([at, 0]).x;
                    this.images.forEach(function (image, which) {
                        const box = image.getBounds();
                        const left = map.latLngToLayerPoint(box.getNorthWest()).x;
                        const width = map.latLngToLayerPoint(box.getSouthEast()).x - left;
                        const cut = Math.min(100, Math.max(0, 100 * (across - left) / width));
                        image.getElement().style.clipPath =
                            which ? `inset(0 0 0 ${cut}%)` : `inset(0 ${100 - cut}% 0 0)`;
                    });
                },
            });
            new Wipe().addTo(group);
        })({{ this._parent.get_name() }});
        {% endmacro %}"""
    )

    def __init__(self, wipe: Wipe):
        super().__init__()
        before, after = (_image(picture) for picture in (wipe.before, wipe.after))
        label = f"Wipe between {wipe.names[0]} and {wipe.names[1]}"
        told = {"before": before, "after": after, "names": wipe.names, "label": label}
        self.data = json.dumps(told).replace("<", "\\u003c")


def _image(picture: Picture) -> tuple[str, list]:
    """(address with the picture in it, its corners) as Leaflet takes them."""
    west, south, east, north = picture.bounds
    return image_to_url(picture.rgba), [[south, west], [north, east]]
