import gzip
import io
import json
import zipfile

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from opendiff.area import MAX_TILES, Area, read_area, read_area_bytes, read_tiles, tile_frame, tiles_covering
from opendiff.area import files as area_files
from opendiff.area.tile_grid import tile_area_km2, tile_bounds
from opendiff.errors import AreaError

BOX = (115.90, 28.66, 115.96, 28.71)
SQUARE = shapely.box(115.90, 28.66, 115.92, 28.68)
BOWTIE = [[115.9, 28.66], [115.92, 28.68], [115.92, 28.66], [115.9, 28.68], [115.9, 28.66]]


@st.composite
def star_polygons(draw):
    """Simple polygons round a centre: corners at growing angles, at random distances."""
    corners = draw(st.lists(st.floats(0.05, 1), min_size=3, max_size=12))
    lon, lat = draw(st.floats(-170, 170)), draw(st.floats(-75, 75))
    angle = np.linspace(0, 2 * np.pi, len(corners), endpoint=False)
    reach = 0.04 * np.array(corners)
    return shapely.Polygon(np.column_stack([lon + reach * np.cos(angle), lat + reach * np.sin(angle)]))


def brute_force(polygon: shapely.Polygon) -> dict[tuple[int, int], float]:
    """Share of each tile by intersecting its outline in degrees, one by one."""
    x0, y0, x1, y1 = polygon.bounds
    first, last = tile_frame_at(x0, y1), tile_frame_at(x1, y0)
    shares = {}
    for x in range(first[0], last[0] + 1):
        for y in range(first[1], last[1] + 1):
            tile = shapely.box(*(float(v) for v in tile_bounds(x, y)))
            share = tile.intersection(polygon).area / tile.area
            if share > 0:
                shares[x, y] = share
    return shares


def tile_frame_at(lon: float, lat: float) -> tuple[int, int]:
    x = (lon + 180) / 360 * 2**15
    y = (1 - np.arcsinh(np.tan(np.radians(lat))) / np.pi) / 2 * 2**15
    return int(x), int(y)


@settings(max_examples=40, deadline=None)
@given(star_polygons())
def test_covering_agrees_with_brute_force(polygon):
    tiles = tiles_covering(Area(polygon))
    found = dict(zip(zip(tiles.x, tiles.y, strict=True), tiles.covered_share, strict=True))
    expected = brute_force(polygon)
    # straight in degrees and straight on the map differ by metres at most
    assert all(
        found.get(tile, 0) == pytest.approx(expected.get(tile, 0), abs=2e-3) for tile in found | expected
    )


@settings(max_examples=40, deadline=None)
@given(star_polygons())
def test_shares_times_tile_areas_make_the_ground_area(polygon):
    tiles = tiles_covering(Area(polygon))
    area, _ = pyproj.Geod(ellps="WGS84").geometry_area_perimeter(shapely.segmentize(polygon, 1e-3))
    assert (tiles.covered_share * tile_area_km2(tiles.x, tiles.y)).sum() == pytest.approx(
        abs(area) / 1e6, rel=5e-3
    )


@settings(max_examples=25, deadline=None)
@given(st.floats(115.901, 115.959))
def test_two_halves_make_the_whole(cut):
    whole, left, right = (
        tiles_covering(Area.from_box(*box)).set_index(["x", "y"]).covered_share
        for box in (BOX, (BOX[0], BOX[1], cut, BOX[3]), (cut, BOX[1], BOX[2], BOX[3]))
    )
    pd.testing.assert_series_equal(left.add(right, fill_value=0), whole, atol=1e-9, check_names=False)


def test_tiles_are_as_promised():
    tiles = tiles_covering(read_area("115.90,28.66,115.96,28.71"))
    assert list(tiles.columns) == ["x", "y", "covered_share", "geometry"]
    assert tiles.crs == "EPSG:4326" and isinstance(tiles.index, pd.RangeIndex)
    assert (tiles.x.dtype, tiles.y.dtype) == (np.int32, np.int32)
    assert tiles[["x", "y"]].equals(tiles[["x", "y"]].sort_values(["x", "y"]))
    assert tiles.covered_share.between(0, 1, inclusive="right").all() and (tiles.covered_share == 1).any()
    assert tiles.geometry[0].equals(shapely.box(*(float(v) for v in tile_bounds(tiles.x[0], tiles.y[0]))))


