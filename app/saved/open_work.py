"""Open work is kept by itself, so that a reload of its page does not lose it.

It lies in a folder of the library under a number by chance, which the address of the page holds: a file for each part,
of which only those that have changed are written again.
"""

import contextlib
import json
import logging
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from app.errors import SavedWorkError
from app.messages import errors_shown
from app.saved import files, packing, room
from app.server import audit, folders
from app.server.folders import library_folder
from app.state.workspace import Workspace

log = logging.getLogger(__name__)

PARAMETER, VIEW = "work", "view"  # of the address: the work, or a link that only shows it
KEPT_DAYS = 60  # where nobody comes back to it
ABOUT = "about.json"  # beside the parts: the name of the work and its revision
MAX_ABOUT_BYTES, MAX_NAME = 10_000, 80
_WORK_ID = re.compile(r"[0-9a-f]{32}")
_locks: dict[str, threading.Lock] = {}  # by work; held from the moment in which its writing is asked for
# kept threads: the start of a new one is waited for, which a run of a page would do
_writers = ThreadPoolExecutor(4, thread_name_prefix="keep work")


@dataclass(frozen=True)
class Recent:
    """Work that is kept: its number, the name of its area, and when it was kept last (seconds since the epoch)."""

    identity: str
    name: str
    saved: float


def _lock_of(work: str) -> threading.Lock:
    return _locks.setdefault(work, threading.Lock())


def new_work() -> str:
    return secrets.token_hex(16)


def is_work(identity: str) -> bool:
    """Whether who is in this session has such work; that of another user of the proxy is none."""
    return bool(_WORK_ID.fullmatch(identity)) and (_work_folder(identity) / files.STATE).is_file()


def _work_folder(identity: str) -> Path:
    if not _WORK_ID.fullmatch(identity):
        raise SavedWorkError("There is no such work.")
    return folders.shelf(identity) / room.OPEN_WORK / identity


def take_in(identity: str) -> None:
    """Work of an earlier version, which kept that of everybody in one place, goes to whoever comes with its number."""
    if _WORK_ID.fullmatch(identity):
        old, new = library_folder() / room.OPEN_WORK / identity, _work_folder(identity)
        if new != old and old.is_dir() and not new.exists():
            new.parent.mkdir(parents=True, exist_ok=True)
            old.rename(new)


def reopen(identity: str, space: Workspace) -> None:
    """Bring back what was open under this identity before the page was loaded anew."""
    read_into(_work_folder(identity), identity, space)


def read_into(place: Path, identity: str, space: Workspace) -> None:
    """Put the work that is kept in a folder into a workspace. Raises SavedWorkError."""
    with _lock_of(identity):  # the page may be loaded anew while its last change is still being written
        found = {n: (place / n).read_bytes() for n in files.PARTS if (place / n).is_file()}
        revision = _about(place).get("revision", "")
    packing.unpack(found, space)
    space.revision = revision
    space.saved_versions = packing.versions(space)


def folder_of(identity: str) -> Path:
    """Where this work is kept, or will be. Raises SavedWorkError for what is no number of work."""
    return _work_folder(identity)


def is_number(identity: str) -> bool:
    """Whether this may be the number of work."""
    return bool(_WORK_ID.fullmatch(identity))


def recent(most: int = 20) -> list[Recent]:
    """Work kept for who is in this session, the newest first."""
    every = folders.shelf(_present_work()) / room.OPEN_WORK
    found = []
    with contextlib.suppress(OSError):
        for place in every.iterdir() if every.is_dir() else ():
            if is_number(place.name) and (about := _about(place)):
                saved = (place / ABOUT).stat().st_mtime
                found.append(Recent(place.name, about["name"][:MAX_NAME] or "Work", saved))
    return sorted(found, key=lambda work: -work.saved)[:most]


def _present_work() -> str:
    return str(st.session_state["workspace"].work) if "workspace" in st.session_state else ""


def switch(space: Workspace, identity: str) -> None:
    """Show other kept work, or the present one as it is kept now. Raises SavedWorkError."""
    if not is_work(identity):
        raise SavedWorkError("That work is gone.")
    reopen(identity, space)
    space.work, space.read_only = identity, False
    audit.log("opened", identity)


def make_own(space: Workspace) -> None:
    """From now on the work is kept under a number of its own."""
    space.work, space.read_only = new_work(), False
    space.saved_versions, space.revision = {}, ""


def kept_at(space: Workspace) -> float | None:
    """When the open work was kept last, in seconds since the epoch; None where it has not been."""
    with contextlib.suppress(OSError, SavedWorkError):
        return (_work_folder(space.work) / ABOUT).stat().st_mtime
    return None


