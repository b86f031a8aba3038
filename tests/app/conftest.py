"""A small pack made here, and a workspace over it: pages are tested on real code without the bundled region."""

import fcntl
import os

import pytest

from plannerbase import guard
from plannerbase.sandbox import protection
from tests.app import browser
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
def short_solves(monkeypatch):
    """Pages need a plan, not the best one."""
    monkeypatch.setenv("OPENDIFF_MAX_SOLVER_SECONDS", str(browser.SOLVER_SECONDS))


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


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """The app that all browser tests of one process use; its models are loaded and its code is compiled once."""
    with browser.served(tmp_path_factory.mktemp("app")) as running:
        yield running


@pytest.fixture(scope="module")
def chromium():
    """A browser that reaches nothing but this machine. It ends with the module: until then its event loop runs, and
    tests without a browser start loops of their own."""
    if browser.CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("There is no chromium on this machine; .ci/run installs it.")
        pytest.skip("There is no chromium on this machine.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=browser.CHROMIUM, args=list(browser.OPTIONS))
        yield running
        running.close()


@pytest.fixture
def page(chromium, served):
    """A page of a fresh context, which the token has opened, over an empty library. After the test: no request left
    this machine and nothing failed in the console."""
    elsewhere, errors = [], []
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    assert context.request.get(f"{served.address}?token={browser.TOKEN}").ok
    context.add_init_script(browser.STILL)
    page = context.new_page()
    page.set_default_timeout(180_000)  # a machine may have other work
    page.on("request", lambda request: None if browser.is_own(request.url) else elsewhere.append(request.url))
    told = lambda message: f"{message.text} {message.location['url']}"  # noqa: E731
    page.on("console", lambda message: errors.append(told(message)) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    served.forget()
    assert elsewhere == []
    assert errors == []


@pytest.fixture
def finished(served, finished_work):
    """The address of finished work in the app, which this test alone may change."""
    return served.kept(finished_work)


@pytest.fixture
def with_traffic(served, traffic_work):
    """The same of work with traffic alone."""
    return served.kept(traffic_work)
