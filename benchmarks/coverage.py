"""How fast the radio model is: levels of large networks, and loads and interference of a whole day."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.agreement import agreement
from benchmarks.tables import markdown
from planning.coverage import Coverage, coupled_loads
from planning.errors import InputError
from planning.geometry import tile_area_km2, tile_corner
from planning.network import Network

SUMMARY = "the radio model: time and memory of coverage and of coupled loads on large networks"
LON_TILE, LAT_TILE = 26_928, 13_640  # at 28.7 degrees north
# name: sites, tiles from west to east and north to south (103 and 717 km2)
CASES = {"c300": (300, (10, 9)), "c2000": (2000, (25, 25))}
QUICK_CASES = {"c300": (30, (3, 3)), "c2000": (60, (4, 4))}
AGREEMENT, QUICK_AGREEMENT = (150, (7, 7)), (20, (3, 3))  # sites and tiles: on 46 km2
HOURS = 24
BUSY_MBPS = 150.0  # a site, in the busiest hour of a site's mean
PARTS = ("c300", "c2000", "coupling", "agreement")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", choices=PARTS, help="one part alone (default: all)")


def run(options: argparse.Namespace) -> tuple[str, dict[str, float]]:
    """The report in words and tables, and its figures by name."""
    if options.seed < 0:
        raise InputError("The seed must be at least 0.")
    cases = QUICK_CASES if options.quick else CASES
    figures: dict[str, float] = {}
    rows = []
    wanted = PARTS if options.part is None else (options.part,)
    coverage = None
    for name, (sites, tiles) in cases.items():
        if name not in wanted and not (name == "c2000" and "coupling" in wanted):
            continue
        network, x, y = made_network(sites, tiles, options.seed)
        begun, busy = time.perf_counter(), time.process_time()
        coverage = Coverage.of(network, x, y)
        coverage.best_server()
        seconds, busy = time.perf_counter() - begun, time.process_time() - busy
        figures |= {f"{name}_seconds": round(seconds, 2), f"{name}_cpu_seconds": round(busy, 2)}
        rows.append(_row(coverage, tile_area_km2(x, y).sum(), seconds, busy))
    parts = [] if not rows else [
        "Sites at random with three sectors on two carriers (B3, 20 MHz; n41, 100 MHz), pixels of 50 m; the time "
        f"includes levels, best servers and interference of cells within 5 km, seed {options.seed}.\n\n"
        + markdown(
            pd.DataFrame(rows),
            {"km2": ".0f", "s": ".1f", "processor s": ".1f", "covered outdoors %": ".1f", "indoors %": ".1f"},
        )
    ]  # fmt: skip
    if "coupling" in wanted:
        assert coverage is not None
        text, found = _coupling(coverage, options.seed)
        parts.append(text)
        figures |= found
    if "agreement" in wanted:
        sites, tiles = QUICK_AGREEMENT if options.quick else AGREEMENT
        text, found = agreement(*made_network(sites, tiles, options.seed), options.seed)
        parts.append(text)
        figures |= found
    if "c300" in wanted:
        figures["c300_peak_mb"] = _peak_mb_of_process(*cases["c300"], options.seed)
        parts.append(
            f"Peak memory of a process that computes the smaller one: {figures['c300_peak_mb']:,.0f} MB."
        )
    return "\n\n".join(parts), figures


def made_network(sites: int, tiles: tuple[int, int], seed: int) -> tuple[Network, np.ndarray, np.ndarray]:
    """Sites at random on a rectangle of tiles, three sectors on two carriers; the tiles' x and y."""
    rng = np.random.default_rng(seed)
    wide, high = tiles
    x, y = (v.ravel() for v in np.meshgrid(LON_TILE + np.arange(wide), LAT_TILE + np.arange(high)))
    lon, lat = tile_corner(LON_TILE + rng.uniform(0, wide, sites), LAT_TILE + rng.uniform(0, high, sites))
    return Network.from_sites(lon, lat), x, y


def made_demand(tiles: int, sites: int, seed: int) -> np.ndarray:
    """(tiles, HOURS) Mbit/s: lognormal tiles with a daily curve that peaks at 21 h."""
    rng = np.random.default_rng(seed)
    curve = 0.3 + 0.7 * (1 + np.cos((np.arange(HOURS) - 21) * np.pi / 12)) / 2
    demand = rng.lognormal(0, 0.7, (tiles, 1)) * curve * np.exp(rng.normal(0, 0.08, (tiles, HOURS)))
    return demand * BUSY_MBPS * sites / demand.sum(axis=0).max()


def _row(coverage: Coverage, km2: float, seconds: float, busy: float) -> dict[str, object]:
    outdoors, indoors, _ = coverage.covered_share()
    return {
        "sites": len(coverage.network.sites),
        "cells": len(coverage.cells),
        "km2": km2,
        "pixels": len(coverage.grid),
        "s": seconds,
        "processor s": busy,
        "covered outdoors %": 100 * outdoors,
        "indoors %": 100 * indoors,
    }


def _coupling(coverage: Coverage, seed: int) -> tuple[str, dict[str, float]]:
    sites = len(coverage.network.sites)
    demand = made_demand(coverage.grid.tiles, sites, seed)
    begun, busy = time.perf_counter(), time.process_time()
    loads = coupled_loads(coverage, demand)
    seconds, busy = time.perf_counter() - begun, time.process_time() - busy
    figures = {
        "coupling_2000_24_seconds": round(seconds, 2),
        "coupling_2000_24_cpu_seconds": round(busy, 2),
        "coupling_iterations": float(loads.iterations.mean()),
        "coupling_served_share": float(loads.served_share.min()),
    }
    text = (
        f"Loads and interference of {sites} sites in {HOURS} hours, {BUSY_MBPS:g} Mbit/s a site in the busiest: "
        f"{seconds:.1f} s ({busy:.1f} of processors), {loads.iterations.mean():.0f} iterations an hour, "
        f"{'settled' if loads.converged else 'not settled'}; served in the busiest hour "
        f"{loads.served_share.min():.1%}, median load {np.median(loads.load):.2f}."
    )
    return text, figures


def peak_mb(sites: int, tiles: tuple[int, int], seed: int) -> float:
    """Peak memory of this process, which should do nothing else."""
    network, x, y = made_network(sites, tiles, seed)
    Coverage.of(network, x, y).best_server()
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss counts what the process had before it became this program
        line = next(row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _peak_mb_of_process(sites: int, tiles: tuple[int, int], seed: int) -> float:
    """Of a process that loads the radio model alone."""
    code = f"from benchmarks.coverage import peak_mb; print(peak_mb({sites}, {tiles}, {seed}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600
    )
    return round(float(done.stdout), 1)
