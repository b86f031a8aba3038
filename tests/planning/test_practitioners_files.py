"""Networks, places and measurements as practitioners have them: each case of `tests/cases`, and others of its kind."""

import io
import json
import zipfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import openpyxl
import pandas as pd
import pyproj
import pytest
import shapely

from plannerbase.report import Report
from planning.cli import main
from planning.deployment.places import in_areas, read_places
from planning.errors import InputError
from planning.measured_power import read_power
from planning.measured_traffic import read_measured
from planning.network.files import Choice, import_network, preview
from planning.network.rows import sites_and_cells
from planning.power_fit import fit_power
from planning.scenario import Scenario
from planning.traffic import TrafficTable

CASES = Path(__file__).parents[1] / "cases"


def sites_of(found) -> dict[str, tuple[float, float]]:
    sites = found.network.sites
    return {s: (lon, lat) for s, lon, lat in zip(sites["site"], sites["lon"], sites["lat"], strict=True)}


def said(report, *words) -> bool:
    return any(all(word in line for word in words) for line in report)


@pytest.fixture(scope="module")
def traffic(tmp_path_factory):
    """Traffic of the README's box, as the command line reads it."""
    x, y = (
        v.ravel() for v in np.meshgrid(np.arange(26_933, 26_939), np.arange(13_651, 13_657), indexing="ij")
    )
    rows = {"x": np.repeat(x, 24), "y": np.repeat(y, 24), "hour": np.tile(np.arange(24), len(x))}
    rows["traffic"] = 1.0 + np.cos(rows["hour"] / 24 * 2 * np.pi) / 2
    path = tmp_path_factory.mktemp("traffic") / "t.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


# --- 02: a network elsewhere ------------------------------------------------------------------------------------------


def test_sites_that_no_tile_can_reach_are_left_out_of_an_import(traffic, tmp_path, capsys):
    out = tmp_path / "n.gpkg"
    path = CASES / "02_network_outside_area/in_area_plus_elsewhere.csv"
    assert main(["import", str(path), "--traffic", str(traffic), "--out", str(out)]) == 0
    told = capsys.readouterr()
    assert "20 of 40 sites lie in or within 3 km" in told.err and "20 sites left out" in told.err
    assert len(Scenario.read(out).network.sites) == 20


def test_a_network_of_elsewhere_says_where_it_lies_and_whether_exchanged_axes_help(traffic, tmp_path, capsys):
    out = tmp_path / "n.gpkg"
    path = CASES / "02_network_outside_area/swapped_paris.csv"
    assert main(["import", str(path), "--traffic", str(traffic), "--out", str(out)]) == 2
    told = capsys.readouterr().err
    assert "48.850 and 48.860 E" in told and "exchanged" not in told
    rows = pd.DataFrame({"x": 19_570, "y": 13_656, "hour": range(24), "traffic": 1.0})  # at 35 E, 28.66 N
    rows.to_csv(tmp_path / "t.csv", index=False)
    pd.DataFrame({"site": ["A"], "lon": [28.66], "lat": [35.0]}).to_csv(tmp_path / "s.csv", index=False)
    assert (
        main(["import", str(tmp_path / "s.csv"), "--traffic", str(tmp_path / "t.csv"), "--out", str(out)])
        == 2
    )
    assert "exchanged they would lie in it" in capsys.readouterr().err


def test_axes_that_can_only_be_exchanged_are(tmp_path):
    found = import_network(b"site,lat,lon\nA,115.91,28.67\n", "s.csv")
    assert sites_of(found) == {"A": (115.91, 28.67)} and said(found.report, "exchanged")


# --- 03: several tables -----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sites", "cells", "technologies"),
    [
        ("atoll.zip", 1, 2, {"4G"}),
        ("gp_two.gpkg", 2, 4, {"4G", "5G"}),
        ("sheet_per_tech.xlsx", 1, 6, {"4G", "5G"}),
        ("two_sheets.xlsx", 2, 6, {"5G"}),
    ],
)
def test_all_tables_with_places_count_and_others_are_joined_by_their_sites(name, sites, cells, technologies):
    found = import_network(CASES / "03_only_largest_table" / name)
    assert (len(found.network.sites), len(found.network.cells)) == (sites, cells)
    assert set(found.network.cells["technology"]) == technologies
    assert len(set(found.network.cells["azimuth"])) > 1


