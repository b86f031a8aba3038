"""Networks as tools, regulators and operators of several countries write them."""

import gzip
import io
import json
import zipfile

import geopandas as gpd
import numpy as np
import openpyxl
import pyproj
import pytest

from plannerbase.served_area import CellPlaces
from planning.errors import InputError
from planning.network.directions import azimuths_of, is_omni
from planning.network.files import import_network
from planning.network.technologies import carriers_of


def imported(text, name="n.csv", encoding="utf-8"):
    return import_network(text.encode(encoding) if isinstance(text, str) else text, name)


def said(found):
    return " ".join(entry.line for entry in found.report.entries)


KOREAN = (
    "기지국명,국소ID,위도,경도,방위각,주파수,안테나높이,기술방식\n"
    "강남역1,KR001,37.4979,127.0276,0,2.6GHz,25,LTE\n강남역1,KR001,37.4979,127.0276,120,2.6GHz,25,LTE\n"
    "서초동2,KR002,37.4837,127.0324,N240,3.5GHz,30,5G\n"
)


@pytest.mark.parametrize("encoding", ["cp949", "utf-8-sig", "utf-16"])
def test_a_korean_table_keeps_its_names_azimuths_and_carriers(encoding):
    cells = imported(KOREAN, encoding=encoding).network.cells
    assert cells["site"].tolist() == ["강남역1", "강남역1", "서초동2"]
    assert cells["azimuth"].tolist() == [0, 120, 240]
    assert cells["band"].tolist() == ["B7", "B7", "n78"] and cells["height_m"].tolist() == [25, 25, 30]


@pytest.mark.parametrize(
    ("text", "degrees"),
    [
        ("N120", [120]), ("n 45°", [45]), ("N30E", [30]), ("S45W", [225]), ("S 10 E", [170]), ("N 20,5 W", [339.5]),
        ("120,5", [120.5]), ("0,120,240", [0, 120, 240]), ("45°30'", [45.5]), ("240 deg", [240]), ("0/120", [0, 120]),
    ],
)  # fmt: skip
def test_azimuths_in_the_notations_of_surveyors(text, degrees):
    assert azimuths_of(text) == pytest.approx(degrees)


def test_a_cell_that_is_said_to_be_omnidirectional_is_one_beside_sectors():
    found = imported(
        "site,lat,lon,cell,azimuth,technology\nA,28.67,115.91,A1,omni,LTE\nA,28.67,115.91,A2,120,LTE\n"
    )
    assert found.network.cells["beamwidth_deg"].tolist()[0] == 360 and is_omni("ND") and not is_omni("n.d.")
    assert found.network.cells["azimuth"].tolist() == [0, 120]


@pytest.mark.parametrize("lon", ["3.70W", "3.70 W", "3°42'W", "0034200.0W", "-3.70"])
def test_a_hemisphere_is_no_unit(lon):
    found = imported(f"site,lat,lon\nA,40.41N,{lon}\n").network.sites
    assert found[["lon", "lat"]].to_numpy() == pytest.approx(np.array([[-3.70, 40.41]]), abs=1e-4)


def test_a_bare_o_is_neither_east_nor_west():
    with pytest.raises(InputError, match="O is east in German and west in French"):
        imported("site;lat;lon\nA;48,85N;0,57O\nB;48,86N;0,58O\n")


@pytest.mark.parametrize(
    "heading",
    [
        "lat_degrees|lat_minutes|lat_seconds|lat_direction|long_degrees|long_minutes|long_seconds|long_direction",
        "COR_NB_DG_LAT|COR_NB_MN_LAT|COR_NB_SC_LAT|COR_CD_NS_LAT|COR_NB_DG_LON|COR_NB_MN_LON|COR_NB_SC_LON|COR_CD_EW_LON",
        "LatDeg|LatMin|LatSec|LatDir|LonDeg|LonMin|LonSec|LonDir",
    ],
)
def test_degrees_minutes_and_seconds_in_columns_of_their_own(heading):
    rows = "S1|48|51|24|N|2|21|7|E\nS2|44|50|16|N|0|34|46|W\nS3|44|75|16|N|0|34|46|W\n"
    found = imported(f"site|{heading}\n{rows}")
    expected = [
        [2 + 21 / 60 + 7 / 3600, 48 + 51 / 60 + 24 / 3600],
        [-(34 / 60 + 46 / 3600), 44 + 50 / 60 + 16 / 3600],
    ]
    assert found.network.sites[["lon", "lat"]].to_numpy() == pytest.approx(np.array(expected))
    assert "1 row left out" in said(found)


