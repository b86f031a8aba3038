"""Scenario files and the parts of saved work, as plain values: read apart from the server, for strangers made them.

What the parts mean, and whether they fit each other, is `app.saved.packing`'s.
"""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from app.errors import SavedWorkError
from app.saved.arrays import Arrays, from_bytes
from opendiff.errors import OpenDiffError
from opendiff.traffic_table import TrafficEnsemble, from_plain, read_traffic, to_plain
from opendiff.week import HOURS
from plannerbase.archive import members
from plannerbase.database import opened
from plannerbase.guard import guarded
from plannerbase.text import Refused, read_json

TABLE = "opendiff_parts"
NAME = "name"
STATE, TRAFFIC, NETWORKS = "state.json", "traffic.parquet", "networks.npz"
SLEEP, SPECTRUM, UPLOADS = "sleep.npz", "spectrum.npz", "uploads.zip"
PARTS = (STATE, TRAFFIC, NETWORKS, SLEEP, SPECTRUM, UPLOADS)
FORMAT = 2
MAX_STATE_BYTES, MAX_LIST_BYTES, MAX_NAME_BYTES = 8_000_000, 1_000_000, 1_000
MAX_UPLOADS, MAX_UPLOAD_BYTES, MAX_UPLOAD_GROWTH = 20, 1_000_000_000, 20
FREE_ARRAY_BYTES, ARRAY_BYTES_PER_VALUE = (
    100_000_000,
    16,
)  # of a part; a value: of the traffic that a session may have
SECONDS = 20.0  # of one database
Stored = tuple[Any, Arrays]  # what `arrays.from_bytes` returns


@dataclass(frozen=True)
class Work:
    """Saved work, part by part. uploads: what each file is for, what it was called, and its content."""

    state: dict[str, Any]
    traffic: TrafficEnsemble | None = None
    networks: Stored | None = None
    sleep: Stored | None = None
    spectrum: Stored | None = None
    uploads: tuple[tuple[str, str, bytes], ...] = ()


def _known(plain: dict[str, Any]) -> dict[str, bytes]:
    return {part: bytes(data) for part, data in plain.items() if part in PARTS}


@guarded(SavedWorkError, unpack=_known)
def read_parts(path: Path) -> dict[str, bytes]:
    """The parts in a scenario file. Raises SavedWorkError where it is none."""
    return _parts(path)


@guarded(SavedWorkError, unpack=_known)
def read_parts_bytes(data: bytes) -> dict[str, bytes]:
    """The parts in the content of a scenario file. Raises SavedWorkError."""
    with tempfile.TemporaryDirectory(prefix="opendiff-") as folder:
        path = Path(folder, "upload.gpkg")
        path.write_bytes(data)
        return _parts(path)


def _parts(path: Path) -> dict[str, bytes]:
    try:
        with opened(path) as database:
            found = (
                database.rows(TABLE, ("part", "data"), ("part", PARTS)) if TABLE in database.tables else ()
            )
            parts = {str(part): data for part, data in found if isinstance(data, bytes)}
    except ValueError as error:
        raise SavedWorkError(f"This file is no scenario saved by the app ({error}).") from None
    if not parts:
        raise SavedWorkError("This file is no scenario saved by the app (it has no such table).")
    if len(parts.get(STATE, b"")) > MAX_STATE_BYTES:  # said here, so that the server does not get it first
        raise SavedWorkError(
            f"This file is no scenario saved by the app ({STATE} is larger than {MAX_STATE_BYTES // 10**6} MB)."
        )
    return parts


def _descriptions(plain: list[Any]) -> list[tuple[str, list[str] | None] | None]:
    return [
        None
        if one is None
        else (str(one[0]), None if one[1] is None else [str(strategy) for strategy in one[1]])
        for one in plain
    ]


@guarded(SavedWorkError, unpack=_descriptions)
def describe(paths: list[Path]) -> list[tuple[str, list[str] | None] | None]:
    """Of each scenario file its name and the sleep strategies that can be compared, None where it has no network; None
    for a file that is no scenario."""
    return [_described(path) for path in paths]


