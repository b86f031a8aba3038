"""What a plan is worth that was made on generated traffic: judged on the real traffic of the same, held-out tiles.

Sleep and deployment plans are made on traffic that the model generated for tiles it has not seen, and on the real
traffic of those tiles. Both are then judged on the real week. The plan made on the real week knows what it is judged
on, so no plan can be expected to match it; what is lost against it is the regret.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from benchmarks.held_out import GENERATED, UNINFORMED, HeldOut, held_out_weeks
from benchmarks.nearest_site import tile_shares
from benchmarks.tables import markdown
from plannerbase.progress import Progress
from planning.coverage import Coverage
from planning.demand import Demand, Scale
from planning.deployment import density, deploy, largest_remainder
from planning.deployment.judging import compare
from planning.deployment.placement import place
from planning.errors import InputError
from planning.network import Network
from planning.sleep import STRATEGIES, SleepProblem, SleepSettings, compared, plan_sleep, replay
from planning.sleep.dispatch import dispatch
from planning.sleep.offload import OffloadGraph
from planning.traffic import TrafficTable

SUMMARY = "sleep and deployment plans made on generated traffic, judged on the real traffic of held-out tiles"
REAL = "real"
BLIND = tuple(name for name in compared() if STRATEGIES[name].blind)
RULES, ALL = ("threshold", "greedy"), ("threshold", "greedy", "milp")
PLANNED = {0.5: RULES, 0.75: ALL, 0.9: ALL, 0.95: ALL, 0.99: ALL}  # quantile of samples and days: strategies
SIZING_QUANTILE = 0.9
DEPLOYED_SITES = (100, 1000)  # 100 are about one in three tiles, 1000 show the weights with little rounding
RING_M, RING_SITES = 2000.0, 6  # as the sleep planner's default
HEADROOM = 0.2  # capacity of all sites together beyond the real busy hour


@dataclass(frozen=True)
class Demands:
    """Mbit/s of the real week and of each made ensemble, on one scale that was computed once, on the real week."""

    real: Demand
    made: dict[str, Demand]

    @classmethod
    def of(cls, weeks: HeldOut) -> Demands:
        real = TrafficTable.from_arrays(weeks.x, weeks.y, weeks.real)
        scale = Scale.subscribers(real)
        made = {name: TrafficTable.from_arrays(weeks.x, weeks.y, t) for name, t in weeks.made.items()}
        return cls(
            Demand.build(real, scale), {name: Demand.build(table, scale) for name, table in made.items()}
        )

    def sources(self) -> dict[str, Demand]:
        return self.made | {REAL: self.real}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", required=True, type=Path, metavar="PACK", help="pack with traffic and imagery"
    )
    parser.add_argument(
        "--samples", type=int, default=60, help="generated weeks a tile (default 60, at most 12 quick)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--sites",
        type=int,
        default=100,
        help="sites of the network that sleeps (default 100, at most 40 quick)",
    )
    parser.add_argument(
        "--time-limit", type=float, default=30.0, help="seconds for each MILP (default 30, at most 5 quick)"
    )


def run(options: argparse.Namespace) -> tuple[str, dict[str, float]]:
    """The report in words and tables, and its figures by name."""
    from opendiff.open_data.sources import PackSource
    from plannerbase.progress import StageBars

    if options.samples < 2 or options.seed < 0 or options.sites < 2:
        raise InputError("The benchmark needs at least 2 samples, 2 sites and a seed of at least 0.")
    samples, sites, limit = options.samples, options.sites, options.time_limit
    if options.quick:
        samples, sites, limit = min(samples, 12), min(sites, 40), min(limit, 5.0)
    started = time.perf_counter()
    pack, bars = PackSource(options.data), StageBars()
    weeks = held_out_weeks(pack, samples, options.seed, options.quick, bars)
    demands = Demands.of(weeks)
    network = default_network(demands.made[GENERATED], sites)
    settings = SleepSettings(allow_unserved=True, threads=1, time_limit=limit)
    sleep = sleep_worth(demands, network, settings, progress=bars)
    deployment = deployment_worth(demands, weeks.intensities)
    figures = {
        "tiles": demands.real.tiles, "folds": weeks.folds, "samples": samples, "seed": options.seed,
        "sleep_sites": sites, "quick": int(options.quick), **sleep_figures(sleep), **deployment_figures(deployment),
        "seconds": round(time.perf_counter() - started, 1),
    }  # fmt: skip
    text = describe(pack.name, weeks, samples, options.seed, demands, network, sleep, deployment)
    return text, figures


# --- sleep -------------------------------------------------------------------------------------------------------


def default_network(demand: Demand, sites: int) -> Network:
    """Sites in proportion to traffic, sized for it: what a planner gets who has this demand and no network."""
    return deploy(demand, sites, "traffic", quantile=SIZING_QUANTILE, headroom=HEADROOM).network


def sleep_worth(
    demands: Demands,
    network: Network,
    settings: SleepSettings,
    planned: dict[float, tuple[str, ...]] = PLANNED,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Plans of a typical day (24 hours) made on each source, judged on the real week in one network.

    One row a plan: quantile (of samples and days), strategy, source, kwh_per_day, saving (share of always on),
    regret (energy beyond that of the same plan made on the real week, as a share), unserved_share, overload_hours (of
    the week), gap (of the solver, NaN for rules). Strategies blind to traffic come first, without quantile or source.
    """
    wanted: list[tuple[float | None, str, str]] = [(None, name, REAL) for name in BLIND]
    wanted += [
        (q, name, source) for q, names in planned.items() for name in names for source in demands.sources()
    ]
    coverage = Coverage.of(network, demands.real.x, demands.real.y)
    rows = []
    for done, (quantile, strategy, source) in enumerate(wanted):
        demand = demands.sources()[source]
        problem = SleepProblem.build(
            network, demand, quantile=SIZING_QUANTILE if quantile is None else quantile, coverage=coverage
        )
        plan = plan_sleep(problem, strategy, settings)
        judged = replay(plan, demands.real)
        rows.append(
            {
                "quantile": np.nan if quantile is None else quantile,
                "strategy": strategy,
                "source": "" if quantile is None else source,
                "kwh_per_day": judged.kwh_per_day,
                "saving": judged.saving,
                "unserved_share": judged.unserved_share,
                "overload_hours": judged.overload_hours,
                "gap": np.nan if plan.solve is None or plan.solve.gap is None else plan.solve.gap,
            }
        )
        if progress:
            progress(done + 1, len(wanted), "sleep plans")
    frame = pd.DataFrame(rows)
    real = frame[frame["source"] == REAL].set_index(["quantile", "strategy"])["kwh_per_day"]
    best = pd.MultiIndex.from_frame(frame[["quantile", "strategy"]]).map(real.to_dict()).to_numpy(float)
    frame.insert(5, "regret", frame["kwh_per_day"] / best - 1)
    return frame


