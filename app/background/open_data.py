"""Open data of the drawn area, from uploaded files or live providers, fetched in the background into a pack."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.background import session_jobs
from app.map import area_entry
from app.server import jobs
from app.server.folders import own_folder
from app.state.workspace import Workspace
from plannerbase import formats
from plannerbase.report import Report

if TYPE_CHECKING:
    from opendiff.live.choices import Choices

JOB = "open data"


def start(space: Workspace, choices: "Choices") -> None:
    """Fetch open data of the area by these choices; when it is there, it becomes the source of the workspace."""
    tiles, home = space.tiles, own_folder(space.work)
    assert tiles is not None

    def work(job: jobs.Job) -> Any:
        from opendiff.live.fetching import Fetcher
        from opendiff.live.http import Client
        from opendiff.storage.cache_room import make_room, mark_used

        job.report(0, 0, "looking at what is there")
        root = home / "packs" / choices.identity
        make_room()
        fetcher = Fetcher(
            root,
            choices,
            Client(cancelled=job.cancelled),
            lambda done, total, what: job.report(done, total, shown(what, done, total)),
        )
        mark_used(root)
        fetcher.area(tiles)
        return root, fetcher.told

    def deliver(space: Workspace, made: tuple[Path, Report]) -> None:
        root, told = made
        space.source = str(root)
        space.reports[JOB] = told
        space.mount_anew()
        area_entry.count_again(space)

    session_jobs.start(space, JOB, "Fetching open data", work, deliver)


def shown(what: str, done: int, total: int) -> str:
    """ "imagery, 12 of 40 tiles"; downloads are counted in MB."""
    if what.startswith("population "):
        of = f" of {formats.number(total / 1e6)}" if total else ""
        return f"{what}, {formats.number(done / 1e6)}{of} MB"
    return f"{what}, {formats.number(done)} of {formats.number(total)} tiles"
