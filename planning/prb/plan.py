"""A PRB plan with its figures, and why a demand is not met."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd

from planning.prb.problem import MET, PrbProblem, PrbSettings
from planning.prb.sinr import Grid
from planning.solver import SolveResult

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True)
class PrbPlan:
    """Who has which PRBs, what that gives, and how good it is."""

    strategy: str
    problem: PrbProblem
    settings: PrbSettings
    station: np.ndarray  # (users,) row of the site, -1 for none
    prbs: tuple[np.ndarray, ...]  # of each user: its PRBs' numbers
    rate_mbps: np.ndarray  # (users,) with the true SINR
    sinr_db: np.ndarray  # (users,) the one SINR that would give that rate on each of its PRBs, NaN for none
    objective_mbps: float
    unmet: tuple[str, ...]  # a sentence for each user whose demand is not met, in their order
    bound_mbps: float | None = None  # no plan's objective exceeds it
    served_bound_mbps: float | None = None  # no plan serves more
    met_bound: int | None = None  # no plan meets more demands
    prbs_bound: int | None = None  # no plan that serves as much uses fewer PRBs
    solve: SolveResult | None = None
    how: str = ""  # what made it and how good that is, in words
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, strategy: str, grid: Grid, settings: PrbSettings, **more: Any) -> PrbPlan:
        """The plan of a grid; `more`: the fields from bound_mbps on."""
        problem = grid.problem
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = 2 ** (grid.rate / problem.prb_mhz / np.maximum(grid.count, 1)) - 1
            sinr_db = 10 * np.log10(np.where(grid.count > 0, mean, np.nan))
        notes = (f"{problem.radio.share:.0%} of the traffic is taken to be {problem.radio.link}.",)
        return cls(
            strategy,
            problem,
            settings,
            grid.station.copy(),
            tuple(np.flatnonzero(row) for row in grid.uses),
            grid.rate.copy(),
            sinr_db,
            grid.score,
            reasons(grid, settings),
            **{"notes": notes} | more,
        )

    def __repr__(self) -> str:
        return (
            f"PrbPlan({self.strategy}: {int(self.met.sum())} of {len(self.met)} demands met, "
            f"{self.served_mbps:,.1f} of {float(self.problem.demand_mbps.sum()):,.1f} Mbit/s, "
            f"{self.used_prbs:,} PRBs of {self.problem.stations} stations x {self.problem.prbs})"
        )

    def to_pandas(self) -> pd.DataFrame:
        """`assignment` by user."""
        return self.assignment().set_index("user")

    def to_geodataframe(self) -> gpd.GeoDataFrame:
        """`assignment` as points, EPSG:4326."""
        table = self.assignment()
        return gpd.GeoDataFrame(
            table, geometry=gpd.points_from_xy(table["lon"], table["lat"]), crs="EPSG:4326"
        )

    def statistics(self) -> pd.Series:
        """The totals of `figures`, without the strategy's name."""
        return pd.Series({k: v for k, v in self.figures().items() if k != "strategy"}, name=self.strategy)

    def plot(self) -> go.Figure:
        """PRBs in use by station, as a plotly figure."""
        from planning.figures import bars_figure

        table = self.stations()
        title = f"{self.strategy}: {int(self.met.sum())} of {len(self.met)} demands met"
        return bars_figure(table["site"], table["used_prbs"], f"PRBs in use of {self.problem.prbs}", title)

    @property
    def met(self) -> np.ndarray:
        """(users,) bool."""
        return self.rate_mbps >= self.problem.demand_mbps * MET

    @property
    def used_prbs(self) -> int:
        """Of all stations together."""
        return sum(len(p) for p in self.prbs)

    @property
    def utilisation(self) -> np.ndarray:
        """(stations,) share of PRBs in use."""
        return (self.prb_map() >= 0).mean(axis=1)

    @property
    def gap(self) -> float | None:
        """Distance of the objective to its bound, as a share of the demand; the objective itself may cross zero."""
        if self.bound_mbps is None:
            return None
        return max(0.0, self.bound_mbps - self.objective_mbps) / float(self.problem.demand_mbps.sum())

    @property
    def served_gap(self) -> float | None:
        """Mbit/s that may be served beyond what is served, as a share of the most that can be."""
        if not self.served_bound_mbps:
            return None
        return max(0.0, 1 - self.served_mbps / self.served_bound_mbps)

    @property
    def bounds_sentence(self) -> str:
        """What no plan exceeds, in words; empty where nothing is known."""
        if self.served_bound_mbps is None:
            return ""
        least = max(0.0, float(self.problem.demand_mbps.sum()) - self.served_bound_mbps)
        text = (
            f"No plan serves more than {self.served_bound_mbps:,.1f} Mbit/s (at least {least:,.1f} missing) or meets "
            f"more than {self.met_bound} demands"
        )
        if self.prbs_bound is not None:
            text += f", and none that serves as much uses fewer than {self.prbs_bound} PRBs"
        return f"{text}."

    @property
    def missing_mbps(self) -> float:
        """Demand beyond what users get."""
        return float(np.maximum(self.problem.demand_mbps - self.rate_mbps, 0.0)[~self.met].sum())

    @property
    def served_mbps(self) -> float:
        """Demand that is served: each rate up to the demand."""
        return float(np.minimum(self.rate_mbps, self.problem.demand_mbps).sum())

    @property
    def unserved(self) -> int | None:
        """Demands not met beyond those that the bound rules out."""
        return None if self.met_bound is None else max(0, self.met_bound - int(self.met.sum()))

    @property
    def sentence(self) -> str:
        """The plan in words."""
        text = (
            f"{self.strategy.capitalize()}: {int(self.met.sum())} of {len(self.met)} demands met, "
            f"{self.served_mbps:,.2f} Mbit/s "
            f"served, {self.missing_mbps:,.2f} Mbit/s missing, {self.used_prbs:,} PRBs used, with true SINR"
        )
        if self.how:
            text += f" ({self.how})"
        return f"{text}. {self.problem.users.sentence}"

    def assignment(self) -> pd.DataFrame:
        """One row a user."""
        names = np.array([*self.problem.site_names, None], object)
        why = iter(self.unmet)
        return pd.DataFrame(
            {
                "user": np.arange(len(self.station)),
                "lon": self.problem.users.lon,
                "lat": self.problem.users.lat,
                "site": names[self.station],
                "prb_count": [len(p) for p in self.prbs],
                "prbs": [" ".join(map(str, p)) for p in self.prbs],
                "demand_mbps": self.problem.demand_mbps,
                "rate_mbps": self.rate_mbps,
                "sinr_db": self.sinr_db,
                "met": self.met,
                "why_not": [None if met else next(why) for met in self.met],
            }
        )

    def stations(self) -> pd.DataFrame:
        """One row a station: users, PRBs in use, utilisation, Mbit/s."""
        served = self.station >= 0
        count = self.problem.stations
        return pd.DataFrame(
            {
                "site": list(self.problem.site_names),
                "users": np.bincount(self.station[served], minlength=count),
                "used_prbs": (self.prb_map() >= 0).sum(axis=1),
                "utilisation": self.utilisation,
                "rate_mbps": np.bincount(self.station[served], self.rate_mbps[served], count),
            }
        )

    def prb_map(self) -> np.ndarray:
        """(stations, prbs) user of each PRB, -1 where free."""
        out = np.full((self.problem.stations, self.problem.prbs), -1)
        for user, (station, prbs) in enumerate(zip(self.station, self.prbs, strict=True)):
            out[station, prbs] = user
        return out

    def figures(self) -> dict[str, Any]:
        """What plans are compared by."""
        return {
            "strategy": self.strategy,
            "users": len(self.met),
            "met": int(self.met.sum()),
            "demand_mbps": float(self.problem.demand_mbps.sum()),
            "served_mbps": self.served_mbps,
            "missing_mbps": self.missing_mbps,
            "rate_mbps": float(self.rate_mbps.sum()),
            "used_prbs": self.used_prbs,
            "utilisation": float(self.utilisation.mean()),
            "objective_mbps": self.objective_mbps,
            "served_bound_mbps": self.served_bound_mbps,
            "met_bound": self.met_bound,
            "prbs_bound": self.prbs_bound,
        }

    def record(self) -> dict[str, Any]:
        """For provenance."""
        out = {
            **self.figures(),
            "sentence": self.sentence,
            "hour": self.problem.users.hour,
            "weight": self.problem.users.weight,
            "prbs": self.problem.prbs,
            "bound_mbps": self.bound_mbps,
            "gap_to_bound": self.gap,
            "settings": asdict(self.settings),
            "radio": asdict(self.problem.radio),
            "traffic_share": self.problem.radio.share,
            "notes": list(self.notes),
        }
        return out | ({"solve": self.solve.record()} if self.solve else {})


