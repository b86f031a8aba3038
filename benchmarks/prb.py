"""How good PRB plans are and how long they take: seeded hexagonal networks of three sizes, two loads, both links.

Stations stand 500 m apart, users are uniform over their cells and ask for lognormal rates around a stated mean. Figures
of the moderate load on the uplink have plain names, the others the load and link in theirs. All plans stand beside what
no plan exceeds, and beside the three rules. The last figure is the utilisation of a whole network in 24 hours.
"""

from __future__ import annotations

import argparse
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from unittest.mock import patch

import numpy as np
import pandas as pd

from benchmarks.coverage import BUSY_MBPS, HOURS, made_demand, made_network
from benchmarks.tables import markdown
from planning.coverage import RateMapping
from planning.demand import Demand, Scale
from planning.errors import InputError
from planning.geometry import metres_per_degree
from planning.network import Network
from planning.prb import BASELINES, PrbPlan, PrbProblem, PrbSettings, Users, baseline, solve_prb
from planning.prb.utilisation import network_utilisation
from planning.radio import Radio
from planning.solver import relative_gap

SUMMARY = "PRB plans beside their bounds and against rules, at two loads; utilisation of a whole network"
STATION_M = 500.0  # between stations, usual in a dense city
CENTRE = (115.86, 28.68)
HEAVY, MODERATE = "heavy", "moderate"


@dataclass(frozen=True)
class Size:
    """Users, stations, PRBs of a channel in MHz, seconds allowed, and Mbit/s a user at each load."""

    name: str
    users: int
    stations: int
    prbs: int
    bandwidth_mhz: int
    seconds: float
    mbps: dict[str, float]
    seeds: int = 1


SIZES = (
    Size("exact_10_3_6", 10, 3, 6, 20, 10.0, {MODERATE: 1.0, HEAVY: 2.0}, seeds=3),
    Size("m60_7_50", 60, 7, 50, 20, 60.0, {MODERATE: 4.0, HEAVY: 8.0}),
    Size("l500_20_273", 500, 20, 273, 100, 60.0, {MODERATE: 4.0, HEAVY: 8.0}),
)


_STYLES = {
    "load": ".0f",
    "seconds": ".1f",
    "cpu": ".1f",
    "gap %": ".3f",
    "demand": ",.1f",
    "served": ",.1f",
    "at most": ",.1f",
    "objective": ",.1f",
    "bound": ",.1f",
    "best rule": ",.1f",
    "gain %": ".1f",
}
NETWORK, QUICK_NETWORK = (2000, 26), (60, 4)  # sites, tiles a side


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=0, help="of users and their demands (default 0)")
    parser.add_argument("--links", choices=("uplink", "downlink", "both"), default="both")
    parser.add_argument(
        "--sizes", nargs="+", choices=[size.name for size in SIZES], help="only these (default: all)"
    )
    parser.add_argument("--loads", nargs="+", choices=(MODERATE, HEAVY), help="only these (default: both)")
    parser.add_argument(
        "--rates", choices=("shannon", "mcs"), default="shannon",
        help="log2(1 + SINR), as in eq. 15 (default), or the CQI table of TS 38.214 with 256QAM",
    )  # fmt: skip
    parser.add_argument(
        "--seconds-times", type=float, default=1.0, metavar="X",
        help="time limits times this, for a machine with other work; see the CPU seconds (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--processor-time", action="store_true",
        help="time limits in seconds of the processor, for a machine with other work: plans are those of a quiet one",
    )  # fmt: skip
    parser.add_argument("--no-network", action="store_true", help="leave the whole network out")


