"""What one session may ask of the server, and what it may see of others. Set by environment variables:

OPENDIFF_SHARED              1 where several people use the server, 0 where it is one person's (default: see
                             `app.server.access`)
OPENDIFF_USER_HEADER         header in which the proxy names who is logged in; each has a library of their own
OPENDIFF_PACKS               folder of packs that everybody may choose from
OPENDIFF_MAX_TILES           tiles of an area
OPENDIFF_MAX_SAMPLES         samples of an ensemble
OPENDIFF_MAX_TILE_WEEKS      tiles times samples, about 1.3 kB each
OPENDIFF_MAX_SOLVER_SECONDS  of one call of a solver (`planning.solver` keeps to it)
OPENDIFF_MAX_JOB_SECONDS     that one piece of long work may run
OPENDIFF_MAX_GONE_SECONDS    that it goes on, and its result is kept, after its browser was closed
OPENDIFF_MAX_WAITING_JOBS    pieces of long work of one person that run or wait
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from streamlit.runtime import exists
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.server import access
from app.server.settings import whole_number
from plannerbase import formats


@dataclass(frozen=True)
class Limits:
    """Of one session: tiles of an area, samples, tiles x samples, seconds of one call of a solver, of one piece of long
    work, and of such work whose browser was closed; of one person: pieces of such work that run or wait."""

    tiles: int
    samples: int
    tile_weeks: int
    solver_seconds: int
    job_seconds: int
    gone_seconds: int
    waiting_jobs: int


OWN = Limits(
    tiles=20_000,
    samples=100,
    tile_weeks=1_000_000,
    solver_seconds=3600,
    job_seconds=86_400,
    gone_seconds=86_400,
    waiting_jobs=100,
)
SHARED = Limits(
    tiles=5_000,
    samples=50,
    tile_weeks=100_000,
    solver_seconds=120,
    job_seconds=1800,
    gone_seconds=600,
    waiting_jobs=10,
)


def limits() -> Limits:
    """The limits of this session. Raises PlanningError for a variable that is no number."""
    default = SHARED if shared() else OWN
    return Limits(
        whole_number("OPENDIFF_MAX_TILES", default.tiles),
        whole_number("OPENDIFF_MAX_SAMPLES", default.samples),
        whole_number("OPENDIFF_MAX_TILE_WEEKS", default.tile_weeks),
        whole_number("OPENDIFF_MAX_SOLVER_SECONDS", default.solver_seconds),
        whole_number("OPENDIFF_MAX_JOB_SECONDS", default.job_seconds),
        whole_number("OPENDIFF_MAX_GONE_SECONDS", default.gone_seconds),
        whole_number("OPENDIFF_MAX_WAITING_JOBS", default.waiting_jobs),
    )


def shared() -> bool:
    """Whether others may be on this server, so that nobody types paths of it and everybody has folders of their own.

    Outside a server it is what OPENDIFF_SHARED says. In one, the guard tells which session is of the person at this
    machine; a session that it has not seen is shared.
    """
    stated = os.environ.get("OPENDIFF_SHARED", "")
    if stated in ("0", "1"):
        return stated == "1"
    return exists() and _header(access.MARK_HEADER) != access.ACCESS.mark


def hold_solvers() -> None:
    """Let solvers keep to the limits of a shared server, where nobody has said otherwise."""
    if access.shared_server():
        os.environ.setdefault("OPENDIFF_MAX_SOLVER_SECONDS", str(SHARED.solver_seconds))


def owner(work: str) -> str:
    """A name for the folders of who is in this session: by the user that the proxy names, else by the session's work.

    Empty where the server is one person's.
    """
    if not shared():
        return ""
    name = user()
    return hashlib.sha256((f"user {name}" if name else f"work {work}").encode()).hexdigest()[:32]


def user() -> str:
    """Who the proxy says is in this session; empty where there is no proxy that does."""
    named = access.user_header() if access.shared_server() else ""
    return _header(named) if named else ""


def reader() -> str:
    """Whose file is being read, for the share of each in the reading processes: the person, else the session."""
    if get_script_run_ctx(suppress_warning=True) is None:
        return ""  # a piece of long work, of which one runs at a time
    work = st.session_state["workspace"].work if "workspace" in st.session_state else ""
    return owner(str(work)) or str(work)


def packs() -> dict[str, Path]:
    """Packs of OPENDIFF_PACKS by their name."""
    folder = os.environ.get("OPENDIFF_PACKS", "")
    if not folder or not Path(folder).is_dir():
        return {}
    every = sorted(Path(folder).iterdir())
    return {p.name: p for p in every if p.suffix.lower() == ".zip" or (p / "tiles.parquet").is_file()}


def may_open(source: str, own_folder: Path) -> bool:
    """Whether a session may use a source by its path: on a shared server the bundled region, a pack for everybody, or
    what it has made or uploaded itself."""
    if not shared() or source.partition(":")[0] == "demo":
        return True
    path = Path(source).resolve()
    return path in {p.resolve() for p in packs().values()} or path.is_relative_to(own_folder.resolve())


def check_ensemble(tiles: int, samples: int) -> None:
    """Raises PlanningError where traffic would be more than a session may have."""
    from planning.errors import InputError

    most = limits()
    if not 1 <= samples <= most.samples:
        raise InputError(f"This server generates 1 to {most.samples} samples, not {samples}; ask for fewer.")
    if tiles > most.tiles or tiles * samples > most.tile_weeks:
        raise InputError(
            f"{formats.counted(tiles, 'tiles')} with {formats.counted(samples, 'samples')} are more than this "
            "server generates at once "
            f"({formats.number(most.tiles)} tiles, {formats.number(most.tile_weeks)} tiles times samples); draw "
            "a smaller area, "
            "or ask for fewer samples."
        )


def _header(name: str) -> str:
    try:
        return st.context.headers.get(name) or ""
    except Exception:  # outside a session there are none
        return ""
