"""The server: this machine only, forged requests refused, behind a proxy with a base path, sessions apart."""

import tomllib
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from app.server import limits
from benchmarks.session import Session, app
from planning.errors import InputError
from tests.app.proxy import USER_HEADER, Proxy, logged_in

ROOT = Path(__file__).resolve().parents[2]
BASE = "/tools/plans/"
BOX = {
    "type": "Polygon",
    "coordinates": [[[115.88, 28.66], [115.92, 28.66], [115.92, 28.69], [115.88, 28.69], [115.88, 28.66]]],
}
PEOPLE = {"ada": "one", "bob": "two"}


@pytest.fixture(scope="module")
def behind(tmp_path_factory):
    """The app under a base path, with a proxy that lets two people in; yields both addresses."""
    folder = tmp_path_factory.mktemp("served")
    told = {"OPENDIFF_USER_HEADER": USER_HEADER, "OPENDIFF_LIBRARY": str(folder / "library")}
    with app(folder, "--server.baseUrlPath", BASE, environment=told) as (address, _):
        with Proxy(urlsplit(address).port, BASE, PEOPLE) as proxy:
            yield address, proxy.address


def status(address, method="GET", headers=None):
    request = urllib.request.Request(
        address, method=method, headers=headers or {}, data=b"" if method != "GET" else None
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_it_binds_to_this_machine_and_forged_requests_are_refused():
    server = tomllib.loads((ROOT / "app" / ".streamlit" / "config.toml").read_text())["server"]
    assert server["address"] == "127.0.0.1" and server["enableXsrfProtection"] and server["enableCORS"]


def test_nobody_comes_past_the_proxy_without_logging_in(behind):
    _, address = behind
    assert status(address) == 401 and status(address, headers=logged_in("ada", "two")) == 401
    assert status(address, headers=logged_in("ada", "one")) == 200
    assert status(address.replace(BASE, "/elsewhere/"), headers=logged_in("ada", "one")) == 404


@pytest.mark.slow
def test_a_session_works_through_the_proxy_and_keeps_its_own(behind):
    """Real HTTP and websocket under the base path: ada draws and saves, bob and a stranger see nothing of it."""
    _, address = behind
    with (
        Session(address, headers=logged_in("ada", "one")) as ada,
        Session(address, headers=logged_in("bob", "two")) as bob,
    ):
        ada.run()
        bob.run()
        ada.draw(BOX)
        assert ada.figure("With data") != "0"
        bob.run()
        assert "With data" not in bob.texts
        ada.open("compare")
        assert ada.says("Nothing saved yet.")
        ada.click("Save as new")
        assert not ada.says("Nothing saved yet.") and ada.has("Scenario")
        bob.open("compare")
        assert bob.says("Nothing saved yet.")
    with Session(address, headers=logged_in("ada", "one")) as again:
        again.run()
        again.open("compare")
        assert again.has("Scenario")


def test_a_forged_upload_and_a_foreign_page_are_refused(behind):
    address, _ = behind
    assert status(f"{address}_stcore/upload_file/any/file", "PUT") == 403
    with pytest.raises(InvalidStatus):
        connect(address.replace("http", "ws") + "_stcore/stream", origin="http://evil.example")


@pytest.fixture
def shared(monkeypatch):
    monkeypatch.setenv("OPENDIFF_SHARED", "1")


def test_what_a_session_may_ask_for_is_limited(shared, monkeypatch):
    monkeypatch.setenv("OPENDIFF_MAX_SAMPLES", "7")
    limits.check_ensemble(100, 7)
    for tiles, samples in ((100, 8), (100, 0), (limits.SHARED.tiles + 1, 1)):
        with pytest.raises(InputError):
            limits.check_ensemble(tiles, samples)
    monkeypatch.setenv("OPENDIFF_MAX_TILE_WEEKS", "699")
    with pytest.raises(InputError, match="smaller area"):
        limits.check_ensemble(100, 7)
    monkeypatch.setenv("OPENDIFF_MAX_TILES", "many")
    with pytest.raises(InputError, match="OPENDIFF_MAX_TILES is 'many'"):
        limits.limits()


def test_the_solver_keeps_to_the_limit_of_the_server(monkeypatch):
    from planning.solver.choice import allowed_seconds

    monkeypatch.delenv("OPENDIFF_MAX_SOLVER_SECONDS")
    assert allowed_seconds(60.0) == 60.0 and allowed_seconds(None) is None
    monkeypatch.setenv("OPENDIFF_MAX_SOLVER_SECONDS", "5")
    assert allowed_seconds(60.0) == 5.0 and allowed_seconds(2.0) == 2.0 and allowed_seconds(None) == 5.0


def test_on_a_shared_server_no_path_of_it_can_be_named(shared, tmp_path, monkeypatch):
    """Neither typed, nor in a scenario file that a session uploads."""
    packs = tmp_path / "packs"
    for name in ("city", "no pack"):
        (packs / name).mkdir(parents=True)
    (packs / "city" / "tiles.parquet").touch()
    monkeypatch.setenv("OPENDIFF_PACKS", str(packs))
    own = tmp_path / "own"
    assert list(limits.packs()) == ["city"]
    assert limits.may_open("demo", own) and limits.may_open(str(packs / "city"), own)
    assert limits.may_open(str(own / "packs" / "abc"), own)
    for path in (
        "/etc",
        str(packs / "no pack"),
        str(own / ".." / "other"),
        str(packs / "city" / ".." / "no pack"),
    ):
        assert not limits.may_open(path, own)
    monkeypatch.setenv("OPENDIFF_SHARED", "0")
    assert limits.may_open("/etc", own)


def test_two_sessions_of_a_shared_server_have_folders_of_their_own(shared):
    one, other = limits.owner("a" * 32), limits.owner("b" * 32)
    assert one and other and one != other and one == limits.owner("a" * 32)


def test_a_server_of_one_person_has_one_folder(monkeypatch):
    monkeypatch.setenv("OPENDIFF_SHARED", "0")
    assert limits.owner("a" * 32) == ""
