"""Room in the scenario library: nothing in it is ever removed, but above its quota nothing new is taken.

OPENDIFF_LIBRARY_GB      scenarios and open work of everybody together, GB (default 50)
OPENDIFF_MAX_PERSON_GB   scenarios and open work of one person, GB (default: all of it; on a shared server 5)
"""

from contextlib import AbstractContextManager
from pathlib import Path

from app.errors import SavedWorkError
from app.server.folders import PERSON_GB, library_folder
from plannerbase import formats

DEFAULT_GB = 50.0
OPEN_WORK = "open work"  # folder in the library
SAME = 1_000_000  # bytes more that a scenario or open work may get when it is changed
MAX_OVER = 10 * SAME  # bytes above the quota by such changes


def adding(library: Path) -> AbstractContextManager[None]:
    """One process or session at a time adds to the library, so that two cannot both take the last room."""
    from opendiff.storage.atomic import locked

    place = library / OPEN_WORK
    place.mkdir(parents=True, exist_ok=True)
    return locked(place / ".room.lock")


def check(written: Path, replaced: Path) -> None:
    """Whether the file `written`, beside the scenario that it becomes or replaces, may stay. Raises SavedWorkError."""
    before = replaced.stat().st_size if replaced.is_file() else 0
    check_growth(written.parent, before, written.stat().st_size, written=True)


def check_growth(shelf: Path, before: int, after: int, written: bool = False) -> None:
    """Whether a file of a person's part of the library may be changed from one size in bytes to another.

    before: 0 for a new file. written: whether the changed file lies there already. Raises SavedWorkError.
    """
    if 0 < before and after <= before:
        return
    is_change = 0 < before and after - before <= SAME
    check_whole(shelf, 0 if written else after - before, MAX_OVER if is_change else 0)


def check_whole(shelf: Path, more: int = 0, over: int = 0) -> None:
    """Whether a person's part of the library and the whole of it are within their quotas with `more` bytes on them.

    over: bytes above the quota that are let pass. Raises SavedWorkError.
    """
    library = library_folder()
    most = _gigabytes("OPENDIFF_LIBRARY_GB", DEFAULT_GB)
    own = _gigabytes("OPENDIFF_MAX_PERSON_GB", most / 1e9 if shelf == library else PERSON_GB)
    for quota, held, what in (
        (own, size_of_shelf(shelf), "Your scenarios and open work"),
        (most, _size_of(library), "The scenarios and open work on this server"),
    ):
        if held + more > quota + over:
            raise SavedWorkError(
                f"{what} would take {formats.number((held + more) / 1e9, 3)} GB and may take "
                f"{formats.number(quota / 1e9, 3)} GB; download and "
                "delete scenarios that are no longer needed, then save again."
            )


def size_of_shelf(shelf: Path) -> int:
    """Bytes of the scenarios and the open work of one person."""
    return sum(path.stat().st_size for path in shelf.glob("*.gpkg")) + _size_of(shelf / OPEN_WORK)


def _size_of(folder: Path) -> int:
    from opendiff.storage.cache_room import size_of

    return size_of(folder)


def _gigabytes(variable: str, default: float) -> int:
    from opendiff.storage.cache_room import gigabytes

    return gigabytes(variable, default)
