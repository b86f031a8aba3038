"""Links that show work without leave to change it: an address with a number by chance, which leads to kept work.

Whoever has the link sees the work as it is when the link is opened, and may make a copy. The number of the work itself,
which lets one change it, is not told.
"""

import json
import re
import secrets

from app.errors import SavedWorkError
from app.saved import open_work
from app.server import audit
from app.server.folders import library_folder
from app.state.workspace import Workspace

FOLDER = "links"  # in the library
_LINK = re.compile(r"[0-9a-f]{32}")


def link_to(space: Workspace) -> str:
    """The number of the link to this work, made at the first call. Raises SavedWorkError."""
    folder = library_folder() / FOLDER
    place = str(open_work.folder_of(space.work).relative_to(library_folder()))
    try:
        folder.mkdir(exist_ok=True)
        for path in folder.glob("*.json"):
            if _LINK.fullmatch(path.stem) and _place(path.stem) == place:
                return path.stem
        number = secrets.token_hex(16)
        (folder / f"{number}.json").write_text(json.dumps({"place": place}))
    except OSError as error:
        raise SavedWorkError(
            f"The link cannot be written ({error.strerror or error}); free some space."
        ) from error
    audit.log("shared", space.work)
    return number


def open_link(number: str, space: Workspace) -> None:
    """Show in `space` the work that a link leads to. Raises SavedWorkError where there is none."""
    place = _place(number)
    work = place.rsplit("/", 1)[-1]
    folder = library_folder() / place
    if not place or not folder.is_dir() or not open_work.is_number(work):
        raise SavedWorkError("The work that this link leads to is gone; ask for another link.")
    open_work.read_into(folder, work, space)
    space.read_only = True
    audit.log("opened", work, link="read-only")


def _place(number: str) -> str:
    path = library_folder() / FOLDER / f"{number}.json"
    if not _LINK.fullmatch(number) or not path.is_file():
        return ""
    try:
        place = str(json.loads(path.read_text())["place"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return "" if ".." in place or place.startswith("/") else place
