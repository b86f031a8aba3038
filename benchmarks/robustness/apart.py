"""Damaged files read apart, as the app reads them, by a process that stands for the server: how much it grows, how long
its other threads wait, and whether every file ends in a result or a typed sentence."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

MEMORY_BYTES = 3_000_000_000
BEAT_S = 0.01  # between two steps of another thread
# readers of the command line alone, of weights, and of answers of providers, which the app reads in its own process
NOT_APART = ("tiles.csv", "scenario.gpkg", "weights.safetensors", "overpass.json", "tile.png")


@dataclass
class Apart:
    """What happened. growth_mb: of the server's process; gap_seconds: the longest that another thread of it waited."""

    tried: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    growth_mb: float = 0.0
    gap_seconds: float = 0.0
    faults: list[str] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        return {
            "inputs_read_apart": self.tried,
            "untyped_exceptions_apart": len(self.faults),
            "reading_growth_mb": round(self.growth_mb, 1),
            "worst_thread_gap_seconds": round(self.gap_seconds, 3),
        }

    def text(self) -> str:
        lines = [f"{self.tried:,} damaged files read apart; {len(self.faults)} ended in no typed sentence."]
        lines += [f"  {name:<28}{value:>10}" for name, value in self.figures().items()]
        return "\n".join(
            [*lines, *(f"  {name}: {count:,}" for name, count in self.ended.most_common()), *self.faults[:20]]
        )


def measure(count: int, seed: int = 0) -> Apart:
    """Read `count` files of each kind."""
    from benchmarks.robustness.fuzz import inputs
    from benchmarks.robustness.parsers import PARSERS

    found = Apart()
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        server = context.Process(target=_serve, args=(theirs, str(Path(folder, "cache"))), daemon=True)
        server.start()
        start_mb = ours.recv()
        for name, parser in PARSERS.items():
            if name in NOT_APART:
                continue
            path = Path(folder, f"input{Path(name).suffix}")
            for data, tell in inputs(parser, count, seed):
                path.write_bytes(data)
                ours.send((name, str(path)))
                ended, mb, gap = ours.recv()
                tell(set())
                found.tried += 1
                found.ended[ended.partition(":")[0]] += 1
                found.growth_mb = max(found.growth_mb, mb - start_mb)
                found.gap_seconds = max(found.gap_seconds, gap)
                if not ended.startswith("typed") and ended != "result":
                    found.faults.append(f"{name}: {ended}")
        ours.send(None)
        server.join(30)
    return found


def _serve(requests: Connection, cache: str) -> None:
    """Read files apart until there are no more."""
    os.environ["OPENDIFF_CACHE"] = cache
    from app.errors import SavedWorkError
    from app.server.reading import READERS
    from benchmarks.robustness.parsers import PARSERS
    from opendiff.errors import OpenDiffError
    from plannerbase import guard
    from planning.errors import PlanningError

    guard.start(guard.Settings(READERS, MEMORY_BYTES))
    guard.warm()
    process, gaps = psutil.Process(), [0.0]

    def beat() -> None:
        last = time.monotonic()
        while True:
            time.sleep(BEAT_S)
            now = time.monotonic()
            gaps.append(now - last - BEAT_S)
            last = now

    threading.Thread(target=beat, daemon=True).start()
    requests.send(process.memory_info().rss / 1e6)
    while (request := requests.recv()) is not None:
        name, path = request
        try:
            PARSERS[name].read(Path(path))
            ended = "result"
        except (OpenDiffError, PlanningError, SavedWorkError) as error:
            ended = f"typed: {error}"
        except Exception as error:
            ended = f"{type(error).__name__}: {error}"
        worst = max(gaps, default=0.0)
        gaps.clear()
        requests.send((ended, process.memory_info().rss / 1e6, worst))
    guard.stop()