@pytest.mark.parametrize(("columns", "rows"), [(1, 1), (3, 2)])
def test_neighbours_that_only_touch_are_left_out(columns, rows):
    west, _, _, north = tile_bounds(26929, 13657)
    _, south, east, _ = tile_bounds(26929 + columns - 1, 13657 + rows - 1)
    tiles = tiles_covering(Area.from_box(west, south, east, north))
    assert len(tiles) == columns * rows and (tiles.covered_share == 1).all()


def test_a_hole_is_not_covered():
    hole = shapely.box(*(float(v) for v in tile_bounds(26935, 13655)))
    tiles = tiles_covering(Area(shapely.box(*BOX).difference(hole)))
    assert not ((tiles.x == 26935) & (tiles.y == 13655)).any()


def test_a_tiny_area_has_one_tile():
    tiles = tiles_covering(Area(shapely.Point(115.9, 28.66).buffer(1e-6)))
    assert len(tiles) == 1 and 0 < tiles.covered_share[0] < 1e-6


def test_the_edge_of_the_map_belongs_to_the_last_tile():
    tiles = tiles_covering(Area.from_box(179.99, 0.001, 180, 0.002))
    assert tiles.x.max() == 2**15 - 1


def test_a_long_narrow_area_is_not_refused_for_its_extent():
    line = shapely.LineString([(100, 20), (101, 21)]).buffer(1e-4)
    tiles = tiles_covering(Area(line), max_tiles=300)
    assert 100 < len(tiles) <= 300


@pytest.mark.parametrize(
    ("box", "about"), [((100, 20, 115, 34), "2,000,000"), ((-180, -85, 180, 85), "1,100,000,000")]
)
def test_an_area_too_large_is_refused_with_numbers(box, about):
    with pytest.raises(
        AreaError, match=r"20,000 \(about 1[57]0 x 1[57]0 km here\); draw a smaller area or split it"
    ) as caught:
        tiles_covering(Area.from_box(*box))
    assert about in str(caught.value)


def test_the_limit_is_exact():
    area = Area.from_box(*BOX)
    count = len(tiles_covering(area))
    assert len(tiles_covering(area, max_tiles=count)) == count
    with pytest.raises(AreaError, match=f"about {count} tiles and the limit is {count - 1}"):
        tiles_covering(area, max_tiles=count - 1)


def test_a_large_polygon_below_the_limit_is_built():
    disc = Area(shapely.Point(115.9, 28.6).buffer(0.7))
    tiles = tiles_covering(disc)
    assert 14_000 < len(tiles) < MAX_TILES
    assert not tiles.duplicated(["x", "y"]).any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("115.96,28.66,115.90,28.71", "180th meridian"),
        ("170,0,-170,1", "180th meridian"),
        ("115.9,28.71,115.96,28.66", "swap them"),
        ("28.66,115.90,28.71,115.96", "seem to be swapped"),
        ("392000,3170000,393000,3171000", "projected metres"),
        ("115.9,28.66,115.9,28.71", "no area"),
        ("0,84,1,89", "where the tile map ends"),
        ("181,0,182,1", "beyond the 180th meridian"),
        ("1,2,3", "3 numbers; a box needs four"),
        ("nan,0,1,1", "not a finite number"),
        ("no such file", "no file"),
        ("no_such.kml", "no file"),
        (".", "is a folder"),
        ("bad\x00name", "cannot be read"),
    ],
)
def test_bad_text_gets_one_clear_sentence(text, message):
    with pytest.raises(AreaError, match=message) as caught:
        read_area(text)
    assert "\n" not in str(caught.value)


