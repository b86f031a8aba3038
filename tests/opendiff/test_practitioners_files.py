"""Areas, places and populations as practitioners have them: each case of `tests/cases`, and others of its kind."""

import io
import json
import zipfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import rasterio.warp
import shapely
from rasterio.transform import from_origin

from opendiff.area import read_area, read_area_bytes, read_tiles, tile_frame, tiles_in_csv
from opendiff.area.tile_grid import tile_area_km2, tile_at
from opendiff.cli import main
from opendiff.errors import AreaError, SourceError
from opendiff.live.choices import Choices
from opendiff.live.population import strip_population, unit_of
from opendiff.poi.catalogues import categories_of_labels
from opendiff.poi.categories import POI_CATEGORIES
from opendiff.poi.osm_files import is_shapefile_zip, read_osm_extract
from opendiff.poi.tables import read_poi_table
from plannerbase.report import Report
from plannerbase.systems import gcj02_offset, to_degrees

CASES = Path(__file__).parents[1] / "cases"
BOX = (115.8, 28.5, 116.1, 28.8)


def said(report, *words) -> bool:
    return any(all(word in line for word in words) for line in report)


def names(category) -> list[str]:
    return [POI_CATEGORIES[c] for c in category]


# --- 01: extracts with areas that a clip has cut ----------------------------------------------------------------------


def test_one_area_that_a_clip_cut_costs_only_itself():
    found = read_osm_extract(CASES / "01_osm_pbf_degenerate/clip.osm.pbf", BOX)
    assert sorted(names(found.places.category)) == ["catering", "education_culture"]
    assert said(found.report, "1 area of multipolygons left out", "parking")


@pytest.mark.parametrize("cut", [1, 60, 200])
def test_an_extract_that_was_not_downloaded_whole_is_refused(tmp_path, cut):
    whole = (CASES / "01_osm_pbf_degenerate/clip.osm.pbf").read_bytes()
    (tmp_path / "a.osm.pbf").write_bytes(whole[:-cut])
    xml = '<?xml version="1.0"?><osm version="0.6"><node id="1" lat="28.67" lon="115.9" version="1"/>'
    (tmp_path / "a.osm").write_text(xml)
    for name in ("a.osm.pbf", "a.osm"):
        with pytest.raises(SourceError, match="ends in the middle"):
            read_osm_extract(tmp_path / name, BOX)


def test_openstreetmap_xml_and_zipped_shapefiles_are_extracts(tmp_path):
    (tmp_path / "a.osm").write_text(
        '<?xml version="1.0"?><osm version="0.6"><node id="1" lat="28.67" lon="115.9" version="1">'
        '<tag k="amenity" v="cafe"/></node></osm>'
    )
    assert names(read_osm_extract(tmp_path / "a.osm", BOX).places.category) == ["catering"]
    points = gpd.GeoDataFrame(
        {"fclass": ["cafe", "pharmacy"]},
        geometry=gpd.points_from_xy([115.9, 115.91], [28.67, 28.68]),
        crs="EPSG:4326",
    )
    points.to_file(tmp_path / "gis_osm_pois_free_1.shp")
    with zipfile.ZipFile(tmp_path / "x.shp.zip", "w") as archive:
        for path in tmp_path.glob("gis_*"):
            archive.write(path, path.name)
    assert is_shapefile_zip(tmp_path / "x.shp.zip")
    assert names(read_osm_extract(tmp_path / "x.shp.zip", BOX).places.category) == ["catering", "medical"]


# --- 05, 15: tables of places -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected", "provider"),
    [
        ("15_poi_tables/amap_cn_gbk.csv", ["catering", "education_culture"], "map-service"),
        ("15_poi_tables/amap_en.csv", ["catering", "education_culture"], "map-service"),
        ("15_poi_tables/half_known.csv", ["catering", "catering", "education_culture"], "map-service"),
        ("15_poi_tables/overpass.csv", ["catering"], "osm"),
        ("15_poi_tables/poi_case.csv", ["catering", "catering", "shopping"], "map-service"),
        ("05_one_gap_refuses_all/poi_hole.csv", ["catering", "shopping"], "map-service"),
    ],
)
def test_tables_of_places_by_whoever_made_them(name, expected, provider):
    found = read_poi_table(CASES / name)
    assert names(found.places.category) == expected and found.provider == provider


