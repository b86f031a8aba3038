"""Faults of the machine: a process killed while it writes, a full disk, a folder that may not be written, damaged
files, solvers and GPUs that fail, two processes at once. A fault is survived when nothing that was there is lost, no
file is half-written, what is refused is one typed sentence, and the next run works."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import pulp

from benchmarks import ROOT
from benchmarks.robustness import faults
from benchmarks.robustness.victim import KINDS, TYPED, Kind
from planning.errors import SolverError
from planning.solver import Model, choice
from planning.solver import cbc as solver_cbc
from planning.solver import highs as solver_highs

Fault = Callable[[Path], str | None]
KILLS = 2  # of each kind of file, at different moments
DAMAGE = ("cut short", "zeros", "empty", "other bytes")
TIMEOUT_S = 120


def killed(kind: Kind, name: str, seed: int, folder: Path) -> str | None:
    """A process is killed in the middle of its writes."""
    process = _victim(name, folder)
    assert process.stdout is not None
    first = process.stdout.readline()
    time.sleep(float(np.random.default_rng(seed).uniform(0.01, 0.6)))
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read()
    process.wait()
    if not first.strip():
        return "the process did not begin"
    finished = max(int(line) for line in (first + rest).split())
    there = kind.read(folder)
    if not finished <= there <= finished + 1:
        return f"version {there} is there after {finished} was written"
    return _works_again(kind, folder, there + 1)


def disk_full(kind: Kind, name: str, folder: Path) -> str | None:
    """The disk takes only a little more."""
    kind.write(folder, 1)
    before = _names(folder)
    process = _victim(name, folder, "--first", "2", "--count", "1", "--most-bytes", "700")
    return _refused(kind, folder, before, process)


def read_only(kind: Kind, name: str, folder: Path) -> str | None:
    """The folder may be read and not written."""
    kind.write(folder, 1)
    before = _names(folder)
    with _locked_folder(folder):
        process = _victim(name, folder, "--first", "2", "--count", "1", "--as-nobody")
        wrong = _refused(kind, folder, before, process, again=False)
    return wrong or _works_again(kind, folder, 2)


def damaged(kind: Kind, how: str, folder: Path) -> str | None:
    """A file is damaged while nobody looks."""
    kind.write(folder, 1)
    path = folder / kind.file
    data = path.read_bytes()
    path.write_bytes(
        {
            "cut short": data[: len(data) // 2],
            "zeros": bytes(len(data)),
            "empty": b"",
            "other bytes": os.urandom(64),
        }[how]
    )
    try:
        there = kind.read(folder)
        if there not in (0, 1):
            return f"a damaged file is read as version {there}"
    except TYPED:
        pass
    return _works_again(kind, folder, 2 if kind is not KINDS["pack"] else 1)


def two_processes(kind: Kind, name: str, folder: Path) -> str | None:
    """Two processes write into the same place at the same time."""
    options = "--count", "12", "--step", "2"
    both = [_victim(name, folder, "--first", str(first), *options) for first in (1, 2)]
    said = [process.communicate(timeout=TIMEOUT_S)[0] for process in both]
    if any(process.returncode for process in both):
        return f"a process ended with {[p.returncode for p in both]}: {said}"
    there = kind.read(folder)
    if there not in (23, 24):
        return f"version {there} is there after both wrote 24 between them"
    return half_written(folder) or _works_again(kind, folder, 25)


def cached_image(how: str, folder: Path) -> str | None:
    """An image, or a country's raster, of a pack is damaged after it was fetched; the next fetch mends it."""
    tiles = faults.made_tiles()
    with faults.FaultServer(faults.made_world(tiles)) as server, faults.environment(server, folder):
        choices = faults.Choices("esri", "worldpop", "osm", ("XXA",))
        fetch = partial(
            faults.Fetcher(folder / "pack", choices, faults.quick_client(faults.MadeTime())).area, tiles
        )
        fetch()
        suffix = ".tif" if how == "raster" else ".png"
        path = sorted(folder.rglob(f"*{suffix}"))[0]
        path.write_bytes(b"" if how == "empty" else path.read_bytes()[:100])
        if how == "raster":
            (folder / "pack" / "tiles.parquet").unlink()
        fetch()
    return (
        None if faults.same(faults.pack_content(folder / "pack"), faults.expected()) else "it is not mended"
    )


def solver_missing(folder: Path) -> str | None:
    """Neither HiGHS nor CBC is installed."""
    with (
        mock.patch.object(solver_highs, "highspy", None),
        mock.patch.object(choice, "cbc_class", lambda: None),
    ):
        wrong = _solver_refuses("auto")
    return wrong or _solves()


def solver_raises(folder: Path) -> str | None:
    """HiGHS throws an exception of its own."""

    class Broken(pulp.HiGHS):
        def callSolver(self, lp: pulp.LpProblem) -> None:
            raise RuntimeError("std::bad_alloc")

    with mock.patch.object(solver_highs, "_HiGHS", Broken):
        wrong = _solver_refuses("highs")
    return wrong or _solves()


def solver_dies(how: str, folder: Path) -> str | None:
    """The program of CBC ends by a signal, or with nothing written."""
    program = folder / "cbc"
    program.write_text("#!/bin/sh\n" + {"killed": "kill -9 $$", "silent": "exit 0"}[how] + "\n")
    program.chmod(0o755)
    with mock.patch.object(solver_cbc, "cbc_class", lambda: partial(pulp.COIN_CMD, path=str(program))):
        wrong = _solver_refuses("cbc")
    return wrong or _solves()