def run(options: argparse.Namespace) -> tuple[str, dict[str, float]]:
    """The report in words and a table, and its figures by name."""
    if options.seed < 0:
        raise InputError("The seed must be at least 0.")
    if not options.seconds_times > 0:
        raise InputError("Time limits can only be multiplied by a number above 0.")
    links = ("uplink", "downlink") if options.links == "both" else (options.links,)
    rows, figures = [], {"seed": options.seed, "quick": int(options.quick)}
    mapping = RateMapping() if options.rates == "mcs" else None
    for size in SIZES:
        if options.sizes and size.name not in options.sizes:
            continue
        size = replace(size, seconds=size.seconds * options.seconds_times)
        if options.quick:
            size = replace(size, users=min(size.users, 40), seconds=min(size.seconds, 4.0), seeds=1)
        for link in links:
            for load in options.loads or size.mbps:
                with _clock(options.processor_time):
                    measured = [
                        measure(size, load, link, options.seed + s, mapping) for s in range(size.seeds)
                    ]
                rows += measured
                figures |= _figures(size, load, link, pd.DataFrame(measured))
    table = pd.DataFrame(rows)
    text = (
        f"Hexagonal networks, {STATION_M:g} m between stations, UMa NLOS at 2.6 GHz, seed {options.seed}, rates by "
        f"{options.rates}. Load: mean Mbit/s a user asks for on the link. Gap: between objective and bound, as a share "
        "of the demand. At most: what no plan exceeds; at least: PRBs of any plan that serves as much. Gain: over the "
        "best rule, as a share of that rule's objective. CPU seconds are those of the process, on one core.\n\n"
        + markdown(table, _STYLES)
    )
    if not options.no_network:
        told, found = whole_network(*(QUICK_NETWORK if options.quick else NETWORK), options.seed)
        text += f"\n\n{told}"
        figures |= found
    return text, figures


def _clock(processor: bool) -> AbstractContextManager[object]:
    """The clock by which plans keep to their time limits: the wall's, or seconds of this process."""
    return patch("time.perf_counter", time.process_time) if processor else nullcontext()


def whole_network(sites: int, side: int, seed: int) -> tuple[str, dict[str, float]]:
    """Utilisation of every cell of the network of `benchmarks coverage` in 24 hours, levels included."""
    network, x, y = made_network(sites, (side, side), seed)
    mbps = made_demand(side**2, sites, seed)[:, None].astype(np.float32)
    demand = Demand(x, y, mbps, mbps, np.ones(len(x)), Scale("measured", 1.0, 1.0, "Made demand."))
    clock, cpu = time.perf_counter(), time.process_time()
    found = network_utilisation(network, demand, range(HOURS), downlink_share=1.0)
    hot = found.hot_spots()
    seconds, cpu = time.perf_counter() - clock, time.process_time() - cpu
    told = (
        f"Whole network, {BUSY_MBPS:g} Mbit/s a site in the busiest hour: {seconds:.1f} s ({cpu:.1f} s of processor). "
        f"{found.sentence_of_all} Worst sector: {hot['sector'].iloc[0] if len(hot) else 'none'}."
    )
    return told, {
        "network_2000_24_seconds": round(seconds, 2),
        "network_2000_24_cpu_seconds": round(cpu, 2),
        "network_2000_24_served_share": float(found.loads.served_share.min()),
    }


def measure(size: Size, load: str, link: str, seed: int, mapping: RateMapping | None = None) -> dict:
    """One row of the table: the plan of one instance, and the best of the rules."""
    problem = replace(instance(size, size.mbps[load], link, seed), mapping=mapping)
    settings = PrbSettings(time_limit=0.95 * size.seconds, threads=1, seed=seed)
    clock, cpu = time.perf_counter(), time.process_time()
    plan = solve_prb(problem, settings)
    seconds, cpu = time.perf_counter() - clock, time.process_time() - cpu
    rules = [baseline(problem, name, settings) for name in BASELINES]
    best = max(rules, key=lambda rule: rule.objective_mbps)
    return {
        "size": size.name, "link": link, "load": size.mbps[load], "seed": seed, "seconds": seconds, "cpu": cpu,
        "demand": problem.demand_mbps.sum(), "served": plan.served_mbps, "at most": plan.served_bound_mbps,
        "met": int(plan.met.sum()), "met at most": plan.met_bound, "users": len(plan.met), "unserved": plan.unserved,
        "PRBs": plan.used_prbs, "PRBs at least": plan.prbs_bound, "objective": plan.objective_mbps,
        "bound": plan.bound_mbps, "gap %": np.nan if plan.gap is None else 100 * plan.gap,
        "best rule": best.objective_mbps,
        "rule met": int(best.met.sum()), "gain %": 100 * _gain(plan, best), "proven": _proven(plan),
    }  # fmt: skip


