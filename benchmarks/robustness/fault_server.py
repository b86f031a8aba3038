"""A server on this machine that speaks the providers' formats and fails as they do, when it is told to.

Paths: `/tiles/{z}/{y}/{x}` images, `/population/{ISO}.tif` a GeoTIFF, `/api/interpreter` Overpass JSON.
"""

from __future__ import annotations

import io
import json
import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image

FAULTS = (
    "404",
    "429",
    "429 date",
    "500",
    "503",
    "slow",
    "truncated",
    "cut",
    "wrong type",
    "damaged",
    "no answer",
)
RETRY_AFTER_S = 7
SLOW_S = 1.2  # longer than the clients of the tests then wait for a byte


@dataclass
class World:
    """What the server knows. absent: tiles (x, y) without an image; places: (lon, lat, tags); streets: elements with
    geometry as Overpass sends them, whole whatever box is asked for."""

    population: bytes = b""
    absent: set[tuple[int, int]] = field(default_factory=set)
    places: list[tuple[float, float, dict[str, str]]] = field(default_factory=list)
    streets: list[dict[str, Any]] = field(default_factory=list)
    ranges: bool = False  # WorldPop's server sends whole files only
    version: str = '"one"'


class FaultServer:
    """Use as a context manager. `fail` makes the next requests of a kind fail; `asked` counts answered requests."""

    def __init__(self, world: World):
        self.world = world
        self.asked: Counter[str] = Counter()
        self.ranges: list[str] = []
        self._faults: dict[str, list[str]] = {}
        self._lasting: dict[str, str] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = _QuietServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> FaultServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def environment(self) -> dict[str, str]:
        """The environment variables that lead the product here."""
        return {
            "OPENDIFF_IMAGERY_URL": f"{self.address}/tiles/{{z}}/{{y}}/{{x}}",
            "OPENDIFF_WORLDPOP_URL": f"{self.address}/population/{{ISO}}.tif",
            "OPENDIFF_OVERPASS_URL": f"{self.address}/api",
        }

    def fail(self, kind: str, *faults: str) -> None:
        """The next requests whose path begins with `kind` fail so, one fault a request."""
        self._faults[kind] = list(faults)

    def fail_always(self, kind: str, fault: str | None) -> None:
        """All requests of a kind fail so, until told None."""
        if fault is None:
            self._lasting.pop(kind, None)
        else:
            self._lasting[kind] = fault

    def next_fault(self, path: str) -> str | None:
        with self._lock:
            self.asked[path] += 1
            for kind, faults in self._faults.items():
                if path.startswith(kind) and faults:
                    return faults.pop(0)
            return next((fault for kind, fault in self._lasting.items() if path.startswith(kind)), None)

    def pause(self) -> None:
        self._closing.wait(SLOW_S)


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    owner: FaultServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self._answer(path, *self._content(path, ""))

    def do_POST(self) -> None:
        form = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        path = urlsplit(self.path).path
        self._answer(path, *self._content(path, parse_qs(form).get("data", [""])[0]))

    def _content(self, path: str, query: str) -> tuple[str, bytes | None]:
        world = self.owner.world
        if found := re.fullmatch(r"/tiles/15/(\d+)/(\d+)", path):
            y, x = int(found[1]), int(found[2])
            return "image/jpeg", None if (x, y) in world.absent else tile_image(x, y)
        if path == "/population/XXA.tif":
            return "image/tiff", world.population
        if path == "/api/interpreter":
            elements = world.streets if "out geom" in query else _inside(world.places, query)
            return "application/json", json.dumps({"elements": elements}).encode()
        return "text/plain", None

    def _answer(self, path: str, kind: str, body: bytes | None) -> None:
        fault = self.owner.next_fault(path)
        headers: dict[str, str] = {}
        status = 200
        if fault == "no answer":
            self.close_connection = True
            return
        if fault in ("404", "500", "503", "429", "429 date") or body is None:
            status = int(fault.split()[0]) if fault in FAULTS and fault[:3].isdigit() else 404
            if fault == "429":
                headers["Retry-After"] = str(RETRY_AFTER_S)
            if fault == "429 date":
                headers["Retry-After"] = format_datetime(datetime.now(UTC) + timedelta(seconds=RETRY_AFTER_S))
            kind, body = "text/plain", b"fault"
        elif fault == "wrong type":
            kind, body = "text/html", b"<html>log in</html>"
        elif fault == "damaged":
            body = bytes(len(body))
        elif fault == "slow":
            self.owner.pause()
        if fault is None and self.owner.world.ranges and path.startswith("/population/"):
            headers |= {"ETag": self.owner.world.version, "Accept-Ranges": "bytes"}
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            if asked and self.headers.get("If-Range") == self.owner.world.version:
                self.owner.ranges.append(asked[0])
                start, whole = int(asked[1]), len(body)
                status, body = 206, body[start:]
                headers["Content-Range"] = f"bytes {start}-{whole - 1}/{whole}"
        elif path.startswith("/population/"):
            headers["ETag"] = self.owner.world.version
        self._send(status, kind, body, headers, fault)

    def _send(self, status: int, kind: str, body: bytes, headers: dict[str, str], fault: str | None) -> None:
        chunked = fault == "cut"
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            for name, value in headers.items():
                self.send_header(name, value)
            if chunked:
                self.send_header("Transfer-Encoding", "chunked")
            else:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if fault in ("truncated", "cut"):
                half = body[: max(1, len(body) // 2)]
                self.wfile.write(f"{len(half):x}\r\n".encode() + half + b"\r\n" if chunked else half)
                self.close_connection = True
            else:
                self.wfile.write(body)
        except OSError:  # the client has given up
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass


def tile_image(x: int, y: int) -> bytes:
    """A JPEG that differs from tile to tile."""
    rng = np.random.default_rng(x * 65_536 + y)
    pixels = np.repeat(np.repeat(rng.integers(0, 256, (8, 8, 3), np.uint8), 32, axis=0), 32, axis=1)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=85)
    return out.getvalue()


def _inside(places: list[tuple[float, float, dict[str, str]]], query: str) -> list[dict[str, Any]]:
    """Elements in the box of an Overpass query, nodes and ways by turns."""
    box = re.search(r"\[bbox:([^\]]+)\]", query)
    assert box is not None, "a query of the product names its box"
    south, west, north, east = map(float, box[1].split(","))
    elements: list[dict[str, Any]] = []
    for number, (lon, lat, tags) in enumerate(places):
        if west <= lon <= east and south <= lat <= north:
            at = {"lon": lon, "lat": lat}
            where = at if number % 2 == 0 else {"center": at}
            elements.append(
                {"type": "node" if number % 2 == 0 else "way", "id": number, "tags": tags} | where
            )
    return elements