def test_a_layer_can_be_chosen_and_is_offered():
    path = CASES / "03_only_largest_table/gp_two.gpkg"
    assert preview(path.read_bytes(), path.name).layers == ["LTE", "NR"]
    found = import_network(path, choice=Choice(layer="nr"))
    assert len(found.network.cells) == 2 and set(found.network.cells["technology"]) == {"5G"}
    with pytest.raises(InputError, match="no sheet or layer 'XX'; it has LTE, NR"):
        import_network(path, choice=Choice(layer="XX"))


def test_tables_that_are_not_read_and_rows_that_do_not_join_are_said():
    book = openpyxl.Workbook()
    for name, rows in {
        "Sites": [
            ["Site list 2025"],
            ["Name", "Longitude", "Latitude"],
            ["A", 115.9, 28.6],
            ["B", 115.8, 28.7],
        ],
        "Cells": [["Cell", "Name", "Azimuth"], ["A1", "A", 0], ["A2", "A", 120], ["X1", "X", 0]],
        "Notes": [["Who", "What"], ["me", "this"]],
    }.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    del book["Sheet"]
    buffer = io.BytesIO()
    book.save(buffer)
    found = import_network(buffer.getvalue(), "n.xlsx")
    assert found.network.cells["cell"].tolist() == ["A1", "A2"]
    assert said(found.report, "1 row of Cells names no site") and said(
        found.report, "1 site of Sites has no row"
    )
    assert said(found.report, "Notes was not read") and said(found.report, "1 line above the heading")


# --- 05: gaps ---------------------------------------------------------------------------------------------------------


def test_one_gap_costs_one_row_or_nothing():
    azimuth = import_network(CASES / "05_one_gap_refuses_all/empty_az.csv")
    omni = azimuth.network.cells.set_index("cell").loc["B-omni"]
    assert omni["beamwidth_deg"] == 360 and "azimuth" in omni["assumed"]
    assert said(azimuth.report, "1 row states no azimuth")
    named = import_network(CASES / "05_one_gap_refuses_all/empty_cell.csv")
    assert len(set(named.network.cells["cell"])) == 4 and said(named.report, "2 cells have no name")
    assert not named.network.cells["cell"].str.contains("nan").any()


@pytest.mark.parametrize("blank", ["", "NA", "-"])
def test_places_without_a_name_are_sites_of_their_own(blank):
    text = f"site,lon,lat\n{blank},115.90,28.6\n{blank},115.91,28.6\nC,115.92,28.6\n"
    found = import_network(text.encode(), "s.csv")
    if blank != "-":  # which is a name
        assert len(found.network.sites) == 3 and "nan" not in set(found.network.sites["site"])


def test_a_path_of_one_point_costs_only_itself():
    found = read_places(CASES / "05_one_gap_refuses_all/onepoint.kml")
    assert len(found.areas) == 1 and said(found.report, "1 placemark with", "path clicked once")


# --- 06: areas where none may stand -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted((CASES / "06_forbid_ignored").iterdir()), ids=lambda p: p.name)
def test_forbidden_areas_hold_in_every_format_and_system(path):
    places = read_places(path)
    lon, lat = np.array([115.92, 115.95]), np.array([28.68, 28.68])
    assert in_areas(lon, lat, places.areas).tolist() == [True, False] and len(places) == 0


