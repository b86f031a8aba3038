"""Progress: parts of a whole in closed form, and what a terminal shows."""

import io
import sys

from plannerbase.progress import StageBars, part_of


def terminal_of(monkeypatch):
    """A terminal in place of standard error; not a fixture, since pytest puts its own there before a test begins."""
    stream = io.StringIO()
    stream.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr("plannerbase.progress.REDRAW_SECONDS", 0)
    return stream


def test_a_part_is_told_as_its_share_of_the_whole():
    told = []
    part = part_of(lambda done, total, what: told.append((done / total, what)), 1, 4)
    part(0, 10, "begun")
    part(5, 10, "half")
    part(10, 10, "ended")
    assert told == [(0.25, "begun"), (0.375, "half"), (0.5, "ended")]


def test_a_bar_without_a_total_is_one_short_line(monkeypatch):
    terminal = terminal_of(monkeypatch)
    bars = StageBars()
    bars(10_000_000, 0, "population")
    assert "10000000/?" in terminal.getvalue() and len(terminal.getvalue()) < 120
    bars(2, 2, "population")
    assert terminal.getvalue().endswith("\n")


def test_each_stage_has_a_bar_in_its_unit(monkeypatch):
    terminal = terminal_of(monkeypatch)
    bars = StageBars({"encode": "tiles"})
    bars(3, 3, "encode")
    bars(1, 2, "generate")
    first, second = terminal.getvalue().split("\n")
    assert first.startswith("\rencode ") and f"[{'#' * 30}] 3/3 tiles" in first
    assert second.startswith("\rgenerate ") and f"[{'#' * 15}{' ' * 15}] 1/2 " in second
