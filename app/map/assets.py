"""Leaflet and Leaflet.draw served by this app itself, so that the map draws with no network at all.

streamlit-folium lets its iframe load every script and style sheet of the map one by one, and one failure leaves the
map blank. folium names CDN addresses there. The package folium-offline holds the same files; four of them are written
to a folder that a Streamlit component serves, and folium's classes are told these addresses, relative to the iframe.
`declare_component` must be called in an imported module: this one, once a process.
"""

import ast
import functools
import hashlib
import importlib.util
import os
import tempfile
from pathlib import Path
from typing import Any

import folium
import streamlit.components.v1 as components
from folium import plugins

KEPT = {
    folium.Map: {"leaflet", "leaflet_css"},
    plugins.Draw: {"leaflet_draw_js", "leaflet_draw_css"},
}
_folder = Path(tempfile.mkdtemp(prefix="opendiff-map-"))
_component = components.declare_component("leaflet_assets", path=str(_folder))


def bundled(url: str) -> str | None:
    """The text that folium-offline holds for a CDN address, None where it holds none.

    Read from its module `elements`, which is 3.5 MB of texts and comes with as many again, and is not imported: that
    takes half a second of a processor, and their memory. How it writes them is its own, so pinned and tested.
    """
    source = _sources()
    begin = source.find(f"\n_res['{url}'] = ")
    if begin < 0:
        return None
    begin = source.index(" = ", begin) + 3
    return str(ast.literal_eval(source[begin : source.index(f"\n''' #{url}", begin) + 4]))


@functools.cache
def _sources() -> str:
    found = importlib.util.find_spec("offlinefolium")
    assert found is not None and found.origin is not None
    return Path(found.origin).with_name("elements.py").read_text(encoding="utf-8")


def _local(links: list[tuple[str, str]], kept: set[str]) -> list[tuple[str, str]]:
    """The kept links, their files written to the folder and their addresses changed to it."""
    served = []
    for name, url in links:
        if name in kept and (text := bundled(url)) is not None:
            file = _folder / url.rsplit("/", 1)[1]
            file.write_text(text, encoding="utf-8")
            served.append((name, f"../{_component.name}/{file.name}"))
    return served


MAX_FILES = 32  # of what maps draw, that are kept


def served(text: str) -> str:
    """The address, relative to the map's frame, at which the browser finds a JSON text of ours from now on.

    Its name is the fingerprint of the text, so nobody finds it who does not have it. Of many the oldest go; each is
    there again when it is asked for here.
    """
    name = f"{hashlib.sha256(text.encode()).hexdigest()}.json"
    file = _folder / name
    if file.exists():
        os.utime(file)
    else:
        part = file.with_suffix(f".{os.getpid()}.{os.urandom(4).hex()}")
        part.write_text(text, encoding="utf-8")
        part.replace(file)
        kept = sorted(_folder.glob("*.json"), key=lambda other: other.stat().st_mtime)
        for old in kept[:-MAX_FILES]:
            old.unlink(missing_ok=True)
    return f"../{_component.name}/{name}"


_element: Any  # folium's types do not tell of these lists
for _element, _kept in KEPT.items():
    _element.default_js = _local(_element.default_js, _kept)
    _element.default_css = _local(_element.default_css, _kept)
_sources.cache_clear()


def register() -> None:
    """Let the server answer for what maps load, where this module was imported by no page: Streamlit does so for a page
    alone."""
    from streamlit.runtime import get_instance
    from streamlit_folium import _component_func

    for component in (_component, _component_func):
        get_instance().component_registry.register_component(component)
