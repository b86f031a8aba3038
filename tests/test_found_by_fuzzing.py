"""Each input that broke a reader, as small as it gets: one typed sentence now, or the right result."""

import io
import json
import struct
import zipfile

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyogrio
import pytest
import shapely
from rasterio.transform import from_origin

from app.errors import SavedWorkError
from app.saved.packing import unpack
from app.state.workspace import Workspace
from benchmarks.robustness import corpus, saved_corpus
from opendiff.area import read_area_bytes, tile_frame, tiles_in_csv
from opendiff.errors import AreaError, SourceError, TableError
from opendiff.live.imagery import cut_geotiff
from opendiff.live.overpass import _check_answer, places_of
from opendiff.live.population import strip_population
from opendiff.open_data.base_map import read_base_map
from opendiff.open_data.sources import PackSource
from opendiff.traffic_table import read_traffic
from plannerbase.database import check_plain
from plannerbase.delimited import read_csv
from plannerbase.text import Refused
from plannerbase.vector import text_encoding
from planning.csv_table import read_table
from planning.deployment.places import read_places
from planning.errors import InputError
from planning.network.files import import_network
from planning.scenario import Scenario
from planning.traffic import TrafficTable

KML = (
    "<kml><Placemark><Polygon><outerBoundaryIs><LinearRing><coordinates>{}</coordinates></LinearRing>"
    "</outerBoundaryIs></Polygon></Placemark></kml>"
)


def test_a_type_that_is_no_text():
    with pytest.raises(AreaError, match="not GeoJSON"):
        read_area_bytes(b'{"type": {}, "coordinates": []}', "a.geojson")


def test_an_archive_whose_index_points_before_its_beginning():
    data = bytearray(corpus.zipped({"doc.kml": b"<kml/>"}))
    at = data.rfind(b"PK\x05\x06") + 16
    data[at : at + 4] = struct.pack("<I", len(data) * 2)
    with pytest.raises(AreaError, match="not a readable zip"):
        read_area_bytes(bytes(data), "a.kmz")


def test_a_ring_that_is_not_closed():
    for name, data in (
        ("a.kml", KML.format("1,1 1,2 2,2 2,3").encode()),
        ("a.kml", KML.format("1,1").encode()),
    ):
        with pytest.raises(AreaError):
            read_area_bytes(data, name)


def test_an_encoding_that_is_none():
    for name in ("hex", "nope", "cp037"):
        text = f'<?xml version="1.0" encoding="{name}"?><kml/>'.encode()
        with pytest.raises(InputError, match="encoded as"):
            import_network(text, "a.kml")


def test_half_a_character():
    sites = {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": {"site": "\ud800"},
                "geometry": {"type": "Point", "coordinates": [1, 2]},
            }
        ],
    }
    with pytest.raises(InputError, match="readable GeoJSON"):
        import_network(json.dumps(sites).encode(), "a.geojson")


def test_nested_too_deeply(tmp_path):
    deep = "[" * 100_000
    with pytest.raises(ValueError, match="too deeply"):
        _check_answer(deep.encode())
    table = corpus.made_ensemble()
    out = io.BytesIO()
    table.write(out)
    parquet = pa.parquet.read_table(io.BytesIO(out.getvalue())).replace_schema_metadata({"opendiff": deep})
    with pytest.raises(InputError, match="metadata"):
        TrafficTable.read(corpus.parquet(parquet))


def test_rows_that_do_not_fit_their_heading_are_told_in_one_line():
    with pytest.raises(AreaError) as caught:
        tiles_in_csv(b"x,y\n1,2\n3,4,5\n", "a.csv")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError) as caught:
        read_table(b"a,b\n1,2\n1,2,3\n", "a.csv", "a and b")
    assert "\n" not in str(caught.value)


