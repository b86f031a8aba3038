"""A sleep plan with its tables, and what it does on traffic that it was not made for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from planning.demand import Demand
from planning.errors import InputError
from planning.network import Network
from planning.network.serving import tile_shares
from planning.sleep.dispatch import dispatch
from planning.sleep.evaluation import SleepEvaluation, evaluate
from planning.sleep.problem import SleepProblem, SleepSettings
from planning.sleep.schedule import group_counts
from planning.solver import SolveResult


@dataclass(frozen=True)
class SleepPlan:
    """awake: (cells, hours) bool in the order of network.cells. relaxed: made for the traffic that can be served,
    because all of it cannot. evaluation: on the demand it was planned for."""

    strategy: str
    awake: np.ndarray
    problem: SleepProblem
    settings: SleepSettings
    solve: SolveResult | None
    relaxed: bool
    evaluation: SleepEvaluation
    notes: tuple[str, ...] = ()

    @property
    def network(self) -> Network:
        """Whose cells sleep."""
        return self.problem.network

    @property
    def hours(self) -> int:
        """Of the plan's cycle: 24, or those of the table."""
        return self.awake.shape[1]

    def loads(self) -> np.ndarray:
        """(cells, hours) Mbit/s that each cell carries on the planning demand."""
        groups = self.problem.groups
        counts = group_counts(groups, self.awake)
        served = dispatch(self.problem.demand, groups.capacity_of(counts), self.problem.ring)
        by_group = groups.spread(counts, served.load)
        out = np.zeros(self.awake.shape)
        for g, cells in enumerate(groups.cells):
            out[cells] = self.awake[cells] * (by_group[g] / np.maximum(counts[g], 1))
        return out

    def schedule(self) -> pd.DataFrame:
        """One row a cell and hour: cell, site, hour, awake, load_mbps."""
        cells = self.network.cells
        row, hour = np.indices(self.awake.shape).reshape(2, -1)
        return pd.DataFrame(
            {
                "cell": cells["cell"].to_numpy(object)[row],
                "site": cells["site"].to_numpy(object)[row],
                "hour": hour,
                "awake": self.awake.ravel(),
                "load_mbps": self.loads().ravel(),
            }
        )

    def energy_by_hour(self) -> pd.DataFrame:
        """One row an hour of the planning demand."""
        found = self.evaluation
        return pd.DataFrame(
            {
                "hour": np.arange(found.hours),
                "energy_kwh": found.energy,
                "always_on_kwh": found.always_on,
                "demand_mbps": found.demand,
                "served_mbps": found.served,
                "offloaded_mbps": found.offloaded,
                "unserved_mbps": found.unserved,
                "overloaded_sites": found.overloaded_sites,
                "asleep_cells": found.asleep_cells,
            }
        )

    def best_cells(self) -> pd.DataFrame:
        """Cells by what their sleep saves: standing power only, cooling included, most first."""
        cells = self.network.cells
        groups = self.problem.groups
        per_hour = np.zeros(len(cells))
        for g, rows in enumerate(groups.cells):
            per_hour[rows] = groups.wake_w[g] / 1000
        asleep = (~self.awake).sum(axis=1)
        table = pd.DataFrame(
            {
                "cell": cells["cell"],
                "site": cells["site"],
                "hours_asleep": asleep,
                "saved_kwh": asleep * per_hour,
            }
        )
        return table.sort_values(["saved_kwh", "cell"], ascending=[False, True], ignore_index=True)

    def record(self) -> dict[str, Any]:
        """For provenance."""
        known = {
            "strategy": self.strategy,
            "relaxed": self.relaxed,
            "quantile": self.problem.quantile,
            "settings": asdict(self.settings),
            "result": self.evaluation.record(),
            "notes": [*self.problem.notes, *self.notes],
        }
        return known if self.solve is None else known | {"solve": self.solve.record()}


def replay(plan: SleepPlan, traffic: Demand | np.ndarray) -> SleepEvaluation:
    """The plan on traffic it was not made on: a Demand on the same tiles or elsewhere, or (sites, hours) Mbit/s.

    A plan of 24 hours repeats every day. The samples of an ensemble follow one another, each a full period.
    """
    problem = plan.problem
    if isinstance(traffic, Demand):
        shares = tile_shares(problem.network, traffic.x, traffic.y)
        load = np.concatenate(
            [shares.apply(traffic.mbps[:, s].astype(float)) for s in range(traffic.samples)], axis=1
        )
    else:
        load = np.asarray(traffic, float)
        if load.ndim != 2 or load.shape[0] != len(problem.network.sites):
            raise InputError(
                f"The traffic must be ({len(problem.network.sites)} sites, hours), not {load.shape}."
            )
    if load.shape[1] % plan.hours:
        raise InputError(
            f"A plan of {plan.hours} hours can only be replayed on whole periods of it, not on {load.shape[1]} hours."
        )
    awake = np.tile(plan.awake, load.shape[1] // plan.hours)
    return evaluate(problem, awake, load)
