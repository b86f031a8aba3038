"""Cells as files have them: attributes, units, bands and technologies; what is assumed is named."""

import numpy as np
import pandas as pd
import pyogrio
import pytest

from planning.arfcn import frequency_of_channel
from planning.bands import PRBS, band_at, band_named, channel_prbs, prb_khz
from planning.errors import InputError
from planning.export import export
from planning.network import CELL_COLUMNS, FIRST_COLUMNS, RADIO_COLUMNS, Network
from planning.network.cells import is_assumed, sector_names
from planning.network.files import import_network
from planning.network.headings import compact, guess_mapping, quantities
from planning.network.technologies import carriers_of
from planning.scenario import Scenario

RICH = (
    "Site ID,Cell Name,Longitude,Latitude,Antenna Azimuth (deg),RAT,Band,Height (ft),E-Tilt,M-Tilt,Tx Power (W),"
    "Bandwidth,HBW,VBW,Antenna Gain (dBi),Layers,RRU,Vendor,Install year\n"
    "A,A-1,115.91,28.67,10,LTE,L1800,98.4252,4,2,40,20 MHz,63,7,16.5,2,R1,X,2019\n"
    "A,A-2,115.91,28.67,10,NR,n78,98.4252,3,2,200,100 MHz,65,12,24,8,R1,X,2021\n"
    "B,B-1,115.92,28.68,,LTE,3,,,,,10 MHz,,,,,,,\n"
)


@pytest.fixture
def rich(demand) -> Scenario:
    return Scenario.from_network(import_network(RICH.encode(), "rich.csv").network, demand)


def test_every_attribute_of_a_file_is_kept_in_our_units(rich):
    cells = rich.network.cells.set_index("cell")
    first = cells.loc["A-1"]
    assert (first["azimuth"], first["technology"], first["band"]) == (10, "4G", "B3")
    assert first["height_m"] == pytest.approx(30) and first["tilt_deg"] == 6
    assert first["power_dbm"] == pytest.approx(10 * np.log10(40_000))
    assert (first["bandwidth_mhz"], first["prbs"], first["beamwidth_deg"]) == (20, 100, 63)
    assert (first["vertical_beamwidth_deg"], first["gain_dbi"], first["layers"]) == (7, 16.5, 2)
    assert (first["Vendor"], first["Install year"]) == ("X", 2019)
    # one unit carries both, in one sector
    assert first["radio_unit"] == cells.loc["A-2", "radio_unit"]
    assert first["sector"] == cells.loc["A-2", "sector"]
    assert cells.loc["A-2", "prbs"] == 273
    stated = {"azimuth", "band", "height_m", "tilt_deg", "power_dbm", "bandwidth_mhz", "gain_dbi", "layers"}
    assert not stated & set(first["assumed"].split(","))
    bare = cells.loc["B-1"]
    assert bare["beamwidth_deg"] == 360 and bare["tilt_deg"] == 0  # no azimuth: omnidirectional
    assert stated - {"band", "bandwidth_mhz"} <= set(bare["assumed"].split(",")) and bare["band"] == "B3"
    assert is_assumed(rich.network.cells, "azimuth").tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("format", "name", "chosen"),
    [("csv", "n.csv", "network"), ("zip", "n.zip", None), ("xlsx", "n.xlsx", None), ("geojson", "n.geojson", None),
     ("kml", "n.kml", None), ("gpkg", "n.gpkg", None), ("shp", "n.zip", None)],
)  # fmt: skip
def test_attributes_survive_every_format(rich, format, name, chosen):
    back = import_network(export(rich, format, table=chosen), name).network
    pd.testing.assert_frame_equal(back.cells, rich.network.cells, rtol=1e-12)


def test_cloudrf_has_its_own_columns_with_the_attributes_of_the_cells(rich):
    text = export(rich, "cloudrf").decode("utf-8-sig")
    head, *rows = [line for line in text.splitlines() if not line.startswith("#")]
    assert head == (
        "lat,lon,alt,frq,txw,bwi,antenna.txg,antenna.txl,antenna.ant,antenna.azi,antenna.tlt,antenna.hbw,"
        "antenna.vbw,antenna.fbr,antenna.pol"
    )
    back = import_network(text.encode(), "c.csv").network.cells
    ours = ["height_m", "frequency_mhz", "power_dbm", "bandwidth_mhz", "gain_dbi", "azimuth", "tilt_deg",
            "beamwidth_deg"]  # fmt: skip
    assert len(rows) == 3
    np.testing.assert_allclose(back[ours], rich.network.cells[ours])
    assert back["technology"].tolist() == ["4G", "5G", "4G"]  # by frequency


