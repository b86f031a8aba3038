"""Telling how far long work is: the callback that planners take, and a bar on stderr for the command line."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TextIO

Progress = Callable[[int, int, str], None]  # (done, total, what is being done)
_WIDTH = 24  # characters of the bar


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