def test_a_value_as_long_as_a_book(tmp_path):
    (tmp_path / "tiles.parquet").write_bytes(corpus.pack_tables()[0])
    (tmp_path / "pack.json").write_text(json.dumps({"population_unit": "x" * 100_000}))
    with pytest.raises(SourceError) as caught:
        PackSource(tmp_path).open_data(PackSource(tmp_path).all_tiles())
    assert len(str(caught.value)) < 800


def test_equipment_without_a_name():
    with pytest.raises(InputError, match="no equipment"):
        corpus.made_scenario().network.with_equipment(
            pd.DataFrame({"equipment": [None, "x"], "idle_w": [1.0, 2.0]})
        )


def test_opencellid_rows_with_gaps():
    head = "radio,mcc,net,area,cell,unit,lon,lat,range,samples,changeable,created,updated,averageSignal\n"
    row = "LTE,460,0,,11,0,115.9,28.6,1,1,1,1,1,0\n"
    assert len(import_network((head + row).encode(), "a.csv").network.sites) == 1
    for odd in ("0.115", "1e300", "-1"):  # no code of a network
        more = row + row.replace("460,0,,11,0,115.9", f"460,{odd},,12,0,115.95")
        assert len(import_network((head + more).encode(), "a.csv").network.sites) == 2


@pytest.mark.parametrize(
    "metadata", [b"[" * 100_000, b"\xaf", b'{"index_columns": ["p"], "columns": []}', b"{}"]
)
def test_the_notes_of_pandas_in_a_parquet_file_may_be_damaged(metadata, tmp_path):
    table = pa.parquet.read_table(io.BytesIO(corpus.pack_tables()[0]))
    damaged = table.replace_schema_metadata({b"pandas": metadata})
    (tmp_path / "tiles.parquet").write_bytes(corpus.parquet(damaged))
    assert len(PackSource(tmp_path).all_tiles()) == corpus.SIDE**2
    networks = pa.parquet.read_table(io.BytesIO(corpus.geo_parquets()[0]))
    notes = {**(networks.schema.metadata or {}), b"pandas": metadata}
    assert len(
        import_network(corpus.parquet(networks.replace_schema_metadata(notes)), "a.parquet").network.sites
    )


def test_a_table_that_says_it_is_utf_8_and_is_not():
    found = read_csv(b"\xef\xbb\xbfa,b\n1,\xe8\n")
    assert found["a"].tolist() == [1] and "�" in str(found["b"].iloc[0])


def test_text_in_a_geopackage_that_is_no_utf_8(tmp_path):
    import sqlite3

    path = tmp_path / "a.gpkg"
    path.write_bytes(corpus.scenarios()[0])
    database = sqlite3.connect(path)
    database.execute("UPDATE provenance SET value = CAST(x'ff8080' AS TEXT)")
    database.commit()
    database.close()
    for read in (lambda: Scenario.read(path), lambda: import_network(path)):
        try:
            read()
        except InputError as error:
            assert str(error).endswith(".")


def test_a_layer_that_claims_too_many_rows_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("planning.geopackage.MAX_ROWS", 3)
    with pytest.raises(InputError, match="more than 3 rows"):
        Scenario.read(corpus.scenarios()[0])


@pytest.mark.parametrize("where", [1.5, "x", [], None, 7])
def test_a_centre_that_is_no_place(where):
    elements = [
        {"type": "way", "id": 1, "center": where, "tags": {"shop": "x"}},
        {"type": "node", "id": 2, "lon": 1.0, "lat": 2.0, "tags": {"shop": "x"}},
    ]
    assert len(places_of(elements)) == 1


def test_a_workbook_with_a_cell_far_to_the_right_does_not_fill_the_memory():
    """A row of a workbook costs as much as its last cell is far; 16,384 columns times many rows is a bomb."""
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["site", "lon", "lat"])
    for row in range(200):
        sheet.append([f"S{row}", 115.9 + row / 1e4, 28.6])
        sheet.cell(row + 2, 16_384, "far")
    out = io.BytesIO()
    book.save(out)
    assert len(import_network(out.getvalue(), "a.xlsx").network.sites) == 200