def test_rows_without_place_or_category_are_counted_and_named(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text(
        "lon,lat,category\n115.9,28.6,restaurant\n115.9,28.6,zeppelin hangar\n115.9,28.6,zeppelin hangar\n,,shop\n"
    )
    found = read_poi_table(path)
    assert found.unknown == 2 and len(found.places) == 1
    assert said(found.report, "2 rows left out: no known category", "zeppelin hangar x 2")
    assert said(found.report, "1 row left out: no position", "line 5")


@pytest.mark.parametrize(
    ("label", "category"),
    [
        ("Dining and Drinking > Restaurant > Chinese Restaurant", "catering"),
        ("Travel and Transportation > Lodging > Hotel", "accommodation"),
        ("['Retail > Food and Beverage Retail > Bakery']", "shopping"),
        ("{'primary': 'hair_salon', 'alternate': ['spa']}", "life_service"),
        ({"primary": "elementary_school"}, "education_culture"),
        ("050100|050101", "catering"),
        ("交通设施服务;停车场;公共停车场", "transportation"),
        ("gas_station", "automotive_service"),
        ("Pizza Restaurants", "catering"),
    ],
)
def test_labels_of_catalogues(label, category):
    assert names(categories_of_labels([label])) == [category]


def test_labels_that_mean_nothing_have_no_category():
    assert categories_of_labels(["stone", "", None, float("nan"), "12", "990000"]).tolist() == [-1] * 6


def test_overture_in_geojson_and_a_workbook_of_places(tmp_path):
    feature = {
        "type": "Feature",
        "properties": {"id": "1", "categories": {"primary": "coffee_shop"}, "names": {"primary": "X"}},
        "geometry": {"type": "Point", "coordinates": [115.9, 28.67]},
    }
    (tmp_path / "o.geojsonl").write_text(json.dumps(feature) + "\n" + json.dumps(feature))
    assert names(read_poi_table(tmp_path / "o.geojsonl").places.category) == ["catering"] * 2
    gpd.pd.DataFrame(
        {"名称": ["a"], "类型": ["购物服务;超级市场"], "经度": [115.9], "纬度": [28.6]}
    ).to_excel(tmp_path / "p.xlsx", index=False)
    assert names(read_poi_table(tmp_path / "p.xlsx").places.category) == ["shopping"]


def test_positions_of_baidu_are_moved_back(tmp_path):
    """BD-09 116.404, 39.915 is GCJ-02 116.39762729, 39.90865674: the example of the package coordtransform."""
    lon, lat = to_degrees([116.404], [39.915], "BD-09")
    d_lon, d_lat = gcj02_offset(lon, lat)
    assert (lon + d_lon)[0] == pytest.approx(116.39762729, abs=1e-6)
    assert (lat + d_lat)[0] == pytest.approx(39.90865674, abs=1e-6)
    path = tmp_path / "b.csv"
    path.write_text("lng,lat,category\n116.404,39.915,catering\n")
    places = read_poi_table(path, "BD-09").places
    assert (places.lon[0], places.lat[0]) == pytest.approx((lon[0], lat[0]), abs=1e-7)


# --- 11: official outlines --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "area"), [("a_spike.geojson", 0.0017), ("a_touch.geojson", 0.00165)])
def test_touches_and_spikes_are_put_right_where_the_ground_stays(name, area):
    found = read_area(CASES / "11_boundaries_refused" / name)
    assert found.geometry.is_valid and found.geometry.area == pytest.approx(area, rel=1e-9)
    assert said(found.report, "1 polygon touched themselves")


def test_an_outline_with_60_000_corners_moves_by_some_metres():
    circle = shapely.Point(115.92, 28.68).buffer(0.02, quad_segs=15_000)
    found = read_area_bytes(shapely.to_geojson(circle).encode(), "c.geojson")
    corners = shapely.get_num_coordinates(found.geometry)
    assert corners < 50_000 and said(found.report, "corners of the outline became")
    assert shapely.hausdorff_distance(found.geometry, circle) < 3e-5  # degrees: some 3 m


def test_an_area_of_ground_that_would_change_is_refused_with_its_place_in_degrees(tmp_path):
    crossing = shapely.Polygon([(115.9, 28.66), (115.93, 28.68), (115.92, 28.66), (115.9, 28.68)])
    frame = gpd.GeoDataFrame(geometry=[crossing], crs="EPSG:4326").to_crs("EPSG:3857")
    frame.to_file(tmp_path / "a.gpkg")
    with pytest.raises(AreaError, match=r"crosses itself near \(115\.9\d+, 28\.6\d+\)"):
        read_area(tmp_path / "a.gpkg")


def test_a_path_of_one_point_does_not_refuse_the_area_beside_it():
    found = read_area(CASES / "05_one_gap_refuses_all/onepoint.kml")
    assert found.geometry.area == pytest.approx(0.0016) and said(found.report, "path clicked once")


def test_an_outline_drawn_as_a_closed_path_is_an_area():
    text = (
        "<kml><Placemark><LineString><coordinates>115.9,28.6 115.9,28.7 116,28.7 115.9,28.6</coordinates></LineString>"
        "</Placemark></kml>"
    )
    found = read_area_bytes(text.encode(), "a.kml")
    assert found.geometry.area == pytest.approx(0.005) and said(
        found.report, "1 closed line counts as the outline"
    )


def test_chinese_geojson_and_links_inside_a_kmz_are_read():
    assert read_area(CASES / "13_gbk_no_cpg/a_gbkname.geojson").geometry.area == pytest.approx(0.0016)
    ring = "115.9,28.6 115.9,28.7 116,28.7 115.9,28.6"
    inner = (
        f"<kml><Placemark><Polygon><outerBoundaryIs><LinearRing><coordinates>{ring}</coordinates></LinearRing>"
        "</outerBoundaryIs></Polygon></Placemark></kml>"
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("doc.kml", "<kml><NetworkLink><Link><href>a/b.kml</href></Link></NetworkLink></kml>")
        archive.writestr("a/b.kml", inner)
    assert read_area_bytes(buffer.getvalue(), "a.kmz").geometry.area == pytest.approx(0.005)


# --- 14: population rasters -------------------------------------------------------------------------------------------


def around(lon: float, lat: float, side: int = 3):
    x, y = (int(v) for v in tile_at(lon, lat))
    xs, ys = np.meshgrid(np.arange(x, x + side), np.arange(y, y + side), indexing="ij")
    return tile_frame(xs.ravel(), ys.ravel())


def km2(tiles) -> float:
    return float(tile_area_km2(tiles["x"], tiles["y"]).sum())


def test_density_is_known_by_its_name_and_becomes_people():
    path, tiles = CASES / "14_population_rasters/chn_pd_2020_1km.tif", around(115.9, 28.7)
    assert unit_of(path) == "per-km2"
    people, known = strip_population(path, tiles, unit="per-km2")
    assert known.all() and people.sum() == pytest.approx(5000 * km2(tiles), rel=1e-4)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("chn_ppp_2020.tif", "people"),
        ("GHS_POP_E2020.tif", "people"),
        ("gpw_v4_population_density_rev11.tif", "per-km2"),
        ("fra_pd_2020_1km_UNadj.tif", "per-km2"),
        ("updated_population.tif", "people"),
        ("landscan-global-2021.tif", "people"),
    ],
)
def test_what_rasters_are_called_tells_what_they_hold(tmp_path, name, unit):
    raster(tmp_path / name, np.ones((4, 4), np.float32), "EPSG:4326", from_origin(115.9, 28.7, 0.01, 0.01))
    assert unit_of(tmp_path / name) == unit