def test_areas_and_pins_of_one_file_both_forbid(tmp_path):
    ring = "115.90,28.66 115.94,28.66 115.94,28.70 115.90,28.70"  # not closed
    text = (
        "<kml><Document><Placemark><Polygon><outerBoundaryIs><LinearRing><coordinates>"
        f"{ring}</coordinates></LinearRing></outerBoundaryIs></Polygon></Placemark>"
        "<Placemark><name>pin</name><Point><coordinates>115.99, 28.60, 0</coordinates></Point></Placemark>"
        "</Document></kml>"
    )
    places = read_places(text.encode(), "f.kml")
    assert len(places.areas) == 1 and places.lon.tolist() == [115.99]
    at_centre = read_places(text.encode(), "f.kml", areas=False)
    assert not at_centre.areas and said(at_centre.report, "too large for a place")


# --- 07 and 12: geometry ----------------------------------------------------------------------------------------------


def test_geometry_counts_before_columns():
    paris = import_network(CASES / "07_attribute_beats_geometry/gj_swapprop_paris.geojson")
    assert sites_of(paris) == {"A": (2.35, 48.85), "B": (2.36, 48.86)} and said(
        paris.report, "2 rows lie elsewhere"
    )
    gaps = import_network(CASES / "07_attribute_beats_geometry/gj_nullprop.geojson")
    assert sites_of(gaps) == {"A": (115.91, 28.67), "B": (115.92, 28.68)}


def test_columns_place_features_without_a_geometry_and_add_digits_to_those_with_one():
    features = [
        {"type": "Feature", "properties": {"site": "A", "lon": 115.910000004, "lat": 28.67}, "geometry": None},
        {"type": "Feature", "properties": {"site": "B", "lon": 115.920000004, "lat": 28.67},
         "geometry": {"type": "Point", "coordinates": [115.92, 28.67]}},
    ]  # fmt: skip
    found = import_network(
        json.dumps({"type": "FeatureCollection", "features": features}).encode(), "s.geojson"
    )
    assert sites_of(found) == {"A": (115.910000004, 28.67), "B": (115.920000004, 28.67)}


@pytest.mark.parametrize(
    ("name", "sites"),
    [
        ("area.kml", {"S1": (115.91, 28.67), "S2": (115.92, 28.68)}),
        ("gj_3857.geojson", {"A": (115.900638, 28.672277), "B": (115.909621, 28.672277)}),
        ("gj_feature.geojson", {"A": (115.91, 28.67)}),
        ("gj_nl.geojson", {"S0": (115.91, 28.67), "S1": (115.92, 28.67), "S2": (115.93, 28.67)}),
        ("gp_geometry.gpkg", {"A": (115.91, 28.67), "B": (115.92, 28.68)}),
    ],
)
def test_points_are_found_wherever_they_stand(name, sites):
    found = sites_of(import_network(CASES / "12_geometry_types" / name))
    assert found.keys() == sites.keys()
    for site, place in sites.items():
        assert found[site] == pytest.approx(place, abs=1e-6)


def test_multipoints_areas_and_lines_become_places_or_are_counted(tmp_path):
    plot = shapely.box(115.95, 28.6, 115.9501, 28.6001)
    frame = gpd.GeoDataFrame(
        {"site": ["M", "P", "L"]},
        geometry=[
            shapely.MultiPoint([(115.9, 28.6), (115.91, 28.6)]),
            plot,
            shapely.LineString([(0, 0), (1, 1)]),
        ],
        crs="EPSG:4326",
    )
    frame.to_crs("EPSG:32650").to_file(tmp_path / "s.gpkg")
    places = read_places(tmp_path / "s.gpkg", areas=False)
    assert set(places.names) == {"M", "P"} and said(places.report, "1 line left out")
    assert said(places.report, "1 area was taken at their centre")


# --- 08: notations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "site", "place"),
    [
        ("cn_gbk.csv", "S00001", (115.9123, 28.6731)),
        ("cn_utf8.csv", "S00001", (115.9123, 28.6731)),
        ("comma.xlsx", "S1", (115.91, 28.67)),
        ("dms.csv", "S1", (115.91, 28.67)),
        ("fr.csv", "S1", (115.91, 28.67)),
        ("latlon1.csv", "A", (115.91, 28.67)),
        ("sepline.csv", "S1", (115.91, 28.67)),
        ("wkt.csv", "A", (115.91, 28.67)),
    ],
)
def test_coordinates_and_headings_as_they_are_written(name, site, place):
    assert sites_of(import_network(CASES / "08_notations" / name))[site] == pytest.approx(place, abs=1e-9)