def test_a_crossing_outline_names_the_place():
    with pytest.raises(AreaError, match=r"crosses itself near \(115\.91, 28\.67\); move the crossing corner"):
        Area.from_geojson({"type": "Polygon", "coordinates": [BOWTIE]})


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "not an object"),
        ({"type": "Topology"}, "not GeoJSON"),
        ({"type": "Point", "coordinates": [1, 2]}, "only Point and no polygon"),
        ({"type": "FeatureCollection", "features": []}, "nothing and no polygon"),
        ({"type": "FeatureCollection", "features": 7}, "no list of features"),
        ({"type": "FeatureCollection", "features": ["x"]}, "not an object"),
        ({"type": "Feature", "geometry": None}, "no polygon"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}, "cannot be read"),
        ({"type": "Polygon", "coordinates": "abc"}, "cannot be read"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, None], [1, 1], [0, 0]]]}, "cannot be read|finite"),
        ({"type": "Polygon", "coordinates": []}, "no polygon"),
        (
            {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 0], [1, 1], [0, 0]]]},
            "crosses|not a valid|no area",
        ),
        ({"type": "Circle", "coordinates": []}, "cannot be read"),
    ],
)
def test_bad_geojson_gets_one_clear_sentence(document, message):
    with pytest.raises(AreaError, match=message) as caught:
        Area.from_geojson(document)
    assert "\n" not in str(caught.value)


def test_deeply_nested_geojson_is_refused():
    document = {"type": "Polygon", "coordinates": [BOWTIE]}
    for _ in range(50):
        document = {"type": "GeometryCollection", "geometries": [document]}
    with pytest.raises(AreaError, match="too deeply"):
        Area.from_geojson(document)
    with pytest.raises(AreaError, match="not readable GeoJSON"):
        read_area_bytes(b"[" * 100_000, "deep.geojson")


def test_overlapping_polygons_are_united():
    moved = shapely.affinity.translate(SQUARE, 0.01)
    features = [
        {"type": "Feature", "properties": {}, "geometry": json.loads(shapely.to_geojson(g))}
        for g in (SQUARE, moved)
    ]
    features.append(
        {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [0, 0]}}
    )
    area = Area.from_geojson({"type": "FeatureCollection", "features": features})
    assert area.geometry.equals(shapely.union(SQUARE, moved))


def test_geojson_goes_there_and_back():
    area = Area(shapely.box(*BOX).difference(SQUARE.buffer(-0.005)), "city")
    assert Area.from_geojson(area.to_geojson()).geometry.equals(area.geometry)


def test_heights_are_dropped():
    area = Area.from_geojson(
        {"type": "Polygon", "coordinates": [[[0, 0, 5], [1, 0, 5], [1, 1, 5], [0, 0, 5]]]}
    )
    assert not area.geometry.has_z


def test_an_area_must_be_a_polygon():
    for geometry in (shapely.Point(0, 0), shapely.Polygon(), shapely.GeometryCollection([SQUARE])):
        with pytest.raises(AreaError):
            Area(geometry)


def test_an_outline_with_too_many_corners_is_refused(monkeypatch):
    monkeypatch.setattr("opendiff.area.area.MAX_VERTICES", 20)
    with pytest.raises(AreaError, match="corners and the limit is 20"):
        Area.from_geojson(json.loads(shapely.to_geojson(SQUARE.buffer(0.01))))


# Files


def write(frame: gpd.GeoDataFrame, folder, name: str):
    path = folder / name
    frame.to_file(path, driver="KML" if path.suffix == ".kml" else None)
    return path


def zipped(folder, pattern: str = "*") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(folder.glob(pattern)):
            archive.write(path, f"inner/{path.name}")
    return buffer.getvalue()


