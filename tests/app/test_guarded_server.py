"""Attacks on a real server of this machine: DNS rebinding, forged headers, uploads without end, the work of others."""

import json
import re
import socket
import stat
import time
from urllib.parse import urlsplit

import pytest

from benchmarks.session import Session, app
from tests.app.test_server import BOX

TOKEN = "token-of-the-tests-00"
HEADER = "X-Forwarded-User"
FOLDER = "Folder or zip file on the machine"
MB = 1_000_000
ENDPOINTS = ("/", "/traffic", "/_stcore/health", "/_stcore/host-config", "/_stcore/metrics", "/media/a.png",
             "/component/streamlit_folium.st_folium/index.html", "/static/nothing.js")  # fmt: skip

pytestmark = pytest.mark.slow


SPY = """
import os, socket

def spied(real):
    def called(*arguments):
        place = arguments[1] if len(arguments) > 1 and isinstance(arguments[1], tuple) else arguments
        if str(place[0]) not in ("127.0.0.1", "localhost", "::1"):
            with open(os.environ["SPIED"], "a") as file:
                file.write(f"{real.__name__} {place}\\n")
        return real(*arguments)
    return called

class Socket(socket.socket):
    connect, connect_ex = spied(socket.socket.connect), spied(socket.socket.connect_ex)

socket.socket, socket.getaddrinfo = Socket, spied(socket.getaddrinfo)
"""


def spied(folder):
    """Environment of a server that writes down whom it connects to beside this machine, or looks up."""
    (folder / "sitecustomize.py").write_text(SPY)
    return {"PYTHONPATH": str(folder), "SPIED": str(folder / "elsewhere.txt")}


@pytest.fixture(scope="module")
def personal(tmp_path_factory):
    """The app as one person starts it, with a token, and a library that an earlier version has left open to others."""
    folder = tmp_path_factory.mktemp("personal")
    library = folder / "library"
    (library / "people" / "a").mkdir(parents=True)
    (library / "people" / "a" / "old.gpkg").write_bytes(b"old")
    for place in (library, library / "people"):
        place.chmod(0o755)
    (library / "people" / "a" / "old.gpkg").chmod(0o644)
    with app(folder, environment=spied(folder) | {"OPENDIFF_LIBRARY": str(library)}, token=TOKEN) as (
        address,
        _,
    ):
        yield address, folder


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """The app behind a proxy that names its users; sessions are forgotten a moment after they end."""
    folder = tmp_path_factory.mktemp("shared")
    settings = {"OPENDIFF_SHARED": "1", "OPENDIFF_USER_HEADER": HEADER, "OPENDIFF_LIBRARY": str(folder / "library"),
                "OPENDIFF_MAX_SESSION_UPLOAD_MB": "5", "OPENDIFF_MAX_PERSON_UPLOAD_MB": "8"}  # fmt: skip
    with app(folder, "--server.disconnectedSessionTTL", "1", environment=spied(folder) | settings) as (
        address,
        _,
    ):
        yield address, folder


def raw(address, text):
    """The first line of the answer to a request, byte by byte as written here."""
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        connection.sendall(text.encode("latin-1"))
        return connection.recv(200).decode("latin-1").partition("\r\n")[0]


def refused(answer):
    return re.match(r"HTTP/1\.1 4\d\d ", answer) is not None


