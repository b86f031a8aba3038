"""The scenario library: one GeoPackage a scenario in a folder of this machine.

A scenario opens in QGIS like any export (tiles, sites, cells, plans); the parts that the app needs beside them to go on
lie in a table of their own. Files are named by chance, never by what a user typed; the name a user gave is inside.
"""

import contextlib
import re
import secrets
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from app.errors import SavedWorkError
from app.files.scenario import scenario_of
from app.saved import files, packing, room
from app.saved.files import TABLE
from app.server import audit, folders
from app.server.folders import library_folder
from app.state.workspace import Workspace

MAX_BYTES = 2_000_000_000
MAX_NAME = 80
MAX_DESCRIBED = 10_000  # scenarios that the server holds the names of
State = tuple[int, int]
Description = tuple[str, list[str] | None] | None
_descriptions: dict[tuple[Path, State], Description] = {}
_FILE = re.compile(r"[0-9a-f]{16}\.gpkg")


@dataclass(frozen=True)
class Entry:
    """A scenario of the library."""

    identity: str  # the file's name without its ending
    name: str
    saved: float  # seconds since the epoch
    size: int  # bytes


def shelf() -> Path:
    """Where the scenarios of who is in this session lie."""
    return folders.shelf(_work())


def entries() -> list[Entry]:
    """All scenarios, the newest first; a file that is none is passed over."""
    if not shelf().is_dir():
        return []
    paths = [path for path in shelf().iterdir() if _FILE.fullmatch(path.name)]
    found = [
        Entry(path.stem, described[0], state[0] / 1e9, state[1])
        for path, (state, described) in _described(paths).items()
        if described is not None
    ]
    return sorted(found, key=lambda entry: -entry.saved)


def save(space: Workspace, name: str, identity: str | None = None) -> str:
    """Write the work under a name, over the scenario `identity` or as a new one; returns its identity.

    A name that another scenario has gets a number.
    """
    name = _free_name(_checked(name), identity)
    packed = {part: make() for part, make in packing.pack(space).items()}
    layers = b"" if space.network is None else scenario_of(space).to_bytes()
    identity = identity or secrets.token_hex(8)
    _write(path_of(identity), name, packed, layers)
    audit.log("saved", space.work, scenario=identity, name=name)
    return identity


def parts_of(identity: str) -> dict[str, bytes]:
    """The parts of a scenario of the library, for `packing.unpack`."""
    return read_parts(path_of(identity))


def read_parts(path: Path) -> dict[str, bytes]:
    """The parts in a scenario file. Raises SavedWorkError where it is none."""
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise SavedWorkError("The scenario is gone or too large; choose another one.")
    return files.read_parts(path)


def strategies_of(identity: str) -> list[str] | None:
    """The sleep strategies of a scenario, without opening the rest of it; None where it has no network to compare."""
    with contextlib.suppress(SavedWorkError):
        for _, described in _described([path_of(identity)]).values():
            return None if described is None else described[1]
    return None


def upload(data: bytes) -> dict[str, bytes]:
    """The parts in an uploaded scenario file."""
    return files.read_parts_bytes(data)


def rename(identity: str, name: str) -> None:
    """Another name for a scenario, with a number where another has it; its plans stay as they are."""
    name = _free_name(_checked(name), identity)
    _change(identity, lambda path: _set_name(path, name))
    audit.log("renamed", _work(), scenario=identity, name=name)


def duplicate(identity: str) -> str:
    """A copy under the same name with "copy" behind it; returns its identity."""
    path, copy = path_of(identity), secrets.token_hex(8)
    name = _free_name(f"{_name_of(path)[: MAX_NAME - 5]} copy", None)

    def fill(temporary: Path) -> None:
        shutil.copyfile(path, temporary)
        _set_name(temporary, name)

    _replace(path_of(copy), fill)
    audit.log("duplicated", _work(), scenario=identity, name=name, copy=copy)
    return copy