def test_a_raster_of_the_whole_world_in_mollweide_keeps_its_people():
    path, tiles = CASES / "14_population_rasters/ghsl_global_1k.tif", around(115.9, 28.7)
    people, known = strip_population(path, tiles)
    assert known.all()
    assert people.sum() == pytest.approx(1000 * km2(tiles), rel=0.02)  # 1,000 in each cell of 1 km2


def raster(path, values, crs, transform):
    with rasterio.open(
        path, "w", driver="GTiff", width=values.shape[1], height=values.shape[0], count=1, dtype="float32", crs=crs,
        transform=transform,
    ) as opened:  # fmt: skip
        opened.write(values, 1)
    return path


@pytest.mark.parametrize("turn", [0.0, 0.3])
def test_holes_without_a_tag_cost_nobody_in_a_projected_raster(tmp_path, turn):
    """One cell of people among NaN, far from the edge: all of them are counted, whatever way the raster is turned."""
    values = np.full((200, 200), np.nan, np.float32)
    values[100, 100] = 1234.0
    east, north = rasterio.warp.transform("EPSG:4326", "EPSG:32650", [115.9], [28.7])
    transform = (
        rasterio.Affine.translation(east[0], north[0]) @ rasterio.Affine.rotation(np.degrees(turn))
        @ rasterio.Affine.scale(100, -100) @ rasterio.Affine.translation(-100, -100)
    )  # fmt: skip
    path = raster(tmp_path / "p.tif", values, "EPSG:32650", transform)
    x, y = (int(v) for v in tile_at(115.9, 28.7))
    xs, ys = np.meshgrid(np.arange(x - 2, x + 3), np.arange(y - 2, y + 3), indexing="ij")
    people, known = strip_population(path, tile_frame(xs.ravel(), ys.ravel()))
    assert known.all() and people.sum() == pytest.approx(1234, rel=1e-6)


