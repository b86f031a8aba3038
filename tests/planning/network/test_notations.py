"""Azimuths, tilts, headings and sheets as practitioners write them."""

import io
import zipfile

import geopandas as gpd
import numpy as np
import openpyxl
import pytest

from planning.network.directions import compass_point
from planning.network.files import Choice, import_network


def network_of(text: str, name: str = "sites.csv"):
    found = import_network(text.encode(), name)
    return found.network.cells, " ".join(found.report)


def read_network(data: bytes, name: str, layer: str = ""):
    found = import_network(data, name, choice=Choice(layer=layer))
    return found.network, " ".join(found.report)


@pytest.mark.parametrize(
    ("text", "degrees"),
    [("N", 0), ("sw", 225), ("NNW", 337.5), ("North-East", 45), ("south west", 225), ("Sud-Est", 135), ("Ouest", 270),
     ("Südwest", 225), ("noroeste", None), ("东北", 45), ("西", 270), ("omni", None), ("NO", None), ("", None)],
)  # fmt: skip
def test_compass_points_of_several_languages(text, degrees):
    assert compass_point(text) == degrees


def test_azimuths_as_compass_points_give_directions():
    cells, told = network_of("site,lat,lon,azimuth,tech\nA,28.67,115.9,N,LTE\nA,28.67,115.9,SE/W,LTE\n")
    assert cells["azimuth"].tolist() == [0, 135, 270]
    assert "compass point" in told


@pytest.mark.parametrize("heading", ["SECTOR{}_AZIMUTH", "Azimuth {}", "Az{}", "方位角{}"])
def test_a_column_for_each_sector_gives_its_direction(heading):
    columns = ",".join(heading.format(i) for i in (1, 2, 3))
    cells, told = network_of(
        f"site,lat,lon,tech,{columns}\nA,28.67,115.9,LTE,10,130,250\nB,28.68,115.9,LTE,20,200,\n"
    )
    assert cells.groupby("site")["azimuth"].apply(list).tolist() == [[10, 130, 250], [20, 200]]
    assert "by the columns" in told


def test_downtilts_that_are_written_as_negative_numbers_point_down():
    rows = "A,28.67,115.9,0,-6\nA,28.67,115.9,120,-4\n"
    cells, told = network_of("site,lat,lon,azimuth,Downtilt\n" + rows)
    assert cells["tilt_deg"].tolist() == [6, 6, 4, 4]
    assert "read as downtilts" in told
    cells, _ = network_of("site,lat,lon,azimuth,Downtilt\n" + rows + "B,28.68,115.9,0,3\n")
    assert sorted(set(cells["tilt_deg"])) == [-6, -4, 3], "one antenna up and others down are as they are"
    cells, _ = network_of("site,lat,lon,azimuth,tilt_deg\n" + rows)
    assert sorted(set(cells["tilt_deg"])) == [-6, -4], "our own column is as it is"


def test_degrees_minutes_and_seconds_with_spaces_are_no_thousands():
    network, _ = read_network(
        b"site,lat,lon,azimuth\nA,28 41 24.0N,115 55 48.0E,0\nB,28-40-12 N,115-54-36 E,0\n", "a.csv"
    )
    np.testing.assert_allclose(network.sites["lat"], [28.69, 28.67])
    np.testing.assert_allclose(network.sites["lon"], [115.93, 115.91])


def test_rows_that_are_not_on_air_by_the_files_words_are_told():
    _, told = network_of("site,lat,lon,status\nA,28.67,115.9,active\nB,28.68,115.9,decommissioned\n")
    assert "not on air" in told
    assert "decommissioned" in told


def test_headings_of_two_lines_are_read_together():
    cells, _ = network_of(
        "Site;Position;;Antenna;\n;Lat;Lon;Azimuth;Tilt\nA;28.67;115.91;10;4\nA;28.67;115.91;130;4\n"
    )
    assert cells["azimuth"].tolist() == [10, 10, 130, 130]
    assert set(cells["tilt_deg"]) == {4.0}


@pytest.fixture
def workbook() -> bytes:
    """Title, headings over two rows with merged cells, a site merged over its sectors, and a hidden sheet."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Cells"
    rows = [["Network export"], ["Site", "Position", None, "Antenna", None], [None, "Lat", "Lon", "Azimuth", "Tilt"],
            ["A", 28.67, 115.91, 0, 4], [None, 28.67, 115.91, 120, 4], ["B", 28.68, 115.92, 240, 5]]  # fmt: skip
    for row in rows:
        sheet.append(row)
    for merged in ("A1:E1", "A2:A3", "B2:C2", "D2:E2", "A4:A5"):
        sheet.merge_cells(merged)
    hidden = book.create_sheet("Old & gone")
    hidden.sheet_state = "hidden"
    hidden.append(["Site", "Lat", "Lon", "Azimuth"])
    hidden.append(["OLD", 28.66, 115.93, 0])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_merged_cells_and_headings_of_two_rows_of_a_workbook(workbook):
    network, report = read_network(workbook, "cells.xlsx")
    assert network.sites["site"].tolist() == ["A", "B"]
    assert network.cells["azimuth"].tolist() == [0, 0, 120, 120, 240, 240]
    assert "Old & gone" in report, "a hidden sheet is left out and said"


def test_a_hidden_sheet_can_be_chosen(workbook):
    network, _ = read_network(workbook, "cells.xlsx", layer="Old & gone")
    assert network.sites["site"].tolist() == ["OLD"]


KML = """<kml xmlns="http://www.opengis.net/kml/2.2"><Document>
<Folder><name>4G</name><Placemark><name>A</name><description><![CDATA[<table><tr><td>Azimuth</td><td>120</td></tr>
<tr><td><b>Height (m)</b></td><td>30</td></tr></table>]]></description>
<Point><coordinates>115.91,28.67</coordinates></Point></Placemark></Folder>
<Folder><name>5G</name><Placemark><name>B</name><Point><coordinates>115.92,28.68</coordinates></Point></Placemark>
</Folder></Document></kml>"""


def test_folders_tell_the_technology_and_balloons_the_columns_of_a_kml():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("files/doc.kml", KML)
    for data, name in ((KML.encode(), "a.kml"), (packed.getvalue(), "a.kmz")):
        network, _ = read_network(data, name)
        cells = network.cells.set_index("site")
        assert cells["technology"].to_dict() == {"A": "4G", "B": "5G"}
        assert (cells.loc["A", "azimuth"], cells.loc["A", "height_m"]) == (120, 30)


def test_waypoints_and_flatgeobuf_are_sites(tmp_path):
    gpx = (
        '<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1">'
        '<wpt lat="28.67" lon="115.91"><name>A</name></wpt>'
        '<wpt lat="x" lon="115.92"><name>B</name></wpt></gpx>'
    )
    network, report = read_network(gpx.encode(), "a.gpx")
    assert network.sites["site"].tolist() == ["A"]
    assert "cannot be read" in report
    points = gpd.GeoDataFrame({"site": ["南昌, 1"]}, geometry=gpd.points_from_xy([115.91], [28.67]), crs=4326)
    points.to_crs(32650).to_file(tmp_path / "a.fgb", driver="FlatGeobuf")
    network, _ = read_network((tmp_path / "a.fgb").read_bytes(), "a.fgb")
    assert network.sites["site"].tolist() == ["南昌, 1"]
    np.testing.assert_allclose(network.sites[["lon", "lat"]], [[115.91, 28.67]], atol=1e-7)
