"""Open data of the drawn area, from uploaded files or live providers, fetched in the background into a pack."""

import hashlib
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from app import area_entry, jobs
from app.state import Workspace

if TYPE_CHECKING:
    from opendiff.live.choices import Choices

JOB = "open data"
UPLOADS = "uploads"


def keep_upload(file: BinaryIO, filename: str, suffixes: Sequence[str]) -> str:
    """Keep an uploaded file in the cache and return its path, whose name is of our own making.

    The same content is kept once. Raises SourceError for another suffix.
    """
    from opendiff.atomic import replacing
    from opendiff.errors import SourceError
    from opendiff.live.providers import cache_folder

    suffix = next((s for s in suffixes if filename.lower().endswith(s)), None)
    if suffix is None:
        raise SourceError(f"{filename} is of another kind than {', '.join(suffixes)}; choose another file.")
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    stem = re.sub(r"[^\w-]+", "_", filename[: -len(suffix)])[:60].strip("_") or "file"
    path = cache_folder() / UPLOADS / digest / (stem + suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file():
        file.seek(0)
        with replacing(path) as temporary, temporary.open("wb") as out:
            shutil.copyfileobj(file, out)
    return str(path)


def start(space: Workspace, choices: "Choices") -> None:
    """Fetch open data of the area by these choices; when it is there, it becomes the source of the workspace."""
    tiles = space.tiles
    assert tiles is not None

    def work(job: jobs.Job) -> Any:
        from opendiff.live.fetching import Fetcher
        from opendiff.live.http import Client
        from opendiff.live.providers import cache_folder

        job.report(0, 0, "looking at what is there")
        root = cache_folder() / "packs" / choices.identity
        fetcher = Fetcher(
            root,
            choices,
            Client(cancelled=job.cancelled),
            lambda what, done, total: job.report(done, total, shown(what, done, total)),
        )
        fetcher.area(tiles)
        return root

    def deliver(root: Path) -> None:
        space.source = str(root)
        space.map_version += 1
        area_entry.count_again(space)

    space.notes.pop(JOB, None)
    space.jobs[JOB] = jobs.start("Fetching open data", work, deliver)


def shown(what: str, done: int, total: int) -> str:
    """ "imagery, 12 of 40 tiles"; downloads are counted in MB."""
    if what.startswith("population "):
        of = f" of {total / 1e6:,.0f}" if total else ""
        return f"{what}, {done / 1e6:,.0f}{of} MB"
    return f"{what}, {done:,} of {total:,} tiles"