def solver_out_of_time(folder: Path) -> str | None:
    """The time is over before the optimum is proved."""
    result = _hard_model().solve(time_limit=0.05, gap=0.0, threads=1)
    if result.status == "optimal" and (result.gap or 0) > 0:
        return "a time-out is called optimal"
    if result.has_solution and result.status not in ("feasible", "optimal"):
        return f"a solution with the status {result.status}"
    return _solves()


def gpu_memory(room: int, folder: Path) -> str | None:
    """The memory of the GPU takes calls of `room` rows, or none at all."""
    from benchmarks.robustness.made_gpu import MadeGpu, plain_ensemble

    made = MadeGpu(room)
    ensemble = made.generate()
    if not any("memory of the GPU ran out" in note for note in ensemble.metadata["notes"]):
        return "nothing is said of it"
    if not np.allclose(ensemble.traffic, plain_ensemble().traffic, rtol=1e-5):
        return "the traffic is another"
    return None if made.generate() else "the next run fails"


def all_faults(quick: bool = False) -> dict[str, Fault]:
    """Every fault by its name."""
    found: dict[str, Fault] = {}
    for name, kind in KINDS.items():
        for number in range(1 if quick else KILLS):
            found[f"{name}: killed while writing, {number + 1}"] = partial(killed, kind, name, number)
        found[f"{name}: disk full"] = partial(disk_full, kind, name)
        found[f"{name}: read-only folder"] = partial(read_only, kind, name)
        found |= {f"{name}: {how}": partial(damaged, kind, how) for how in DAMAGE}
        if name in ("scenario", "pack", "embeddings", "traffic table"):
            found[f"{name}: two processes"] = partial(two_processes, kind, name)
    found |= {f"fetched image: {how}": partial(cached_image, how) for how in ("empty", "cut short", "raster")}
    found |= {
        "solver missing": solver_missing,
        "solver raises": solver_raises,
        "solver out of time": solver_out_of_time,
    }
    found |= {f"solver's process {how}": partial(solver_dies, how) for how in ("killed", "silent")}
    found |= {"GPU memory: some": partial(gpu_memory, 2048), "GPU memory: none": partial(gpu_memory, 0)}
    every = faults.SCENARIOS[:: 9 if quick else 1]
    return found | {f"provider: {scenario}": partial(faults.survives, scenario) for scenario in every}


def inject(fault: Fault) -> str | None:
    """One fault in an empty folder; None where it is survived."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        try:
            return fault(folder)
        except Exception as error:
            return f"{type(error).__name__}: {error}"


def half_written(folder: Path) -> str | None:
    return next((f"{p.name} was left" for p in folder.rglob(".*") if p.name != ".lock" and p.is_file()), None)


def _victim(name: str, folder: Path, *options: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "benchmarks.robustness.victim", name, str(folder), *options]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE)


def _refused(
    kind: Kind, folder: Path, before: set[str], process: subprocess.Popen, again: bool = True
) -> str | None:
    said, _ = process.communicate(timeout=TIMEOUT_S)
    if process.returncode != (0 if kind.silent else 3):
        return f"the process ended with {process.returncode}, not with a sentence ({said.strip()})"
    if not kind.silent and not said.strip().endswith("."):
        return f"what it said is no sentence: {said.strip()}"
    if kind.read(folder) != 1:
        return "what was there is lost"
    if left := _names(folder) - before - {"embeddings.sqlite-journal"}:
        return f"files were left: {sorted(left)}"
    return _works_again(kind, folder, 2) if again else None


def _works_again(kind: Kind, folder: Path, n: int) -> str | None:
    kind.write(folder, n)
    there = kind.read(folder)
    return None if there == n else f"the next run leaves version {there}, not {n}"


def _names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.name != ".lock"}


@contextmanager
def _locked_folder(folder: Path) -> Iterator[None]:
    """Everything in it readable by all and writable by nobody but root."""
    places = [folder, *folder.rglob("*")]
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in places}
    for path in places:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def _solver_refuses(name: str) -> str | None:
    try:
        result = _small_model().solve(name, threads=1)
    except SolverError as error:
        return None if str(error).endswith(".") else f"what it said is no sentence: {error}"
    return None if result.status == "no solution" else f"a broken solver answers {result.status}"


def _solves() -> str | None:
    result = _small_model().solve(threads=1)
    return (
        None if result.status == "optimal" and result.objective == 3 else f"the next run is {result.status}"
    )


def _small_model() -> Model:
    model = Model("small", maximise=True)
    x = model.variables("x", 2, upper=2, integer=True)
    model.cost(x, 1.0)
    model.rows([0, 0], x, 1.0, upper=3.5)
    return model


def _hard_model() -> Model:
    """A knapsack of 60 numbers with 20 rows: seconds to prove, a moment to begin."""
    rng = np.random.default_rng(0)
    model = Model("hard", maximise=True)
    x = model.variables("x", 60, upper=1, integer=True)
    model.cost(x, rng.integers(50, 100, 60))
    for weight in rng.integers(50, 100, (20, 60)):
        model.rows(np.zeros(60, int), x, weight, upper=float(weight.sum() // 2))
    return model
