"""Several users at once on one server of this machine: each draws, generates and plans, again and again.

Bounded in time and number, and sent to 127.0.0.1 only. A user checks that what comes back is of its own area.
"""

from __future__ import annotations

import re
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.session import AppError, Session, app

MAX_SESSIONS, MAX_MINUTES = 50, 30.0
REGION = (115.84, 28.63, 115.97, 28.74)  # W, S, E, N where the bundled region has data on most tiles
THINKING_S = (1.0, 5.0)  # between two steps of a user
SAMPLE_S = 0.5
SOLVER_S = 2


@dataclass
class Load:
    """What happened. seconds: of each run of the script, as the user waits for it. jobs: finished pieces of work, by
    kind; waits: how long each took from the click, the turn of others included."""

    sessions: int
    minutes: float
    seconds: list[float] = field(default_factory=list)
    jobs: dict[str, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        return {
            "sessions": self.sessions,
            "session_minutes": round(self.sessions * self.minutes, 1),
            "session_errors": len(self.errors),
            "p95_response_seconds": round(float(np.quantile(self.seconds, 0.95)), 3)
            if self.seconds
            else -1.0,
            "median_response_seconds": round(float(np.median(self.seconds)), 3) if self.seconds else -1.0,
            "peak_mb": round(max(self.megabytes, default=-1.0)),
            "mb_at_half_time": round(max(self.megabytes[: len(self.megabytes) // 2], default=-1.0)),
        } | {f"{kind}_done": len(waits) for kind, waits in self.jobs.items()}

    def text(self) -> str:
        lines = [f"{self.sessions} sessions for {self.minutes:g} minutes: {len(self.errors)} errors."]
        lines += [f"  {name:<26}{value:>10}" for name, value in self.figures().items()]
        lines += [
            f"  {kind}: from click to result {np.median(waits):.1f} s in the median, {max(waits):.1f} s at most"
            for kind, waits in self.jobs.items()
            if waits
        ]
        return "\n".join(lines + [f"  {error}" for error in self.errors[:10]])


def measure(sessions: int, minutes: float, seed: int = 0) -> Load:
    """Run the load on a server of its own and stop by itself."""
    load = Load(min(sessions, MAX_SESSIONS), min(minutes, MAX_MINUTES))
    shared = {"OPENDIFF_SHARED": "1"}
    with tempfile.TemporaryDirectory() as folder, app(Path(folder), environment=shared) as (address, process):
        end = time.monotonic() + 60 * load.minutes
        users = [
            threading.Thread(target=_user, args=(load, address, number, end, seed), daemon=True)
            for number in range(load.sessions)
        ]
        for user in users:
            user.start()
        watched = psutil.Process(process.pid)
        while any(user.is_alive() for user in users) and time.monotonic() < end + 120:
            load.megabytes.append(_megabytes(watched))
            if process.poll() is not None:
                load.errors.append(f"the server ended with {process.returncode}")
                break
            time.sleep(SAMPLE_S)
        load.errors += [f"user {n} is still waiting" for n, user in enumerate(users) if user.is_alive()]
        log = (Path(folder) / "log.txt").read_text()
    load.errors += [
        f"log: {line}" for line in log.splitlines() if "Traceback" in line or "Unexpected error" in line
    ]
    return load


def _user(load: Load, address: str, number: int, end: float, seed: int) -> None:
    rng = np.random.default_rng([seed, number])
    try:
        with Session(address) as session:
            try:
                session.run()
                while time.monotonic() < end:
                    _round(load, session, rng, end)
            finally:
                load.seconds += session.seconds
    except OutOfTime:
        return
    except Exception as error:  # whatever it is, a user has seen it
        load.errors.append(f"user {number}: {type(error).__name__}: {error}")


class OutOfTime(Exception):
    """The load is over; what was not finished does not count."""


def _round(load: Load, session: Session, rng: np.random.Generator, end: float) -> None:
    """Draw, generate, plan sleep, deploy."""
    _think(rng, end)
    session.open("")
    session.draw(_outline(rng))
    if session.texts.count("With data") == 0:
        raise AppError(f"the drawing was not taken: {session.texts[-8:]}")
    tiles = session.figure("With data")
    if tiles == "0":
        return
    _think(rng, end)
    session.open("traffic")
    if not session.has("Generate traffic"):
        raise AppError("traffic cannot be generated")
    samples = int(rng.integers(3, 9))
    session.number("Samples", samples)
    _job(load, "traffic", session, "Generate traffic", "Busy hour", end)
    if not session.says(f"{tiles} × {samples}"):
        raise AppError(f"the traffic is not of {tiles} tiles and {samples} samples, as this user asked")
    _think(rng, end)
    session.open("network")
    session.number("Solver time limit (s)", SOLVER_S)
    _job(load, "deployment", session, "Deploy", "Next: ", end)
    _think(rng, end)
    session.open("sleep")
    session.number("Solver time limit (s)", SOLVER_S)
    _job(load, "sleep", session, "Compare sleep strategies", "Download", end)


def _job(load: Load, kind: str, session: Session, button: str, done: str, end: float) -> None:
    began = time.monotonic()
    session.click(button)
    while session.panel:
        if time.monotonic() > end:
            raise OutOfTime
        time.sleep(session.pace)
        session.run(fragment=session.panel)
    if wrong := next((text for text in session.texts if re.search(r"went wrong|\bended\b", text)), None):
        raise AppError(wrong)
    load.jobs.setdefault(kind, []).append(time.monotonic() - began)


def _outline(rng: np.random.Generator) -> dict[str, Any]:
    """A GeoJSON polygon of 3 to 7 corners around a place in the region, some 2 to 5 km across."""
    west, south, east, north = REGION
    lon, lat = rng.uniform(west, east), rng.uniform(south, north)
    angle = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 8))))
    angle = np.linspace(0, 2 * np.pi, len(angle), endpoint=False) + 0.3 * (angle - angle.mean()) / np.pi
    radius = rng.uniform(0.012, 0.025)
    ring = [[float(lon + radius * np.cos(a)), float(lat + 0.9 * radius * np.sin(a))] for a in angle]
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def _think(rng: np.random.Generator, end: float) -> None:
    pause = float(rng.uniform(*THINKING_S))
    if time.monotonic() + pause > end:
        raise OutOfTime
    time.sleep(pause)


def _megabytes(process: psutil.Process) -> float:
    """Memory of the server and what it has started, MB."""
    try:
        every = [process, *process.children(recursive=True)]
        return sum(p.memory_info().rss for p in every) / 1e6
    except psutil.Error:
        return 0.0