def _described(path: Path) -> tuple[str, list[str] | None] | None:
    try:
        with opened(path, SECONDS) as database:
            if TABLE not in database.tables:
                return None
            found = dict(database.rows(TABLE, ("part", "data"), ("part", (NAME, STATE))))
    except ValueError:
        return None
    if not isinstance(found.get(NAME), bytes):
        return None
    name, strategies = found[NAME][:MAX_NAME_BYTES].decode("utf-8", "replace"), None
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
        state = _state(found[STATE])
        if state["format"] == FORMAT and "network" in state["made"]:
            strategies = [str(strategy) for strategy in state["strategies"]]
    return name, strategies


def _to_plain(work: Work) -> dict[str, Any]:
    plain = {field.name: getattr(work, field.name) for field in fields(work)}
    return plain | {"traffic": None if work.traffic is None else to_plain(work.traffic)}


def _from_plain(plain: dict[str, Any]) -> Work:
    """Raises SavedWorkError where the traffic is none."""
    traffic = None if plain["traffic"] is None else _whole_weeks(from_plain(plain["traffic"]))
    uploads = tuple((str(key), str(name), bytes(data)) for key, name, data in plain["uploads"])
    return Work(**plain | {"traffic": traffic, "uploads": uploads})


@guarded(SavedWorkError, OpenDiffError, pack=_to_plain, unpack=_from_plain)
def read_work(parts: dict[str, bytes], max_values: int) -> Work:
    """What the parts of saved work hold. max_values: tiles x samples x hours of its traffic.

    Raises SavedWorkError, for a part that is not what its name says or has more than it may.
    """
    try:
        most_bytes = FREE_ARRAY_BYTES + ARRAY_BYTES_PER_VALUE * max_values
        stored = {
            part: from_bytes(parts[part], most_bytes) for part in (NETWORKS, SLEEP, SPECTRUM) if part in parts
        }
        return Work(
            _state(parts[STATE]),
            _traffic(parts[TRAFFIC], max_values) if TRAFFIC in parts else None,
            stored.get(NETWORKS),
            stored.get(SLEEP),
            stored.get(SPECTRUM),
            _uploads(parts[UPLOADS]) if UPLOADS in parts else (),
        )
    except (MemoryError, RecursionError):
        raise
    except Exception as error:
        raise SavedWorkError(f"It cannot be read ({error}); save the scenario again.") from error


def _state(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_STATE_BYTES:
        raise Refused(f"{STATE} is larger than {MAX_STATE_BYTES // 10**6} MB")
    state = read_json(data)
    if not isinstance(state, dict):
        raise Refused(f"{STATE} is no object")
    return state


def _traffic(data: bytes, max_values: int) -> TrafficEnsemble:
    with tempfile.TemporaryDirectory(prefix="opendiff-") as folder:
        path = Path(folder, TRAFFIC)
        path.write_bytes(data)
        try:
            return _whole_weeks(read_traffic(path, max_values))
        except OpenDiffError as error:
            raise Refused(str(error).replace(f"{folder}/", "").rstrip(".")) from None


def _whole_weeks(traffic: TrafficEnsemble) -> TrafficEnsemble:
    """The same. Raises SavedWorkError for fewer days, which pages cannot show."""
    if traffic.hours != HOURS:
        raise SavedWorkError(
            f"Its traffic has {traffic.hours} hours instead of {HOURS}; save the scenario again."
        )
    return traffic


def _uploads(data: bytes) -> tuple[tuple[str, str, bytes], ...]:
    found = members(data, (".json", ".bin"), MAX_UPLOADS + 1, MAX_UPLOAD_BYTES, MAX_UPLOAD_GROWTH)
    if len(found["files.json"]) > MAX_LIST_BYTES:
        raise Refused("its list of files is too long")
    told = read_json(found["files.json"])
    return tuple((str(f["key"]), str(f["name"]), found[f"{number}.bin"]) for number, f in enumerate(told))
