"""Room in the scenario library: nothing in it is ever removed, but above its quota nothing new is taken.

OPENDIFF_LIBRARY_GB      scenarios and open work of everybody together, GB (default 50)
OPENDIFF_MAX_PERSON_GB   scenarios of one person, GB (default: all of it; on a shared server 5)
"""

from contextlib import AbstractContextManager
from pathlib import Path

from app.errors import SavedWorkError
from app.server import limits

DEFAULT_GB, SHARED_PERSON_GB = 50.0, 5.0
OPEN_WORK = "open work"  # folder in the library
SAME = 1_000_000  # bytes more that a scenario may get when it is renamed or saved over


def adding(library: Path) -> AbstractContextManager[None]:
    """One process or session at a time adds to the library, so that two cannot both take the last room."""
    from opendiff.storage.atomic import locked

    place = library / OPEN_WORK
    place.mkdir(parents=True, exist_ok=True)
    return locked(place / ".room.lock")


def check(library: Path, written: Path, replaced: Path) -> None:
    """Whether the file `written`, beside the scenario that it becomes or replaces, may stay. Raises SavedWorkError."""
    if replaced.is_file() and written.stat().st_size <= replaced.stat().st_size + SAME:
        return
    most = _gigabytes("OPENDIFF_LIBRARY_GB", DEFAULT_GB)
    own = _gigabytes("OPENDIFF_MAX_PERSON_GB", SHARED_PERSON_GB if limits.shared() else most / 1e9)
    _refuse_above(own, sum(path.stat().st_size for path in written.parent.glob("*.gpkg")), "Your scenarios")
    check_whole(library)


def check_whole(library: Path) -> None:
    """Whether the library is within its quota. Raises SavedWorkError."""
    from opendiff.storage.cache_room import size_of

    most = _gigabytes("OPENDIFF_LIBRARY_GB", DEFAULT_GB)
    _refuse_above(most, size_of(library), "The scenarios and open work on this server")


def _gigabytes(variable: str, default: float) -> int:
    from opendiff.storage.cache_room import gigabytes

    return gigabytes(variable, default)


def _refuse_above(most: int, held: int, what: str) -> None:
    if held > most:
        raise SavedWorkError(
            f"{what} would take {held / 1e9:,.3f} GB and may take {most / 1e9:,.3f} GB; download and delete scenarios "
            "that are no longer needed, then save again."
        )