def _gain(plan: PrbPlan, rule: PrbPlan) -> float:
    difference = relative_gap(rule.objective_mbps, plan.objective_mbps) or 0.0
    return difference if plan.objective_mbps >= rule.objective_mbps else -difference


def _proven(plan: PrbPlan) -> str:
    return "yes" if plan.gap is not None and plan.gap <= 1e-4 else "no"


def _figures(size: Size, load: str, link: str, rows: pd.DataFrame) -> dict[str, float]:
    """Flat figures; the moderate load on the uplink has the plain names."""
    plain = load == MODERATE and link == "uplink"
    name = size.name if plain else f"{size.name}_{load}_{link}"
    out = {
        f"{name}_seconds": round(float(rows["seconds"].max()), 2),
        f"{name}_cpu_seconds": round(float(rows["cpu"].max()), 2),
        f"{name}_gap": float(rows["gap %"].max() / 100),
        f"{name}_unserved": int(rows["unserved"].max()),
        f"{name}_served_mbps": float(rows["served"].mean()),
        f"{name}_served_bound_mbps": float(rows["at most"].mean()),
        f"{name}_met": float(rows["met"].mean()),
        f"{name}_met_bound": float(rows["met at most"].mean()),
        f"{name}_prbs": float(rows["PRBs"].mean()),
        f"{name}_prbs_bound": float(rows["PRBs at least"].mean()),
        f"{name}_gain": float(rows["gain %"].min() / 100),
    }
    if size.name.startswith("exact"):
        out[f"{name}_proven"] = float((rows["proven"] == "yes").mean())
    if plain and size.name.startswith("l500"):
        out["gain_over_best_baseline"] = out[f"{name}_gain"]
    return out


def instance(size: Size, mbps: float, link: str, seed: int) -> PrbProblem:
    """A seeded problem of this size; mbps: mean demand of a user on the link."""
    rng = np.random.default_rng(seed)
    places = hexagon(size.stations)
    reach = np.hypot(*places.T).max() + STATION_M
    users = np.zeros((0, 2))
    while len(users) < size.users:
        drawn = rng.uniform(-reach, reach, (size.users, 2))
        near = np.hypot(*(drawn[:, None] - places).T).min(axis=0) < STATION_M / np.sqrt(3)
        users = np.concatenate([users, drawn[near]])[: size.users]
    demand = rng.lognormal(0, 0.5, size.users)
    lon, lat = _degrees(users)
    told = f"{size.users} users, seed {seed}."
    made = Users(lon, lat, demand * mbps / demand.mean(), 1.0, 0, told)
    network = Network.from_sites(*_degrees(places))
    radio = Radio(bandwidth_mhz=size.bandwidth_mhz, link=link, traffic_share=1.0)
    return replace(PrbProblem.build(network, made, radio), prbs=size.prbs)


def _degrees(metres: np.ndarray) -> np.ndarray:
    """(2, places) longitude and latitude of places in metres around CENTRE."""
    return (np.array(CENTRE) + metres / metres_per_degree(CENTRE[1])).T


def hexagon(count: int) -> np.ndarray:
    """(count, 2) metres: the first places of a hexagonal grid, ring by ring around the origin."""
    places, ring = [(0.0, 0.0)], 1
    while len(places) < count:
        x, y = ring * STATION_M, 0.0
        for side in range(6):
            turn = np.pi / 3 * (side + 2)
            for _ in range(ring):
                places.append((x, y))
                x, y = x + STATION_M * np.cos(turn), y + STATION_M * np.sin(turn)
        ring += 1
    return np.array(places[:count])