@pytest.mark.parametrize(
    ("zone", "code", "at"),
    [("30T", 32630, (-3.7, 40.4)), ("33", 32633, (15.5, 50.0)), ("56H", 32756, (151.2, -33.9)),
     ("33S", 32733, (15, -20)), ("33S", 32633, (15, 36))],
)  # fmt: skip
def test_eastings_and_northings_with_a_column_of_zones(zone, code, at):
    x, y = pyproj.Transformer.from_crs("EPSG:4326", code, always_xy=True).transform(*at)
    found = imported(f"site,UTM Zone,Easting,Northing\nA,{zone},{x:.2f},{y:.2f}\n")
    assert found.network.sites[["lon", "lat"]].to_numpy()[0] == pytest.approx(at, abs=1e-5)
    assert f"EPSG:{code}" in said(found)


def test_a_column_of_hemispheres_goes_before_the_letter_of_a_zone():
    x, y = pyproj.Transformer.from_crs("EPSG:4326", 32733, always_xy=True).transform(15, -33.9)
    found = imported(f"site;zone;hemisphere;utm_e;utm_n\nA;33;S;{x:.1f};{y:.1f}\n".replace(".", ","))
    assert found.network.sites[["lon", "lat"]].to_numpy()[0] == pytest.approx([15, -33.9], abs=1e-4)


def test_numbers_that_are_neither_degrees_nor_metres_are_said_to_be_so():
    with pytest.raises(InputError, match="degrees times a million"):
        imported("site,lat,lon\nA,286700000,1159100000\n")


def test_wkt_with_the_latitude_first_is_put_right():
    found = imported("site,wkt\nA,POINT(28.67 115.91)\n")
    assert found.network.sites[["lon", "lat"]].to_numpy().tolist() == [[115.91, 28.67]]
    assert "exchanged" in said(found)


PLACE = "site,lat,lon,cell,azimuth,technology,band"


def test_powers_that_are_too_large_for_dbm_are_watts():
    found = imported(f"{PLACE},power\nA,28.67,115.91,A1,0,LTE,B3,80\nA,28.67,115.91,A2,120,LTE,B3,160\n")
    assert found.network.cells["power_dbm"].tolist() == pytest.approx(30 + 10 * np.log10([80, 160]))
    assert "was read as W" in said(found)
    found = imported(f"{PLACE},power\nA,28.67,115.91,A1,0,LTE,B3,43\nA,28.67,115.91,A2,120,LTE,B3,46\n")
    assert found.network.cells["power_dbm"].tolist() == [43, 46] and "was read as dBm" in said(found)


@pytest.mark.parametrize(
    ("powers", "dbm"),
    [
        ((46, 43, 999), [46, 43]),
        ((430, 460, 400), [43, 46, 40]),
        ((20, 40, 200), [43.0103, 46.0206, 53.0103]),
    ],
)
def test_powers_without_a_unit_by_what_their_numbers_may_be(powers, dbm):
    rows = "".join(f"A,28.67,115.91,A{i},{60 * i},LTE,B3,{power}\n" for i, power in enumerate(powers))
    found = imported(f"{PLACE},power\n{rows}").network.cells["power_dbm"].tolist()
    assert found[: len(dbm)] == pytest.approx(dbm, abs=1e-3)


def test_tenths_of_a_degree_and_of_a_dbm_in_a_heading():
    cells = imported(
        f"{PLACE},E-Tilt (0.1deg),Power (0.1dBm)\nA,28.67,115.91,A1,0,LTE,B3,30,430\n"
    ).network.cells
    assert cells["tilt_deg"].tolist() == [3.0] and cells["power_dbm"].tolist() == [43.0]


def test_a_column_of_units_beside_a_column_of_numbers_counts():
    found = imported(
        f"{PLACE},EIRP,EIRP_UNIT,Bandwidth\nA,28.67,115.91,A1,0,LTE,B3,1500,W,20000\n"
        "A,28.67,115.91,A2,120,LTE,B3,62,dBm,10000000\n"
    )
    eirp = found.network.cells["power_dbm"] + found.network.cells["gain_dbi"]
    assert eirp.tolist() == pytest.approx([30 + 10 * np.log10(1500), 62])
    assert found.network.cells["bandwidth_mhz"].tolist() == [20, 10]


