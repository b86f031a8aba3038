"""Progress of long work: the callback that models, planners and the app pass on, and bars on standard error."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TextIO

Progress = Callable[[int, int, str], None]  # (done, total or 0 where that is not known, what is being done)
_WIDTH = 24  # characters of the bar of a planner
STAGE_WIDTH = 30  # characters of the bar of a stage
REDRAW_SECONDS = 0.1


def silent(done: int, total: int, what: str) -> None:
    """The progress of work that nobody watches."""


def part_of(progress: Progress, number: int, parts: int, fine: int = 100) -> Progress:
    """The progress of one of several equal parts, told as part of the whole in steps of 1 / (fine * parts)."""
    return lambda done, total, what: progress(
        fine * number + fine * done // max(total, 1), fine * parts, what
    )


class ProgressBar:
    """A bar where someone watches, single lines where stderr goes to a file. Call it with (done, total, what); inside
    `running` the elapsed seconds keep moving while a solver works."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty()
        self._state = (0, 1, "")
        self._begun = time.monotonic()
        self._lock = threading.Lock()

    def __call__(self, done: int, total: int, what: str) -> None:
        changed = what != self._state[2]
        self._state = (done, max(total, 1), what)
        if self.live:
            self._draw()
        elif changed:
            print(f"{what} ({done}/{total})", file=self.stream, flush=True)

    @contextlib.contextmanager
    def running(self) -> Iterator[ProgressBar]:
        """Redraw twice a second until the block ends, then clear the line."""
        self._begun = time.monotonic()
        stop = threading.Event()

        def tick() -> None:
            while not stop.wait(0.5):
                self._draw()

        thread = threading.Thread(target=tick, daemon=True) if self.live else None
        if thread:
            thread.start()
        try:
            yield self
        finally:
            stop.set()
            if thread:
                thread.join()
                print("\r" + " " * 78 + "\r", end="", file=self.stream, flush=True)

    def _draw(self) -> None:
        done, total, what = self._state
        full = int(_WIDTH * done / total)
        elapsed = time.monotonic() - self._begun
        line = f"\r[{'#' * full}{'.' * (_WIDTH - full)}] {what[:34]:34} {elapsed:6.1f} s"
        with self._lock:
            print(line, end="", file=self.stream, flush=True)


class _StageBar:
    """One line on standard error with share and time left; silent where standard error is no terminal."""

    def __init__(self, what: str, unit: str = ""):
        self.what, self.unit = what, unit
        self.started = time.perf_counter()
        self.drawn = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.perf_counter()
        finished = 0 < total <= done  # a download may not know its total
        if not sys.stderr.isatty() or (not finished and now - self.drawn < REDRAW_SECONDS):
            return
        self.drawn = now
        left = (now - self.started) / max(done, 1) * (total - done)
        bar = "#" * min(STAGE_WIDTH, STAGE_WIDTH * done // total if total else 0)
        text = f"\r{self.what:<16}[{bar:<{STAGE_WIDTH}}] {done}/{total or '?'} {self.unit}, {max(left, 0):.0f} s left "
        print(text, end="\n" if finished else "", file=sys.stderr, flush=True)


class StageBars:
    """A progress bar for each stage as it begins. units: what is counted in some of the stages."""

    def __init__(self, units: Mapping[str, str] | None = None) -> None:
        self.units = units or {}
        self.bars: dict[str, _StageBar] = {}

    def __call__(self, done: int, total: int, what: str) -> None:
        if what not in self.bars:
            self.bars[what] = _StageBar(what, self.units.get(what, ""))
        self.bars[what](done, total)