@pytest.mark.parametrize(
    ("technology", "band", "expected"),
    [
        ("5GNR", "", [("5G", "")]),
        ("NR3500", "", [("5G", "n78")]),
        ("5G NR", "", [("5G", "")]),
        ("NR SA", "", [("5G", "")]),
        ("n78", "", [("5G", "n78")]),
        ("4G+5G", "", [("4G", ""), ("5G", "")]),
        ("4G/5G", "B3/n78", [("4G", "B3"), ("5G", "n78")]),
        ("4G+5G", "n41", [("5G", "n41"), ("4G", "")]),
        ("LTE-A", "", [("4G", "")]),
        ("", "L1800/L2100", [("4G", "B3"), ("4G", "B1")]),
        ("E-UTRAN", "", [("4G", "")]),
        ("UTRAN", "", [("3G", "")]),
        ("gNodeB", "", [("5G", "")]),
        ("eNodeB", "", [("4G", "")]),
        ("UMTS", "U900", [("3G", "B8")]),
        ("GSM", "", [("2G", "")]),
        ("5G", "41", [("5G", "n41")]),
        ("LTE", "41", [("4G", "B41")]),
        ("TD-LTE", "F频段", [("4G", "B39")]),
        ("5G", "3.5 GHz", [("5G", "n78")]),
        ("LTE 2600", "", [("4G", "B7")]),
        ("?", "", [("", "")]),
    ],
)
def test_technologies_and_bands_as_others_write_them(technology, band, expected):
    assert [(c.technology, c.band) for c in carriers_of(technology, band)] == expected


def test_a_row_of_several_technologies_or_azimuths_becomes_several_cells():
    text = (
        "site,cell,lon,lat,azimuth,technology\nA,A1,115.91,28.67,0/120/240,4G+5G\nB,B1,115.92,28.67,30,LTE\n"
    )
    found = import_network(text.encode(), "x.csv")
    cells = found.network.cells
    assert len(cells) == 7 and cells["cell"].is_unique
    assert sorted(cells.loc[cells["site"] == "A", "azimuth"]) == [0, 0, 120, 120, 240, 240]
    assert cells["technology"].value_counts().to_dict() == {"4G": 4, "5G": 3}
    assert any("several technologies" in line for line in found.report)
    assert any("several azimuths" in line for line in found.report)


def test_sectors_without_cells_keep_their_azimuths():
    text = (
        "site_name,latitude,longitude,azimuth\nS1,28.67,115.91,10\nS1,28.67,115.91,130\nS2,28.68,115.92,60\n"
    )
    cells = import_network(text.encode(), "x.csv").network.cells
    assert (
        set(cells["azimuth"]) == {10, 130, 60} and len(cells) == 6
    )  # a coverage and a capacity cell in each


def test_cells_that_state_no_azimuth_are_spread_or_omnidirectional():
    sites = pd.DataFrame({"site": ["A", "B"], "lon": [115.9, 115.8], "lat": [28.6, 28.7]})
    cells = pd.DataFrame({"cell": ["a1", "a2", "a3", "b1"], "site": list("AAAB"), "technology": "4G"})
    made = Network.from_tables(sites, cells).cells
    assert made["azimuth"].tolist() == [0, 120, 240, 0]
    assert made["beamwidth_deg"].tolist() == [65, 65, 65, 360]
    assert made["assumed"].str.contains("azimuth").all()


def test_sectors_are_cells_that_point_the_same_way():
    cells = pd.DataFrame(
        {
            "site": ["A"] * 7 + ["B"] * 2,
            "azimuth": [355.0, 5.0, 120.0, 134.0, 250.0, 0.0, 136.0, -10.0, 350.0],
            "beamwidth_deg": [65.0] * 5 + [360.0] + [65.0] * 3,
        }
    )
    assert sector_names(cells) == ["A/1", "A/1", "A/2", "A/2", "A/4", "A/0", "A/3", "B/1", "B/1"]
    network = Network.from_sites([115.9, 115.95], [28.6, 28.6], capacity_layers=2)
    assert len(network.sectors) == 6 and network.sectors["cells"].tolist() == [3] * 6
    np.testing.assert_array_equal(
        network.sectors["azimuth"].to_numpy()[network.sector_of_cell], network.cells["azimuth"]
    )
    carriers = network.cells.groupby("sector")[["frequency_mhz", "bandwidth_mhz"]]
    for _, group in carriers:  # no two carriers of a sector overlap
        low = group.sort_values("frequency_mhz")
        assert (np.diff(low["frequency_mhz"]) >= low["bandwidth_mhz"].iloc[1:]).all()