def test_a_value_beyond_its_limits_costs_itself_and_is_said():
    found = imported(f"{PLACE},height\nA,28.67,115.91,A1,0,LTE,B3,30\nA,28.67,115.91,A2,120,LTE,B3,99999\n")
    assert found.network.cells["height_m"].tolist()[0] == 30
    assert "1 value of height was not taken" in said(found) and "99999" in said(found)


def test_the_electrical_tilt_of_atoll_adds_to_the_mechanical_one():
    found = imported(
        "Site,Longitude,Latitude,Transmitter,Azimuth (°),Mechanical Downtilt (°),Additional Electrical Downtilt (°)\n"
        "S1,115.91,28.67,S1_1,0,2,4\n"
    )
    assert found.network.cells["tilt_deg"].tolist() == [6]


def test_a_column_of_carriers_that_names_technologies_tells_them():
    found = imported(
        "Property,Lat,Long,Cell ID,Azimuth,Carrier\n1,51.50,-0.12,1A,0,LTE 1800 F1\n2,51.51,-0.12,2A,0,LTE 800\n"
    )
    assert found.network.cells["band"].tolist() == ["B3", "B20"]


@pytest.mark.parametrize(
    ("technology", "band", "name"),
    [("LTE", "PCS 1900", "B2"), ("LTE", "AWS", "B66"), ("NR", "CBRS", "n48"), ("LTE", "DCS1800", "B3"),
     ("LTE", "1.8G", "B3"), ("LTE", "APT700", "B28")],
)  # fmt: skip
def test_names_of_bands_tell_no_technology_beside_a_stated_one(technology, band, name):
    found = carriers_of(technology, band)
    assert [c.band for c in found] == [name] and found[0].technology == {"LTE": "4G", "NR": "5G"}[technology]


def test_a_generation_with_a_point_is_no_frequency():
    assert [c.technology for c in carriers_of("4.5G", "")] == ["4G"] and carriers_of("4.5G", "")[0].band == ""
    assert carriers_of("LTE", "2.6G")[0].band == "B7"


def test_a_box_beside_degrees_is_no_minutes():
    heading = "site,lat (deg),lon (deg),lat_min,lat_max,lon_min,lon_max"
    sites = imported(f"{heading}\nA,28.67,115.91,28.5,28.9,115.5,116\n").network.sites
    assert sites[["lon", "lat"]].to_numpy().tolist() == [[115.91, 28.67]]
    sites = imported("site,lat_d,lon_d,lat_m,lon_m,Lat,Lon\nA,28.67,115.91,5,9,28.67,115.91\n").network.sites
    assert sites[["lon", "lat"]].to_numpy().tolist() == [[115.91, 28.67]]


def test_zones_of_a_plan_are_not_those_of_utm():
    with pytest.raises(InputError, match="--crs"):
        imported("site,Zone,Easting,Northing\nA,3,530000,180000\nB,1,531000,181000\n")


def test_a_first_row_in_brackets_is_no_row_of_units():
    sites = imported("position\n(28.6 115.9)\n(28.7 115.8)\n").network.sites
    assert len(sites) == 2


def test_names_keep_the_zeros_that_they_begin_with():
    found = imported(
        "Site Code,Lat,Lon,Cell,Azimuth\n00123,28.67,115.91,001,030\n00124,28.68,115.92,002,120\n"
    )
    assert found.network.sites["site"].tolist() == ["00123", "00124"]
    assert found.network.cells["cell"].tolist() == ["001", "002"]
    assert found.network.cells["azimuth"].tolist() == [30, 120]
    assert imported("site,lat,lon\n7,28.67,115.91\n").network.sites["site"].tolist() == ["7"]


def test_a_spreadsheet_that_dropped_zeros_is_joined_all_the_same():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("masts.csv", "Site Code,Latitude,Longitude\n007,28.67,115.91\n010,28.68,115.91\n")
        archive.writestr("transmitters.csv", "Site Code,Azimuth,Technology\n7,30,LTE\n10,120,LTE\n")
    assert imported(data.getvalue(), "a.zip").network.cells["azimuth"].tolist() == [30, 120]
    places = CellPlaces(("007", "010"), np.zeros(2), np.zeros(2), np.zeros(2), {})
    assert places.rows_of(("10", "007"))[0].tolist() == [1, 0]


