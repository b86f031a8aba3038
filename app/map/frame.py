"""A folium map as the strings that streamlit-folium's component takes, rendered once for the same content.

`st_folium` would render it in every run of a page. This calls the same component with what it has rendered before, by
private names of streamlit-folium: the version is pinned, and the browser tests go through here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import folium
import streamlit as st

from app.map import assets  # noqa: F401 (tells folium that this app serves its scripts)
from app.server.cache import SharedCache, fingerprint

MAX_CHARACTERS = 64_000_000  # of all rendered maps and layers that the server holds


@dataclass(frozen=True)
class Frame:
    """What a browser needs to mount a map; without `layers`, which change while it is mounted."""

    script: str
    header: str
    html: str
    js_links: tuple[str, ...]
    css_links: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.script) + len(self.header) + len(self.html)


_frames: SharedCache[Frame] = SharedCache(MAX_CHARACTERS // 2, len)
_layers: SharedCache[str] = SharedCache(MAX_CHARACTERS // 2, len)


def base(key: str, build: Callable[[], folium.Map]) -> Frame:
    """The map that `build` makes, or the same from before. key: a fingerprint of all that goes into it."""
    return _frames.get(key, lambda: _rendered(build()))


def layers(key: str, build: Callable[[], folium.FeatureGroup]) -> str:
    """The script of layers that lie over a map, or the same from before. key: a fingerprint of their content."""
    import streamlit_folium

    return _layers.get(
        key, lambda: streamlit_folium._get_feature_group_string(build(), map=folium.Map(tiles=None))
    )


def _rendered(map_: folium.Map) -> Frame:
    import streamlit_folium

    map_.get_root().render()
    html, header = streamlit_folium._get_html(map_), streamlit_folium._get_header(map_)
    script = streamlit_folium._get_map_string(map_)
    linked = [element for element in _within(map_) if isinstance(element, folium.elements.JSCSSMixin)]
    js = [url for element in linked for _, url in element.default_js]
    css = [url for element in linked for _, url in element.default_css]
    return Frame(script, header, html, tuple(dict.fromkeys(js)), tuple(dict.fromkeys(css)))


def _within(element: Any) -> list[Any]:
    return [element, *(e for child in element._children.values() for e in _within(child))]


def show(shown: Frame, over: str, key: str, height: int, wanted: Sequence[str]) -> dict[str, Any]:
    """Mount the map and return what the user did there of what is `wanted`. A new key or other content mounts anew.

    Its height is there before it is: what lies below would else move under the mouse when the map mounts.
    """
    import streamlit_folium  # looked up at the call, so that tests can put drawings in its place

    with st.container(height=height, border=False):
        found = streamlit_folium._component_func(
            script=shown.script,
            header=shown.header,
            html=shown.html,
            id="map_div",
            key=f"{key} {fingerprint(shown.script)}",
            height=height,
            width=None,
            returned_objects=list(wanted),
            default=dict.fromkeys(wanted),
            zoom=None,
            center=None,
            feature_group=over,
            return_on_hover=False,
            layer_control=None,
            pixelated=True,
            css_links=list(shown.css_links),
            js_links=list(shown.js_links),
            wrap_longitude=False,
        )
    return found or {}
