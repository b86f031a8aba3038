"""The verbs of the package, each from a network and traffic of any origin to a result. `import planning` offers them.

They are a thin layer over the modules that the command line and the app use; where a verb needs no more than its own
module, that one is the verb (`planning.deployment.deploy`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import pandas as pd

from plannerbase.progress import Progress
from planning.coverage import Coverage, PixelGrid, RadioSettings, Terrain
from planning.coverage.rates import RateMapping
from planning.demand import RATE_FLOOR_MBPS, AnyTraffic, Demand, Scale
from planning.network import Network
from planning.prb import PrbPlan, PrbSettings
from planning.prb.hours import solve_hours
from planning.radio import Radio
from planning.shared_work import SharedWork
from planning.sleep import (
    QUANTILE,
    Operation,
    SleepPlan,
    SleepProblem,
    SleepSettings,
    compare_strategies,
    compared,
)
from planning.sleep import plan_sleep as plan_problem
from planning.sleep.offload import MAX_NEIGHBOURS

__all__ = [
    "allocate_prbs",
    "compare_sleep",
    "map_coverage",
    "plan_sleep",
    "sleep_problem",
]


class HasNetwork(Protocol):
    """A plan or a scenario, taken for its network."""

    @property
    def network(self) -> Network: ...


AnyNetwork: TypeAlias = "Network | HasNetwork"


def sleep_problem(
    network: AnyNetwork,
    week: AnyTraffic,
    *,
    scale: Scale | None = None,
    hours: int | str = 24,
    quantile: float = QUANTILE,
    rate_floor_mbps: float = RATE_FLOOR_MBPS,
    operation: Operation | None = None,
    coverage: Coverage | None = None,
    radio: RadioSettings | None = None,
    first_day: int = 0,
    max_neighbours: int = MAX_NEIGHBOURS,
    progress: Progress | None = None,
) -> SleepProblem:
    """What a sleep plan is made for: traffic of sectors, who may carry whose, and the coverage to keep.

    Parameters and errors as of `plan_sleep`, which makes it; several plans may be made for one problem
    (`planning.sleep.plan_sleep`).
    """
    demand = Demand.of(week, scale)
    return SleepProblem.build(
        _network(network),
        demand.with_rate_floor(rate_floor_mbps),
        hours=hours,
        quantile=quantile,
        first_day=first_day,
        operation=operation,
        coverage=coverage,
        radio=radio,
        max_neighbours=max_neighbours,
        progress=progress,
    )


def plan_sleep(
    network: AnyNetwork,
    week: AnyTraffic,
    *,
    strategy: str = "milp",
    settings: SleepSettings | None = None,
    scale: Scale | None = None,
    hours: int | str = 24,
    quantile: float = QUANTILE,
    rate_floor_mbps: float = RATE_FLOOR_MBPS,
    operation: Operation | None = None,
    coverage: Coverage | None = None,
    radio: RadioSettings | None = None,
    first_day: int = 0,
    max_neighbours: int = MAX_NEIGHBOURS,
    progress: Progress | None = None,
    work: SharedWork | None = None,
) -> SleepPlan:
    """Which cells sleep in which hours, so that all traffic is served, coverage is kept and energy is least.

    Parameters
    ----------
    network : Network, or a plan or scenario that has one
    week : Demand, TrafficTable, ensemble, DataFrame or path
        See `Demand.of`.
    strategy : str
        One of `planning.sleep.STRATEGIES`: "always-on", "night", "threshold", "greedy", "milp", "paper", ...
    settings : SleepSettings, optional
        Load limit, minimum on- and off-times (h), energy per wake-up (Wh), time limit (s), gap.
    scale : Scale, optional
        What relative traffic means in Mbit/s; None: as `Demand.of` says.
    hours : int or str
        24 for a typical day, 168 for the week, "weekday/weekend" for a plan of each.
    quantile : float
        Of each sector's own traffic over samples and days that is planned for, 0 to 1.
    rate_floor_mbps : float
        Mbit/s that every active user gets at least; 0 for none.
    operation : Operation, optional
        Which cells may sleep when, and how much ground may lose coverage.
    coverage : Coverage, optional
        Of this network on the tiles of the traffic (`map_coverage`); None computes it.
    radio : RadioSettings, optional
        Of the coverage that is computed.
    first_day : int
        Day of the week of hour 0, 0 for Monday.
    max_neighbours : int
        Other sectors that may carry a sector's traffic.
    progress : callable (done, total, what), optional
    work : SharedWork, optional
        Plans "milp" area by area, by several processes.

    Returns
    -------
    SleepPlan

    Raises
    ------
    InputError
        For traffic or settings that cannot be planned with.
    CapacityError
        Where more than 1 % of the demand cannot be served even with every cell awake, unless
        settings.allow_unserved.

    References
    ----------
    Eq. 14 of Chai, Jiang and Yu, KDD 2024, and docs/method.md for what is added to it.
    """
    problem = sleep_problem(
        network, week, scale=scale, hours=hours, quantile=quantile, rate_floor_mbps=rate_floor_mbps,
        operation=operation, coverage=coverage, radio=radio, first_day=first_day, max_neighbours=max_neighbours,
        progress=progress,
    )  # fmt: skip
    return plan_problem(problem, strategy, settings, progress=progress, work=work)


def compare_sleep(
    network: AnyNetwork,
    week: AnyTraffic,
    *,
    strategies: Sequence[str] | None = None,
    held_out: AnyTraffic | None = None,
    settings: SleepSettings | None = None,
    scale: Scale | None = None,
    progress: Progress | None = None,
    work: SharedWork | None = None,
    **problem: Any,
) -> tuple[dict[str, SleepPlan], pd.DataFrame]:
    """Several strategies on the same traffic, judged alike.

    Parameters
    ----------
    network, week, settings, scale, progress, work : as of `plan_sleep`
    strategies : sequence of str, optional
        None: those that are compared by default (`planning.sleep.compared`).
    held_out : traffic, optional
        That no plan is made on; each is replayed on it (columns replay_*), on the scale of `week` unless it states
        Mbit/s itself.
    **problem
        Further arguments of `sleep_problem`.

    Returns
    -------
    (dict of str to SleepPlan, DataFrame)
        A plan and a row a strategy.

    Raises
    ------
    InputError, CapacityError
        As `plan_sleep`.
    """
    demand = Demand.of(week, scale)
    other = None if held_out is None else Demand.on_scale_of(demand, held_out)
    made = sleep_problem(network, demand, progress=progress, **problem)
    return compare_strategies(made, strategies or compared(), settings, other, progress, work=work)


def allocate_prbs(
    network: AnyNetwork,
    week: AnyTraffic,
    *,
    hour: int | None = None,
    users: int = 60,
    settings: PrbSettings | None = None,
    radio: Radio | None = None,
    mapping: RateMapping | None = None,
    scale: Scale | None = None,
    quantile: float = 0.5,
    baseline: str | None = None,
    progress: Progress | None = None,
) -> PrbPlan:
    """Which station and which physical resource blocks each user gets in one hour.

    Parameters
    ----------
    network : Network, or a plan or scenario that has one
    week : Demand, TrafficTable, ensemble, DataFrame or path
        See `Demand.of`.
    hour : int, optional
        Of the table's day or week; None: the one with the most traffic.
    users : int
        Most users that are drawn; each stands for several where there are more.
    settings : PrbSettings, optional
        Mode, penalty a PRB (Mbit/s), fairness, time limit (s), gap, seed.
    radio : Radio, optional
        Carrier and ends of the links; None: downlink of the network's widest carrier, with its antennas.
    mapping : RateMapping, optional
        From SINR to bit/s/Hz; None: the CQI table of TS 38.214.
    scale : Scale, optional
        What relative traffic means in Mbit/s; None: as `Demand.of` says.
    quantile : float
        Of the ensemble, 0 to 1.
    baseline : str, optional
        One of `planning.prb.BASELINES` instead of optimising.
    progress : callable (done, total, what), optional

    Returns
    -------
    PrbPlan

    Raises
    ------
    InputError
        For settings that make no sense, and for an hour in which nobody uses the network.

    References
    ----------
    Eq. 15 of Chai, Jiang and Yu, KDD 2024; docs/method.md for bounds and search.
    """
    demand = Demand.of(week, scale)
    chosen = demand.busy_hour() if hour is None else hour
    made = solve_hours(
        _network(network),
        demand,
        [chosen],
        radio or Radio(link="downlink", stations="cells"),
        settings,
        max_users=users,
        quantile=quantile,
        rule=baseline,
        progress=progress,
        mapping=mapping or RateMapping(),
    )
    return made.plans[chosen]


def map_coverage(
    network: AnyNetwork,
    week: AnyTraffic | None = None,
    *,
    settings: RadioSettings | None = None,
    terrain: Terrain | None = None,
    progress: Progress | None = None,
    work: SharedWork | None = None,
) -> Coverage:
    """Received levels of a network on pixels, and with them best servers, SINR, rates and covered shares.

    The command is `python -m planning coverage`; `planning.coverage` is the package of the radio model.

    Parameters
    ----------
    network : Network, or a plan or scenario that has one
    week : Demand, TrafficTable, ensemble, DataFrame or path, optional
        Its tiles are the area; None: the box around the sites and 1 km beyond.
    settings : RadioSettings, optional
        Pixels (m), environment, thresholds (dBm), share of users indoors.
    terrain : Terrain, optional
        Elevation and land cover; None: flat ground.
    progress : callable (done, total, what), optional
    work : SharedWork, optional
        Computes the levels part by part, by several processes.

    Returns
    -------
    Coverage

    Raises
    ------
    InputError
        For an area too large for the pixels, or cells that the models are not made for.

    References
    ----------
    3GPP TR 38.901 for path loss and antennas; docs/figures.md for every figure.
    """
    settings = settings or RadioSettings()
    cells = _network(network)
    if week is None:
        lon, lat = cells.sites["lon"].to_numpy(float), cells.sites["lat"].to_numpy(float)
        grid = PixelGrid.around(lon, lat, settings.pixel_m)
    else:
        demand = Demand.of(week)
        grid = PixelGrid.of_tiles(demand.x, demand.y, settings.pixel_m)
    return Coverage.on(cells, grid, settings, terrain, progress, work)


def _network(network: AnyNetwork) -> Network:
    return network if isinstance(network, Network) else network.network