def sleep_figures(frame: pd.DataFrame) -> dict[str, float]:
    """Flat figures: sleep[_q90]_strategy[_source]_figure."""
    figures = {}
    for row in frame.itertuples(index=False):
        plan = "" if np.isnan(row.quantile) else f"_q{100 * row.quantile:.0f}"
        source = f"_{row.source}" if row.source else ""
        for name in ("kwh_per_day", "saving", "regret", "unserved_share", "overload_hours", "gap"):
            if not np.isnan(value := float(getattr(row, name))):
                figures[_key(f"sleep{plan}_{row.strategy}{source}_{name}")] = value
    return figures


# --- deployment --------------------------------------------------------------------------------------------------


def deployment_worth(
    demands: Demands, intensities: dict[str, np.ndarray], site_numbers: Sequence[int] = DEPLOYED_SITES
) -> pd.DataFrame:
    """Sites in proportion to each weight, judged by the real week.

    One row a number of sites and weight: sites, placed_by, jsd and cosine of the sites against the real weekly traffic
    over the tiles, served_share of real traffic in its busiest hour.
    """
    real = demands.real.mean_mbps()
    weights = {
        f"{GENERATED} traffic": density(demands.made[GENERATED], "traffic"),
        **intensities,
        "uniform": density(demands.real, "uniform"),
        f"{REAL} traffic": real,
    }
    rows = []
    for sites in site_numbers:
        for name, weight in weights.items():
            counts = largest_remainder(weight, sites)
            match = compare(counts, real)
            served = served_share(demands.real, counts)
            rows.append(
                {
                    "sites": sites,
                    "placed_by": name,
                    "jsd": match.jsd,
                    "cosine": match.cosine,
                    "served_share": served,
                }
            )
    return pd.DataFrame(rows)