def archive_of(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            dated = zipfile.ZipInfo(name)  # of 1980: the bytes name their test, in every process alike
            archive.writestr(dated, content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def frame(crs: str = "EPSG:4326") -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame({"name": ["Nánchāng"]}, geometry=[SQUARE], crs="EPSG:4326").to_crs(crs)


@pytest.fixture(params=["area.geojson", "area.kml", "area.gpkg"])
def any_file(request, tmp_path):
    return write(frame(), tmp_path, request.param)


def assert_square(area: Area) -> None:
    assert area.geometry.symmetric_difference(SQUARE).area < 1e-6 * SQUARE.area


def test_every_format_is_read(any_file):
    area = read_area(any_file)
    assert_square(area)
    assert area.name == "area"
    assert_square(read_area(str(any_file)))
    assert_square(read_area_bytes(any_file.read_bytes(), any_file.name.upper()))


def test_kmz_is_read(tmp_path):
    kml = write(frame(), tmp_path, "doc.kml").read_bytes()
    assert_square(read_area_bytes(archive_of(**{"doc.kml": kml, "files/icon.png": b"x"}), "area.kmz"))


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32650", "EPSG:3857"])
def test_zipped_shapefiles_and_geopackages_are_reprojected(tmp_path, crs):
    shape = tmp_path / "shape"
    shape.mkdir()
    write(frame(crs), shape, "area.shp")
    assert_square(read_area_bytes(zipped(shape), "area.zip"))
    assert_square(read_area(write(frame(crs), tmp_path, "area.gpkg")))


def test_geojson_with_a_stated_system_is_reprojected():
    for name in ("EPSG:32650", "urn:ogc:def:crs:EPSG::32650"):
        document = json.loads(shapely.to_geojson(frame("EPSG:32650").geometry[0]))
        document["crs"] = {"type": "name", "properties": {"name": name}}
        assert_square(Area.from_geojson(document))
    document = json.loads(shapely.to_geojson(SQUARE)) | {
        "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
    }
    assert_square(Area.from_geojson(document))


@pytest.mark.parametrize(
    "crs",
    [7, {"type": "link"}, {"properties": {"name": "EPSG:999999"}}, {"properties": {"name": "file:///etc"}}],
)
def test_an_unknown_system_is_refused(crs):
    with pytest.raises(AreaError, match="reference system"):
        Area.from_geojson(json.loads(shapely.to_geojson(SQUARE)) | {"crs": crs})


def test_a_missing_system_is_refused(tmp_path):
    shape = tmp_path / "shape"
    shape.mkdir()
    write(frame("EPSG:32650"), shape, "area.shp")
    (shape / "area.prj").unlink()
    with pytest.raises(AreaError, match="does not state its reference system"):
        read_area_bytes(zipped(shape), "area.zip")
    unknown = gpd.GeoDataFrame(geometry=[SQUARE])
    with pytest.warns(UserWarning, match="crs"):
        path = write(unknown, tmp_path, "area.gpkg")
    with pytest.raises(AreaError, match="does not state its reference system"):
        read_area(path)


def test_projected_geojson_without_a_system_is_refused():
    document = json.loads(shapely.to_geojson(frame("EPSG:32650").geometry[0]))
    with pytest.raises(AreaError, match="projected metres"):
        read_area_bytes(json.dumps(document).encode(), "area.geojson")


def test_a_crossing_outline_in_metres_is_refused_before_it_is_moved(tmp_path):
    crossing = gpd.GeoDataFrame(geometry=[shapely.Polygon(BOWTIE)], crs="EPSG:4326").to_crs("EPSG:32650")
    with pytest.raises(AreaError, match=r"crosses itself near \(115\.91\d*, 28\.67"):
        read_area(write(crossing, tmp_path, "area.gpkg"))


def test_all_layers_count(tmp_path):
    path = write(frame(), tmp_path, "area.gpkg")
    moved = shapely.affinity.translate(SQUARE, 1)
    gpd.GeoDataFrame(geometry=[moved], crs="EPSG:4326").to_file(path, layer="second")
    assert read_area(path).geometry.area == pytest.approx(2 * SQUARE.area)


KML = b'<?xml version="1.0"?>%s<kml xmlns="http://www.opengis.net/kml/2.2"><Document>%s</Document></kml>'
VRT = (
    b'<OGRVRTDataSource><OGRVRTLayer name="x"><SrcDataSource>/etc/passwd</SrcDataSource>'
    b"</OGRVRTLayer></OGRVRTDataSource>"
)


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (b"", "area.geojson", "is empty"),
        (b"abc", "area.txt", "no known format"),
        (b"abc", "area", "no known format"),
        (b"abc", "area.shp", "only a part of a Shapefile"),
        (b"abc", "area.geojson", "not readable GeoJSON"),
        (b"\xff\xfe\x00", "area.geojson", "not readable GeoJSON"),
        (b"abc", "area.kml", "not readable KML"),
        (b"abc", "area.gpkg", "not a GeoPackage"),
        (b"SQLite format 3\x00" + b"\x00" * 100, "area.gpkg", "not a GeoPackage"),
        (
            b"SQLite format 3\x00" + b"\x00" * 52 + b"GPKG" + b"\x00" * 100,
            "area.gpkg",
            "no readable database",
        ),
        (b"abc", "area.zip", "not a readable zip"),
        (b"abc", "area.kmz", "not a readable zip"),
        (VRT, "area.gpkg", "not a GeoPackage"),
        (VRT, "area.kml", "instead of <kml>"),
        (archive_of(**{"a.txt": b"x"}), "area.zip", "holds no .shp"),
        (archive_of(**{"a.txt": b"x"}), "area.kmz", "holds no .kml"),
        (archive_of(**{"a.shp": VRT, "a.shx": b""}), "area.zip", "not a Shapefile"),
        (archive_of(**{"a.shp": b"\x00\x00\x27\x0a"}), "area.zip", "lacks the .shx"),
        (
            archive_of(**{"a.shp": b"\x00\x00\x27\x0a", "a.shx": b"", "a.prj": b""}),
            "area.zip",
            "cannot be read",
        ),
        (archive_of(**{"../a.kml": b"x"}), "area.kmz", "unsafe path"),
        (archive_of(**{"/etc/a.kml": b"x"}), "area.kmz", "unsafe path"),
        (archive_of(**{"C:\\a.kml": b"x"}), "area.kmz", "unsafe path"),
        (archive_of(**{"a\\..\\..\\a.kml": b"x"}), "area.kmz", "unsafe path"),
        (archive_of(**{f"{i}.txt": b"x" for i in range(101)}), "area.zip", "holds 101 files"),
        (
            KML % (b'<!DOCTYPE kml [<!ENTITY x SYSTEM "file:///etc/passwd">]>', b"&x;"),
            "area.kml",
            "document type",
        ),
        ((KML % (b"<!DOCTYPE kml>", b"")).decode().encode("utf-16"), "area.kml", "document type"),
        (KML % (b"", b""), "area.kml", "no polygon|no layer|cannot be read"),
        (b'<?xml version="1.0" encoding="utf-7"?><kml/>', "area.kml", "encoded as utf-7"),
    ],
)
def test_bad_files_get_one_clear_sentence(data, name, message):
    with pytest.raises(AreaError, match=message) as caught:
        read_area_bytes(data, name)
    assert "\n" not in str(caught.value) and "/tmp" not in str(caught.value)


