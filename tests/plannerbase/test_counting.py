"""One of something is told of in the singular."""

import pytest

from plannerbase import formats
from plannerbase.counting import counted
from plannerbase.report import Report


@pytest.mark.parametrize(
    ("count", "text", "told"),
    [
        (2, "rows have no name", "2 rows have no name"),
        (1, "rows have no name", "1 row has no name"),
        (0, "rows", "0 rows"),
        (1204, "tiles", "1,204 tiles"),
        (1, "rows read", "1 row read"),
        (1, "measured tiles, a typical week each", "1 measured tile, a typical week each"),
        (1, "of 5 rows lie far from the area", "1 of 5 rows lies far from the area"),
        (1, "rows repeat the name of a site and were left out", "1 row repeats the name of a site and was left out"),
        (1, "features had latitude and longitude exchanged", "1 feature had latitude and longitude exchanged"),
        (1, "groups of cells stay awake", "1 group of cells stays awake"),
        (1, "sites", "1 site"),
        (1, "rows of another time zone were brought here", "1 row of another time zone was brought here"),
        (1, "hours of tiles that were not read take a day", "1 hour of tiles that were not read takes a day"),
        (1, "shapes that are no points were taken", "1 shape that is no points was taken"),
        (1, "rows are read: they are many", "1 row is read: they are many"),
        (1, "shoes", "1 shoes"),
    ],
)  # fmt: skip
def test_one_is_singular(count, text, told):
    assert counted(count, text) == told


def test_report_and_figures_of_the_app_use_it():
    report = Report()
    report.fixed("rows have no name and were given one", 1, ["line 7"])
    report.fixed("rows have no name and were given one", 2)
    assert list(report) == [
        "1 row has no name and was given one (first: line 7).",
        "2 rows have no name and were given one.",
    ]
    assert next(iter(report.about("a.csv"))).startswith("a.csv: 1 row has no name")
    with formats.using(formats.STYLES["de"]):
        assert formats.counted(1, "sites") == "1 site"
        assert formats.counted(12000, "sites") == "12.000 sites"
