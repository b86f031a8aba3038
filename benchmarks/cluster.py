"""Planners shared by several processes: time by one worker and by two, gap of the whole plan, and a killed worker."""

from __future__ import annotations

import argparse
import os
import resource
import signal
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.coverage import made_network
from benchmarks.sleep import made_city
from benchmarks.tables import markdown
from plannerbase.progress import Progress
from plannerbase.workers import local_workers
from planning.coverage import Coverage, RadioSettings
from planning.errors import InputError
from planning.shared_work import SharedWork
from planning.sleep import SleepPlan, SleepSettings, plan_sleep
from planning.sleep.areas import SITES_PER_AREA

SUMMARY = "planners on several processes: time by one worker and two, gap of the whole, a killed worker"
PARTS = ("sleep", "coverage")
SLEEP_SITES, QUICK_SITES = 20_000, 60
HOURS, GAP = 24, 0.025
# sites, and tiles from west to east and north to south
COVERAGE, QUICK_COVERAGE = (10_000, (100, 100)), (60, (20, 10))
PIXEL_M = 100.0


class _Timed(NamedTuple):
    """Seconds from the start of the workers to the result; of processors, in the workers and in this process."""

    result: Any
    seconds: float
    worker_seconds: float
    own_seconds: float


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", choices=PARTS, help="one part alone (default: all)")


def run(options: argparse.Namespace) -> tuple[str, dict[str, float]]:
    """The report in words and tables, and its figures by name."""
    if options.seed < 0:
        raise InputError("The seed must be at least 0.")
    texts: list[str] = []
    figures: dict[str, float] = {"load_before": os.getloadavg()[0]}
    for part, report in (("sleep", sleep_report), ("coverage", coverage_report)):
        if options.part in (None, part):
            text, found = report(options.quick, options.seed)
            texts.append(text)
            figures |= found
    return "\n\n".join(texts), figures


def sleep_report(quick: bool, seed: int) -> tuple[str, dict[str, float]]:
    """A day of sleep of a made city (`benchmarks.sleep`), area by area."""
    problem = made_city(QUICK_SITES if quick else SLEEP_SITES, HOURS, seed)
    settings = SleepSettings(gap=GAP)
    areas = 8 if quick else SITES_PER_AREA

    def plan(work: SharedWork, progress: Progress | None) -> SleepPlan:
        return plan_sleep(problem, "milp", settings, progress, work=work, sites_per_area=areas)

    one, two, killed, deaths = _three_times(plan)
    equal = all(
        bool((one.result.parts == other.result.parts).all())
        and one.result.solve.bound == other.result.solve.bound
        for other in (two, killed)
    )
    solve, found = one.result.solve, one.result.evaluation
    name = f"sleep_{SLEEP_SITES}"
    figures = _figures(name, one, two, killed) | {
        f"{name}_gap": solve.gap, f"{name}_saving": found.saving, f"{name}_unserved": found.unserved_share,
        "killed_workers": float(deaths), "killed_worker_plan_equal": float(equal and deaths > 0),
    }  # fmt: skip
    groups = problem.groups
    text = (
        f"Sleep of {groups.sites:,} sites ({groups.sectors:,} sectors, {groups.cells:,} cells) x {HOURS} hours, asked "
        f"gap {GAP:.1%} an area, seed {seed}: {solve.solver}. The plan saves {found.saving:.1%}, leaves "
        f"{found.unserved_share:.3%} unserved and is within {solve.gap:.2%} of the bound of the whole network; plans "
        f"of one worker, two, and two of which one was killed are {'the same' if equal else 'NOT the same'}.\n\n"
        f"{_table(one, two, killed)}"
    )
    return text, figures