UNITS = "Site;Lat;Lon;Cell;Azimuth;Power;Frequency;Height;Technology\n;°;°;;deg;W;GHz;ft;\n"


def test_a_row_of_units_below_the_heading_counts():
    found = imported(f"{UNITS}A;28,67;115,91;A1;0;40;1,8;100;LTE\nB;28,68;115,92;B1;120;20;2,6;90;LTE\n")
    cells = found.network.cells
    assert cells["power_dbm"].tolist() == pytest.approx(30 + 10 * np.log10([40, 20]))
    assert cells["height_m"].tolist() == pytest.approx([30.48, 27.432]) and cells["band"].tolist() == [
        "B3",
        "B7",
    ]


def test_a_workbook_with_titles_groups_of_columns_and_a_row_of_sums():
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (
        ["RADIO NETWORK DATA - CONFIDENTIAL"], ["Region: Lisboa", None, None, None, None, "Date", "2026-01-05"],
        ["Site", None, "Position", None, "Cell"], ["ID", "Name", "Lat", "Lon", "Name", "Azimuth", "Power (W)"],
        ["L1", "Baixa", 38.7105, -9.1365, "L1A", "0°", 40], ["L1", "Baixa", 38.7105, -9.1365, "L1B", "N120", 20],
        ["Total", None, None, None, 2, None, 60],
    ):  # fmt: skip
        sheet.append(row)
    sheet.merge_cells("A1:G1")
    data = io.BytesIO()
    book.save(data)
    cells = imported(data.getvalue(), "n.xlsx").network.cells
    assert cells["cell"].tolist() == ["L1A", "L1B"] and cells["site"].tolist() == ["Baixa", "Baixa"]
    assert cells["azimuth"].tolist() == [0, 120]
    assert cells["power_dbm"].tolist() == pytest.approx(30 + 10 * np.log10([40, 20]))


def test_the_german_regulators_headings_are_known():
    found = imported(
        "Standortbescheinigungsnummer;Ort;Breitengrad (dez.);Längengrad (dez.);Montagehöhe (m);"
        "Hauptstrahlrichtung (N über O) in °;Sicherheitsabstand in Hauptstrahlrichtung (m)\n"
        "010001;Berlin;52,5321;13,3849;32,5;ND;5,2\n010002;Berlin;52,5300;13,3900;28,0;240,0;11,0\n",
        encoding="cp1252",
    )
    cells = found.network.cells.drop_duplicates("site")
    assert cells["site"].tolist() == ["010001", "010002"] and cells["azimuth"].tolist() == [0, 240]
    assert cells["beamwidth_deg"].tolist()[0] == 360 and cells["height_m"].tolist() == [32.5, 28]


@pytest.mark.parametrize(
    ("heading", "value", "dbm"),
    [("Tx Power (total, W)", "40", 46.0206), ("Power_dBm (total)", "43", 43), ("Max power (0.1dBm)", "430", 43),
     ("Power (W)", "20", 43.0103), ("Tx power [dBm]", "46", 46)],
)  # fmt: skip
def test_the_unit_stands_anywhere_in_the_brackets_of_a_heading(heading, value, dbm):
    found = imported(f'{PLACE},"{heading}"\nA,28.67,115.91,A1,0,LTE,B3,{value}\n')
    assert found.network.cells["power_dbm"].tolist() == pytest.approx([dbm], abs=1e-3)
    assert "names no unit" not in said(found)


def test_columns_of_yes_and_no_by_technology_are_the_technologies():
    found = imported("Site,Lat,Lon,2G,3G,4G,5G\nA,28.67,115.91,Yes,no,Yes,No\nB,28.68,115.92,,,x,x\n")
    cells = found.network.cells
    assert list(zip(cells["site"], cells["technology"], strict=True)) == [
        ("A", "2G"), ("A", "4G"), ("B", "4G"), ("B", "5G"),
    ]  # fmt: skip
    numbers = imported("Site,Lat,Lon,4G,5G\nA,28.67,115.91,3,2\n")  # how many cells, which is something else
    assert "4G, 5G" in said(numbers) and "Kept with" in said(numbers)


def test_huaweis_headings_and_bandwidths_in_blocks():
    found = imported(
        "*eNodeB Name,*Cell Name,Longitude,Latitude,Azimuth,Downlink EARFCN,Downlink bandwidth\n"
        "N1,N1_1,115.91,28.67,0,1650,CELL_BW_N100\nN1,N1_2,115.91,28.67,120,1650,50 RB\n"
    )
    cells = found.network.cells
    assert cells["frequency_mhz"].tolist() == [1850, 1850] and cells["bandwidth_mhz"].tolist() == [20, 10]


