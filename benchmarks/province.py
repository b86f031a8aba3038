"""`python -m benchmarks province`: a table of 60,000 cells of a province, cut to a small area and planned."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import compile_packages
from benchmarks.tables import markdown
from opendiff.errors import OpenDiffError

SUMMARY = "60,000 cells of a province: import, cut to the area of the traffic, sleep plan"
CELLS, QUICK_CELLS = 60_000, 3_000
SAMPLES, AREA = 5, "115.90,28.66,115.96,28.71"
CENTRE, SPREAD_DEG = (115.9, 28.68), (0.05, 0.04)
COMMAND = """
import json, sys, time
from pathlib import Path
from planning.cli import main

if main(sys.argv[1:]):
    sys.exit(1)
# not ru_maxrss, in which a process keeps that of its parent
status = Path("/proc/self/status").read_text()
peak = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
print("\\n" + json.dumps({"cpu_seconds": time.process_time(), "peak_mb": peak / 1000}))
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--traffic",
        type=Path,
        metavar="TRAFFIC",
        help=f"traffic table of the area (default: {SAMPLES} samples of {AREA} are generated first)",
    )
    parser.add_argument("--cells", type=int, help=f"rows of the table of cells (default: {CELLS})")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep the scenarios in this folder, to compare them"
    )


def run(options: argparse.Namespace) -> tuple[str, dict[str, float]]:
    """The table and its figures by name: processor seconds, of the user and the system, and memory."""
    cells = options.cells or (QUICK_CELLS if options.quick else CELLS)
    with tempfile.TemporaryDirectory() as made:
        folder = options.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        figures = measured(folder, cells, options.traffic or _traffic(folder))
    table = pd.DataFrame(figures.items(), columns=["figure", "value"])
    return markdown(table, {"value": ".4g"}), figures


def measured(folder: Path, cells: int, traffic: Path) -> dict[str, float]:
    """What importing and planning `cells` rows takes, in processes of their own.

    The packages are compiled first.
    """
    compile_packages()
    table, network, plan = (folder / name for name in ("cells.csv", "network.gpkg", "plan.gpkg"))
    made_cells(cells).to_csv(table, index=False)
    told = ("--traffic", str(traffic), "--out")
    taken = _command("import", str(table), *told, str(network))
    # what is planned does not depend on how busy the machine is
    rule = ("--strategy", "greedy", "--allow-unserved", "--time-limit", "36000")
    planned = _command("sleep", str(network), *told, str(plan), *rule)
    return {
        "rows": cells,
        "import_cpu_seconds": taken["cpu_seconds"],
        "sleep_cpu_seconds": planned["cpu_seconds"],
        "cpu_seconds": taken["cpu_seconds"] + planned["cpu_seconds"],
        "import_peak_mb": taken["peak_mb"],
        "sleep_peak_mb": planned["peak_mb"],
    }


def made_cells(rows: int, seed: int = 1) -> pd.DataFrame:
    """A made table with OpenCelliD's headings: every row a cell at a place of its own, of three operators."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "radio": rng.choice(["GSM", "UMTS", "LTE", "NR"], rows, p=[0.2, 0.2, 0.5, 0.1]),
            "mcc": 460,
            "net": rng.choice([0, 1, 11], rows),
            "area": rng.integers(1, 60_000, rows),
            "cell": np.arange(rows) + 1000,
            "unit": 0,
            "lon": np.round(rng.normal(CENTRE[0], SPREAD_DEG[0], rows), 6),
            "lat": np.round(rng.normal(CENTRE[1], SPREAD_DEG[1], rows), 6),
            "range": 1000,
            "samples": 3,
            "changeable": 1,
            "created": 1,
            "updated": 2,
            "averageSignal": 0,
        }
    )


def _traffic(folder: Path) -> Path:
    out = folder / "traffic.parquet"
    command = (
        "generate",
        AREA,
        "--source",
        "demo",
        "--samples",
        str(SAMPLES),
        "--seed",
        "0",
        "--out",
        str(out),
    )
    _finished([sys.executable, "-m", "opendiff", *command])
    return out


def _command(*arguments: str) -> dict[str, float]:
    """Processor seconds and peak memory of a planning command."""
    told = _finished([sys.executable, "-c", COMMAND, *arguments])
    used: dict[str, float] = json.loads(told.splitlines()[-1])
    return used


def _finished(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OpenDiffError(f"{command[-1]} was not made: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout
