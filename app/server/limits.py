"""What one session may ask of the server, and what it may see of others. Set by environment variables:

OPENDIFF_SHARED              1 where several people use the server, 0 where it is one person's (default: shared as soon
                             as a proxy stands before it, or it listens on more than this machine)
OPENDIFF_USER_HEADER         header in which the proxy names who is logged in; each has a library of their own
OPENDIFF_PACKS               folder of packs that everybody may choose from
OPENDIFF_MAX_TILES           tiles of an area
OPENDIFF_MAX_SAMPLES         samples of an ensemble
OPENDIFF_MAX_TILE_WEEKS      tiles times samples, about 1.3 kB each
OPENDIFF_MAX_SOLVER_SECONDS  of one call of a solver (`planning.solver` keeps to it)
OPENDIFF_MAX_JOB_SECONDS     that one piece of long work may run
OPENDIFF_MAX_GONE_SECONDS    that it goes on, and its result is kept, after its browser was closed
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import streamlit as st

PROXY_HEADERS = ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Real-Ip", "Via")


@dataclass(frozen=True)
class Limits:
    """Of one session: tiles of an area, samples, tiles x samples, seconds of one call of a solver, of one piece of long
    work, and of such work whose browser was closed."""

    tiles: int
    samples: int
    tile_weeks: int
    solver_seconds: int
    job_seconds: int
    gone_seconds: int


OWN = Limits(
    tiles=20_000,
    samples=100,
    tile_weeks=1_000_000,
    solver_seconds=3600,
    job_seconds=86_400,
    gone_seconds=86_400,
)
SHARED = Limits(
    tiles=5_000, samples=50, tile_weeks=100_000, solver_seconds=120, job_seconds=1800, gone_seconds=600
)


def limits() -> Limits:
    """The limits of this session. Raises PlanningError for a variable that is no number."""
    default = SHARED if shared() else OWN
    return Limits(
        _number("OPENDIFF_MAX_TILES", default.tiles),
        _number("OPENDIFF_MAX_SAMPLES", default.samples),
        _number("OPENDIFF_MAX_TILE_WEEKS", default.tile_weeks),
        _number("OPENDIFF_MAX_SOLVER_SECONDS", default.solver_seconds),
        _number("OPENDIFF_MAX_JOB_SECONDS", default.job_seconds),
        _number("OPENDIFF_MAX_GONE_SECONDS", default.gone_seconds),
    )


def shared() -> bool:
    """Whether others may be on this server, so that nobody types paths of it and everybody has folders of their own."""
    stated = os.environ.get("OPENDIFF_SHARED", "")
    if stated in ("0", "1"):
        return stated == "1"
    address = st.get_option("server.address") or "0.0.0.0"
    try:
        local = ip_address(address).is_loopback
    except ValueError:
        local = address == "localhost"
    return not local or bool(st.get_option("server.baseUrlPath")) or any(_header(h) for h in PROXY_HEADERS)


def hold_solvers() -> None:
    """Let solvers keep to the limits of a shared server, where nobody has said otherwise."""
    if shared():
        os.environ.setdefault("OPENDIFF_MAX_SOLVER_SECONDS", str(SHARED.solver_seconds))


def owner(work: str) -> str:
    """A name for the folders of who is in this session: by the user that the proxy names, else by the session's work.

    Empty where the server is one person's.
    """
    if not shared():
        return ""
    named = os.environ.get("OPENDIFF_USER_HEADER", "")
    user = _header(named) if named else ""
    return hashlib.sha256((f"user {user}" if user else f"work {work}").encode()).hexdigest()[:32]


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
            f"{tiles:,} tiles with {samples} samples are more than this server generates at once "
            f"({most.tiles:,} tiles, {most.tile_weeks:,} tiles times samples); draw a smaller area, "
            "or ask for fewer samples."
        )


def _header(name: str) -> str:
    try:
        return st.context.headers.get(name) or ""
    except Exception:  # outside a session there are none
        return ""


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    if not text:
        return default
    if not text.isdigit() or int(text) < 1:
        from planning.errors import InputError

        raise InputError(f"{name} is {text!r}; set it to a whole number of at least 1, or leave it out.")
    return int(text)