def test_a_workbook_with_a_document_type_is_refused():
    import openpyxl

    out = io.BytesIO()
    book = openpyxl.Workbook()
    book.active.append(["site", "lon", "lat"])
    book.save(out)
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(out.getvalue())) as source, zipfile.ZipFile(made, "w") as target:
        for info in source.infolist():
            content = source.read(info)
            if info.filename.endswith("sheet1.xml"):
                content = b'<!DOCTYPE a [<!ENTITY b "bbbb">]>' + content
            target.writestr(info.filename, content)
    with pytest.raises(InputError, match="document type"):
        import_network(made.getvalue(), "a.xlsx")


def test_a_parquet_file_of_nothing_but_rows_is_refused_before_it_unpacks():
    many = pa.table({name: pa.array(np.zeros(3_000_000)) for name in ("x", "y", "hour", "traffic")})
    data = corpus.parquet(many)
    assert len(data) < 1_000_000
    with pytest.raises(InputError, match="3,000,000 rows and the limit is 1,000,000"):
        TrafficTable.read(data, "a.parquet", most_rows=1_000_000)


def test_geometries_of_all_kinds_in_a_shapefile_are_an_area_or_a_sentence(tmp_path):
    frame = gpd.GeoDataFrame(
        geometry=[
            shapely.Polygon(),
            shapely.box(0, 0, 1e-12, 1e-12),
            shapely.box(115.9, 28.6, 115.95, 28.65),
        ],
        crs="EPSG:4326",
    )
    pyogrio.write_dataframe(frame, tmp_path / "a.shp", driver="ESRI Shapefile")
    data = corpus.zipped({path.name: path.read_bytes() for path in sorted(tmp_path.glob("a.*"))})
    try:
        assert read_area_bytes(data, "a.zip").geometry.area > 0
    except AreaError as error:
        assert str(error).endswith(".")


def test_numbers_beyond_all_bounds():
    with pytest.raises(InputError):
        TrafficTable.read(
            b"x,y,hour,traffic\n9223372036854775808,1,0,1\n1,1,1,99999999999999999999999\n", "a.csv"
        )


@pytest.mark.parametrize("layer", ['["site"]', "{}", "7", "null"])
def test_a_layer_that_is_no_text(layer):
    feature = '{"type":"Feature","properties":{"site":"A","layer":%s},"geometry":{"type":"Point","coordinates":[1,2]}}'
    text = '{"type":"FeatureCollection","features":[%s]}' % (feature % layer)
    assert import_network(text.encode(), "a.geojson").network.sites["site"].tolist() == ["A"]


@pytest.mark.parametrize("geometry", ["7", "[]", '{"type":{}}', '{"type":["Polygon"]}', '"Point"', "null"])
def test_a_place_without_a_geometry(geometry):
    feature = f'{{"type":"Feature","properties":{{}},"geometry":{geometry}}}'
    text = f'{{"type":"FeatureCollection","features":[{feature}]}}'
    with pytest.raises(InputError):
        read_places(text.encode(), "a.geojson")


def test_a_database_that_complains_in_no_utf_8(tmp_path):
    path = tmp_path / "a.gpkg"
    path.write_bytes(corpus.scenarios()[0].replace(b"CREATE TABLE", b"CREATE \xff\xfe\xff \xff"))
    with pytest.raises(Refused):
        check_plain(path)


def test_tile_numbers_in_half_floats(tmp_path):
    (tmp_path / "tiles.parquet").write_bytes(corpus.pack_tables()[0])
    rows = pa.table({"x": np.full(168, 7, np.float16), "y": np.full(168, 7), "hour": np.arange(168),
                     "traffic": np.ones(168), "users": np.ones(168)})  # fmt: skip
    (tmp_path / "traffic.parquet").write_bytes(corpus.parquet(rows))
    source = PackSource(tmp_path)
    assert not source.traffic(source.all_tiles())[2].any()