@pytest.mark.parametrize(
    ("column", "value"),
    [("height_m", 0.0), ("tilt_deg", 91.0), ("frequency_mhz", np.nan), ("power_dbm", 400.0), ("prbs", 0.0)],
)
def test_attributes_out_of_range_are_refused_in_a_network_and_assumed_in_a_file(column, value):
    network = Network.from_sites([115.9], [28.6])
    with pytest.raises(InputError, match=f"6 cells have a {column} that is not between"):
        Network(network.sites, network.cells.assign(**{column: value})).validate()
    text = f"site,cell,lon,lat,azimuth,technology,{column}\nA,a,115.9,28.6,0,LTE,{value}\n"
    assert column in import_network(text.encode(), "x.csv").network.cells["assumed"].iloc[0].split(",")


def test_a_scenario_of_the_last_version_opens_and_says_what_was_assumed(rich, tmp_path):
    path = rich.save(tmp_path / "new.gpkg")
    layers = {name: pyogrio.read_dataframe(path, layer=name) for name, _ in pyogrio.list_layers(path)}
    old = tmp_path / "old.gpkg"
    layers["cells"] = layers["cells"][[*FIRST_COLUMNS, "geometry"]].assign(azimuth=0.0)
    for name, layer in layers.items():
        pyogrio.write_dataframe(layer, old, layer=name, append=old.exists())
    back = Scenario.read(old)
    assert list(back.network.cells.columns) == list(CELL_COLUMNS)
    assert back.network.cells["beamwidth_deg"].tolist() == [360, 360, 360]
    assert "earlier version" in back.provenance["cells"] and "height_m" in back.provenance["cells"]
    assert back.network.cells["assumed"].str.contains(",".join(RADIO_COLUMNS[:3])).all()


def test_channel_numbers_are_frequencies():
    # worked by hand: TS 36.101 table 5.7.3-1 (B3 from 1200 at 1805 MHz), TS 38.104 5.4.2.1
    channel = [1300, 100, 3000, 37900, 40340, 504990, 636666, 2070833, 7, 33000]
    expected = [1815, 2120, 2645, 2585, 2565, 2524.95, 3549.99, 27500.04, 2110.7, np.nan]
    np.testing.assert_allclose(frequency_of_channel(channel), expected)
    assert np.isnan(frequency_of_channel([50], ["GSM"])[0])


def test_bands_and_channels_are_those_of_3gpp():
    assert band_named("B3").low_mhz == 1805 and band_named("n78").tdd and band_named("n999") is None
    assert (
        band_at(3550, "5G").name == "n78" and band_at(1800, "4G").name == "B3" and band_at(10, "4G") is None
    )
    assert channel_prbs("4G", 20, 1842.5) == 100 and channel_prbs("5G", 100, 3500) == 273
    assert channel_prbs("5G", 20, 780) == 106 and channel_prbs("5G", 400, 28_000) == 264
    for spacing, table in PRBS.items():
        np.testing.assert_array_equal(prb_khz(list(table.values()), list(table)), 12 * spacing)
    assert prb_khz(100, 20) == 180


def test_headings_and_values_with_units():
    assert compact("Antenna Azimuth (deg)") == "antennaazimuthdeg" and compact("Fréquence") == "frequence"
    assert guess_mapping(["基站名称", "经度", "纬度", "方位角", "挂高", "Power_W", "EARFCN DL"]) == {
        "site": "基站名称", "lon": "经度", "lat": "纬度", "azimuth": "方位角", "height_m": "挂高",
        "power_dbm": "Power_W", "channel": "EARFCN DL",
    }  # fmt: skip
    np.testing.assert_allclose(
        quantities(pd.Series(["25 m", "80ft", "x", None]), "height_m", "H"), [25, 24.384, np.nan, np.nan]
    )
    np.testing.assert_allclose(
        quantities(pd.Series([3.5, 1800, 2.6e6]), "frequency_mhz", "f"), [3500, 1800, 2600]
    )
    np.testing.assert_allclose(
        quantities(pd.Series(["20 W", "46 dBm", "46"]), "power_dbm", "P"), [43.0103, 46, 46]
    )
    np.testing.assert_allclose(quantities(pd.Series(["CELL_BW_N100", "5"]), "bandwidth_mhz", "bw"), [20, 5])
