"""Whether sleep, spectrum and deployment call the same traffic of a network and hour served.

All three take it from one radio model: sleep from capacities of sectors with every cell awake, spectrum from loads of
cells that depend on each other, deployment from the same loads.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.tables import markdown
from planning.coverage import Coverage, RadioSettings
from planning.demand import Demand, Scale
from planning.deployment.serving import served
from planning.network import Network
from planning.prb import network_utilisation
from planning.sleep import SleepProblem, SleepSettings
from planning.sleep.evaluation import evaluate

BUSY_MBPS = 150.0  # a site in the busiest hour: about 6 % are more than the cells carry
HEAVY_MBPS = 250.0  # a fifth is
PIXEL_M = 100.0
HOURS = (3, 12, 20)  # of the day: little, usual and most traffic


def served_by_page(network: Network, demand: Demand, hours: tuple[int, ...] = HOURS) -> pd.DataFrame:
    """A row an hour: hour, demand_mbps, sleep_mbps, spectrum_mbps, deployment_mbps (Mbit/s of both links). demand: of
    one sample."""
    radio = RadioSettings(pixel_m=PIXEL_M)
    coverage = Coverage.of(network, demand.x, demand.y, radio)
    problem = SleepProblem.build(network, demand, hours=None, quantile=0.5, coverage=coverage)
    awake = np.ones((problem.groups.number_of_parts, problem.hours), bool)
    asleep = evaluate(problem, SleepSettings(), awake)
    share = network_utilisation(network, demand, hours, radio).by_hour().set_index("hour")["served_share"]
    rows = []
    for hour in hours:
        total = float(demand.mbps[:, 0, hour].sum())
        found = served(network, demand, hour, radio, coverage)
        rows.append(
            {
                "hour": hour,
                "demand_mbps": total,
                "sleep_mbps": float(asleep.served[hour]),
                "spectrum_mbps": total * float(share[hour]),
                "deployment_mbps": found.served_mbps,
            }
        )
    return pd.DataFrame(rows)


def disagreement(table: pd.DataFrame, page: str) -> float:
    """Largest relative difference between a page and spectrum over the hours."""
    spectrum = table["spectrum_mbps"].to_numpy()
    return float(np.abs(table[f"{page}_mbps"].to_numpy() / np.maximum(spectrum, 1e-9) - 1).max())


def agreement(network: Network, x: np.ndarray, y: np.ndarray, seed: int) -> tuple[str, dict[str, float]]:
    """(report, figures sleep_spectrum_disagreement and deployment_spectrum_disagreement); the heavy load is reported
    in words."""
    sites = len(network.sites)
    tables = {
        load: served_by_page(network, _demand(x, y, sites * load, seed)) for load in (BUSY_MBPS, HEAVY_MBPS)
    }
    usual, heavy = tables[BUSY_MBPS], tables[HEAVY_MBPS]
    figures = {f"{page}_spectrum_disagreement": disagreement(usual, page) for page in ("sleep", "deployment")}
    text = (
        f"What the pages call served of {sites} sites, {BUSY_MBPS:g} Mbit/s a site in the busiest hour:\n\n"
        + markdown(usual, dict.fromkeys(usual.columns[1:], ",.0f"))
        + f"\n\nAt {HEAVY_MBPS:g} Mbit/s a site, where cells are overloaded, sleep and spectrum differ by up to "
        f"{disagreement(heavy, 'sleep'):.1%}: sleep takes capacities at its load limit and lets neighbours take over."
    )
    return text, figures


def _demand(x: np.ndarray, y: np.ndarray, busy_mbps: float, seed: int) -> Demand:
    """A day of one sample, tiles lognormal with sigma 0.7, that reaches `busy_mbps` in its busiest hour."""
    day = 0.55 + 0.45 * np.sin((np.arange(24) - 9) / 24 * 2 * np.pi)
    level = np.random.default_rng(seed).lognormal(0, 0.7, len(x))
    mbps = (busy_mbps * level[:, None, None] / level.sum() * (day / day.max())).astype(np.float32)
    return Demand(x, y, mbps, mbps / 2, np.ones(len(x)), Scale("given", 1.0, 1.0, "Made for this benchmark."))