def test_density_in_a_projection_that_stretches_counts_true_ground(tmp_path):
    """100 people a km2 in Web Mercator, whose cells at 60 N cover a quarter of their nominal ground."""
    east, north = rasterio.warp.transform("EPSG:4326", "EPSG:3857", [10.0], [60.2])
    transform = from_origin(east[0], north[0], 200, 200)
    path = raster(tmp_path / "density.tif", np.full((300, 300), 100, np.float32), "EPSG:3857", transform)
    tiles = around(10.1, 60.1)
    people, known = strip_population(path, tiles, unit="per-km2")
    assert known.all() and people.sum() == pytest.approx(100 * km2(tiles), rel=2e-3)


# --- 17: lists of tiles -----------------------------------------------------------------------------------------------


def test_tiles_of_another_zoom_are_split_or_become_shares():
    report = Report()
    tiles = read_tiles(CASES / "17_tiles_z/tiles_z14.csv", report=report)
    assert len(tiles) == 8 and said(report, "2 tiles of zoom 14 split into 8")
    assert tiles["x"].min() == 2 * 13463 and tiles["y"].min() == 2 * 6826
    fine = tiles_in_csv(b"X,Y,Zoom\n53852,27304,16\n53853,27304,16\n26930,13652,15\n", "t.csv")
    assert fine["covered_share"].tolist() == [0.5, 1.0] and fine["x"].tolist() == [26926, 26930]
    keys = tiles_in_csv(b"quadkey\n132103212121212\n0321032121212123\n", "t.csv")
    assert sorted(keys["covered_share"]) == [0.25, 1.0]
    paths = tiles_in_csv(b"z/x/y\n14/13463/6826\n15/26930/13652\n", "t.csv")
    assert len(paths) == 5 and paths["x"].min() == 2 * 13463
    with pytest.raises(AreaError, match="zoom that is no whole number"):
        tiles_in_csv(b"x,y,z\n1,1,99\n", "t.csv")
    with pytest.raises(AreaError, match="zoom-14 tile"):
        tiles_in_csv(b"x,y,z\n16384,1,14\n", "t.csv")


