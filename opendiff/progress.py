"""Progress of long work: what it calls while it goes on, and bars on standard error where somebody watches."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping

Progress = Callable[[int, int], None]  # (done, total)
Report = Callable[[str, int, int], None]  # (what, done, total)
BAR_WIDTH = 30
REDRAW_SECONDS = 0.1


class ProgressBar:
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
        bar = "#" * min(BAR_WIDTH, BAR_WIDTH * done // total if total else 0)
        text = f"\r{self.what:<16}[{bar:<{BAR_WIDTH}}] {done}/{total or '?'} {self.unit}, {max(left, 0):.0f} s left "
        print(text, end="\n" if finished else "", file=sys.stderr, flush=True)


class StageBars:
    """A progress bar for each stage as it begins. units: what is counted in some of the stages."""

    def __init__(self, units: Mapping[str, str] | None = None) -> None:
        self.units = units or {}
        self.bars: dict[str, ProgressBar] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        if what not in self.bars:
            self.bars[what] = ProgressBar(what, self.units.get(what, ""))
        self.bars[what](done, total)
