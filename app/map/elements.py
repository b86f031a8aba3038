"""Elements of the map that folium lacks, or makes in another way."""

import json

import folium
import folium.template


class ScaleBar(folium.MacroElement):
    """Leaflet's scale bar in metres alone; folium's own adds miles."""

    _name = "ScaleBar"
    _template = folium.template.Template(
        "{% macro script(this, kwargs) %}L.control.scale({imperial: false})"
        ".addTo({{ this._parent.get_name() }});{% endmacro %}"
    )


class FitBounds(folium.MacroElement):
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


class TileBackground(folium.MacroElement):
    """Tiles of a server elsewhere, in the pane `tiles`; folium's own layer would take some addresses for names."""

    _name = "TileBackground"
    _template = folium.template.Template(
        "{% macro script(this, kwargs) %}L.tileLayer({{ this.address }}, {pane: 'tiles', maxZoom: 19, "
        "referrerPolicy: 'strict-origin-when-cross-origin'}).addTo({{ this._parent.get_name() }});{% endmacro %}"
    )

    def __init__(self, address: str):
        super().__init__()
        self.address = json.dumps(address).replace("<", "\\u003c")