def changed_elsewhere(space: Workspace) -> float | None:
    """When another session kept another state of this work, in seconds since the epoch; None where none has."""
    with contextlib.suppress(OSError, SavedWorkError):
        if _lock_of(space.work).locked():  # being written just now: seen in the next run
            return None
        place = _work_folder(space.work)
        if _about(place).get("revision", space.revision) != space.revision:
            return (place / ABOUT).stat().st_mtime
    return None


def _about(place: Path) -> dict[str, str]:
    """Name and revision of kept work; empty for that of an earlier version, which told neither."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        if (place / ABOUT).stat().st_size <= MAX_ABOUT_BYTES:
            told = json.loads((place / ABOUT).read_text(encoding="utf-8"))
            return {"name": str(told["name"]), "revision": str(told["revision"])}
    return {}


def keep(space: Workspace) -> Future[None] | None:
    """Write what has changed since the last time, in the background; nothing is written before there is an area.

    Returns what can be waited for, None where nothing is written. Raises SavedWorkError for what went wrong last time.
    """
    if space.read_only or changed_elsewhere(space) is not None:
        return None
    now = packing.versions(space)
    changed = {part for part, version in now.items() if space.saved_versions.get(part) != version}
    gone = set(space.saved_versions) - set(now)
    lock = _lock_of(space.work)
    if not (changed or gone) or space.area is None or not lock.acquire(blocking=False):
        return None
    try:
        shelf, place = folders.shelf(space.work), _work_folder(space.work)
        if not place.is_dir():
            room.check_whole(shelf)
        refused, space.not_kept = space.not_kept, ""
        makers = packing.pack(space, changed)
        space.saved_versions, space.revision = now, secrets.token_hex(8)
        writing = _writers.submit(_keep, lock, space, shelf, place, makers, gone)
    except BaseException:
        lock.release()
        raise
    if refused:
        raise SavedWorkError(refused)  # of the last time, which had no page to say so
    return writing


def _keep(
    lock: threading.Lock, space: Workspace, shelf: Path, place: Path, makers: dict, gone: set[str]
) -> None:
    """Write the parts; `lock` is held, and released here."""
    from opendiff.storage.atomic import replacing

    try:
        place.mkdir(parents=True, exist_ok=True)
        about = {"name": space.area.name if space.area else "", "revision": space.revision}
        with replacing(place / ABOUT) as temporary:
            temporary.write_text(json.dumps(about), encoding="utf-8")
        for part in gone:
            (place / part).unlink(missing_ok=True)
        for part, make in makers.items():
            data = make()
            with room.adding(library_folder()), replacing(place / part) as temporary:
                before = (place / part).stat().st_size if (place / part).is_file() else 0
                room.check_growth(shelf, before, len(data))
                temporary.write_bytes(data)
    except SavedWorkError as error:
        space.saved_versions, space.not_kept = {}, str(error)  # tried again in the next run
    except OSError as error:
        space.saved_versions = {}
        space.not_kept = f"Your open work cannot be kept ({error.strerror or error}); save it to a file."
        log.warning("Open work could not be kept.", exc_info=True)
    except Exception:  # a fault of ours, which nobody waits for
        space.saved_versions = {}
        space.not_kept = "Your open work cannot be kept, by a fault of this program; save it to a file."
        log.exception("Open work could not be kept.")
        raise
    finally:
        lock.release()


def forget_old_work(now: float | None = None) -> None:
    """Remove open work that nobody has come back to for KEPT_DAYS."""
    now = time.time() if now is None else now
    with contextlib.suppress(OSError, SavedWorkError):
        library = library_folder()
        for every in (library / room.OPEN_WORK, *library.glob(f"{folders.PEOPLE}/*/{room.OPEN_WORK}")):
            for place in every.iterdir() if every.is_dir() else ():
                if _WORK_ID.fullmatch(place.name) and now - place.stat().st_mtime > KEPT_DAYS * 86_400:
                    shutil.rmtree(place, ignore_errors=True)


def come_back(space: Workspace, open_link: Callable[[str, Workspace], None]) -> None:
    """In the first run of a session: reopen what its address names, else begin work of its own.

    open_link: puts the work that a read-only link leads to into the workspace.
    """
    if not space.work:
        viewed = st.query_params.get(VIEW, "")
        asked = st.query_params.get(PARAMETER, "")
        space.work = new_work()
        with errors_shown("opening the work that this address names"):
            forget_old_work()
            if viewed:
                space.work = new_work()
                open_link(viewed, space)
                st.session_state[VIEW] = viewed
                return
            take_in(asked)
            if is_work(asked):
                space.work = asked
                try:
                    reopen(asked, space)
                    audit.log("opened", asked)
                except Exception:
                    space.work = new_work()  # what cannot be read is not written over
                    raise
    if space.read_only:
        st.query_params[VIEW] = st.session_state.get(VIEW, "")
        return
    if VIEW in st.query_params:
        del st.query_params[VIEW]
    if space.area is not None and st.query_params.get(PARAMETER) != space.work:
        st.query_params[PARAMETER] = space.work  # changing the page drops it
