"""A small pack made here, and a workspace over it: pages are tested on real code without the bundled region."""

import fcntl
import os
import shutil

import pytest

from benchmarks.app import OPTIONS
from benchmarks.session import app as running_app
from plannerbase import guard
from plannerbase.sandbox import protection
from tests.app.making import keep_finished_work, keep_traffic, space_over, write_pack


@pytest.fixture(autouse=True)
def library_folder(tmp_path, monkeypatch):
    """No test reads or writes the library of whoever runs it."""
    monkeypatch.setenv("OPENDIFF_LIBRARY", str(tmp_path / "library"))
    return tmp_path / "library"


@pytest.fixture(autouse=True)
def read_here(monkeypatch):
    """Files are read in the process of the tests, where a test does not start the server or say otherwise."""
    monkeypatch.setattr(guard, "start", lambda settings: protection())


@pytest.fixture(autouse=True)
def one_persons_server(monkeypatch):
    """No guard stands before AppTest, so nothing tells the pages that they are one person's but this."""
    monkeypatch.setenv("OPENDIFF_SHARED", "0")


@pytest.fixture
def pack(tmp_path):
    """8 x 8 tiles; POI and population on all but the first column of tiles."""
    return write_pack(tmp_path / "city")


@pytest.fixture
def space(pack):
    """A workspace on the pack with an area of 3 x 3 tiles and a week of five samples for it."""
    return space_over(pack)


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="session")
def one_app(tmp_path_factory):
    """One app for all tests in a browser that need nothing special of it, as `make run` starts it; its address, and
    where it looks for its library."""
    folder = tmp_path_factory.mktemp("app")
    library = folder / "library"
    library.symlink_to(tmp_path_factory.mktemp("library"))
    with running_app(folder, environment={"OPENDIFF_LIBRARY": str(library)}) as (address, _):
        yield address, library


@pytest.fixture(scope="module")
def app_over(one_app, tmp_path_factory):
    """A function that lays a copy of a library under the app, for the tests of a file, and returns the address."""

    def lay(original):
        address, library = one_app
        copy = tmp_path_factory.mktemp("library") / "copy"
        shutil.copytree(original, copy)
        other = library.with_name("other")
        other.symlink_to(copy)
        os.replace(other, library)
        return address

    return lay


@pytest.fixture(scope="module")
def chromium():
    """One browser for the tests of a file; each of them gets a context of its own, which shares nothing with others."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("There is no chromium on this machine; .ci/run installs it.")
        pytest.skip("There is no chromium on this machine.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(OPTIONS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def finished_work(tmp_path_factory):
    """A library with open work that holds all kinds of plans, and the number of that work: made once, whichever of the
    processes of the tests needs it first. A server that writes to it starts on a copy."""
    return _kept_once(tmp_path_factory, "finished", keep_finished_work)


@pytest.fixture(scope="session")
def traffic_work(tmp_path_factory):
    """The same with traffic of the example area alone."""
    return _kept_once(tmp_path_factory, "traffic", keep_traffic)


def _kept_once(tmp_path_factory, name, keep):
    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent
    library, number = place / f"{name} library", place / f"{name}.txt"
    with (place / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not number.is_file():
            number.write_text(keep(library))
    return library, number.read_text()
