"""The base map: what Overpass is asked, what its elements become, and how it is kept in a pack."""

import json
import zipfile

import numpy as np
import pytest
import shapely

import opendiff
from benchmarks.robustness.fault_server import FaultServer
from benchmarks.robustness.faults import MadeTime, environment, made_tiles, made_world, quick_client
from opendiff.area.tile_grid import tile_bounds
from opendiff.errors import SourceError
from opendiff.live import streets
from opendiff.live.choices import Choices
from opendiff.live.fetching import Fetcher
from opendiff.live.streets import base_map_query, streets_of
from opendiff.open_data.base_map import FILE, read_base_map
from opendiff.open_data.features import with_halo
from opendiff.open_data.sources import PackSource
from opendiff.poi.osm_files import tiles_bounds


def line(*points):
    return [{"lon": lon, "lat": lat} for lon, lat in points]


def ring(west, south, east, north):
    return line((west, south), (east, south), (east, north), (west, north), (west, south))


def made_streets():
    """A motorway across all tiles and far beyond, a lake with an island, a railway and a name in the first tile."""
    west, south, east, north = tiles_bounds(made_tiles())
    middle, d = ((west + east) / 2, (south + north) / 2), 2e-3
    lon, lat = west + d, north - d
    outer = ring(middle[0] - d, middle[1] - d, middle[0] + d, middle[1] + d)
    island = ring(middle[0] - d / 2, middle[1] - d / 2, middle[0] + d / 2, middle[1] + d / 2)
    return [
        {"type": "way", "tags": {"highway": "trunk", "name": "Ring"},
         "geometry": line((west - 1, middle[1] + 2 * d), (east + 1, middle[1] + 2 * d))},
        {"type": "relation", "tags": {"natural": "water"}, "members": [
            {"type": "way", "role": "outer", "geometry": outer[:3]},
            {"type": "way", "role": "outer", "geometry": outer[2:]},
            {"type": "way", "role": "inner", "geometry": island}]},
        {"type": "way", "tags": {"railway": "rail"}, "geometry": line((lon, lat), (lon + d, lat))},
        {"type": "node", "tags": {"place": "quarter", "name": "Montparnasse"}, "lon": lon, "lat": lat},
    ]  # fmt: skip


def test_the_query_asks_for_main_roads_water_rail_and_names_with_their_geometry():
    query = base_map_query((2.25, 48.8, 2.35, 48.9), 170)
    assert query.startswith("[out:json][timeout:170]") and query.endswith("out geom qt;")
    assert "[bbox:48.800000,2.250000,48.900000,2.350000]" in query
    for part in ("motorway|trunk", '"railway"', '"waterway"', 'rel["natural"="water"]', 'node["place"'):
        assert part in query
    assert "residential" not in query and "footway" not in query


def test_elements_become_features_of_their_kind():
    found = streets_of(made_streets())
    assert found.kinds == ("motorway", "water", "rail", "suburb")
    assert found.names == ("Ring", "", "", "Montparnasse")
    d = 2e-3
    assert found.shapes[1].area == pytest.approx((2 * d) ** 2 - d**2)  # the island is no water


@pytest.mark.parametrize(
    "broken",
    [
        {"geometry": None},
        {"geometry": [{"lon": 1}]},
        {"geometry": line((1, 2))},
        {"geometry": line((1, 2), (float("nan"), 3))},
        {"geometry": line((1, 2), (181, 3))},
        {"type": "relation", "members": "x"},
        {"type": "relation", "members": [{"type": "way", "geometry": line((1, 2), (2, 3))}]},
        {"tags": {"highway": ["trunk"]}, "geometry": line((1, 2), (2, 3))},
        {"type": "node", "tags": {"place": "town", "name": 3}, "lon": "x"},
    ],
)
def test_elements_that_cannot_be_drawn_are_left_out(broken):
    element = {"type": "way", "tags": {"highway": "trunk"}} | broken
    assert len(streets_of([element, "no element", *made_streets()])) == 4


@pytest.fixture
def world(tmp_path):
    made = made_world(made_tiles())
    made.streets = made_streets()
    with FaultServer(made) as server, environment(server, tmp_path):
        yield server


def fetcher(tmp_path):
    return Fetcher(tmp_path / "pack", Choices(poi="osm", base_map="osm"), quick_client(MadeTime()))