def compared(plans: list[PrbPlan]) -> pd.DataFrame:
    """One row a plan: `PrbPlan.figures`."""
    return pd.DataFrame([plan.figures() for plan in plans])


def reasons(grid: Grid, settings: PrbSettings) -> tuple[str, ...]:
    """For each demand that is not met: the user, the best rate that it could get, and what stands in the way."""
    problem, most = grid.problem, settings.most(grid.problem)
    used = (grid.owner >= 0).sum(axis=1)
    limit = "one PRB, as the paper's mode allows" if most == 1 else f"all {most} PRBs"
    out = []
    for user in np.flatnonzero(grid.rate < problem.demand_mbps * MET).tolist():
        demand, count, station = problem.demand_mbps[user], int(grid.count[user]), int(grid.station[user])
        alone = problem.rates(user, np.arange(problem.stations), most, 0.0)
        best = int(alone.argmax())
        at = station if station >= 0 else best
        name, could = problem.site_names[at], f"alone on {limit} of {problem.site_names[best]} it could get"
        if alone[best] < demand * MET:
            # ten times the PRBs: thinner power on the uplink, more of it on the downlink
            more = problem.rates(user, best, 10 * most, 0.0)
            why = "PRBs are the limit" if more >= demand else "power is the limit"
        elif count and problem.rates(user, at, count, 0.0) >= demand * MET:
            quiet = float(problem.rates(user, at, count, 0.0))
            why = f"interference is the limit: its {count} PRBs of {name} would give {quiet:,.2f} without it"
        elif used[at] < problem.prbs and most > 1:
            why = f"interference is the limit: on {name}'s free PRBs others would lose more than it gains"
        else:
            why = f"PRBs are the limit: {used[at]} of {problem.prbs} are in use at {name}"
        out.append(
            f"User {user} asks for {demand:,.2f} Mbit/s and gets {grid.rate[user]:,.2f}; {could} {alone[best]:,.2f}; "
            f"{why}."
        )
    return tuple(out)
