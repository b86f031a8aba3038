"""Databases from strangers: views and tables that read other files are refused before anything selects from them."""

import sqlite3
from contextlib import closing

import pytest

from app.errors import SavedWorkError
from app.saved.library import read_parts
from benchmarks.robustness import corpus, saved_corpus
from opendiff.area import read_area_bytes
from opendiff.errors import AreaError
from plannerbase.database import check_plain
from plannerbase.text import Refused
from planning.errors import InputError
from planning.network.files import import_network
from planning.scenario import Scenario

ENDLESS = "CREATE VIEW {} AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"


def with_statement(data, tmp_path, *statements) -> bytes:
    path = tmp_path / "a.gpkg"
    path.write_bytes(data)
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)
    return path.read_bytes()


def test_files_of_gdal_are_plain(tmp_path):
    for number, data in enumerate((corpus.scenarios()[0], corpus.gpkg_areas()[0], corpus.place_gpkgs()[0])):
        path = tmp_path / f"{number}.gpkg"
        path.write_bytes(data)
        check_plain(path)


@pytest.mark.slow
def test_a_view_that_never_ends_is_refused_by_every_reader(tmp_path):
    area = with_statement(corpus.gpkg_areas()[0], tmp_path, ENDLESS.format("endless"))
    with pytest.raises(AreaError, match="view 'endless'"):
        read_area_bytes(area, "a.gpkg")
    scenario = with_statement(corpus.scenarios()[0], tmp_path, ENDLESS.format("endless"))
    with pytest.raises(InputError, match="view 'endless'"):
        import_network(scenario, "a.gpkg")
    with pytest.raises(InputError, match="view 'endless'"):
        Scenario.read(scenario)
    saved = with_statement(
        saved_corpus.scenario_files()[0],
        tmp_path,
        "DROP TABLE opendiff_parts",
        ENDLESS.format("opendiff_parts"),
    )
    (tmp_path / "saved.gpkg").write_bytes(saved)
    with pytest.raises(SavedWorkError, match="view 'opendiff_parts'"):
        read_parts(tmp_path / "saved.gpkg")


def test_a_virtual_table_that_reads_another_file_is_refused(tmp_path):
    """SQLite does not know the module here, GDAL may; so the table is written into the schema by hand."""
    path = tmp_path / "a.gpkg"
    path.write_bytes(corpus.gpkg_areas()[0])
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA writable_schema=ON")
        database.execute(
            "INSERT INTO sqlite_master VALUES ('table', 'evil', 'evil', 0, "
            "'CREATE VIRTUAL TABLE evil USING VirtualOGR(''/etc/passwd'')')"
        )
    with pytest.raises(AreaError, match="virtual table 'evil'"):
        read_area_bytes(path.read_bytes(), "a.gpkg")


def test_what_is_no_database_is_refused(tmp_path):
    path = tmp_path / "a.gpkg"
    path.write_bytes(b"SQLite format 3\x00" + bytes(100))
    with pytest.raises(Refused):
        check_plain(path)
    with pytest.raises(Refused):
        check_plain(tmp_path / "missing.gpkg")