def test_a_raster_whose_notes_are_no_utf_8(tmp_path):
    data = corpus.people_rasters()[0]
    at = data.find(b"WGS 84")
    assert at > 0
    path = tmp_path / "a.tif"
    path.write_bytes(data[:at] + b"\xff\xfe\xff" + data[at + 3 :])
    tiles = tile_frame([corpus.COLUMN], [corpus.ROW])
    try:
        strip_population(path, tiles)
    except SourceError as error:
        assert str(error).endswith(".")


def test_a_raster_in_a_system_that_cannot_be_brought_to_the_map(tmp_path):
    """GDAL's own exceptions come through rasterio's reprojection."""
    local = 'LOCAL_CS["a",UNIT["metre",1]]'
    data = corpus._raster(np.zeros((3, 8, 8), np.uint8), local, from_origin(0, 0, 1, 1))
    (tmp_path / "a.tif").write_bytes(data)
    for read in (
        lambda: cut_geotiff(tmp_path / "a.tif", np.array([corpus.COLUMN]), np.array([corpus.ROW]), tmp_path),
        lambda: strip_population(tmp_path / "a.tif", tile_frame([corpus.COLUMN], [corpus.ROW])),
    ):
        with pytest.raises(SourceError):
            read()


def test_a_pack_whose_lzma_data_are_damaged(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENDIFF_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("tiles.parquet", corpus.pack_tables()[0])
    data = bytearray(path.read_bytes())
    data[200:400] = bytes(range(200))
    path.write_bytes(data)
    with pytest.raises(SourceError, match="readable zip"):
        PackSource(path)


RING = [[115.8, 28.6], [115.9, 28.6], [115.9, 28.7], [115.8, 28.6]]


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "MultiPolygon", "coordinates": [[RING], []]},
        {"type": "Polygon", "coordinates": []},
        {"type": "GeometryCollection", "geometries": [{"type": "Polygon", "coordinates": [RING]}, {}]},
        {"type": "MultiPoint", "coordinates": [[]]},
    ],
    ids=str,
)
def test_a_place_with_an_empty_part(geometry):
    polygon = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [RING]}}
    document = {"type": "FeatureCollection", "features": [polygon, {"type": "Feature", "geometry": geometry}]}
    try:
        assert len(read_places(json.dumps(document).encode(), "a.geojson").areas) == 1
    except InputError as error:
        assert str(error).endswith(".")


def test_a_place_whose_properties_are_a_list():
    point = {
        "type": "Feature",
        "properties": [1],
        "geometry": {"type": "Point", "coordinates": [115.9, 28.6]},
    }
    polygon = {"type": "Feature", "properties": "x", "geometry": {"type": "Polygon", "coordinates": [RING]}}
    document = {"type": "FeatureCollection", "features": [point, polygon]}
    places = read_places(json.dumps(document).encode(), "a.geojson")
    assert (len(places), places.names, len(places.areas)) == (1, ("",), 1)


@pytest.mark.slow
def test_saved_work_that_does_not_say_what_its_plans_were_made_from():
    """It opened, and then could be neither kept nor saved."""
    parts = saved_corpus.parts()
    state = json.loads(parts["state.json"])
    for kept in state["made"].values():
        kept["basis"] = {}
    with pytest.raises(SavedWorkError):
        unpack(parts | {"state.json": json.dumps(state).encode()}, Workspace(), controls=False)


def test_a_parquet_file_with_a_column_whose_name_is_no_text(tmp_path):
    columns = {name: [0] for name in ("z", "x", "y", "hour", "traffic", "strange")}
    data = corpus.parquet(pa.table(columns)).replace(b"strange", b"str\xb0nge")
    (tmp_path / "tiles.parquet").write_bytes(data)
    with pytest.raises(SourceError, match="cannot be read"):
        PackSource(tmp_path).covered_tiles()
    with pytest.raises(TableError, match="damaged"):
        read_traffic(tmp_path / "tiles.parquet")
    with pytest.raises(InputError, match="damaged"):
        TrafficTable.read(data)