def test_links_and_passwords_in_archives_are_refused():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("a.kml")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(AreaError, match="unsafe path"):
        read_area_bytes(buffer.getvalue(), "area.kmz")
    locked = bytearray(archive_of(**{"a.kml": b"x"}))
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(AreaError, match="password"):
        read_area_bytes(bytes(locked), "area.kmz")


def test_a_damaged_archive_is_refused():
    data = bytearray(archive_of(**{"doc.kml": b"abcdefgh" * 100}))
    data[45:55] = bytes(255 - value for value in data[45:55])
    with pytest.raises(AreaError, match="zip"):
        read_area_bytes(bytes(data), "area.kmz")


def test_what_unpacks_too_large_is_refused(monkeypatch):
    bomb = archive_of(**{"doc.kml": b"\x00" * 2000})
    monkeypatch.setattr(area_files, "MAX_UNPACKED_BYTES", 1000)
    with pytest.raises(AreaError, match="unpacks to more"):
        read_area_bytes(bomb, "area.kmz")
    liar = bytearray(bomb)  # the heading states 20 bytes, the data say otherwise
    place = liar.index(b"PK\x01\x02") + 24
    liar[place : place + 4] = (20).to_bytes(4, "little")
    with pytest.raises(AreaError, match=r"unpacks to more|damaged|readable"):
        read_area_bytes(bytes(liar), "area.kmz")


def test_a_file_too_large_is_refused(monkeypatch, tmp_path):
    path = write(frame(), tmp_path, "area.geojson")
    monkeypatch.setattr(area_files, "MAX_BYTES", 100)
    with pytest.raises(AreaError, match="is larger than"):
        read_area(path)


def test_a_polygon_far_too_rich_is_refused(monkeypatch, tmp_path):
    many = gpd.GeoDataFrame(geometry=[SQUARE] * 30, crs="EPSG:4326")
    monkeypatch.setattr(area_files, "MAX_FEATURES", 20)
    with pytest.raises(AreaError, match="more than 20 features"):
        read_area(write(many, tmp_path, "area.gpkg"))


# Tables of tiles


