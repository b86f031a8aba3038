"""Measured traffic and power as counters and meters export them."""

import datetime
import io

import numpy as np
import openpyxl
import pandas as pd
import pytest

from planning.measured_power import read_power
from planning.measured_traffic import read_measured

WEEK = pd.date_range("2024-03-04", periods=168, freq="h")  # from a Monday


def table(form: str, head: str = "time,lat,lon,Traffic (GB)") -> list[str]:
    return [
        head,
        *(f"{t.strftime(form)},28.67,115.91,{1 + t.hour + 100 * (t.day_of_week == 5)}" for t in WEEK),
    ]


def mbps(hour: int) -> float:
    """Of the table, on all days but Saturday."""
    return (1 + hour) * 8000 / 3600


@pytest.mark.parametrize(
    ("form", "head"),
    [("%d/%m/%Y %H:%M", "Heure,Latitude,Longitude,Trafic (GB)"), ("%m/%d/%Y %I:%M %p", "Date,Lat,Lon,DL Traffic (GB)"),
     ("%Y%m%d%H", "时间,纬度,经度,流量(GB)"), ("%Y-%m-%dT%H:%M:%SZ", "timestamp,lat,lon,Volume (GB)")],
)  # fmt: skip
def test_each_way_of_writing_dates_gives_the_same_week(form, head):
    week, report = read_measured("\n".join(table(form, head)).encode(), "m.csv")
    traffic = week.traffic.reshape(-1)
    assert traffic.shape == (168,)
    np.testing.assert_allclose(traffic[:24], [mbps(h) for h in range(24)], rtol=1e-6)
    assert traffic[5 * 24] > 100 * traffic[0], "Saturday is the sixth day"
    assert ("read as" in " ".join(report)) == ("/" in form), (
        "an order of day and month that was chosen is said"
    )


def test_a_column_of_dates_and_one_of_hours_are_one_time():
    book = openpyxl.Workbook()
    book.active.append(["Date", "Hour", "Lat", "Lon", "Traffic (GB)"])
    for t in WEEK:
        book.active.append([datetime.date(t.year, t.month, t.day), t.hour, 28.67, 115.91, 1 + t.hour])
    out = io.BytesIO()
    book.save(out)
    week, report = read_measured(out.getvalue(), "m.xlsx")
    np.testing.assert_allclose(week.traffic.reshape(7, 24)[3], [mbps(h) for h in range(24)], rtol=1e-6)
    assert "by the column Hour" in " ".join(report)


@pytest.mark.parametrize("form", ["%Y-%m-%d,%H:%M", "%Y-%m-%d,%I:%M %p", "%Y-%m-%d,%Y-%m-%d %H:%M"])
def test_a_column_of_days_beside_one_of_clock_times_is_one_time(form):
    week, _ = read_measured("\n".join(table(form, "Date,Time,Lat,Lon,DL Traffic (GB)")).encode(), "m.csv")
    plain, _ = read_measured("\n".join(table("%Y-%m-%d %H:%M")).encode(), "m.csv")
    np.testing.assert_array_equal(week.traffic, plain.traffic)


def test_hours_from_1_to_24_begin_at_midnight():
    rows = [f"{t.date()},{t.hour + 1},28.67,115.91,{1 + t.hour}" for t in WEEK]
    week, report = read_measured("\n".join(["Date,Hour,Lat,Lon,Traffic (GB)", *rows]).encode(), "m.csv")
    np.testing.assert_allclose(week.traffic.reshape(-1)[:24], [mbps(h) for h in range(24)], rtol=1e-6)
    assert "Hours are numbered 1 to 24" in " ".join(report)


def test_single_bad_rows_cost_their_hours_alone():
    rows = table("%Y-%m-%d %H:%M")
    for place, bad in ((5, "n/a"), (6, "-3"), (7, "")):
        rows[place] = f"{rows[place].rsplit(',', 1)[0]},{bad}"
    week, report = read_measured("\n".join(rows).encode(), "m.csv")
    others = [
        (6 * mbps(h) + 0) / 6 + 100 * 8000 / 3600 / 6 for h in (4, 5, 6)
    ]  # Tuesday to Sunday, Saturday with more
    np.testing.assert_allclose(week.traffic.reshape(-1)[4:7], others, rtol=1e-6)
    assert "never measured" in " ".join(report)


def test_loads_and_powers_below_nothing_are_left_out_and_said():
    found = read_power(b"load_mbps,power_w\n0,160\n50,-5\n100,350\n200,n/a\n", "p.csv")
    assert found.table["power_w"].tolist() == [160, 350]
    assert any("below 0" in line for line in found.report)