def test_eastings_need_a_system_and_say_so():
    path = CASES / "08_notations/ofcom.csv"
    with pytest.raises(InputError, match=r"530000, 180000 .*--crs, for example EPSG:27700"):
        import_network(path)
    found = import_network(path, choice=Choice(crs="EPSG:27700"))
    expected = pyproj.Transformer.from_crs(27700, 4326, always_xy=True).transform(530000, 180000)
    assert next(iter(sites_of(found).values())) == pytest.approx(expected, abs=1e-9)
    with pytest.raises(InputError, match="no known reference system"):
        import_network(path, choice=Choice(crs="EPSG:1"))


def test_a_workbook_with_macros_is_a_workbook():
    found = import_network((CASES / "08_notations/comma.xlsx").read_bytes(), "n.xlsm")
    assert len(found.network.sites) == 2


# --- 13: Chinese text -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["s_gbk_cpg.zip", "s_gbk_nocpg.zip"])
def test_chinese_names_of_shapefiles_are_read_with_and_without_a_code_page(name):
    assert set(sites_of(import_network(CASES / "13_gbk_no_cpg" / name))) == {"红谷滩", "东湖"}


def test_chinese_kml_is_read_with_and_without_a_declaration():
    mark = "<Placemark><name>红谷滩镇</name><Point><coordinates>115.9,28.6</coordinates></Point></Placemark>"
    for head in ('<?xml version="1.0" encoding="GB2312"?>', '<?xml version="1.0"?>'):
        text = f"{head}<kml><Document>{mark}</Document></kml>"
        assert set(sites_of(import_network(text.encode("gb18030"), "n.kml"))) == {"红谷滩镇"}


# --- 16: measured power -----------------------------------------------------------------------------------------------


def test_power_in_kw_and_loads_in_shares_are_read_as_they_are_meant():
    kw = (CASES / "16_fit_power_units/meas_kw.csv").read_bytes()
    doubtful = fit_power(read_power(kw, "m.csv").table)
    assert len(doubtful.doubts) == 1 and "kW" in doubtful.doubts[0]
    fit = fit_power(read_power(kw, "m.csv", power_unit="kw").table)
    assert fit.idle_w == pytest.approx(570, abs=5) and not fit.doubts
    share = (CASES / "16_fit_power_units/load_fraction.csv").read_bytes()
    with pytest.raises(InputError, match="--capacity-mbps"):
        read_power(share, "m.csv")
    fit = fit_power(read_power(share, "m.csv", capacity_mbps=300).table)
    assert fit.slope_w_per_mbps == pytest.approx(161.6 / 300, rel=0.01)
    renamed = (CASES / "16_fit_power_units/load_fraction_renamed.csv").read_bytes()
    assert "share or percent" in fit_power(read_power(renamed, "m.csv").table).doubts[0]
    assert (
        fit_power(read_power(renamed, "m.csv", load_unit="share", capacity_mbps=300).table).slope_w_per_mbps
        < 1
    )


def test_power_columns_are_mapped_and_dropped_rows_counted():
    text = 'when;Débit (Mbit/s);P\n1;10;"1 000,5"\n2;20;1100\n3;x;1200\n4;40;1250\n'
    found = read_power(text.encode(), "m.csv", {"load": "Débit (Mbit/s)", "power": "P"})
    assert found.table["power_w"].tolist() == [1000.5, 1100, 1250] and said(
        found.report, "1 row left out", "row 3"
    )
    found = read_power(b'load_mbps,power_w\n1,"1,000.5"\n2,"1,100"\n', "m.csv")
    assert found.table["power_w"].tolist() == [1000.5, 1100]


# --- 18: KMZ with links -----------------------------------------------------------------------------------------------


