"""Files that harmed a server: now it reads none of them itself, gives nothing away, keeps its memory and says one
sentence."""

import psutil
import pytest

from app.errors import SavedWorkError
from app.server.reading import READERS as MODULES
from benchmarks.robustness import corpus
from benchmarks.robustness.hostile import HOSTILE
from benchmarks.robustness.hostile_reading import READERS
from opendiff.errors import OpenDiffError
from plannerbase import guard
from plannerbase.sandbox import protection
from planning.errors import PlanningError

SECRET = "TOPSECRET"
MEGABYTES = 30  # that a small file unpacks to
GROWTH_BYTES = 300_000_000
IN_PROCESS = (
    "virtual table: comment",
    "virtual table: named a using rtree",
    "virtual table: with a view of it",
    "virtual table: under the name of a spatial index",
    "virtual table: area",
    "virtual table: scenario",
    "virtual table: places",
    "view: endless, in capitals",
    "generated column: LIKE",
    "generated column: zeroblob",
    "pages used twice, without a key",
    "reference system that names a file",
)
TYPED = (OpenDiffError, PlanningError, SavedWorkError)


@pytest.fixture(scope="module")
def readers():
    if not protection().apart:
        pytest.skip("this system cannot fork")
    made = guard.Readers(guard.Settings(MODULES, memory_bytes=2_000_000_000, seconds=20))
    yield made
    made.close()


@pytest.fixture
def apart(readers, monkeypatch):
    """Files are read apart in this test."""
    monkeypatch.setattr(guard, "_readers", readers)


@pytest.fixture
def secret(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENDIFF_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "secret.csv"
    path.write_text(f"site,lon,lat\n{SECRET},115.9,28.6\n")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_harms_nobody(apart, secret, name):
    hostile = HOSTILE[name]
    path = secret.parent / hostile.name
    path.write_bytes(hostile.make(secret, MEGABYTES))
    memory = psutil.Process().memory_info().rss
    try:
        found = READERS[hostile.reader](path)
    except TYPED as error:
        sentence = str(error)
        assert sentence.endswith(".") and "\n" not in sentence and SECRET not in sentence
        assert "opendiff-read-" not in sentence
    else:
        assert hostile.harmless and SECRET not in repr(found)
    assert psutil.Process().memory_info().rss - memory < GROWTH_BYTES


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_PROCESS)
def test_databases_are_judged_without_the_process_too(secret, name):
    """As the command line reads them: no file but their own is read, and none runs for ever."""
    hostile = HOSTILE[name]
    path = secret.parent / hostile.name
    path.write_bytes(hostile.make(secret, 1))
    try:
        found = READERS[hostile.reader](path)
    except TYPED as error:
        assert SECRET not in str(error)
    else:
        assert SECRET not in repr(found)


@pytest.mark.parametrize(
    "name", [name for name in HOSTILE if HOSTILE[name].harmless and "sites" in HOSTILE[name].reader]
)
def test_what_is_left_behind_leaves_the_rest_as_it_is(secret, name):
    if HOSTILE[name].name != "a.gpkg":
        pytest.skip("another file")
    path = secret.parent / "a.gpkg"
    path.write_bytes(corpus.networks("gpkg")[0])
    sites, cells, *_ = READERS["sites"](path)
    path.write_bytes(HOSTILE[name].make(secret, 1))
    found_sites, found_cells, *_ = READERS["sites"](path)
    assert found_sites.equals(sites) and found_cells.equals(cells)


def test_every_module_that_reads_is_imported_ahead():
    """A reader that is not known to the warm process would import what it needs for each file."""
    import importlib

    for module in MODULES:
        importlib.import_module(module)
    assert {
        name.partition(":")[0] for name in guard.functions if not name.startswith(("tests.", "plannerbase."))
    } <= set(MODULES) | {"opendiff.open_data.zipped_pack"}
