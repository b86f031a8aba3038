"""What the user draws, types or uploads becomes the area; a fault never loses the one there is."""

import json

import pytest
import shapely

from app.map import area_entry
from app.map.region import open_region
from tests.app.making import SIDE, X0, Y0, box_of_tiles


def feature(geometry):
    return {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(geometry)}


def test_two_outlines_are_one_area(space):
    one, two = box_of_tiles(X0 + 1, Y0, X0 + 1, Y0), box_of_tiles(X0 + 5, Y0 + 5, X0 + 6, Y0 + 5)
    assert area_entry.from_drawings(space, [feature(one.geometry), feature(two.geometry)])
    assert list(zip(space.tiles["x"], space.tiles["y"], strict=True)) == [
        (X0 + 1, Y0),
        (X0 + 5, Y0 + 5),
        (X0 + 6, Y0 + 5),
    ]
    assert space.tiles_with_data == 3


def test_tiles_without_data_are_counted_out(space):
    area_entry.from_drawings(space, [feature(box_of_tiles(X0 - 1, Y0, X0 + 2, Y0 + 1).geometry)])
    assert len(space.tiles) == 8 and space.tiles_with_data == 4  # x0 - 1 is not in the pack, x0 has no data


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (
            lambda s: area_entry.from_drawings(
                s, [feature(shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]))]
            ),
            "crosses",
        ),
        (lambda s: area_entry.from_box(s, "115, 28, 125, 38"), "limit"),
        (lambda s: area_entry.from_box(s, "115, 28"), "four numbers"),
        (lambda s: area_entry.from_box(s, "west, 1, 2, 3"), "four numbers"),
        (lambda s: area_entry.from_upload(s, b"", "empty.geojson"), ""),
        (lambda s: area_entry.from_upload(s, b"not json", "a.geojson"), ""),
        (lambda s: area_entry.from_upload(s, b"\x00" * 100, "a.exe"), ""),
    ],
)
def test_a_fault_is_told_and_keeps_the_area(space, action, said):
    before, version = space.area, space.map_version
    assert not action(space)
    assert space.area is before
    assert space.map_version == version + (said == "crosses")  # the outline that was refused leaves the map
    note = space.notes[area_entry.PLACE]
    assert said in note and "unexpected" not in note and note.endswith(".")


def test_deleting_all_outlines_clears_the_area_and_keeps_the_traffic(space):
    traffic = space.traffic
    area_entry.from_drawings(space, [])
    assert space.area is None and space.tiles_with_data == 0
    assert space.traffic is traffic and space.outdated(traffic)


def test_an_upload_comes_onto_the_map(space):
    version = space.map_version
    area = box_of_tiles(X0 + 3, Y0 + 3, X0 + 3, Y0 + 3)
    assert area_entry.from_upload(space, json.dumps(area.to_geojson()).encode(), "north side.geojson")
    assert space.map_version == version + 1
    assert space.area.name == "north side" and len(space.tiles) == 1


def test_the_example_lies_where_all_tiles_have_data(space):
    assert area_entry.example(space)
    assert space.area.name.startswith("Example area, ")  # and the town that it is in
    assert len(space.tiles) == 36 and space.tiles_with_data >= 33
    assert X0 <= space.tiles["x"].min() and space.tiles["x"].max() < X0 + SIDE


def test_a_new_source_counts_the_tiles_again(space, tmp_path):
    assert open_region(space.source).name == "city"
    space.source = str(tmp_path / "nowhere")
    area_entry.count_again(space)
    assert "no pack" in space.notes[area_entry.PLACE]
    assert space.area is not None
