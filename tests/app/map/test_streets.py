"""Streets and names on the maps: of a pack's base map, else of the gazetteer; served by the app itself."""

import json
from pathlib import Path

import pytest
import shapely

from app.map import assets
from app.map.region import open_region
from app.map.streets import Streets, town_names
from app.map.view import _base_map, _credits
from opendiff.area.tile_grid import tile_bounds
from opendiff.open_data.base_map import ATTRIBUTION, FILE, features
from tests.app.making import X0, Y0


def with_base_map(pack):
    west, south, east, north = (float(v) for v in tile_bounds(X0, Y0))
    made = features(
        [
            ("motorway", "", shapely.LineString([(west, south), (east, north)])),
            ("water", "", shapely.box(west, south, east, north)),
            ("town", "Old <Town>", shapely.Point(west, north)),
            ("city", "Big", shapely.Point(east, south)),
        ]
    )
    (pack / FILE).write_bytes(made.written())
    return round(south, 5), round(west, 5)


def test_the_base_map_of_a_pack_is_drawn_below_the_layers_and_credited(pack):
    before = open_region(str(pack))
    corner = with_base_map(pack)
    region = open_region(str(pack))
    assert region.identity != before.identity
    drawn = json.loads(region.streets.drawn)
    assert drawn["lines"]["motorway"][0][0] == list(corner) and len(drawn["water"]) == 1
    assert [name[2:] for name in drawn["names"]] == [["city", "Big"], ["town", "Old <Town>"]]
    assert _credits(region).endswith(ATTRIBUTION)
    assert [name for name, _ in region.streets.shown] == ["motorway", "water"]
    assert _credits(region).count(region.name) == 1  # not told again as "pack NAME"
    base = _base_map(region, region.bounds)
    base.render()
    panes = {child.name: child.z_index for child in base._children.values() if hasattr(child, "z_index")}
    assert panes["base"] < panes["streets"] < panes["traffic"] < panes["names"] < 400
    served = assets.served(region.streets.drawn)
    assert served in base.get_root().render()
    assert (Path(assets._component.path) / served.rsplit("/", 1)[1]).read_text() == region.streets.drawn


def test_a_damaged_base_map_leaves_the_pack_usable(pack):
    (pack / FILE).write_text("{")
    region = open_region(str(pack))
    assert len(region.x) and any("cannot be read" in note for note in region.notes)


@pytest.mark.parametrize("source", ["demo", "demo:seoul"])
def test_without_one_the_towns_of_the_gazetteer_are_named(source):
    region = open_region(source)
    assert region.streets == town_names(region.bounds)
    drawn = json.loads(region.streets.drawn)
    assert drawn["names"][0][2] == "city" and not drawn["lines"]
    assert "GeoNames" in _credits(region)
    assert town_names((0.0, 0.0, 0.1, 0.1)) == Streets()


def test_served_files_are_few_and_come_back():
    first = assets.served("{}")
    for number in range(assets.MAX_FILES + 3):
        assets.served(json.dumps(number))
    folder = Path(assets._component.path)
    assert len(list(folder.glob("*.json"))) == assets.MAX_FILES
    assert assets.served("{}") == first and (folder / first.rsplit("/", 1)[1]).read_text() == "{}"
