"""Exports of counters, with the faults that they have: what is read is what was written, and every fault is named."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.operator_export import CAPACITY_MBPS, write_export
from plannerbase.cell_places import read_cell_places
from plannerbase.counter_columns import guess, unit_of
from plannerbase.counter_times import offset_minutes, parse_times
from plannerbase.counters import read_counters
from plannerbase.served_area import CellPlaces, served_area, tiles_of_cells
from plannerbase.text import Refused

CASE = Path(__file__).parents[3] / "shared" / "cases" / "22_measured_traffic" / "cells_hourly.csv"


def said(report, text):
    return any(text in line for line in report)


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    return write_export(tmp_path_factory.mktemp("export"), cells=30, weeks=2)


def test_a_made_export_is_read_and_every_fault_is_named(export):
    path, _, faults = export
    counters = read_counters(path, path.name)
    assert counters.kind == "cell" and len(counters.names) == 30 and counters.unit == "Mbit/s"
    assert counters.period == 168 and counters.step_minutes == 15
    for text in (
        f"{faults.rows:,} rows read",
        f"{faults.other_zone:,} rows of another time zone",
        "hours without",
    ):
        assert said(counters.report, text)
    assert said(counters.report, f"{faults.doubled:,} doubled rows") and said(counters.report, "below 0")
    # the mean of an hour is that of its quarters, cells in UTC at their local hour
    mbps = (faults.volume_mb * 8 / 900).reshape(30, -1, 4).mean(axis=2)
    found = counters.values["traffic"]
    known = np.isfinite(found)
    assert counters.start == np.datetime64("2025-03-03T00", "h") and found.shape == mbps.shape
    np.testing.assert_allclose(found[known], mbps[known], rtol=0.12)
    assert np.median(np.abs(found[known] / mbps[known] - 1)) < 1e-4
    typical, spread = counters.typical("traffic")
    assert np.isfinite(typical).all() and (spread < 0.1).all()


def test_units_columns_and_chinese_headings():
    used = guess(
        ["统计时间", "小区名称", "上行流量(GB)", "下行流量(GB)", "PRB利用率(%)", "RRC用户数", "能耗(kWh)"], {}
    )
    assert used == {
        "time": "统计时间", "cell": "小区名称", "traffic": "下行流量(GB)", "prb": "PRB利用率(%)", "users": "RRC用户数",
        "energy": "能耗(kWh)",
    }  # fmt: skip
    for heading, kind, factor in (
        ("DL volume (MB)", "volume", 8.0), ("Traffic_GB", "volume", 8000.0), ("bytes", "volume", 8e-6),
        ("Throughput (Mbit/s)", "rate", 1.0), ("DL kbps", "rate", 1e-3), ("流量(兆字节)", "volume", 8.0),
        ("Traffic", "unknown", 1.0),
    ):  # fmt: skip
        unit = unit_of("traffic", heading)
        assert (unit.kind, unit.factor) == (kind, pytest.approx(factor))
    assert unit_of("energy", "能耗(kWh)").factor == 1000 and unit_of("energy", "Power (W)").kind == "power"


@pytest.mark.parametrize(
    "text",
    [
        "2025-03-03 14:15",
        "2025/3/3 14:15:00",
        "03.03.2025 14:15",
        "2025年3月3日14时15分",
        "20250303141500",
        "1741011300",
    ],
)
def test_date_times_as_exports_write_them(text):
    assert parse_times([text]).minute[0] == np.datetime64("2025-03-03T14:15", "m").astype(int)


def test_time_zones():
    times = parse_times(["2025-03-03T14:15:00Z", "2025-03-03T14:15:00+08:00", "2025-03-03 14:15"])
    assert times.offset[:2].tolist() == [0, 480] and np.isnan(times.offset[2])
    assert offset_minutes("UTC+5:30") == 330 and np.isnan(offset_minutes("Asia/Shanghai"))


def test_a_zone_of_the_area_is_taken_with_its_summer_time(tmp_path):
    rows = [f"a,2025-{d}T{h:02d}:00:00Z,{h}" for d in ("03-29", "03-30", "03-31") for h in range(24)]
    (tmp_path / "c.csv").write_text("cell,time,traffic (MB)\n" + "\n".join(rows))
    counters = read_counters(tmp_path / "c.csv", "c.csv", timezone="Europe/Paris")
    first = counters.values["traffic"][0] * 3600 / 8
    assert counters.start == np.datetime64("2025-03-29T01", "h")
    np.testing.assert_allclose(first[:24], range(24), atol=1e-4)
    assert np.isnan(first[25]) and first[26] == pytest.approx(1, abs=1e-4)  # 2 h does not exist on 30 March


def test_a_counter_that_counts_on_is_differenced_and_its_reset_left_out(tmp_path):
    total = np.concatenate([np.arange(1, 121) * 10.0, np.arange(1, 121) * 10.0])
    times = pd.date_range("2025-03-03", periods=240, freq="h").astype(str)
    pd.DataFrame({"cell": "a", "time": times, "traffic_mb": total}).to_csv(tmp_path / "c.csv", index=False)
    counters = read_counters(tmp_path / "c.csv", "c.csv")
    known = np.isfinite(counters.values["traffic"][0])
    np.testing.assert_allclose(counters.values["traffic"][0][known] * 3600 / 8, 10, rtol=1e-4)
    assert known.sum() == 238 and said(counters.report, "1 reset of traffic_mb")


@pytest.mark.parametrize("kind", ["csv", "xlsx", "parquet"])
def test_a_table_of_tiles_in_every_format(tmp_path, kind):
    table = pd.DataFrame(
        {
            "x": np.repeat([26_900, 26_901], 24),
            "y": 13_600,
            "hour": np.tile(np.arange(24), 2),
            "traffic": np.arange(48.0),
        }
    )
    table["traffic"] = np.arange(48.0)
    path = tmp_path / f"m.{kind}"
    write = {"csv": table.to_csv, "xlsx": table.to_excel, "parquet": table.to_parquet}[kind]
    write(path, index=False)
    counters = read_counters(path.read_bytes(), path.name)
    assert counters.kind == "tile" and counters.period == 24 and counters.unit == "relative"
    np.testing.assert_allclose(counters.typical("traffic")[0], np.arange(48.0).reshape(2, 24))


def test_errors_name_the_columns_that_were_found(tmp_path):
    (tmp_path / "c.csv").write_text("foo,bar\n1,2\n3,4\n")
    with pytest.raises(Refused, match="found: foo, bar"):
        read_counters(tmp_path / "c.csv", "c.csv")
    with pytest.raises(Refused, match="no column 'vol' for traffic"):
        read_counters(tmp_path / "c.csv", "c.csv", {"traffic": "vol"})
    with pytest.raises(Refused, match="empty"):
        read_counters(b"", "c.csv")


def test_columns_can_be_mapped_and_numbers_written_with_thousands(tmp_path):
    lines = [f'c1;2025-03-03 {h:02d}:00;"1,{h:03d}.5"' for h in range(24)]
    (tmp_path / "c.csv").write_text("who;when;much\n" + "\n".join(lines))
    mapping = {"cell": "who", "time": "when", "traffic": "much"}
    counters = read_counters(tmp_path / "c.csv", "c.csv", mapping, unit="Mbit/s")
    np.testing.assert_allclose(counters.values["traffic"][0], 1000.5 + np.arange(24))


@pytest.mark.skipif(not CASE.is_file(), reason="needs the practitioners' files")
def test_case_22_is_read():
    counters = read_counters(CASE, CASE.name)
    assert counters.names == ("A-1",) and counters.at[0].tolist() == [115.91, 28.67]
    np.testing.assert_allclose(counters.values["traffic"][0], np.array([120, 100]) * 8 / 3600, rtol=1e-6)


def test_cells_serve_the_ground_in_front_of_them(export):
    """Every point of the ground in reach belongs to one antenna, and traffic is neither lost nor made."""
    path, network, _ = export
    places, report = read_cell_places(network.read_bytes(), network.name)
    assert len(places.name) == 30 and said(report, "30 cells with a place")
    served = served_area(places)
    keys = served.of_tile * 10_000 + served.of_group
    assert len(np.unique(keys)) == len(keys) and served.points.max() <= 64
    x, y, values = tiles_of_cells(places, np.arange(30), np.ones((30, 24)))
    assert len(x) == len(np.unique(np.column_stack([x, y]), axis=0)) and 0 < values.sum() / 24 <= 30 / 0.6
    counters = read_counters(path, path.name)
    rows, column = places.rows_of(counters.names)
    assert (rows >= 0).all() and column == "the name of the cell"


def test_one_cell_alone_keeps_its_traffic():
    places = CellPlaces(("a",), np.array([115.9]), np.array([28.68]), np.array([np.nan]), {})
    served = served_area(places)
    assert served.points.sum() > 0 and set(served.of_group) == {0}
    _, _, values = tiles_of_cells(places, np.array([0]), np.full((1, 24), 7.0))
    assert (values > 0).all()


def test_the_capacity_of_the_made_cells_is_told_by_prb_use(export):
    from planning.counted import prb_capacity

    counters = read_counters(export[0], export[0].name)
    capacity = prb_capacity(counters.values["traffic"], counters.values["prb"])
    np.testing.assert_allclose(np.nanmedian(capacity), CAPACITY_MBPS, rtol=0.01)


def hourly(heading, row, hours=range(24)):
    return (heading + "\n" + "".join(row.format(h=h, v=h + 1) + "\n" for h in hours)).encode()


def test_a_column_of_days_beside_one_of_clock_times_is_one_date_time():
    for clock in ("{h:02d}:00:00", "{h:02d}:00-{v:02d}:00", "2026-03-02 {h:02d}:00"):
        found = read_counters(
            hourly("Date,Time,Cell,DL Traffic (MB)", f"2026-03-02,{clock},a,{{v}}"), "c.csv"
        )
        assert found.start == np.datetime64("2026-03-02T00", "h") and found.hours == 24
        np.testing.assert_allclose(found.values["traffic"][0], np.arange(1, 25) * 8 / 3600, rtol=1e-5)
    days = b"Date,Time,Cell,DL Traffic (MB)\n2026-03-02,1:00 PM,a,5\n2026-03-03,1:00 AM,a,7\n"
    found = read_counters(days, "c.csv")
    assert found.start == np.datetime64("2026-03-02T13", "h") and found.step_minutes == 720


def test_quarters_in_a_column_of_hours_are_kept_apart():
    rows = "".join(f"2026-03-02,{h:02d}:{q:02d},a,{h}\n" for h in range(24) for q in (0, 15, 30, 45))
    found = read_counters(f"Date,Hour,Cell,DL Traffic (MB)\n{rows}".encode(), "c.csv")
    assert found.step_minutes == 15
    np.testing.assert_allclose(found.values["traffic"][0], np.arange(24) * 4 * 8 / 3600, rtol=1e-5)


def test_hours_from_1_to_24_begin_at_midnight_and_that_is_said():
    found = read_counters(hourly("Date,Hour,Cell,Traffic (MB)", "2026-03-02,{v},a,{v}"), "c.csv")
    assert found.start == np.datetime64("2026-03-02T00", "h") and found.hours == 24
    assert said(found.report, "Hours are numbered 1 to 24")


@pytest.mark.parametrize("clock", ["{h:02d}.00.00", "{h:02d}.00", "{h}.0", "{h}h"])
def test_clock_times_with_points_are_hours_and_no_dates(clock):
    found = read_counters(hourly("Date,Hour,Cell,Traffic (MB)", f"02.03.2026,{clock},a,{{v}}"), "c.csv")
    np.testing.assert_allclose(found.values["traffic"][0], np.arange(1, 25) * 8 / 3600, rtol=1e-5)


def test_a_word_within_a_word_is_no_other_quantity():
    found = guess(["Time", "Cell", "Users (generated)", "Total Traffic incl. VoLTE (GB)"], {})
    assert found["users"] == "Users (generated)" and found["traffic"] == "Total Traffic incl. VoLTE (GB)"
    found = guess(["Time", "Cell", "RRC setup success rate", "Traffic Ratio (%)", "VoLTE Traffic (Erl)"], {})
    assert not {"users", "traffic"} & set(found)


@pytest.mark.parametrize("before", [0, 5_000, 15_000, 150_000])
def test_a_letter_far_down_tells_the_encoding(before):
    rows = b"2026-03-02 00:00,a,1\n" * before
    data = b"Time,Cell,Traffic (MB)\n" + rows + "2026-03-02 00:00,\u00c9vry,1\n".encode("cp1252")
    found = read_counters(data, "c.csv")
    assert "\u00c9vry" in found.names and said(found.report, "Windows-1252")


def test_an_hour_that_cannot_be_read_costs_its_row():
    data = hourly("Date,Hour,Cell,Traffic (MB)", "2026-03-02,{h},a,{v}") + b"2026-03-02,all,a,999\n"
    found = read_counters(data, "c.csv")
    assert found.values["traffic"][0].max() < 1 and said(found.report, "1 row left out")


def test_counters_of_vendors_by_their_own_names():
    found = guess("DATE_ID,HOUR_ID,ERBS,EUtranCellFDD,pmPdcpVolDlDrb,pmRrcConnLevSum".split(","), {})
    assert found == {"time": "DATE_ID", "hour": "HOUR_ID", "site": "ERBS", "cell": "EUtranCellFDD",
                     "traffic": "pmPdcpVolDlDrb"}  # fmt: skip
    assert unit_of("traffic", "pmPdcpVolDlDrb").text == "Kbit"
    found = guess("Start Time,NE Name,Cell Name,L.Thrp.bits.DL(bit),L.ChMeas.PRB.DL.Used.Avg".split(","), {})
    assert found["traffic"] == "L.Thrp.bits.DL(bit)" and "prb" not in found
    found = guess("Period start time,LNBTS name,LNCEL name,PDCP SDU Volume DL (MB)".split(","), {})
    assert found["cell"] == "LNCEL name" and found["traffic"] == "PDCP SDU Volume DL (MB)"
    rates = "Time,Cell,RRC Setup Success Rate (%),RRC Connection Attempts,Voice Traffic (Erl),DL Volume (GB)"
    assert guess(rates.split(","), {}) == {"time": "Time", "cell": "Cell", "traffic": "DL Volume (GB)"}


def test_date_times_in_utc_are_said_to_be_taken_as_local():
    data = hourly("time,cell,traffic_mb", "2026-03-02T{h:02d}:00:00Z,a,{v}")
    assert said(read_counters(data, "c.csv").report, "in UTC and were taken as local")
    assert not said(read_counters(data, "c.csv", timezone="UTC").report, "taken as local")


def test_counters_may_be_compressed(tmp_path):
    data = hourly("time,cell,traffic_mb", "2026-03-02 {h:02d}:00,a,{v}")
    path = tmp_path / "c.csv.gz"
    path.write_bytes(gzip.compress(data))
    whole, packed = read_counters(data, "c.csv"), read_counters(path, path.name)
    np.testing.assert_array_equal(whole.values["traffic"], packed.values["traffic"])
    with pytest.raises(Refused, match="uncompressed"):
        read_counters(gzip.compress(data)[:-9], "c.csv.gz")


def test_date_times_beyond_any_calendar_and_zones_in_the_middle_are_no_crash():
    found = parse_times(["08:00:00+0800 2026-03-02", "09:00:00-0500 2026-03-02", "2026-03-02 10:00", "0001-01-01",
                         "9999-12-31 23:00"])  # fmt: skip
    day = int(np.datetime64("2026-03-02", "m").astype(int))
    assert found.minute.tolist()[2:] == [day + 600, -1, -1]
