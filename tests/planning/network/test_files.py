"""Networks in and out: the same network comes back, foreign columns are understood, hostile files refused."""

import io
import zipfile

import numpy as np
import pandas as pd
import pytest

from planning.deployment import deploy
from planning.errors import InputError
from planning.export import export
from planning.network.files import cluster_sites, guess_mapping, import_network
from planning.network.xlsx import own_tables, workbook_bytes
from planning.scenario import Scenario


@pytest.fixture
def scenario(demand) -> Scenario:
    return Scenario.from_deployment(deploy(demand, 7), demand)


@pytest.mark.parametrize(
    ("format", "name", "chosen"),
    [
        ("csv", "n.csv", "network"),
        ("zip", "n.zip", None),
        ("xlsx", "n.xlsx", None),
        ("geojson", "n.geojson", None),
        ("kml", "n.kml", None),
        ("kmz", "n.kmz", None),
        ("gpkg", "n.gpkg", None),
        ("shp", "n.zip", None),
    ],
)
def test_exported_and_imported_again_is_the_same_network(scenario, format, name, chosen):
    back = import_network(export(scenario, format, table=chosen), name)
    pd.testing.assert_frame_equal(back.network.sites, scenario.network.sites, rtol=1e-12)
    pd.testing.assert_frame_equal(back.network.cells, scenario.network.cells, rtol=1e-12)
    if format == "csv":  # a table that other tools read; where it comes from lies beside it
        assert back.provenance == {}
        return
    assert back.provenance["deployment"]["strategy"] == "traffic"
    assert "sentence" in back.provenance["scale"]


def test_foreign_columns_are_guessed_or_mapped_and_bad_rows_counted():
    text = "SiteName;SectorName;Longitude;Lat;Azimuth\nA;1;115.9;28.6;0\nA;2;115.9;28.6;120\nB;1;;28.7;0\n"
    found = import_network(text.encode(), "x.csv")
    assert found.network.sites["site"].tolist() == ["A"] and found.network.cells["azimuth"].tolist() == [
        0,
        120,
    ]
    assert any("1 row left out" in line and "row 3" in line for line in found.report)
    odd = b"n,east_deg,north_deg\nA,115.9,28.6\n"
    with pytest.raises(InputError, match="column mapping"):
        import_network(odd, "x.csv")
    mapped = import_network(odd, "x.csv", {"site": "n", "lon": "east_deg", "lat": "north_deg"})
    assert mapped.network.sites["site"].tolist() == ["A"]
    with pytest.raises(InputError, match="no column 'zz'"):
        import_network(odd, "x.csv", {"lon": "zz"})


def test_the_columns_that_are_offered_are_those_that_are_read():
    heads = ["Site ID", "Breite", "Länge", "Azimut"]
    guessed = guess_mapping(heads)
    assert guessed == {"lat": "Breite", "lon": "Länge", "site": "Site ID", "azimuth": "Azimut"}
    data = ";".join(heads).encode() + b"\nN1;28.66;115.86;0\nN1;28.66;115.86;120\n"
    sites = import_network(data, "sites.csv").network.sites
    assert sites[["lon", "lat"]].to_numpy().tolist() == [[115.86, 28.66]]


def test_opencellid_cells_become_sites():
    head = "radio,mcc,net,area,cell,unit,lon,lat,range,samples,changeable,created,updated,averageSignal\n"
    rows = [
        "LTE,460,0,1,11,0,115.9000,28.6000,1000,5,1,1,1,0",
        "NR,460,0,1,12,0,115.9001,28.6001,1000,5,0,1,1,0",
        "GSM,460,0,1,13,0,115.9500,28.6000,1000,5,1,1,1,0",
    ]
    for text in (head + "\n".join(rows), "\n".join(rows)):  # the full download has no heading
        found = import_network(text.encode(), "460.csv")
        assert len(found.network.sites) == 2 and len(found.network.cells) == 3
        assert found.network.sites["lon"].iloc[0] == pytest.approx(115.90005)
        assert any("estimates" in line for line in found.report)


def test_clusters_are_no_wider_than_the_limit():
    lon = 115.9 + np.arange(20) * 3e-4  # a chain, 29 m from one to the next
    site = cluster_sites(lon, np.full(20, 28.6), 50.0)
    assert max(np.ptp(lon[site == s]) for s in set(site)) * 97_800 <= 50 and site.max() >= 8


@pytest.mark.parametrize(
    ("data", "name", "words"),
    [
        (b"", "a.csv", "empty"),
        (b"x", "a.dwg", "no known format"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><kml/>", "a.kml", "entities"),
        (b"not sqlite", "a.gpkg", "not a GeoPackage"),
        (b"not zip", "a.zip", "zip archive"),
        (b"not zip", "a.xlsx", "zip archive"),
        (b"{", "a.geojson", "GeoJSON"),
        (b"site,lon,lat\nA,9000000,5\n", "a.csv", "WGS-84"),
    ],
)
def test_files_without_sites_are_refused_by_name(data, name, words):
    with pytest.raises(InputError, match=words):
        import_network(data, name)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "[1]"])
def test_a_provenance_that_cannot_be_read_does_not_hide_the_sites(text):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("sites.csv", "site,lon,lat\nA,115.9,28.6\n")
        archive.writestr("provenance.json", text)
    found = import_network(buffer.getvalue(), "a.zip")
    assert found.network.sites["site"].tolist() == ["A"] and found.provenance == {}


def test_archives_are_limited():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for i in range(101):
            archive.writestr(f"{i}.csv", "a")
    with pytest.raises(InputError, match="holds 101 files"):
        import_network(buffer.getvalue(), "a.zip")


def test_a_workbook_is_what_another_library_reads():
    table = pd.DataFrame(
        {
            "name": ["a<&>\"'", "'=1+1", "x\ny", None],
            "value": [0.1 + 0.2, -1e-300, np.nan, 3.0],
            "whole": [1, 2, 3, 2**40],
            "yes": [True, False, True, True],
            "&": ["", " ", "1", "1.5"],
        }
    )
    data = workbook_bytes({"first & last": table, "empty": pd.DataFrame({"a": []})})
    read = pd.read_excel(io.BytesIO(data), sheet_name=None, keep_default_na=False)
    assert list(read) == ["first & last", "empty"] and not len(read["empty"])
    there = read["first & last"]
    assert there["name"].tolist()[:3] == table["name"].tolist()[:3]
    assert there["value"].tolist()[:2] == table["value"].tolist()[:2] and there["value"].iloc[3] == 3
    assert (
        there["whole"].tolist() == table["whole"].tolist() and there["yes"].tolist() == table["yes"].tolist()
    )
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    own = own_tables(members)
    pd.testing.assert_frame_equal(own["first & last"], table, check_dtype=False)
    assert own["empty"].columns.tolist() == ["a"]


def test_a_workbook_of_another_library_is_read_too():
    table = pd.DataFrame({"Site": ["A", "B"], "Longitude": [115.9, 115.8], "Latitude": [28.6, 28.7]})
    buffer = io.BytesIO()
    table.to_excel(buffer, index=False)
    with zipfile.ZipFile(io.BytesIO(buffer.getvalue())) as archive:
        assert own_tables({n: archive.read(n) for n in archive.namelist()}) is None
    assert import_network(buffer.getvalue(), "x.xlsx").network.sites["site"].tolist() == ["A", "B"]


def test_cells_in_a_kml_that_cannot_be_read_are_told(scenario):
    text = export(scenario, "kml").decode().replace('"cell"', "cell", 1)
    with pytest.raises(InputError, match="cells of a site cannot be read"):
        import_network(text.encode(), "n.kml")
