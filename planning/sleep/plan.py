"""A sleep plan with its tables, and what it does on traffic that it was not made for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd

from planning.demand import Demand
from planning.errors import InputError
from planning.network import Network
from planning.power_states import CARRIER_OFF, DEEP_SLEEP, MUTING
from planning.sleep.evaluation import SleepEvaluation, evaluate
from planning.sleep.problem import SleepProblem
from planning.sleep.schedule import group_counts
from planning.sleep.settings import SleepSettings
from planning.solver import SolveResult

if TYPE_CHECKING:
    import plotly.graph_objects as go

ON = "on"


@dataclass(frozen=True)
class SleepPlan:
    """Which parts of which cells are awake when.

    Attributes
    ----------
    parts : (parts, hours) bool
        As in `CellGroups`: the cells in the order of network.cells, then the boosts of those that may be muted.
    relaxed : made for the traffic that can be served, because all of it cannot.
    evaluation : on the demand it was planned for.
    """

    strategy: str
    parts: np.ndarray
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
    def awake(self) -> np.ndarray:
        """(cells, hours) bool, muted or fully on."""
        return self.parts[: self.problem.groups.cells]

    @property
    def muted(self) -> np.ndarray:
        """(cells, hours) bool: awake with muted RF channels."""
        groups = self.problem.groups
        out = np.zeros(self.awake.shape, bool)
        owner = groups.cell_of_part[groups.cells :]
        out[owner] = self.parts[owner] & ~self.parts[groups.cells :]
        return out

    @property
    def hours(self) -> int:
        """Of the plan's cycle: 24, or those of the table."""
        return self.parts.shape[1]

    def states(self) -> np.ndarray:
        """(cells, hours) text: "on", or the name of an energy-saving state of `planning.power_states`."""
        groups, awake = self.problem.groups, self.awake
        out = np.full(awake.shape, ON, object)
        out[self.muted] = MUTING.name
        out[~awake] = DEEP_SLEEP.name
        # a carrier whose radio unit stays on for another one
        counts = group_counts(groups, self.parts)
        on = (groups.hubs @ counts) > 0
        for hub in np.flatnonzero(
            np.isin(np.arange(len(groups.hub_w)), np.unique(groups.hub[groups.hub_kind[groups.hub] == 0]))
        ):
            for g in groups.hub_group[groups.hub == hub]:
                cells = groups.parts[g][groups.parts[g] < groups.cells]
                out[np.ix_(cells, np.arange(awake.shape[1]))] = np.where(
                    ~awake[cells] & on[hub], CARRIER_OFF.name, out[cells]
                )
        return out

    def loads(self) -> np.ndarray:
        """(cells, hours) Mbit/s that each cell carries on the planning demand."""
        groups, problem = self.problem.groups, self.problem
        counts = group_counts(groups, self.parts)
        served = problem.serve(self.settings, counts, beyond=True)
        by_group = groups.spread(counts, served.load, self.settings.max_load)
        each = by_group / np.maximum(counts, 1)
        return self._of_cells(self.parts * each[groups.group_of_part])

    def capacities(self) -> np.ndarray:
        """(cells, hours) Mbit/s of each cell at full load, 0 where it sleeps."""
        groups = self.problem.groups
        return self._of_cells(self.parts * groups.capacity[groups.group_of_part, None])

    def _of_cells(self, values: np.ndarray) -> np.ndarray:
        """(parts, hours) -> (cells, hours): sums of a cell's two parts."""
        groups = self.problem.groups
        out = 0.0 + values[: groups.cells]
        out[groups.cell_of_part[groups.cells :]] += values[groups.cells :]
        return out

    def schedule(self) -> pd.DataFrame:
        """One row a cell and hour: cell, site, hour, awake, state, load_mbps, load (share of PRBs)."""
        row, hour = np.indices(self.awake.shape).reshape(2, -1)
        # texts as such from the start: of objects, each would be looked at
        text = {name: pd.Series(self.network.cells[name].to_numpy(object)).array for name in ("cell", "site")}
        loads, capacity = self.loads(), self.capacities()
        return pd.DataFrame(
            {
                "cell": text["cell"].take(row),
                "site": text["site"].take(row),
                "hour": hour,
                "awake": self.awake.ravel(),
                "state": self.states().ravel(),
                "load_mbps": loads.ravel(),
                "load": np.where(capacity > 0, loads / np.maximum(capacity, 1e-12), 0.0).ravel(),
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
                "wake_kwh": found.wake_kwh,
                "demand_mbps": found.demand,
                "served_mbps": found.served,
                "offloaded_mbps": found.offloaded,
                "unserved_mbps": found.unserved,
                "overloaded_sectors": found.overloaded_sectors,
                "max_load": found.max_load,
                "asleep_cells": found.asleep_cells,
                "muted_cells": found.muted_cells,
                "hole_km2": found.hole_km2,
            }
        )

    def best_cells(self) -> pd.DataFrame:
        """Cells by what their sleep saves: standing power only, cooling included, most first."""
        cells = self.network.cells
        groups = self.problem.groups
        saved = np.zeros(len(cells))
        np.add.at(
            saved,
            groups.cell_of_part,
            (~self.parts).sum(axis=1) * groups.full_saving_w[groups.group_of_part] / 1000,
        )
        table = pd.DataFrame(
            {
                "cell": cells["cell"],
                "site": cells["site"],
                "hours_asleep": (~self.awake).sum(axis=1),
                "hours_muted": self.muted.sum(axis=1),
                "saved_kwh": saved,
            }
        )
        return table.sort_values(["saved_kwh", "cell"], ascending=[False, True], ignore_index=True)

    @property
    def how(self) -> str:
        """Solver, true status and gap in a sentence, or that no program had to be solved."""
        if self.solve is None:
            return "A rule: no program had to be solved."
        if self.solve.solver in ("", "no program"):
            return "No program had to be solved."
        return self.solve.sentence

    def __repr__(self) -> str:
        found = self.evaluation
        asleep = int((~self.awake).any(axis=1).sum())
        relaxed = ", relaxed" if self.relaxed else ""
        return (
            f"SleepPlan({self.strategy}: saves {found.saving:.1%} of {found.always_on_kwh:,.1f} kWh in {found.hours} "
            f"hours, {asleep:,} of {len(self.awake):,} cells sleep, unserved {found.unserved_share:.3%}{relaxed})"
        )

    def to_pandas(self, start: str | pd.Timestamp | None = None) -> pd.DataFrame:
        """The schedule: site, awake, state, load_mbps and load (share of PRBs).

        Parameters
        ----------
        start : str or Timestamp, optional
            Date-time of hour 0, local time of the area.

        Returns
        -------
        DataFrame
            Index (cell, hour), or (cell, time) where `start` is given.
        """
        table = self.schedule()
        if start is None:
            return table.set_index(["cell", "hour"])
        times = pd.date_range(start, periods=self.hours, freq="h")
        return table.assign(time=times[table["hour"]]).drop(columns="hour").set_index(["cell", "time"])

    def to_geodataframe(self) -> gpd.GeoDataFrame:
        """The cells as points, EPSG:4326, in the order of the network.

        Returns
        -------
        GeoDataFrame
            Columns of the cells, `hours_asleep` and `hours_muted` (int, of the plan's hours) and `saved_kwh` (standing
            power only, cooling included).
        """
        told = self.best_cells().set_index("cell").loc[self.network.cells["cell"]].reset_index(drop=True)
        figures = ["hours_asleep", "hours_muted", "saved_kwh"]
        layer = self.network.to_geodataframe("cells")
        return layer.assign(**{name: told[name].to_numpy() for name in figures})

    def statistics(self) -> pd.Series:
        """The totals of `SleepEvaluation.record` on the planning demand: kWh, shares, Mbit/s-hours."""
        return pd.Series(self.evaluation.record(), name=self.strategy)

    def plot(self) -> go.Figure:
        """Energy by hour beside always on, as a plotly figure."""
        from planning.figures import energy_figure

        title = f"{self.strategy}: saves {self.evaluation.saving:.1%}"
        return energy_figure(self.energy_by_hour(), title)

    def record(self) -> dict[str, Any]:
        """For provenance."""
        operation = {k: v for k, v in asdict(self.problem.operation).items() if k != "never"}
        never = self.problem.operation.never
        known = {
            "strategy": self.strategy,
            "relaxed": self.relaxed,
            "quantile": self.problem.quantile,
            "settings": asdict(self.settings),
            "operation": operation | {"never": 0 if never is None else int(np.sum(never))},
            "result": self.evaluation.record(),
            "notes": [*self.problem.notes, *self.notes],
        }
        return known if self.solve is None else known | {"solve": self.solve.record()}


def replay(plan: SleepPlan, traffic: Demand | np.ndarray) -> SleepEvaluation:
    """The plan on traffic it was not made on: a Demand on tiles of the plan, or (classes, hours) Mbit/s.

    A plan of 24 hours repeats every day. The samples of an ensemble follow one another, each a full period. Raises
    InputError for hours that are no whole periods of the plan.
    """
    if isinstance(traffic, Demand):
        load = np.concatenate([plan.problem.laid(traffic, s) for s in range(traffic.samples)], axis=1)
    else:
        load = np.asarray(traffic, float)
        if load.ndim != 2 or load.shape[0] != plan.problem.graph.classes:
            raise InputError(
                f"The traffic must be ({plan.problem.graph.classes} classes, hours), not {load.shape}."
            )
    if load.shape[1] % plan.hours:
        raise InputError(
            f"A plan of {plan.hours} hours can only be replayed on whole periods of it, not on {load.shape[1]} hours."
        )
    return evaluate(plan.problem, plan.settings, plan.parts, load)