def coverage_report(quick: bool, seed: int) -> tuple[str, dict[str, float]]:
    """Received levels and best servers of a large area, part by part."""
    sites, tiles = QUICK_COVERAGE if quick else COVERAGE
    network, x, y = made_network(sites, tiles, seed)
    settings = RadioSettings(pixel_m=PIXEL_M)

    def cover(work: SharedWork, progress: Progress | None) -> Coverage:
        coverage = Coverage.of(network, x, y, settings, progress=progress, work=work)
        coverage.best_server()
        return coverage

    one, two, killed, deaths = _three_times(cover)
    equal = all(
        np.array_equal(one.result.levels.rsrp_dbm, other.result.levels.rsrp_dbm)
        and np.array_equal(one.result.levels.cell, other.result.levels.cell)
        and np.array_equal(one.result.rest_mw, other.result.rest_mw)
        for other in (two, killed)
    )
    name = f"coverage_{COVERAGE[1][0] * COVERAGE[1][1]}"
    figures = _figures(name, one, two, killed) | {"killed_worker_coverage_equal": float(equal and deaths > 0)}
    text = (
        f"Received levels and best servers of {len(x):,} tiles ({len(one.result.grid):,} pixels of {PIXEL_M:g} m) with "
        f"{sites:,} sites, {len(network.cells):,} cells, seed {seed}; levels of one worker, two, and two of which one "
        f"was killed are {'the same' if equal else 'NOT the same'}.\n\n{_table(one, two, killed)}"
    )
    return text, figures


def _three_times(task: Callable[[SharedWork, Any], Any]) -> tuple[_Timed, _Timed, _Timed, int]:
    """A task by one worker, by two, and by two of which one is killed after a third of the first stage; and how many
    were killed."""
    deaths: list[int] = []

    def kill_one(done: int, total: int, what: str) -> None:
        if not deaths and 3 * done >= total > 1 and what in ("plans of areas", "received levels"):
            deaths.append(_kill_a_worker())

    return _timed(task, 1), _timed(task, 2), _timed(task, 2, kill_one), len(deaths)


def _timed(task: Callable[[SharedWork, Any], Any], count: int, progress: Any = None) -> _Timed:
    begun, own, theirs = time.perf_counter(), time.process_time(), _seconds_of_children()
    with local_workers(count, threads=1) as workers:
        result = task(SharedWork(workers), progress)
        seconds, own = time.perf_counter() - begun, time.process_time() - own
    return _Timed(result, seconds, _seconds_of_children() - theirs, own)


def _seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _kill_a_worker() -> int:
    import psutil

    for child in psutil.Process().children(recursive=True):
        if any("spawn_main" in part for part in child.cmdline()):
            os.kill(child.pid, signal.SIGKILL)
            return child.pid
    raise InputError("No worker was found that could be killed.")


def _figures(name: str, one: _Timed, two: _Timed, killed: _Timed) -> dict[str, float]:
    return {
        f"{name}_seconds_1_worker": round(one.seconds, 2), f"{name}_seconds_2_workers": round(two.seconds, 2),
        f"{name}_seconds_killed_worker": round(killed.seconds, 2),
        f"{name}_share_of_time_2_workers": two.seconds / one.seconds,
        f"{name}_cpu_seconds_1_worker": round(one.worker_seconds, 2),
        f"{name}_cpu_seconds_2_workers": round(two.worker_seconds, 2),
        f"{name}_cpu_seconds_here": round(one.own_seconds, 2),
    }  # fmt: skip


def _table(one: _Timed, two: _Timed, killed: _Timed) -> str:
    rows = [
        {"workers": label, "s": timed.seconds, "of the time of one": timed.seconds / one.seconds,
         "processor s of workers": timed.worker_seconds, "of this process": timed.own_seconds}
        for label, timed in (("1", one), ("2", two), ("2, one killed", killed))
    ]  # fmt: skip
    styles = {
        "s": ".1f",
        "of the time of one": ".2f",
        "processor s of workers": ".1f",
        "of this process": ".1f",
    }
    return markdown(pd.DataFrame(rows), styles)