def test_a_table_of_tiles_is_an_area_with_their_shares(tmp_path):
    path = tmp_path / "tiles.csv"
    path.write_text("x,y,name\n26930,13657,b\n26929,13656,a\n")
    tiles = read_tiles(path)
    assert tiles[["x", "y"]].to_numpy().tolist() == [[26929, 13656], [26930, 13657]]
    assert (tiles.covered_share == 1).all()
    path.write_text("x,y,covered_share\n26930,13657,0.25\n26929,13656,1\n")
    assert read_tiles(path).covered_share.tolist() == [1, 0.25]
    assert read_tiles("115.90,28.66,115.96,28.71").equals(tiles_covering(Area.from_box(*BOX)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read|is empty"),
        ("x,y\n", "lists no tile"),
        ("a,b\n1,2\n", "no columns x and y"),
        ("x,y\n1,2\n1.5,2\n", "Line 3"),
        ("x,y\n1,99999\n", "Line 2"),
        ("x,y\n1,\n", "no line with numbers for x and y"),
        ("x,y\n-1,2\n", "Line 2"),
        ("x,y\nfoo,2\n", "no line with numbers for x and y"),
        ("x,y,covered_share\n1,2,0\n", "covered_share"),
        ("x,y,covered_share\n1,2,1.5\n", "covered_share"),
        ("x,y\n1,2\n3,4\n5,6\n7,8\n", "lists 4 tiles and the limit is 3"),
    ],
)
def test_bad_tables_get_one_clear_sentence(tmp_path, text, message):
    path = tmp_path / "tiles.csv"
    path.write_text(text)
    with pytest.raises(AreaError, match=message):
        read_tiles(path, max_tiles=3)


def test_a_table_is_no_outline(tmp_path):
    with pytest.raises(AreaError, match="table of tiles"):
        read_area(tmp_path / "tiles.csv")


def test_tile_frame_sorts():
    tiles = tile_frame([3, 1, 1], [5, 9, 2], [0.1, 0.2, 0.3])
    assert tiles[["x", "y"]].to_numpy().tolist() == [[1, 2], [1, 9], [3, 5]]
    assert tiles.covered_share.tolist() == [0.3, 0.2, 0.1]


def test_the_layer_and_the_system_of_an_area_can_be_named(tmp_path):
    frame = gpd.GeoDataFrame(geometry=[SQUARE], crs=4326)
    frame.to_file(tmp_path / "two.gpkg", layer="one")
    gpd.GeoDataFrame(geometry=[shapely.box(116.9, 28.66, 116.92, 28.68)], crs=4326).to_file(
        tmp_path / "two.gpkg", layer="other"
    )
    every, one = read_tiles(tmp_path / "two.gpkg"), read_tiles(tmp_path / "two.gpkg", layer="one")
    assert len(every) > len(one) == len(tiles_covering(Area(SQUARE)))
    with pytest.raises(AreaError, match="no sheet or layer 'none'; it has one, other"):
        read_tiles(tmp_path / "two.gpkg", layer="none")
    metres = json.loads(frame.to_crs(32650).to_json())
    metres.pop("crs", None)
    (tmp_path / "m.geojson").write_text(json.dumps(metres))
    with pytest.raises(AreaError, match="--crs"):
        read_area(tmp_path / "m.geojson")
    found = read_tiles(tmp_path / "m.geojson", crs="EPSG:32650")
    assert set(zip(found.x, found.y, strict=True)) == set(zip(one.x, one.y, strict=True))


def test_the_sheet_of_a_list_of_tiles_can_be_named(tmp_path):
    with pd.ExcelWriter(tmp_path / "t.xlsx") as book:
        pd.DataFrame({"x": [26934], "y": [13653]}).to_excel(book, sheet_name="a", index=False)
        pd.DataFrame({"x": [26935, 26936], "y": [13653, 13653]}).to_excel(book, sheet_name="b", index=False)
    assert read_tiles(tmp_path / "t.xlsx").x.tolist() == [26934]
    assert read_tiles(tmp_path / "t.xlsx", layer="b").x.tolist() == [26935, 26936]


def test_a_compressed_outline_is_read(tmp_path):
    data = gpd.GeoDataFrame(geometry=[SQUARE], crs=4326).to_json().encode()
    (tmp_path / "a.geojson.gz").write_bytes(gzip.compress(data))
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"x,y\n26934,13653\n"))
    assert read_area(tmp_path / "a.geojson.gz").geometry.equals(SQUARE)
    assert read_tiles(tmp_path / "t.csv.gz").x.tolist() == [26934]