def test_gaps_and_repeats_of_a_list_of_tiles_cost_only_themselves(tmp_path):
    report = Report()
    tiles = tiles_in_csv(
        b"x,y,z\n13463,6826,14\n13464,6826,\n,6827,14\n13463,6826,14\n", "t.csv", report=report
    )
    assert len(tiles) == 4 and said(report, "2 lines left out", "row 2")
    assert said(report, "1 line lists a tile again", "13463,6826")
    told = Report()
    tiles_in_csv(b"x,y\n26930,13652\n", "t.csv", report=told)
    assert said(told, "tiles are of zoom 15")
    pd.DataFrame({"X": [13463], "Y": [6826], "Zoom": [14]}).to_excel(tmp_path / "t.xlsx", index=False)
    assert len(read_tiles(tmp_path / "t.xlsx")) == 4
    pd.DataFrame({"quadkey": [132103212121212]}).to_excel(tmp_path / "k.xlsx", index=False)
    with pytest.raises(AreaError, match="as numbers"):
        read_tiles(tmp_path / "k.xlsx")


def test_columns_of_places_are_named_where_their_headings_do_not_tell(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("a,b,what\n115.9,28.67,cafe\n115.91,28.68,school\n")
    found = read_poi_table(path, mapping={"lon": "a", "lat": "b", "category": "what"})
    assert sorted(names(found.places.category)) == ["catering", "education_culture"]
    columns = (("lon", "a"), ("lat", "b"), ("category", "what"))
    asked = Choices(poi=str(path), poi_columns=columns)
    assert asked.key("poi") != Choices(poi=str(path)).key("poi")
    with pytest.raises(SourceError, match="'name' is no column of places"):
        Choices(poi=str(path), poi_columns=(("name", "a"),))
    pack = tmp_path / "pack"
    options = [
        "--imagery",
        "none",
        "--population",
        "none",
        "--poi",
        str(path),
        "--base-map",
        "none",
        "--out",
        str(pack),
    ]
    told = [f"--poi-column={ours}={theirs}" for ours, theirs in columns]
    assert main(["fetch", "115.89,28.66,115.92,28.69", *options, *told]) == 0


def test_the_layer_and_the_system_of_an_area_can_be_named():
    metres = gpd.GeoSeries([shapely.box(115.9, 28.6, 115.95, 28.65)], crs=4326).to_crs(3857)
    data = json.dumps(shapely.geometry.mapping(metres.iloc[0])).encode()
    with pytest.raises(AreaError, match="projected metres"):
        read_area_bytes(data, "a.geojson")
    area = read_area_bytes(data, "a.geojson", crs="EPSG:3857")
    np.testing.assert_allclose(area.geometry.bounds, (115.9, 28.6, 115.95, 28.65), atol=1e-7)
    with pytest.raises(AreaError, match=r"no sheet or layer 'b'; it has a"):
        read_area_bytes(data, "a.geojson", layer="b")


def test_what_overpass_answers_is_a_table_of_places(tmp_path):
    elements = [
        {"type": "node", "id": 1, "lat": 28.67, "lon": 115.9, "tags": {"amenity": "cafe"}},
        {"type": "way", "id": 2, "center": {"lat": 28.68, "lon": 115.91}, "tags": {"amenity": "school"}},
        {"type": "node", "id": 3, "lat": 28.6, "lon": 115.9},
    ]
    path = tmp_path / "o.json"
    path.write_text(json.dumps({"version": 0.6, "elements": elements}))
    found = read_poi_table(path)
    assert sorted(names(found.places.category)) == ["catering", "education_culture"]
    assert found.provider == "osm"


def test_places_of_nothing_that_is_known_name_what_was_seen(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("lon,lat,category\n1,2,stone\n")
    with pytest.raises(SourceError, match=r"no known category \(it has stone\)"):
        read_poi_table(path)