def delete(identity: str) -> None:
    """Remove a scenario for good; one that is gone already is no error."""
    with contextlib.suppress(FileNotFoundError):
        path_of(identity).unlink()
        audit.log("deleted", _work(), scenario=identity)


def _work() -> str:
    return str(st.session_state["workspace"].work) if "workspace" in st.session_state else ""


# --- the file ----------------------------------------------------------------------------------------------------


def path_of(identity: str) -> Path:
    """Where a scenario lies, or will. Raises SavedWorkError for what is no identity."""
    if not _FILE.fullmatch(f"{identity}.gpkg"):
        raise SavedWorkError("There is no such scenario.")
    return shelf() / f"{identity}.gpkg"


def _checked(name: str) -> str:
    name = " ".join(name.split())[:MAX_NAME]
    if not name:
        raise SavedWorkError("A scenario needs a name; type one.")
    return name


def _free_name(name: str, identity: str | None) -> str:
    """The name, with a number behind it where a scenario other than `identity` has it."""
    taken = {entry.name for entry in entries() if entry.identity != identity}
    free, number = name, 2
    while free in taken:
        behind = f" ({number})"
        free, number = name[: MAX_NAME - len(behind)] + behind, number + 1
    return free


def name_of(identity: str) -> str:
    """The name of a scenario. Raises SavedWorkError where there is none."""
    return _name_of(path_of(identity))


def _write(path: Path, name: str, packed: dict[str, bytes], layers: bytes) -> None:
    """layers: the GeoPackage that other tools see in the file, or nothing, which is an empty database."""

    def fill(temporary: Path) -> None:
        temporary.write_bytes(layers)
        with contextlib.closing(sqlite3.connect(temporary)) as database, database:
            database.execute(f"CREATE TABLE {TABLE} (part TEXT PRIMARY KEY, data BLOB NOT NULL)")
            rows = [("name", name.encode()), *packed.items()]
            database.executemany(f"INSERT INTO {TABLE} VALUES (?, ?)", rows)

    _replace(path, fill)


def _replace(path: Path, fill: Callable[[Path], None]) -> None:
    from opendiff.storage.atomic import replacing

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with room.adding(library_folder()), replacing(path) as temporary:
            fill(temporary)
            room.check(temporary, path)
    except OSError as error:
        raise SavedWorkError(
            f"The scenario cannot be saved ({error.strerror or error}); free some space or set OPENDIFF_LIBRARY."
        ) from error


def _change(identity: str, change: Callable[[Path], None]) -> None:
    path = path_of(identity)

    def fill(temporary: Path) -> None:
        shutil.copyfile(path, temporary)
        change(temporary)

    _replace(path, fill)


def _set_name(path: Path, name: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute(f"UPDATE {TABLE} SET data = ? WHERE part = 'name'", (name.encode(),))


def _name_of(path: Path) -> str:
    for _, described in _described([path]).values():
        if described is not None:
            return described[0]
    raise SavedWorkError("There is no such scenario.")


def _described(paths: list[Path]) -> dict[Path, tuple[State, Description]]:
    """Of each file that is there its state (time of change in ns, bytes) and what is told of it. A file is read once,
    until it changes; those that are new, all together."""
    states: dict[Path, State] = {}
    for path in paths:
        with contextlib.suppress(OSError):
            status = path.stat()
            states[path] = status.st_mtime_ns, status.st_size
    new = [path for path, state in states.items() if (path, state) not in _descriptions]
    for path, described in zip(new, _read_descriptions(new), strict=True):
        _descriptions[path, states[path]] = described
    found = {path: (state, _descriptions[path, state]) for path, state in states.items()}
    while len(_descriptions) > MAX_DESCRIBED:
        with contextlib.suppress(StopIteration, KeyError):  # of another session that does the same
            del _descriptions[next(iter(_descriptions))]
    return found


def _read_descriptions(paths: list[Path]) -> list[Description]:
    """What is told of each file; where they cannot be read together, one by one."""
    try:
        return files.describe(paths) if paths else []
    except SavedWorkError:
        return [None] if len(paths) == 1 else [_read_descriptions([path])[0] for path in paths]