def kmz(**members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def test_a_kmz_follows_its_links_inside_and_names_those_outside():
    link = "<NetworkLink><Link><href>{}</href></Link></NetworkLink>"
    mark = "<Placemark><name>{}</name><Point><coordinates>{},28.6</coordinates></Point></Placemark>"
    inside = {
        "doc.kml": [link.format("files/a.kml"), link.format("http://x.example/b.kml")],
        "files/a.kml": [mark.format("A", 115.9), link.format("../doc.kml"), link.format("c.kml")],
        "files/c.kml": [mark.format("C", 115.8)],
        "other.kml": [mark.format("O", 1)],
    }
    data = kmz(
        **{name: f"<kml><Document>{''.join(parts)}</Document></kml>" for name, parts in inside.items()}
    )
    found = import_network(data, "n.kmz")
    assert set(sites_of(found)) == {"A", "C"}
    assert said(found.report, "is no KML in the archive was not followed", "x.example")
    assert said(found.report, "does not link to", "other.kml")


def test_a_kmz_by_its_content_its_escaped_links_and_documents_that_nothing_links_to():
    mark = "<Placemark><name>{}</name><Point><coordinates>{},28.6</coordinates></Point></Placemark>"

    def document(text: str) -> str:
        return f"<kml><Document>{text}</Document></kml>"

    link = "<NetworkLink><Link><href>files/a%20b.kml</href></Link></NetworkLink>"
    escaped = kmz(**{"doc.kml": document(link), "files/a b.kml": document(mark.format("A", 115.9))})
    assert set(sites_of(import_network(escaped, "n.kmz"))) == {"A"}
    unlinked = import_network(
        kmz(**{"doc.kml": document(""), "x/s.kml": document(mark.format("S", 1))}), "n.kmz"
    )
    assert set(sites_of(unlinked)) == {"S"} and said(unlinked.report, "doc.kml holds no placemark")
    misnamed = document(mark.format("M", 1)).encode()
    assert set(sites_of(import_network(misnamed, "n.kmz"))) == {"M"}
    assert set(sites_of(import_network(kmz(**{"doc.kml": misnamed.decode()}), "n.kml"))) == {"M"}
    with pytest.raises(InputError, match=r"holds no placemark, only 1 link to other files \(files"):
        import_network(document(link).encode(), "n.kml")


# --- 19: cells as crowds measure them ---------------------------------------------------------------------------------


def test_cell_databases_are_known_by_their_codes():
    kaggle = import_network(CASES / "19_opencellid_forms/kaggle_ocid.csv")
    assert len(kaggle.network.sites) == 2 and kaggle.network.cells["cell"].iloc[0] == "GSM-460-0-117-11201"
    headless = "4G;460;0;11202;117;;;28.67;115.91;Road;1300\n5G;460;0;11203;117;;;28.67;115.91;Road;\n"
    found = import_network(headless.encode(), "n.csv")
    assert len(found.network.sites) == 1 and found.network.cells["technology"].tolist() == ["4G", "5G"]


def test_operators_are_told_and_chosen():
    path = CASES / "19_opencellid_forms/ocid_ops.csv"
    every = import_network(path)
    assert said(every.report, "3 operators", "460-0 (2)", "--network")
    assert preview(path.read_bytes(), path.name).networks[0] == "460-0"
    for name in ("460-0", "460-00", "460/0"):
        assert len(import_network(path, choice=Choice(network=name)).network.cells) == 2
    with pytest.raises(InputError, match="it has 460-0"):
        import_network(path, choice=Choice(network="460-7"))
    named = b"site,lon,lat,Operator\nA,115.9,28.6,X\nB,115.8,28.6,Y\n"
    assert set(sites_of(import_network(named, "n.csv", choice=Choice(network="y")))) == {"B"}


@pytest.mark.parametrize("network", ["460-00,460-01", "46000,46001", "460/0,460/1"])
def test_networks_in_one_column_are_operators(network):
    first, second = network.split(",")
    text = f"PLMN,RAT,TAC,ECI,LON,LAT\n{first},LTE,1,11,115.91,28.67\n{second},LTE,1,12,115.92,28.68\n"
    every = import_network(text.encode(), "n.csv")
    assert every.network.cells["cell"].tolist() == ["LTE-460-0-1-11", "LTE-460-1-1-12"]
    assert said(every.report, "2 operators", "460-0 (1)", "460-1 (1)")
    assert preview(text.encode(), "n.csv").networks == ["460-0", "460-1"]
    one = import_network(text.encode(), "n.csv", choice=Choice(network="460-1"))
    assert one.network.cells["cell"].tolist() == ["LTE-460-1-1-12"]


def test_operators_of_a_table_with_azimuths_are_told_too():
    text = b"site,lon,lat,azimuth,MCC,MNC,CID\nA,115.9,28.6,0,460,0,1\nB,115.8,28.6,0,460,1,2\n"
    assert said(import_network(text, "n.csv").report, "2 operators", "460-1 (1)")
    assert set(sites_of(import_network(text, "n.csv", choice=Choice(network="460-1")))) == {"B"}


# --- 21: one site, one place ------------------------------------------------------------------------------------------


def test_rows_of_one_place_or_name_are_one_site_among_existing_ones():
    places = read_places(CASES / "21_existing_counts_rows/sectors_nocell.csv", areas=False)
    assert places.names == ("S1", "S2") and said(places.report, "2 rows name a site or a place again")
    unnamed = read_places(
        b"latitude,longitude,azimuth\n28.67,115.91,0\n28.67,115.91,120\n28.6,115.9,0\n", "p.csv"
    )
    assert len(unnamed) == 2


def test_names_at_one_place_are_one_existing_site_and_are_told_at_import():
    text = b"name,lat,lon\nS1_1,28.67,115.91\nS1_2,28.67,115.91\nS2,28.6,115.9\n"
    places = read_places(text, "p.csv", areas=False)
    assert places.names == ("S1_1", "S2") and said(places.report, "1 row repeats the very place", "S1_2")
    found = import_network(text, "n.csv")
    assert len(found.network.sites) == 3 and said(
        found.report, "1 site has the very place of another", "S1_2"
    )


@pytest.mark.parametrize("heading", ["NodeB", "Nom", "BTS Name", "eNB", "局名"])
def test_names_of_sites_in_other_words(heading):
    text = f"{heading},lat,lon\nA,28.67,115.91\nB,28.6,115.9\n"
    assert set(sites_of(import_network(text.encode(), "n.csv"))) == {"A", "B"}


MIF = (
    b'Version 300\nCharset "Neutral"\nDelimiter ","\nCoordSys Earth Projection 1, 104\nColumns 1\n  Site Char(9)\n'
    b"Data\n\nPoint 115.91 28.67\nPoint 115.92 28.68\n"
)


def test_a_mapinfo_interchange_file_is_read_with_the_part_beside_it():
    found = import_network(kmz(**{"x/s.MIF": MIF, "x/s.mid": '"A"\n"B"\n'}), "s.zip")
    assert sites_of(found) == {"A": pytest.approx((115.91, 28.67)), "B": pytest.approx((115.92, 28.68))}
    with pytest.raises(InputError, match=r"save it as \.mif"):
        import_network(b"!table", "s.tab")
    with pytest.raises(InputError, match="is not a MapInfo file"):
        import_network(b"Version: none", "s.mif")


def test_degrees_of_a_shifted_datum_are_moved_in_vector_files_too():
    """GCJ-02 lies some 500 m from WGS-84 in China, in a geometry as in columns."""
    point = {
        "type": "Feature",
        "properties": {"site": "A"},
        "geometry": {"type": "Point", "coordinates": [115.91, 28.67]},
    }
    choice = Choice(crs="GCJ-02")
    columns = import_network(b"site,lon,lat\nA,115.91,28.67\n", "n.csv", choice=choice)
    shapes = import_network(json.dumps(point).encode(), "n.geojson", choice=choice)
    assert sites_of(shapes)["A"] == pytest.approx(sites_of(columns)["A"], abs=1e-9)
    assert sites_of(shapes)["A"] != pytest.approx((115.91, 28.67), abs=1e-3)


def test_parquet_with_and_without_geometry_is_a_table(tmp_path):
    rows = {"site": ["A", "B"], "size": [{"m": 30.0}, {"m": 40.0}], "tags": [["x"], ["y"]]}
    pd.DataFrame(rows | {"lon": [115.91, 115.9], "lat": [28.67, 28.6]}).to_parquet(tmp_path / "p.parquet")
    points = gpd.points_from_xy([115.91, 115.9], [28.67, 28.6])
    in_metres = gpd.GeoDataFrame(rows, geometry=points, crs=4326).to_crs(3857)
    in_metres.to_parquet(tmp_path / "g.parquet")
    for name in ("p.parquet", "g.parquet"):
        found = import_network(tmp_path / name)
        assert sites_of(found)["A"] == pytest.approx((115.91, 28.67), abs=1e-7)
        assert found.network.cells["size.m"].iloc[0] == 30.0 and said(
            found.report, "1 column of lists", "tags"
        )
    data = (tmp_path / "g.parquet").read_bytes()
    with pytest.raises(InputError, match="is no readable Parquet file"):
        import_network(data[:-30], "g.parquet")


# --- 22: measured traffic ---------------------------------------------------------------------------------------------


def test_half_a_day_of_counters_and_a_table_that_is_none_are_told():
    path = CASES / "22_measured_traffic/cells_hourly.csv"
    with pytest.raises(InputError, match="measures 2 of the 24 hours of a day"):
        read_measured(path.read_bytes(), path.name)
    with pytest.raises(InputError, match=r"found: cell_id, datetime, lon, lat, traffic_mb.*planning traffic"):
        TrafficTable.read(path)


def test_places_become_tiles_and_date_times_hours(tmp_path, capsys):
    times = pd.date_range("2025-03-01", periods=48, freq="h")
    one = pd.DataFrame({"When": times, "X": 115.91, "Y": 28.67, "Total (MB)": 450.0})
    two = one.assign(**{"Total (MB)": 900.0})  # another cell of the tile
    far = one.assign(X=115.99)[:47]  # another tile, without its last hour
    pd.concat([one, two, far, one[:1].assign(X=None)]).to_csv(tmp_path / "m.csv", index=False)
    arguments = ["traffic", str(tmp_path / "m.csv"), "--out", str(tmp_path / "t.parquet")]
    assert main(arguments) == 2 and "--map time=COLUMN" in capsys.readouterr().err
    assert main([*arguments, "--map", "time=When", "--map", "traffic=Total (MB)"]) == 0
    told = capsys.readouterr().err
    assert "1 row left out: no longitude" in told and "Mbit/s" in told
    table = TrafficTable.read(tmp_path / "t.parquet")
    assert (table.tiles, table.hours) == (2, 24) and table.metadata["unit"] == "Mbit/s"
    np.testing.assert_allclose(table.traffic[0, 0], (450 + 900) * 8 / 3600)
    np.testing.assert_allclose(table.traffic[1, 0], 450 * 8 / 3600)


def test_hours_without_a_measurement_take_the_shape_of_the_others(tmp_path):
    times = pd.date_range("2025-03-01", periods=24, freq="h")
    shape = 1 + np.arange(24) / 24
    whole = pd.DataFrame({"time": times, "lon": 115.91, "lat": 28.67, "traffic": 10 * shape})
    part = pd.DataFrame({"time": times, "lon": 115.99, "lat": 28.67, "traffic": 30 * shape})[:12]
    pd.concat([whole, part]).to_csv(tmp_path / "m.csv", index=False)
    table, report = read_measured((tmp_path / "m.csv").read_bytes(), "m.csv")
    np.testing.assert_allclose(table.traffic[1, 0, 12:] / table.traffic[1, 0, 12], shape[12:] / shape[12])
    assert said(report, "12 hours of tiles that were not measured")


# --- further files of the kinds above ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "encoding", "azimuths", "heights"),
    [
        ("Standort;Breite;Länge;Azimut;Höhe\nSüd;28,671;115,911;30;31\nÖst;28,680;115,930;90;25\n", "cp1252",
         [30, 90], [31, 25]),
        ("emplazamiento|latitud|longitud|acimut|altura\nA|28.67|115.91|10|30\nB|28.68|115.93|20|25\n", "utf-16",
         [10, 20], [30, 25]),
        ("Площадка\tШирота\tДолгота\tАзимут\tВысота\nА1\t28,67\t115,91\t10\t30\nА2\t28,68\t115,92\t20\t25\n", "cp1251",
         [10, 20], [30, 25]),
        ("Relatório;;;;\n\nEstação;Latitude;Longitude;Azimute;Altura\nE1;28,67;115,91;15;30\nE2;28,68;115,92;240;25\n",
         "utf-8-sig", [15, 240], [30, 25]),
    ],
    ids=["German", "Spanish", "Russian", "Portuguese"],
)  # fmt: skip
def test_directions_and_heights_of_other_languages_are_no_extra_columns(text, encoding, azimuths, heights):
    found = import_network(text.encode(encoding), "sites.csv")
    cells = found.network.cells.drop_duplicates("site")
    assert cells["azimuth"].tolist() == azimuths and cells["height_m"].tolist() == heights
    assert len(found.network.sites) == 2 and not said(found.report, "No column of site names")