def test_lines_of_names_and_values_in_the_balloon_of_a_placemark_are_columns():
    def placed(balloon):
        kml = (
            '<kml xmlns="http://www.opengis.net/kml/2.2"><Placemark><name>A</name><description>'
            f"{balloon}</description><Point><coordinates>115.91,28.67</coordinates></Point></Placemark></kml>"
        )
        return imported(kml, "n.kml").network.cells

    assert placed("Azimuth: 120\nTech: LTE")["azimuth"].tolist() == [120]
    assert placed("Azimuth = 30&lt;br/&gt;Tech: LTE")["azimuth"].tolist() == [30]
    assert len(placed("Azimuth: see\nthe drawing")) == 6  # no table: the cells of a default site


# --- compressed files, archives in archives, formats that are not read -----------------------------------------------

TABLE = "site,lat,lon\nA,28.67,115.91\n"
LINK = (
    '<kml xmlns="http://www.opengis.net/kml/2.2"><Document><NetworkLink><Link><href>https://example.org/s.kmz'
    "</href></Link></NetworkLink></Document></kml>"
)


def zipped(**files):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "."), content)
    return data.getvalue()


@pytest.mark.parametrize("encoding", ["cp949", "gb18030"])
def test_a_kml_that_states_no_encoding(encoding):
    name = {"cp949": "강남역", "gb18030": "青山湖区"}[encoding]
    text = (
        f"<kml><Document><Placemark><name>{name}</name><Point><coordinates>115.9,28.6</coordinates></Point>"
        "</Placemark></Document></kml>"
    )
    assert imported(text, "a.kml", encoding).network.sites["site"].tolist() == [name]


@pytest.mark.slow
def test_a_compressed_table_is_read_and_a_damaged_one_refused():
    whole = gzip.compress(TABLE.encode())
    assert len(imported(whole, "n.csv.gz").network.sites) == 1
    for data in (whole[:-9], TABLE.encode(), b""):
        with pytest.raises(InputError, match=r"uncompressed|compressed as|empty"):
            imported(data, "n.csv.gz")
    with pytest.raises(InputError, match="unpacks to more"):
        imported(gzip.compress(b"0" * 400_000_000, compresslevel=1), "n.csv.gz")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("n.kmz", zipped(files__kmz=zipped(doc__kml=LINK)), "another archive .*; unpack it"),
        ("n.zip", zipped(sites__zip=zipped(a__csv=TABLE)), "another archive .*; unpack it"),
        ("n.zip", zipped(sites__tab="!table"), "MapInfo table .*; save it as .mif"),
        ("n.kml", LINK.encode(), "only 1 link to other files .*example.org"),
        ("n.kmz", zipped(doc__kml=LINK), "only 1 link to other files .*example.org"),
        ("n.topojson", b"{}", "TopoJSON"),
        ("n.json", json.dumps({"type": "Topology", "objects": {}}).encode(), "TopoJSON"),
        ("n.gml", b"<gml/>", "GML"),
    ],
)
def test_what_is_not_read_says_what_to_do(name, data, message):
    with pytest.raises(InputError, match=message):
        imported(data, name)


def test_a_shapefile_deep_in_an_archive_with_korean_columns(tmp_path):
    frame = gpd.GeoDataFrame(
        {"국소명": ["강남", "서초", "송파역", "종로구"], "방위각": [0, 120, 240, 60]},
        geometry=gpd.points_from_xy([127.0276, 127.0324, 127.1, 126.98], [37.4979, 37.4837, 37.5, 37.57]), crs=4326,
    ).to_crs(5186)  # fmt: skip
    frame.to_file(tmp_path / "기지국.shp", encoding="cp949")
    parts = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.suffix != ".cpg"}
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in parts.items():
            archive.writestr(f"export/2026/{name}", content)
    found = imported(data.getvalue(), "n.zip").network
    assert set(found.sites["site"]) == {"강남", "서초", "송파역", "종로구"}
    assert found.sites["lon"].tolist()[0] == pytest.approx(127.0276, abs=1e-6)
    assert set(found.cells["azimuth"]) == {0, 60, 120, 240}
