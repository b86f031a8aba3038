"""Who opened, saved, exported and deleted what, and when: one JSON object a line in `audit.jsonl` of the library.

time: UTC. who: the user that the proxy names, "local" on a personal server, else the session's part of the library.
address: of whoever connects, on a shared server. work: a digest of the open work's number, which itself opens the work.
At MAX_BYTES the file becomes audit.1.jsonl, that one audit.2.jsonl and so on; the oldest of KEPT goes.
"""

import hashlib
import itertools
import json
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import streamlit as st

from app.errors import SavedWorkError
from app.server import limits
from app.server.folders import library_folder

FILE = "audit.jsonl"
MAX_BYTES, KEPT = 10_000_000, 5
MAX_TEXT = 200  # letters of one value
_log = logging.getLogger(__name__)


def log(event: str, work: str, **what: str) -> None:
    """Note an event of the session that shows this open work. What cannot be written is said in the server's log."""
    _write(_entry(event, work, what))


def logged(make: Callable[[], bytes], event: str, work: str, **what: str) -> Callable[[], bytes]:
    """`make`, which notes the event when it is called, wherever that is."""
    entry = _entry(event, work, what)

    def made() -> bytes:
        data = make()
        _write(entry)
        return data

    return made


def _entry(event: str, work: str, what: dict[str, str]) -> dict[str, str]:
    owner = limits.owner(work)
    who = limits.user() or (f"session {owner[:16]}" if owner else "local")
    address = (st.context.ip_address or "127.0.0.1") if owner else ""
    entry = {"event": event, "who": who, "address": address}
    entry["work"] = hashlib.sha256(work.encode()).hexdigest()[:16] if work else ""
    return {key: str(value)[:MAX_TEXT] for key, value in (entry | what).items() if value}


def _write(entry: dict[str, str]) -> None:
    from opendiff.storage.atomic import locked

    line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="milliseconds")} | entry) + "\n"
    try:
        folder = library_folder()
        with locked(folder / ".audit.lock"):
            _rotate(folder, len(line))
            number = os.open(folder / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(number, "ab") as file:
                file.write(line.encode())
    except (OSError, SavedWorkError):
        _log.error("The audit log cannot be written; this is missing in it: %s", line.strip(), exc_info=True)


def _rotate(folder: Path, more: int) -> None:
    current = folder / FILE
    if not current.is_file() or current.stat().st_size + more <= MAX_BYTES:
        return
    names = [current, *(folder / f"audit.{number}.jsonl" for number in range(1, KEPT))]
    for old, new in reversed(list(itertools.pairwise(names))):
        if old.is_file():
            os.replace(old, new)
