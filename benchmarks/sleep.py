"""How good and how fast sleep plans are: against a bound on a made city, beside rules on generated traffic, and on real
traffic that no plan was made on."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.sector_replay import lost_to_sleep, unserved_by_hour
from benchmarks.tables import markdown
from planning.coverage import Coverage, RadioSettings
from planning.demand import Demand, Scale
from planning.errors import InputError
from planning.geometry import tile_position
from planning.network import Network
from planning.sleep import (
    QUANTILE,
    STRATEGIES,
    Operation,
    SleepProblem,
    SleepSettings,
    compare_strategies,
    compared,
    plan_sleep,
    replay,
)
from planning.sleep.building import reach_of
from planning.sleep.cover import cover_of
from planning.sleep.offload import offload_graph
from planning.traffic import TrafficTable

SUMMARY = "sleep plans: time and gap on large networks, saving beside rules, and what is kept on real traffic"
# name: sites, hours, time limit in s, asked gap
CASES = {
    "s300_h24": (300, 24, 20.0, 0.01),
    "s300_h168": (300, 168, 120.0, 0.01),
    "s2000_h24": (2000, 24, 180.0, 0.02),
}
QUICK_CASES = {"s40_h24": (40, 24, 10.0, 0.01)}
PARTS = ("networks", "region", "real", "energy")
SPACING_M = 500.0
PIXEL_M = 100.0
BUSY_LOAD = 0.55  # of all capacity under the load limit, in the busy hour
REGION_SITES, REGION_SAMPLES = 400, 20
PACK_SITES = 100
QUANTILES = (0.9, 0.95, 0.99)
SHOWN = {
    "strategy": "strategy",
    "saving": "saving %",
    "unserved_share": "unserved %",
    "replay_saving": "saving, unseen %",
    "replay_unserved_share": "unserved, unseen %",
    "replay_overload_hours": "overload hours, unseen",
    "gap": "gap %",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, default=None, metavar="PACK",
        help="also plan on traffic generated for held-out tiles of this pack, judged on their real week",
    )  # fmt: skip
    parser.add_argument(
        "--energy", type=Path, default=None, metavar="DIR",
        help="also fit eq. 13 and energy-saving modes to measured stations: cells, stations and energy .parquet",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", choices=PARTS, help="one part alone (default: all that the options allow)")


def run(options: argparse.Namespace) -> tuple[str, dict[str, float]]:
    """The report in words and tables, and its figures by name."""
    if options.seed < 0:
        raise InputError("The seed must be at least 0.")
    seed, quick = options.seed, options.quick
    makers = {
        "networks": lambda: large_networks(QUICK_CASES if quick else CASES, seed),
        "region": lambda: generated_region(4 if quick else REGION_SAMPLES, seed),
        "real": lambda: real_traffic(options.data, seed, quick),
        "energy": lambda: measured_energy(options.energy, seed),
    }
    if options.part == "real" and options.data is None:
        raise InputError("The part on real traffic needs a pack; name it with --data.")
    if options.part == "energy" and options.energy is None:
        raise InputError("The part on measured energy needs a folder; name it with --energy.")
    needs = {"real": options.data, "energy": options.energy}
    wanted = [options.part] if options.part else [p for p in PARTS if p not in needs or needs[p] is not None]
    parts: list[str] = []
    figures: dict[str, float] = {}
    for part in wanted:
        text, found = makers[part]()
        parts.append(text)
        figures |= found
    return "\n\n".join(parts), figures


def looking_at_traffic() -> tuple[str, ...]:
    """The compared strategies but for those that look at no traffic."""
    return tuple(name for name in compared() if not STRATEGIES[name].blind)


# --- large networks ----------------------------------------------------------------------------------------------


def made_city(sites: int, hours: int, seed: int) -> SleepProblem:
    """Sites at random, SPACING_M apart in the mean, of three sectors with a coverage carrier (1.8 GHz) and two capacity
    carriers (2.6 and 3.5 GHz); who reaches what is the radio model's.

    Demand mixes a residential day (peak at 21 h) and a working one (peak at 14 h, less at the weekend); levels are
    lognormal by sector, hours vary by 8 %.
    """
    rng = np.random.default_rng(seed)
    east, north = rng.uniform(0, SPACING_M * np.sqrt(sites), (2, sites))
    lat = 28.7 + north / 110_574
    lon = 115.9 + east / (111_320 * np.cos(np.radians(28.7)))
    network = Network.from_sites(lon, lat, sectors=3, capacity_layers=2)
    cells = network.cells
    second = cells["cell"].str.endswith("-2") & ~cells["is_coverage"]
    second &= cells["cell"].str.count("-") == 3  # SITE-5G-SECTOR-LAYER
    cells = cells.assign(
        band=cells["band"].where(~second, "n78"), frequency_mhz=cells["frequency_mhz"].where(~second, 3500.0)
    )
    network = Network(network.sites, cells)
    x, y = np.unique(np.floor(tile_position(lon, lat)).astype(int), axis=1)
    coverage = Coverage.of(network, x, y, RadioSettings(pixel_m=PIXEL_M))
    mean = np.ones(len(x))
    reach, spare_db = reach_of(coverage)
    graph, shares, _ = offload_graph(
        reach, coverage.levels.best_server(), coverage.grid, network.sector_of_cell, mean
    )
    operation = Operation()
    cover, groups = cover_of(reach, spare_db, coverage.grid, operation.groups(network), mean)
    hour = np.arange(hours)
    wave = (1 + np.cos((hour[:, None] - np.array([21, 14])) * np.pi / 12)) / 2
    home = 0.3 + 0.5 * wave[:, 0] + 0.1 * (1 + np.cos((hour - 12) * np.pi / 6))
    work = (0.15 + 0.85 * wave[:, 1]) * np.where(hour // 24 % 7 >= 5, 0.6, 1.0)
    mix = rng.beta(0.8, 0.8, (groups.sectors, 1))
    demand = rng.lognormal(0, 0.7, (groups.sectors, 1)) * (mix * home + (1 - mix) * work)
    demand *= np.exp(rng.normal(0, 0.08, demand.shape))
    capacity = SleepSettings().max_load * groups.capacity_of(groups.count[:, None])
    demand *= BUSY_LOAD * capacity.sum() / demand.sum(axis=0).max()
    demand = np.minimum(demand, 0.98 * capacity)
    ground = np.asarray(shares.share.sum(axis=1)).ravel()
    of_sector = graph.by_sector @ ground
    bare = of_sector == 0  # hidden behind its neighbours: its traffic stays at home
    first = np.searchsorted(graph.class_sector, np.flatnonzero(bare))
    part = ground / np.where(bare, 1.0, of_sector)[graph.class_sector]
    part[first] = 1.0
    return SleepProblem.of_classes(
        network, part[:, None] * demand[graph.class_sector], graph, cover, operation, groups
    )


def large_networks(cases: dict[str, tuple], seed: int) -> tuple[str, dict[str, float]]:
    rows: list[dict[str, object]] = []
    figures: dict[str, float] = {}
    shares: list[float] = []
    worst_hole = max_load = 0.0
    for name, (sites, hours, limit, gap) in cases.items():
        problem = made_city(sites, hours, seed)
        settings = SleepSettings(time_limit=limit, gap=gap)
        begun = time.perf_counter()
        plan = plan_sleep(problem, "milp", settings)
        seconds = time.perf_counter() - begun
        rules = {rule: plan_sleep(problem, rule, settings).evaluation for rule in ("threshold", "greedy")}
        assert plan.solve is not None and plan.solve.gap is not None
        share = plan.solve.build_seconds / seconds
        shares.append(share)
        figures |= {
            f"{name}_seconds": round(seconds, 2), f"{name}_gap": plan.solve.gap, f"{name}_build_share": share,
            f"{name}_saving": plan.evaluation.saving, f"{name}_unserved": plan.evaluation.unserved_share,
        }  # fmt: skip
        worst_hole = max(worst_hole, float(plan.evaluation.hole_share.max()))
        max_load = max(max_load, float(plan.evaluation.max_load.max()))
        rows.append(
            {
                "sites": sites,
                "sectors": problem.groups.sectors,
                "cells": len(problem.network.cells),
                "hours": hours,
                "limit s": limit,
                "asked gap %": 100 * gap,
                "s": seconds,
                "gap %": 100 * plan.solve.gap,
                "status": plan.solve.status,
                "building %": 100 * share,
                "saving %": 100 * plan.evaluation.saving,
                "greedy saves %": 100 * rules["greedy"].saving,
                "threshold saves %": 100 * rules["threshold"].saving,
            }
        )
    figures |= {"build_share": max(shares), "worst_hole_share": worst_hole, "max_cell_load": max_load}
    styles = {
        "limit s": ".0f", "asked gap %": ".0f", "s": ".1f", "gap %": ".2f", "building %": ".0f", "saving %": ".1f",
        "greedy saves %": ".1f", "threshold saves %": ".1f",
    }  # fmt: skip
    head = (
        f"A made city: sites {SPACING_M:,.0f} m apart with three sectors of three carriers, busy hour at "
        f"{BUSY_LOAD:.0%} of what fits under the load limit, coverage kept, default limits, "
        f"seed {seed}. The time includes the start plan and the bound; the gap is that of the plan as it runs."
    )
    return f"{head}\n\n{markdown(pd.DataFrame(rows), styles)}", figures


# --- generated traffic of the bundled region ---------------------------------------------------------------------


def generated_region(samples: int, seed: int) -> tuple[str, dict[str, float]]:
    """Strategies side by side on generated traffic; the last sample is not planned on."""
    from opendiff.demo import DemoSource
    from opendiff.generator import TrafficGenerator

    generator, source = TrafficGenerator.load("default", "cpu"), DemoSource()
    made = generator.generate(generator.conditions(source, source.covered_tiles()), samples, seed)
    table = TrafficTable.from_arrays(
        made.tiles["x"].to_numpy(), made.tiles["y"].to_numpy(), made.traffic, made.users
    )
    demand = Demand.build(table, Scale.subscribers(table))
    return beside_rules(demand, "the bundled region", "")


def beside_rules(demand: Demand, where: str, prefix: str) -> tuple[str, dict[str, float]]:
    from benchmarks.plans import default_network

    network = default_network(demand, REGION_SITES)
    last = demand.samples - 1
    planned = Demand(
        demand.x, demand.y, demand.mbps[:, :last], demand.users[:, :last], demand.covered_share, demand.scale
    )
    settings = SleepSettings(allow_unserved=True, time_limit=60)
    coverage = Coverage.of(network, demand.x, demand.y)
    parts: list[pd.DataFrame] = []
    figures: dict[str, float] = {}
    for quantile in QUANTILES:
        problem = SleepProblem.build(network, planned, quantile=quantile, coverage=coverage)
        plans, frame = compare_strategies(problem, compared(), settings, demand.sample(last))
        row = frame.set_index("strategy")
        if quantile == QUANTILE:
            total, plan = problem.demand.sum(), plans["milp"]
            unserved = unserved_by_hour(plan, problem.demand).sum() / total
            figures[f"{prefix}replay_by_sector_unserved"] = float(unserved)
            by_sleep = lost_to_sleep(plan, problem.demand).sum() / total
            figures[f"{prefix}replay_by_sector_unserved_by_sleep"] = float(by_sleep)
        tag = "" if quantile == QUANTILES[0] else f"_q{100 * quantile:.0f}"
        for strategy in looking_at_traffic():
            figures |= {
                f"{prefix}saving_{strategy}{tag}": float(row.loc[strategy, "saving"]),
                f"{prefix}unserved_{strategy}{tag}": float(row.loc[strategy, "unserved_share"]),
                f"{prefix}unseen_saving_{strategy}{tag}": float(row.loc[strategy, "replay_saving"]),
                f"{prefix}unseen_unserved_{strategy}{tag}": float(row.loc[strategy, "replay_unserved_share"]),
            }
        shown = frame[list(SHOWN)].rename(columns=SHOWN)
        percent = [c for c in shown if c.endswith("%")]
        shown[percent] = 100 * shown[percent].astype(float)
        styles = {c: ".3f" if c.startswith("unserved") else ".1f" for c in percent} | {"gap %": ".2f"}
        parts.append(f"A typical day at the {quantile:.0%} quantile:\n\n{markdown(shown, styles)}")
    head = (
        f"Generated traffic of {where}: {demand.tiles} tiles, {len(network.sites)} sites with {len(network.cells)} "
        f"cells, planned on {last} samples, unseen: the week of the last one. {demand.scale.sentence}"
    )
    return "\n\n".join([head, *parts]), figures


# --- real traffic ------------------------------------------------------------------------------------------------


def real_traffic(path: Path, seed: int, quick: bool) -> tuple[str, dict[str, float]]:
    """MILP plans made on traffic generated for held-out tiles and on their real week, both in the real week."""
    from benchmarks.held_out import GENERATED, held_out_weeks
    from benchmarks.plans import REAL, Demands, default_network
    from opendiff.open_data.sources import PackSource
    from plannerbase.progress import StageBars

    pack, bars = PackSource(path), StageBars()
    weeks = held_out_weeks(pack, 12 if quick else 60, seed, quick, bars)
    demands = Demands.of(weeks)
    network = default_network(demands.made[GENERATED], 40 if quick else PACK_SITES)
    settings = SleepSettings(allow_unserved=True, time_limit=10.0 if quick else 60.0)
    coverage = Coverage.of(network, demands.real.x, demands.real.y)
    rows = []
    for quantile in QUANTILES:
        for strategy in looking_at_traffic():
            for source in (GENERATED, REAL):
                problem = SleepProblem.build(
                    network, demands.sources()[source], quantile=quantile, coverage=coverage
                )
                judged = replay(plan_sleep(problem, strategy, settings), demands.real)
                rows.append(
                    {
                        "quantile %": 100 * quantile,
                        "strategy": strategy,
                        "made on": source,
                        "saving %": 100 * judged.saving,
                        "unserved %": 100 * judged.unserved_share,
                        "for sleep %": 100 * judged.unserved_by_sleep,
                        "overload hours": judged.overload_hours,
                        "kwh": judged.energy_kwh,
                    }
                )
                bars(len(rows), len(QUANTILES) * 2 * len(looking_at_traffic()), "sleep plans")
    frame = pd.DataFrame(rows)
    best = frame[frame["made on"] == REAL].set_index(["quantile %", "strategy"])["kwh"]
    keys = pd.MultiIndex.from_frame(frame[["quantile %", "strategy"]])
    frame["regret %"] = 100 * (frame.pop("kwh").to_numpy() / best.loc[keys].to_numpy() - 1)
    chosen = frame[(frame["strategy"] == "milp") & (frame["made on"] == GENERATED)].set_index("quantile %")
    figures: dict[str, float] = {}
    for quantile in QUANTILES:
        tag = "" if quantile == QUANTILE else f"_q{100 * quantile:.0f}"
        row = chosen.loc[100 * quantile]
        figures |= {
            f"replay_energy_regret{tag}": row["regret %"] / 100,
            f"replay_unserved_share{tag}": row["unserved %"] / 100,
            f"replay_unserved_by_sleep{tag}": row["for sleep %"] / 100,
            f"replay_saving{tag}": row["saving %"] / 100,
        }
    head = (
        f"Plans judged on the real week of {demands.real.tiles} held-out tiles of {pack.name} ({weeks.folds} spatial "
        f"folds, {len(network.sites)} sites). Regret: energy beyond that of the same plan made on that very week; "
        "below 0 where a plan sleeps more than the real week allows, which its unserved traffic then shows."
    )
    styles = {
        "quantile %": ".0f",
        "saving %": ".1f",
        "unserved %": ".3f",
        "for sleep %": ".3f",
        "regret %": ".1f",
    }
    return f"{head}\n\n{markdown(frame, styles)}", figures


# --- measured energy ---------------------------------------------------------------------------------------------


def measured_energy(folder: Path, seed: int) -> tuple[str, dict[str, float]]:
    """Eq. 13 and energy-saving modes by type of radio unit, on held-out stations."""
    from planning.state_fit import fit_states

    names = ("cells", "stations", "energy")
    absent = [f"{n}.parquet" for n in names if not (folder / f"{n}.parquet").is_file()]
    if absent:
        raise InputError(f"{folder} lacks {', '.join(absent)}.")
    cells, stations, energy = (pd.read_parquet(folder / f"{n}.parquet") for n in names)
    fit = fit_states(cells, stations, energy, seed)
    head = (
        f"Eq. 13 and energy-saving modes fitted to {fit.hours:,} station-hours by type of radio unit, judged on "
        f"stations that were left out (5 folds): R2 {fit.r2:.3f}. Energy is in the unit of the data."
    )
    styles = {
        c: ".2f" for c in ("idle", "slope (idle to full load)", "held-out R2", "residual (share of mean)")
    }
    figures = {"energy_fit_r2": fit.r2, "energy_fit_hours": float(fit.hours)}
    return f"{head}\n\n{markdown(fit.table(), styles | {'antennas': '.1f'})}", figures