def test_a_base_map_is_fetched_once_and_cut_to_its_tiles(world, tmp_path):
    tiles = made_tiles()
    first = tiles.iloc[:3].reset_index(drop=True)  # the western column; its halo reaches into the next one
    assert fetcher(tmp_path).area(first) == ()
    asked = world.asked["/api/interpreter"]
    assert fetcher(tmp_path).area(first) == () and world.asked["/api/interpreter"] == asked
    assert fetcher(tmp_path).area(tiles) == () and world.asked["/api/interpreter"] > asked
    found = read_base_map(tmp_path / "pack")
    assert found.covers(tiles).all() and len(found.tiles) == len(with_halo(tiles))
    west, _, _, _ = tile_bounds(found.tiles[:, 0].min(), 0)
    _, _, east, _ = tile_bounds(found.tiles[:, 0].max(), 0)
    roads = shapely.union_all(
        [s for s, kind in zip(found.shapes, found.kinds, strict=True) if kind == "motorway"]
    )
    assert roads.bounds[0] == pytest.approx(west, abs=1e-5) and roads.bounds[2] == pytest.approx(
        east, abs=1e-5
    )
    assert roads.length == pytest.approx(east - west, abs=1e-4)  # in parts, none of which stands twice
    assert sorted(set(found.kinds)) == ["motorway", "rail", "suburb", "water"]
    document = json.loads((tmp_path / "pack" / FILE).read_text())
    assert "OpenStreetMap contributors" in document["attribution"] and document["licence"].startswith("ODbL")
    pack = PackSource(tmp_path / "pack")
    assert "Base map" not in pack.attribution and pack.notes == ()  # traffic does not rest on it


@pytest.mark.parametrize(("asked", "there"), [({}, True), ({"base_map": "none"}, False)])
def test_the_verb_fetches_it_with_places_unless_told_not_to(world, tmp_path, asked, there):
    tiles = made_tiles().iloc[:1].reset_index(drop=True)
    opendiff.fetch(tiles, out=tmp_path / "pack", imagery="none", population="none", **asked)
    assert (read_base_map(tmp_path / "pack") is not None) is there
    with pytest.raises(SourceError, match="no source of base maps"):
        opendiff.fetch(tiles, out=tmp_path / "pack", imagery="none", population="none", base_map="esri")


def test_a_base_map_that_cannot_be_had_is_told_and_stops_nothing(world, tmp_path, monkeypatch):
    monkeypatch.setattr(streets, "answer_of", lambda *_: (_ for _ in ()).throw(SourceError("no luck.")))
    assert fetcher(tmp_path).area(made_tiles()) == ("The base map is missing: no luck.",)
    pack = PackSource(tmp_path / "pack")
    assert pack.open_data(made_tiles(), imagery=False).has_osm_poi.all() and pack.notes == ()
    assert pack.facts["base_map_problem"] == "The base map is missing: no luck."
    monkeypatch.undo()
    with environment(world, tmp_path):
        assert fetcher(tmp_path).area(made_tiles()) == ()
    assert PackSource(tmp_path / "pack").facts["base_map_problem"] is None


def test_a_zipped_pack_carries_its_base_map(world, tmp_path):
    fetcher(tmp_path).area(made_tiles())
    with zipfile.ZipFile(tmp_path / "city.zip", "w") as archive:
        for file in (tmp_path / "pack").glob("*.*"):
            archive.write(file, file.name)
    assert (
        read_base_map(PackSource(tmp_path / "city.zip").root).kinds == read_base_map(tmp_path / "pack").kinds
    )


@pytest.mark.parametrize(
    "data", [b"{", b"[]", b'{"type": "FeatureCollection", "features": [], "tiles": [[-1, 2]]}']
)
def test_a_damaged_base_map_is_one_sentence(tmp_path, data):
    (tmp_path / FILE).write_bytes(data)
    with pytest.raises(SourceError, match="cannot be read"):
        read_base_map(tmp_path)


def test_what_is_no_feature_of_a_base_map_is_left_out(tmp_path):
    shapes = {"motorway": shapely.Point(1, 2), "water": shapely.box(0, 0, 1, 1), "x": shapely.Point(1, 2),
              "rail": shapely.LineString([(0, 0), (500, 0)])}  # fmt: skip
    features = [
        {"type": "Feature", "properties": {"kind": kind}, "geometry": shapely.geometry.mapping(shape)}
        for kind, shape in shapes.items()
    ]
    (tmp_path / FILE).write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    found = read_base_map(tmp_path)
    assert found.kinds == ("water",) and not found.covers(made_tiles()).any()
    assert np.isfinite(found.shapes[0].area)
