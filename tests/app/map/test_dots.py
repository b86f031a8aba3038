"""Dots on the map: one loop of the browser's whatever their number, and no text that ends the script."""

import json
import re

import folium
import numpy as np
import pytest

from app.map.dots import MAX_SVG_DOTS, Dots, add_dots


def script_of(dots: Dots) -> str:
    group = folium.FeatureGroup(name="layers")
    add_dots(group, dots)
    page = folium.Map()
    group.add_to(page)
    return page.get_root().render()


@pytest.mark.parametrize("count", [3, MAX_SVG_DOTS + 1])
def test_the_page_holds_every_dot_and_draws_many_on_a_canvas(count):
    lon, lat = np.linspace(115, 116, count), np.linspace(28, 29, count)
    text = script_of(Dots(lon, lat, ["#112233"] * count, [f"site {i}" for i in range(count)]))
    assert text.count("L.circleMarker(") == 1
    data = json.loads(re.search(r"canvas, rows\} = (\{.*?\});", text)[1])
    assert data["canvas"] == (count > MAX_SVG_DOTS) and len(data["rows"]) == count
    assert data["rows"][-1] == [29.0, 116.0, "#112233", f"site {count - 1}"]


def test_names_of_strangers_stay_text():
    text = script_of(Dots(np.zeros(1), np.zeros(1), ["#112233"], ['</script><b onload="x">']))
    assert "</script><b" not in text and "label.textContent = text" in text