def user(name, address, **more):
    return Session(address, headers={HEADER: name}, **more)


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example:8501", "user@localhost", "localhost:8501:9"]
)
def test_a_rebound_name_gets_nothing(personal, host):
    """Even with the cookie: the browser sends that of another name, but who knows which flaws it has."""
    address, _ = personal
    with Session(address, token=TOKEN) as opened:
        cookie = f"Cookie: {opened.cookies}\r\n"
    for path in ENDPOINTS:
        assert refused(raw(address, f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{cookie}\r\n")), path
    upgrade = ("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")  # fmt: skip
    stream = f"GET /_stcore/stream HTTP/1.1\r\n{upgrade}{cookie}"
    assert refused(raw(address, f"{stream}Host: {host}\r\nOrigin: http://{host}\r\n\r\n"))
    put = f"PUT /_stcore/upload_file/a/b HTTP/1.1\r\n{cookie}Content-Length: 0\r\n"
    assert refused(raw(address, f"{put}Host: {host}\r\nOrigin: http://{host}\r\n\r\n"))
    own = urlsplit(address).netloc
    assert raw(address, f"{stream}Host: {own}\r\nOrigin: http://{own}\r\n\r\n").startswith("HTTP/1.1 101")
    assert refused(raw(address, f"{stream}Host: {own}\r\nOrigin: http://evil.example\r\n\r\n"))


def test_requests_in_other_forms_get_nothing(personal):
    address, _ = personal
    own = urlsplit(address).netloc
    for text in (
        f"GET http://evil.example/?token={TOKEN} HTTP/1.1\r\nHost: {own}\r\n\r\n",
        f"GET /?token={TOKEN} HTTP/1.1\r\nHost: {own}\r\nHost: evil.example\r\n\r\n",
        f"GET /?token={TOKEN} HTTP/1.0\r\n\r\n",
        f"GET //evil.example/?token={TOKEN} HTTP/1.1\r\nHost: {own}\r\n\r\n",
        f"GET /?token={TOKEN} HTTP/1.1\r\nX-Forwarded-Host: {own}\r\nHost: evil.example\r\n\r\n",
    ):
        assert refused(raw(address, text)), text


def test_without_the_token_nobody_comes_in(personal):
    address, _ = personal
    own = urlsplit(address).netloc
    for path in set(ENDPOINTS) - {"/_stcore/health"}:
        assert refused(raw(address, f"GET {path} HTTP/1.1\r\nHost: {own}\r\n\r\n")), path
    with pytest.raises(Exception, match="403"), Session(address):
        pass


def test_the_person_at_the_machine_names_folders_and_nobody_else(personal):
    """With the token but through a proxy that the server has not been told of, a session is one of a shared server."""
    address, _ = personal
    with Session(address, token=TOKEN) as own:
        own.run()
        own.choose("Source", "Offline data package")
        assert own.has(FOLDER)
    for header in ({"X-Forwarded-For": "127.0.0.1"}, {"Forwarded": "for=127.0.0.1"}, {"Via": "1.1 x"}):
        with Session(address, headers=header | {"X-Opendiff-Personal": "1"}, token=TOKEN) as other:
            other.run()
            other.choose("Source", "Offline data package")
            assert not other.has(FOLDER)


def test_the_library_is_for_its_owner_alone(personal):
    """What an earlier version left open to others too."""
    address, folder = personal
    with Session(address, token=TOKEN) as session:
        session.run()
        session.draw(BOX)
        session.open("compare")
        session.click("Save as new")
    library = folder / "library"
    found = [library, *library.rglob("*")]
    assert any(path.suffix == ".gpkg" and path.name != "old.gpkg" for path in found)
    for path in found:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert (library / "people" / "a" / "old.gpkg").read_bytes() == b"old"


def test_nobody_opens_the_work_of_another_user(shared):
    """?work= is bound to the proxy's user: with the number alone, bob begins work of his own."""
    address, folder = shared
    with user("ada", address) as ada:
        ada.run()
        ada.draw(BOX)
        assert ada.figure("With data") != "0"
    work = next(path.name for path in (folder / "library").glob("people/*/open work/*") if path.is_dir())
    _until(lambda: any((folder / "library").rglob(f"{work}/state.json")))
    with user("bob", address, work=work) as bob:
        bob.run()
        assert not bob.says("With data")
        bob.draw(BOX)
    assert len(list((folder / "library").glob(f"people/*/open work/{work}"))) == 1
    with user("ada", address, work=work) as again:
        again.run()
        assert again.says("With data")


def test_who_did_what_is_noted(shared):
    address, folder = shared
    with user("carol", address) as carol:
        carol.run()
        carol.draw(BOX)
        carol.open("compare")
        carol.click("Save as new")
        carol.click("Delete")
    path = folder / "library" / "audit.jsonl"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    own = [line for line in lines if line["who"] == "carol"]
    assert [line["event"] for line in own][:1] == ["saved"] and own[0]["scenario"] and own[0]["time"] > "2026"
    works = {p.name for p in (folder / "library").glob("people/*/open work/*") if p.is_dir()}
    assert not any(
        work in path.read_text() for work in works
    )  # the number opens the work; only its digest is there


def test_uploads_end_at_the_quota_and_a_closed_session_gives_its_part_back(shared):
    address, _ = shared
    mb = b"x" * MB
    with user("dora", address) as one, user("dora", address) as two, user("eve", address) as other:
        for session in (one, two, other):
            session.run()
        assert [one.upload("a.csv", mb) for _ in range(6)] == [204] * 4 + [
            413
        ] * 2  # 5 MB with the frame of each file
        assert [two.upload("a.csv", mb) for _ in range(5)] == [204] * 3 + [413] * 2
        assert other.upload("a.csv", mb) == 204
        assert one.upload("a.csv", mb) == 413
    with user("dora", address) as again:
        again.run()
        _until(lambda: again.upload("a.csv", 4 * mb) == 204)


def test_a_flood_of_uploads_is_slowed_down(shared):
    address, _ = shared
    with user("fay", address) as session:
        session.run()
        answers = [session.upload("a.csv", b"x", file="same") for _ in range(70)]
    assert answers[:60] == [204] * 60 and set(answers[60:]) == {429}


def test_no_server_has_asked_another_machine(personal, shared):
    """Nor about a foreign Origin, of which Streamlit alone would ask whether it is this machine's own address."""
    for address, folder in (personal, shared):
        own = urlsplit(address).netloc
        stream = ("GET /_stcore/stream HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                  f"Host: {own}\r\n{HEADER}: ada\r\nOrigin: http://93.184.216.34\r\n\r\n")  # fmt: skip
        assert refused(raw(address, stream))
        assert not (folder / "elsewhere.txt").exists()


def _until(done, seconds=60):
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.5)