def test_cells_without_names_at_two_sites():
    text = "site;azimuth;lon;lat;cell\nA;1;115.9;28.6;\nA;2;115.9;28.6;\nB;1;116.1;28.7;\n"
    found = import_network(text.encode("utf-16"), "a.csv").network
    assert found.cells["cell"].is_unique and len(found.cells) == 3


def test_a_register_of_layers_that_lacks_columns(tmp_path):
    import sqlite3

    path = tmp_path / "a.gpkg"
    path.write_bytes(corpus.gpkg_areas()[0])
    database = sqlite3.connect(path)
    database.execute("ALTER TABLE gpkg_contents DROP COLUMN data_type")
    database.commit()
    database.close()
    with pytest.raises(AreaError):
        read_area_bytes(path.read_bytes(), "a.gpkg")


@pytest.mark.parametrize("number", [10**400, -(10**400)], ids=["large", "small"])
def test_a_place_beyond_all_numbers(number):
    point = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [number, 28.6]}}
    polygon = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [RING]}}
    both = json.dumps({"type": "FeatureCollection", "features": [polygon, point]}).encode()
    places = read_places(both, "a.geojson")
    assert len(places.areas) == 1 and not len(places)  # left out, and counted
    assert any("1 " in line for line in places.report)
    with pytest.raises(AreaError):
        read_area_bytes(json.dumps(point).encode(), "a.geojson")


def test_an_area_with_a_corner_that_is_no_number_is_left_out_of_the_places():
    shape = {"type": "Polygon", "coordinates": [[*RING[:2], [RING[1][0], float("nan")], *RING[2:]]]}
    features = [
        {"type": "Feature", "properties": {}, "geometry": geometry}
        for geometry in ({"type": "Polygon", "coordinates": [RING]}, shape)
    ]
    document = json.dumps({"type": "FeatureCollection", "features": features})
    places = read_places(document.encode(), "a.geojson")
    assert len(places.areas) == 1 and any("corner" in line for line in places.report)
    point = {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": RING[0]}}
    document = json.dumps({"type": "FeatureCollection", "features": [*features[1:], point]})
    found = import_network(document.encode(), "a.geojson")
    assert len(found.network.sites) == 1 and any("corner" in line for line in found.report)


def test_a_code_page_of_a_shapefile_that_no_encoding_has():
    head = bytes(32)
    assert text_encoding({".dbf": head + "é".encode(), ".cpg": b"UTF\x008"}) == "utf-8"


def test_hours_of_a_pack_as_floating_point_numbers(tmp_path):
    (tmp_path / "tiles.parquet").write_bytes(corpus.pack_tables()[0])
    source = PackSource(tmp_path)
    tile = source.all_tiles().iloc[0]
    table = pd.DataFrame({"hour": np.arange(168.0), "traffic": 1.0, "users": 1.0})
    table.assign(x=int(tile["x"]), y=int(tile["y"])).to_parquet(tmp_path / "traffic.parquet")
    traffic, _, has = source.traffic(source.all_tiles())
    assert has.sum() == 1 and (traffic[has] == 1).all()


def test_a_source_whose_name_is_longer_than_any_file_may_have():
    with pytest.raises(SourceError, match="There is no pack at xxx"):
        PackSource("x" * 5000)
    with pytest.raises(SourceError, match="There is no pack"):
        PackSource("x\0")


def test_a_base_map_of_tiles_beyond_all_numbers(tmp_path):
    document = json.loads(corpus.base_maps()[0])
    document["tiles"] = [[10**400, 1]]
    (tmp_path / "base_map.geojson").write_text(json.dumps(document))
    with pytest.raises(SourceError, match="cannot be read"):
        read_base_map(tmp_path)