def test_both_tilts_of_an_antenna_count():
    text = "site,cell,lat,lon,azimuth,Mech Tilt,Elec Tilt\nS,a,28.67,115.91,0,2,4\nS,b,28.67,115.91,120,1,5\n"
    found = import_network(text.encode(), "sites.csv")
    assert found.network.cells["tilt_deg"].tolist() == [6.0, 6.0]


def _features(*places):
    listed = [
        {"type": "Feature", "properties": {"name": f"s{i}"}, "geometry": {"type": "Point", "coordinates": list(p)}}
        for i, p in enumerate(places)
    ]  # fmt: skip
    return json.dumps({"type": "FeatureCollection", "features": listed}).encode()


def test_a_geometry_whose_axes_can_only_be_exchanged_is():
    found = import_network(_features((28.67, 115.91), (28.68, 115.92)), "sites.geojson")
    assert sites_of(found) == {"s0": (115.91, 28.67), "s1": (115.92, 28.68)}
    assert said(found.report, "2 features had latitude and longitude exchanged")


def test_a_geometry_in_metres_needs_a_system_and_says_so():
    places = ((12903000, 3333700), (12903500, 3334200))
    with pytest.raises(InputError, match=r"metres of a projected .* --crs"):
        import_network(_features(*places), "sites.geojson")


def test_forbidden_areas_written_as_text_in_a_table_hold():
    ring = "115.90 28.66,115.93 28.66,115.93 28.71,115.90 28.71,115.90 28.66"
    found = read_places(f'name;wkt\nzone;"POLYGON(({ring}))"\n'.encode(), "zones.csv", areas=True)
    assert sum(area.area for area in found.areas) == pytest.approx(0.03 * 0.05) and not len(found.lon)


def test_what_one_of_several_layers_lacks_is_empty():
    """Layers side by side leave nothing, or numbers, among the texts of a column."""
    mixed = pd.DataFrame(
        {
            "site": ["A", "B", "C", "D"], "lon": 115.9, "lat": [28.6, 28.7, 28.8, 28.9],
            "azimuth": pd.Series(["0/120", 30.0, np.nan, None], dtype=object),
            "technology": pd.Series(["LTE", np.nan, 5.0, None], dtype=object),
        }
    )  # fmt: skip
    cells = sites_and_cells(mixed, Report())[1]
    azimuths = [set(part) for _, part in cells.groupby("site")["azimuth"]]
    assert azimuths[:2] == [{0.0, 120.0}, {30.0}] and cells["technology"].iloc[0] == "4G"
