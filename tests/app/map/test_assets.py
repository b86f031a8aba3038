"""No file of the map comes from the internet."""

import subprocess
import sys
from pathlib import Path

import folium
import pytest
from folium import plugins

from app.map import assets
from benchmarks import ROOT


@pytest.mark.parametrize("element", [folium.Map, plugins.Draw])
def test_every_link_is_a_file_of_our_own(element):
    links = [url for _, url in element.default_js + element.default_css]
    assert len(links) == 2
    for url in links:
        assert "http" not in url and "//" not in url.removeprefix("../")
        served = Path(assets._component.path) / url.rsplit("/", 1)[1]
        assert served.stat().st_size > 3000


@pytest.mark.slow
def test_texts_are_those_of_the_package_that_is_not_imported():
    code = "import sys, app.map.assets; sys.exit('offlinefolium.elements' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
    from offlinefolium.elements import _res

    for element in (folium.Map, plugins.Draw):
        for _, url in element.default_js + element.default_css:
            name = url.rsplit("/", 1)[1]
            address = next(other for other in _res if other.endswith(f"/{name}"))
            assert (
                (Path(assets._component.path) / name).read_text() == assets.bundled(address) == _res[address]
            )
    assert assets.bundled("https://nowhere.example/leaflet.js") is None


def test_images_of_the_style_sheets_are_inlined():
    for file in Path(assets._component.path).glob("*.css"):
        text = file.read_text()
        assert "url(http" not in text and "url(images" not in text


def test_the_script_of_a_map_names_no_host(space):
    """All that streamlit-folium sends for a drawing map: its script, and the links of every element in it."""
    import streamlit_folium

    from app.map.drawing import add_drawing
    from app.map.region import open_region
    from app.map.view import _base_map

    region = open_region(space.source)
    base = _base_map(region, region.bounds)
    add_drawing(base, space.area.geometry)
    base.render()
    script = streamlit_folium._get_map_string(base)
    assert "http" not in script.replace("http://www.w3.org", "")
    assert "L.Control.Draw" in script
