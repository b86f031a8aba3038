"""Hostile uploads to a server of this machine while another session works there: how long that one waits, how much the
server's process grows, and whether anything that it must not read comes out."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from benchmarks.robustness.hostile import HOSTILE
from benchmarks.robustness.hostile_kinds import Hostile
from benchmarks.robustness.load import _outline
from benchmarks.session import AppError, Session, app

MEGABYTES = 60  # that a hostile file unpacks to
ATTACKERS = 2
BEFORE_S = 20.0  # that the other session works alone first
PAUSE_S = 0.2  # between two steps of the other session
SECRET = "TOPSECRET"
# page of the app, and what its uploader is called, by reader of `hostile_reading`
UPLOADERS = {
    "area": ("", "GeoJSON, KML"),
    "sites": ("network", "Candidate sites"),  # the same tables as those of "Your sites"
    "places": ("network", "Candidate sites"),
    "scenario": ("compare", "A scenario saved by this app"),
    "pack": ("", "or a zipped package"),
}
SMALL_AREA = json.dumps(
    {"type": "Polygon", "coordinates": [[[115.90, 28.66], [115.92, 28.66], [115.92, 28.68], [115.90, 28.66]]]}
).encode()


@dataclass
class Uploads:
    """What happened. alone, meanwhile: seconds of each run of the other session before and during the uploads; small:
    of those, uploads of a small file. megabytes: of the server's process, without those that read."""

    minutes: float
    tried: list[str] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)
    meanwhile: list[float] = field(default_factory=list)
    small: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        worst = {
            f"{n}_seconds": max(v, default=-1.0) for n, v in (("alone", self.alone), ("small", self.small))
        }
        return {
            "hostile_uploads": len(self.tried),
            "hostile_upload_errors": len(self.errors),
            "worst_other_session_seconds": round(max(self.meanwhile, default=-1.0), 3),
            "median_other_session_seconds": round(float(np.median(self.meanwhile or [-1.0])), 3),
            "worst_session_seconds_alone": round(worst["alone_seconds"], 3),
            "median_small_upload_seconds": round(float(np.median(self.small or [-1.0])), 3),
            "server_growth_mb": round(max(self.megabytes, default=0.0) - (self.megabytes or [0.0])[0], 1),
        }

    def text(self) -> str:
        lines = [
            f"{len(self.tried)} hostile uploads in {self.minutes:g} minutes, {len(self.errors)} with errors."
        ]
        lines += [f"  {name:<32}{value:>10}" for name, value in self.figures().items()]
        return "\n".join(lines + [f"  {error}" for error in self.errors[:10]])


def measure(minutes: float, seed: int = 0) -> Uploads:
    """Run it on a server of its own and stop by itself."""
    found = Uploads(minutes)
    # so that the files are read, and not refused by their number
    shared = {
        "OPENDIFF_SHARED": "1",
        "OPENDIFF_MAX_UPLOADS_PER_MINUTE": "100000",
        "OPENDIFF_MAX_UPLOADS_MB": "100000",
        "OPENDIFF_MAX_SESSION_UPLOADS": "100000",
        "OPENDIFF_MAX_SESSION_UPLOAD_MB": "100000",
        "OPENDIFF_MAX_PERSON_UPLOADS": "100000",
        "OPENDIFF_MAX_PERSON_UPLOAD_MB": "100000",
    }
    with tempfile.TemporaryDirectory() as place, app(Path(place), environment=shared) as (address, process):
        secret = Path(place, "secret.csv")
        secret.write_text(f"site,lon,lat\n{SECRET},115.9,28.6\n")
        files = {
            name: (hostile, hostile.make(secret, MEGABYTES))
            for name, hostile in HOSTILE.items()
            if hostile.reader in UPLOADERS
        }
        end = time.monotonic() + BEFORE_S + 60 * minutes
        attacking = threading.Event()
        threads = [threading.Thread(target=_other, args=(found, address, attacking, end), daemon=True)]
        threads += [
            threading.Thread(
                target=_attacker, args=(found, address, files, attacking, end, seed + n), daemon=True
            )
            for n in range(ATTACKERS)
        ]
        for thread in threads:
            thread.start()
        attacking.wait(300)
        end_of_all = end + 180
        while any(thread.is_alive() for thread in threads) and time.monotonic() < end_of_all:
            found.megabytes.append(psutil.Process(process.pid).memory_info().rss / 1e6)
            if process.poll() is not None:
                found.errors.append(f"the server ended with {process.returncode}")
                break
            time.sleep(0.2)
        log = Path(place, "log.txt").read_text()
        found.errors += [f"log: {line}" for line in log.splitlines() if "Traceback" in line or SECRET in line]
    return found


def _other(found: Uploads, address: str, attacking: threading.Event, end: float) -> None:
    """Somebody who works: draws, looks at pages, uploads a small file."""
    rng = np.random.default_rng(0)
    try:
        with Session(address) as session:
            session.run()
            begun = time.monotonic()
            while time.monotonic() < end:
                session.open("")
                session.draw(_outline(rng))
                before = len(session.seconds)
                session.attach("GeoJSON, KML", "small.geojson", SMALL_AREA)
                small = session.seconds[before:]
                session.open("compare")
                if attacking.is_set():
                    found.meanwhile += session.seconds
                    found.small += small
                else:
                    found.alone += session.seconds
                session.seconds.clear()
                if time.monotonic() - begun > BEFORE_S:
                    attacking.set()
                time.sleep(PAUSE_S)
    except Exception as error:
        found.errors.append(f"the other session: {type(error).__name__}: {error}")
    finally:
        attacking.set()


def _attacker(
    found: Uploads,
    address: str,
    files: dict[str, tuple[Hostile, bytes]],
    attacking: threading.Event,
    end: float,
    seed: int,
) -> None:
    """Somebody who gives hostile files to every uploader of the app."""
    rng = np.random.default_rng(seed)
    attacking.wait(300)
    names = list(files)
    while time.monotonic() < end:
        try:
            with Session(address) as session:
                _prepare(session, rng)
                for number in rng.permutation(len(names)):
                    if time.monotonic() > end:
                        return
                    hostile, data = files[names[number]]
                    _give(session, hostile, data)
                    found.tried.append(names[number])
                    if session.says(SECRET):
                        found.errors.append(f"{names[number]}: the file that nobody may read is shown")
        except Exception as error:
            found.errors.append(f"{found.tried[-1:]}: {type(error).__name__}: {error}")


def _prepare(session: Session, rng: np.random.Generator) -> None:
    """Draw and generate, for some uploaders stand on pages that need traffic."""
    session.run()
    session.draw(_outline(rng))
    session.open("traffic")
    session.number("Samples", 3)
    session.click("Generate traffic")
    while session.panel:
        time.sleep(session.pace)
        session.run(fragment=session.panel)


def _give(session: Session, hostile: Hostile, data: bytes) -> None:
    page, label = UPLOADERS[hostile.reader]
    session.open(page)
    if hostile.reader == "pack":
        session.choose("Source", "Offline data package")
    status = session.attach(label, hostile.name, data)
    if status != 204:
        raise AppError(f"the upload was refused with {status}")
    if hostile.reader == "scenario":
        session.click("Open it")
