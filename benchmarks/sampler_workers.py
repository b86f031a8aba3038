"""Runs in parts by one process and by several, of which one may die: seconds, and that the table is the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from opendiff.errors import OpenDiffError


def workers_report(tiles: int, samples: int, tiles_a_part: int) -> tuple[str, dict[str, float]]:
    """A run in parts by one worker, by two, and by two of which one is killed; as text and figures."""
    from benchmarks.sources import fill_cache, square
    from opendiff.live.choices import Choices

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        area = square(tiles)
        fill_cache(folder / "pack", Choices("esri", "worldpop", "osm", ("XXA",)), area, imaged=0)
        area[["x", "y"]].to_csv(folder / "tiles.csv", index=False)

        def command(workers: int, out: str) -> list[str]:
            return [
                sys.executable, "-m", "opendiff", "generate", str(folder / "tiles.csv"), "--source",
                str(folder / "pack"), "--samples", str(samples), "--part-tiles", str(tiles_a_part),
                "--workers", str(workers), "--out", str(folder / out),
            ]  # fmt: skip

        one, peak = seconds_and_peak(command(1, "by1"))
        two, _ = seconds_and_peak(command(2, "by2"))
        killed, deaths = seconds_with_a_death(command(2, "killed"), folder / "killed")
        equal = same_dataset(folder / "by1", folder / "killed") and same_dataset(
            folder / "by1", folder / "by2"
        )
        size = sum(file.stat().st_size for file in (folder / "by1").glob("*.parquet"))
    prefix = f"seconds_{tiles}_tiles"
    figures = {
        f"{prefix}_1_worker": one,
        f"{prefix}_2_workers": two,
        f"{prefix}_killed_worker": killed,
        "killed_workers": deaths,
        "killed_worker_table_equal": float(equal and deaths > 0),
        "share_of_time_2_workers": two / one,
        "dataset_mb": size / 1e6,
        "peak_mb_worker": peak,
    }
    text = (
        f"{tiles:,} tiles (POI and population, no imagery) x {samples} samples into Parquet parts, the whole command "
        f"with the start of its workers: {one:.1f} s by one worker, {two:.1f} s by two ({two / one:.2f} of it), "
        f"{killed:.1f} s by two of which one was killed in the middle; the tables are "
        f"{'the same' if equal else 'NOT the same'}, {size / 1e6:,.0f} MB; the largest process held {peak:,.0f} MB"
    )
    return text, figures


def seconds_and_peak(command: list[str]) -> tuple[float, float]:
    """Seconds of a command, and the memory of its largest process at its largest, MB."""
    started = time.perf_counter()
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(run.pid, 0)
    run.returncode = os.waitstatus_to_exitcode(status)
    if run.returncode:
        raise OpenDiffError(f"`{' '.join(command[1:4])}` has failed; its error stands above.")
    unit = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kilobytes elsewhere
    return time.perf_counter() - started, usage.ru_maxrss / unit


def seconds_with_a_death(command: list[str], out: Path) -> tuple[float, int]:
    """Seconds of a run of which one worker is killed when a third of the parts is there, and how many were killed."""
    import psutil

    started = time.perf_counter()
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deaths = 0
    while run.poll() is None:
        time.sleep(0.05)
        stated = _parts_of(out)
        if not deaths and stated and len(list(out.glob("*.parquet"))) * 3 >= stated:
            workers = [p for p in psutil.Process(run.pid).children(recursive=True) if _is_worker(p)]
            if workers:
                os.kill(workers[0].pid, signal.SIGKILL)
                deaths = 1
    if run.returncode:
        raise OpenDiffError("The run with a killed worker has failed; its error stands above.")
    return time.perf_counter() - started, deaths


def _parts_of(out: Path) -> int:
    import json

    try:
        return int(json.loads((out / "_run.json").read_text())["parts"])
    except (OSError, ValueError, KeyError):
        return 0


def _is_worker(process) -> bool:
    import psutil

    try:
        return any("spawn_main" in part for part in process.cmdline())
    except psutil.Error:
        return False


def same_dataset(left: Path, right: Path) -> bool:
    """Whether two runs in parts hold the same rows and the same tiles, in the same parts."""
    import pyarrow.parquet as pq

    names = [sorted(file.name for file in folder.glob("*.parquet")) for folder in (left, right)]
    if names[0] != names[1] or not names[0]:
        return False
    for name in names[0]:
        tables = [pq.read_table(folder / name) for folder in (left, right)]
        if not tables[0].equals(tables[1]):
            return False
        if len({table.schema.metadata[b"opendiff_tiles"] for table in tables}) > 1:
            return False
    return True