def served_share(demand: Demand, counts: np.ndarray) -> float:
    """Share of the busiest hour's traffic that sites in these tiles serve, all of them awake and alike.

    Together they have HEADROOM more capacity than that hour asks for, so what is not served is asked for in another
    place. Traffic goes to the nearest site, and what is too much for it to others in its ring, as in sleep planning.
    """
    busy = demand.mbps[:, 0, demand.mbps[:, 0].sum(axis=0).argmax()].astype(float)
    lon, lat, _ = place(demand.x, demand.y, counts)
    network = Network.from_sites(lon, lat)
    load = tile_shares(network, demand.x, demand.y).apply(busy[:, None])
    capacity = np.full_like(load, (1 + HEADROOM) * busy.sum() / len(load))
    metres = network.metres()
    apart, near = cKDTree(metres).query(
        metres, k=min(RING_SITES + 1, len(metres)), distance_upper_bound=RING_M
    )
    others = [
        [int(t) for d, t in zip(*pair, strict=True) if np.isfinite(d) and t != s]
        for s, pair in enumerate(
            zip(apart.reshape(len(metres), -1), near.reshape(len(metres), -1), strict=True)
        )
    ]
    served = dispatch(load, capacity, OffloadGraph.of_classes(np.arange(len(metres)), others, len(metres)))
    return float(served.load.sum() / busy.sum())


def deployment_figures(frame: pd.DataFrame) -> dict[str, float]:
    """Flat figures: deploy_sites_weight_figure."""
    return {
        _key(f"deploy_{row.sites}_{row.placed_by}_{name}"): float(getattr(row, name))
        for row in frame.itertuples(index=False)
        for name in ("jsd", "cosine", "served_share")
    }


# --- report ------------------------------------------------------------------------------------------------------


def describe(
    name: str,
    weeks: HeldOut,
    samples: int,
    seed: int,
    demands: Demands,
    network: Network,
    sleep: pd.DataFrame,
    deployment: pd.DataFrame,
) -> str:
    """The report: what was done, on which assumptions, and both tables."""
    cells = int((~network.cells["is_coverage"]).sum())
    shown = sleep.assign(
        **{column: 100 * sleep[column] for column in ("quantile", "saving", "regret", "unserved_share", "gap")}
    ).rename(columns={"source": "made on", "quantile": "quantile %", "saving": "saving %", "regret": "regret %",
                      "unserved_share": "unserved %", "gap": "gap %", "kwh_per_day": "kWh a day",
                      "overload_hours": "overload hours"})  # fmt: skip
    styles = {"quantile %": ".0f", "kWh a day": ",.0f", "saving %": ".1f", "regret %": ".1f", "unserved %": ".4f",
              "overload hours": ".0f", "gap %": ".1f"}  # fmt: skip
    placed = deployment.assign(served_share=100 * deployment["served_share"]).rename(
        columns={"placed_by": "placed by", "served_share": "served %"}
    )
    return "\n".join(
        [
            f"Plans judged on the real week of {demands.real.tiles} held-out tiles of {name}: {weeks.folds} spatial "
            f"folds, {samples} generated weeks a tile, seed {seed}.",
            demands.real.scale.sentence,
            "Mbit/s per unit were computed once, on the real week, and used for generated traffic too.",
            *weeks.notes,
            "",
            f"Sleep: {len(network.sites)} sites with {cells} cells that may sleep, placed by and sized for generated "
            f"traffic, the same network for all. A typical day is planned at a quantile of samples and days. Energy is "
            f"what the plan uses in the real week; regret compares it with the same plan made on that very week. "
            f"{UNINFORMED!r} plans on the weeks of training tiles drawn at random.",
            "",
            markdown(shown, styles),
            "",
            "Deployment: sites over the tiles in proportion to a weight, against the real weekly traffic. Served: of "
            f"real traffic in its busiest hour, by equal sites with {100 * HEADROOM:.0f} % more capacity than it asks "
            f"for; the nearest site serves, and up to {RING_SITES} within {RING_M:,.0f} m help.",
            "",
            markdown(placed, {"jsd": ".3f", "cosine": ".3f", "served %": ".1f"}),
        ]
    )


def _key(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
