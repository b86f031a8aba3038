"""Tile servers that the maps may ask for their background. None is asked before somebody has chosen one.

On a personal server its user names one, which then holds until the server ends. On a shared server its keeper offers
one, and each user may choose it:

OPENDIFF_TILES              address of tiles with {z}, {x} and {y} (XYZ), or with {TileMatrix}, {TileCol} and {TileRow}
                            (WMTS)
OPENDIFF_TILES_ATTRIBUTION  whom to credit for them

The content security policy of the maps allows images of exactly these hosts (`origins`).
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import streamlit as st

from app.server import access, limits

MAX_LETTERS = 500
LOCAL = ("localhost", "127.0.0.1")
AXES = {"z": "z", "x": "x", "y": "y", "tilematrix": "z", "tilecol": "x", "tilerow": "y"}
_FIELD = re.compile(r"\{([^{}]*)\}")
_PLAIN = re.compile(r"[A-Za-z0-9:/?&=.,_~%+@!*$()\[\]{}-]+")
_KEY = "tiles of the server"


@dataclass(frozen=True)
class TileServer:
    """Tiles of Web Mercator by an address with {z}, {x} and {y}."""

    template: str
    attribution: str

    @property
    def origin(self) -> str:
        """Scheme, host and, where it is stated, port."""
        parts = urlsplit(self.template)
        return f"{parts.scheme}://{parts.netloc}"


def tile_server(address: str, attribution: str = "") -> TileServer:
    """The server of an address. Raises SourceError for one that is no https address of tiles; http is for this machine.

    WMTS is understood where its address names {TileMatrix}, {TileCol} and {TileRow} and all else is filled in.
    """
    from opendiff.errors import SourceError

    address = address.strip()
    if not 0 < len(address) <= MAX_LETTERS or not _PLAIN.fullmatch(address):
        raise SourceError(
            f"The address of tiles must be plain letters without blanks or quotes, at most {MAX_LETTERS} of them."
        )
    try:
        parts = urlsplit(address)
        name, _ = access.host_name(parts.netloc), parts.port
    except ValueError:
        name = None
    if name is None or "[" in parts.netloc or parts.fragment:
        raise SourceError(
            "The address of tiles needs a host name, and a port at most: no user, no password, no {} before the path."
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and name in LOCAL):
        raise SourceError("Tiles are asked for by https, or by http of this machine (localhost) alone.")
    rest = address[len(f"{parts.scheme}://{parts.netloc}") :]
    found = [AXES.get(word.lower(), "") for word in _FIELD.findall(rest)]
    if sorted(found) != ["x", "y", "z"] or "{" in _FIELD.sub("", rest) or "}" in _FIELD.sub("", rest):
        raise SourceError(
            "The path or query of the address needs {z}, {x} and {y} (of WMTS {TileMatrix}, {TileCol} and {TileRow}), "
            "each once and nothing else in braces."
        )
    filled = _FIELD.sub(lambda match: f"{{{AXES[match[1].lower()]}}}", rest)
    return TileServer(f"{parts.scheme}://{parts.netloc.lower()}{filled}", attribution.strip()[:200] or name)


OSM = TileServer("https://tile.openstreetmap.org/{z}/{x}/{y}.png", "(c) OpenStreetMap contributors")
_lock = threading.Lock()
_personal: TileServer | None = None


def offered(environment: Mapping[str, str] = os.environ) -> TileServer | None:
    """What the keeper of this server offers, None where nothing. Raises SourceError for an address that is none."""
    address = environment.get("OPENDIFF_TILES", "")
    return tile_server(address, environment.get("OPENDIFF_TILES_ATTRIBUTION", "")) if address else None


def chosen() -> TileServer | None:
    """Whose tiles this session's maps show, None for none."""
    if limits.shared():
        return offered() if st.session_state.get(_KEY, False) else None
    return _personal


def choose(server: TileServer | None) -> None:
    """Let maps show these tiles from now on, or none. On a shared server only what its keeper offers can be chosen."""
    global _personal
    if limits.shared():
        st.session_state[_KEY] = server is not None and server == offered()
        return
    with _lock:
        _personal = server


def origins() -> tuple[str, ...]:
    """Origins that the maps may load images from."""
    from opendiff.errors import SourceError

    found = {_personal.origin} if _personal is not None else set()
    if access.shared_server():
        try:
            found |= {server.origin} if (server := offered()) else set()
        except SourceError:  # the page on which it would be chosen says so
            pass
    return tuple(sorted(found))
