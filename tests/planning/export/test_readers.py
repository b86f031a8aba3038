"""Exports opened by the tools that they are for: GDAL's CSV driver, pandas, openpyxl, OGC's KML schema."""

import csv
import io
from pathlib import Path

import fastkml
import numpy as np
import openpyxl
import pandas as pd
import pyogrio
import pytest
import shapely
from lxml import etree

from planning.demand import Demand
from planning.deployment import deploy
from planning.export import export, provenance_path, tables
from planning.network import Network
from planning.scenario import Scenario
from planning.sleep import SleepProblem, SleepSettings, plan_sleep
from tests.planning.conftest import make_table

KML = "{http://www.opengis.net/kml/2.2}"
CLOUDRF = (  # the columns of CloudRF's own reader, in its order
    "lat,lon,alt,frq,txw,bwi,antenna.txg,antenna.txl,antenna.ant,antenna.azi,antenna.tlt,antenna.hbw,antenna.vbw,"
    "antenna.fbr,antenna.pol"
)


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    demand = Demand.build(make_table())
    planned = Scenario.from_deployment(deploy(demand, 5), demand)
    problem = SleepProblem.build(planned.network, demand)
    return planned.with_sleep(plan_sleep(problem, "greedy", SleepSettings(allow_unserved=True)))


def named(scenario: Scenario, name: str) -> Scenario:
    sites, cells = scenario.network.sites.copy(), scenario.network.cells.copy()
    cells.loc[cells["site"] == sites.loc[0, "site"], "site"] = name
    sites.loc[0, "site"] = name
    return Scenario(scenario.tiles, Network(sites, cells), scenario.tables, scenario.provenance)


@pytest.mark.parametrize("name", ["S1", "红谷滩", "Orléans"])
def test_the_first_line_of_a_csv_is_its_heading_for_every_reader(scenario, tmp_path, name):
    path = tmp_path / "cells.csv"
    export(named(scenario, name), "csv", path, "network")
    assert provenance_path(path) == tmp_path / "cells.provenance.json" and provenance_path(path).is_file()
    expected = named(scenario, name).network
    by_gdal = pyogrio.read_dataframe(path, AUTODETECT_TYPE="YES")
    by_pandas = pd.read_csv(path)
    with open(path, encoding="utf-8-sig", newline="") as file:
        by_python = next(csv.reader(file))
    for columns in (list(by_gdal), list(by_pandas), by_python):
        assert columns[:3] == ["site", "lon", "lat"]
    assert len(by_gdal) == len(by_pandas) == len(expected.cells)
    assert by_gdal["site"].iloc[0] == by_pandas["site"].iloc[0] == name
    np.testing.assert_allclose(by_gdal["azimuth"].astype(float), by_pandas["azimuth"])


def test_cloudrf_has_exactly_its_columns(scenario, tmp_path):
    path = tmp_path / "plan.cloudrf.csv"
    data = export(scenario, "cloudrf", path)
    assert data.decode("ascii").splitlines()[0] == CLOUDRF
    table = pd.read_csv(io.BytesIO(data))
    assert len(table) == len(scenario.network.cells) and not table.isna().any().any()
    assert (tmp_path / "plan.cloudrf.provenance.json").is_file()


def test_kml_is_valid_by_the_schema_of_ogc(scenario):
    folder = Path(fastkml.__file__).parent / "schema"
    schema = etree.XMLSchema(etree.parse(folder / "ogckml22.xsd"))
    odd = "".join(
        map(chr, (*range(1, 0x30), 0x7F, 0x85, 0xA0, 0x200B, 0x202E, 0x2028, 0xFEFF, 0xFFFD, 0xFFFE, 0xFFFF))
    )
    for name in (
        "S1",
        'a<b>&"c"',
        "红谷滩",
        odd,
        "]]>",
        "<!--",
        "&#0;",
        "\U0001f4e1\U0010ffff",
        "x" * 9999,
    ):
        root = etree.fromstring(export(named(scenario, name), "kml"))
        schema.assertValid(root)
    broken = etree.fromstring(
        export(scenario, "kml").replace(b"<styleUrl>", b"<colour>").replace(b"</styleUrl>", b"</colour>")
    )
    assert not schema.validate(broken)


def test_sectors_of_a_kml_point_where_the_cells_do_and_have_their_style(scenario):
    root = etree.fromstring(export(scenario, "kml"))
    folders = {f.findtext(f"{KML}name"): f for f in root.iter(f"{KML}Folder")}
    cells = scenario.network.cells
    assert {name for name in folders if name.startswith("Sectors")} == {
        f"Sectors {t}" for t in set(cells["technology"])
    }
    styles = {s.get("id") for s in root.iter(f"{KML}Style")}
    by_cell = cells.set_index("cell")
    sites = scenario.network.sites.set_index("site")
    drawn = 0
    for name, folder in folders.items():
        for mark in folder.findall(f"{KML}Placemark"):
            assert mark.findtext(f"{KML}styleUrl").removeprefix("#") in styles
            if not name.startswith("Sectors"):
                continue
            cell = by_cell.loc[mark.findtext(f"{KML}name")]
            ring = mark.find(f".//{KML}coordinates").text
            wedge = shapely.Polygon([tuple(map(float, p.split(","))) for p in ring.split()])
            site = sites.loc[cell["site"]]
            east = (wedge.centroid.x - site["lon"]) * np.cos(np.radians(site["lat"]))
            towards = np.degrees(np.arctan2(east, wedge.centroid.y - site["lat"])) % 360
            assert wedge.is_valid and abs((towards - cell["azimuth"] + 180) % 360 - 180) < 1
            assert name == f"Sectors {cell['technology']}"
            drawn += 1
    assert drawn == len(cells.drop_duplicates(["site", "azimuth", "band", "frequency_mhz"]))


def test_a_workbook_holds_everything_that_was_planned_and_ends_with_where_it_comes_from(scenario):
    book = openpyxl.load_workbook(io.BytesIO(export(scenario, "xlsx")), read_only=True)
    of_plan = {"sleep_by_hour", "assumptions"}
    assert set(book.sheetnames) == {*tables(scenario), *of_plan, "provenance"}
    assert book.sheetnames[-1] == "provenance"
    rows = list(book["sleep_schedule"].iter_rows(values_only=True))
    assert len(rows) == 1 + len(scenario.tables["sleep_schedule"])
    assert next(book["sites"].iter_rows(values_only=True))[0] == "site"


def test_a_geopackage_holds_everything_that_was_planned(scenario, tmp_path):
    path = scenario.save(tmp_path / "plan.gpkg")
    layers = {name for name, _ in pyogrio.list_layers(path)}
    assert layers == {"tiles", "sites", "cells", "provenance", *scenario.tables}
