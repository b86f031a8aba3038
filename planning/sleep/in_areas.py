r"""A large sleep plan area by area: planned side by side, joined, mended at the seams, and bounded as a whole.

Areas are those of `areas`. Each is planned with its halo alone; the plan takes from each its core. Where that leaves
ground uncovered, the cells wake that the ground's own area had counted on; where traffic is left, cells wake as
`repair` has it, on the whole network.

Plans of areas alone bound nothing, as they may count on each other's cells. The bound is that of `lagrangian_bound`
for the whole network: with prices m of arcs and c of rows of coverage, W,

    L(m, c) = K + sum_h [ sum_r c_rh - max_y sum_r c_rh y_rh ] + sum_s V_s(m, c)

K what the network draws with every free part asleep, y the ground that may lose coverage (0 <= y <= 1, its area within
the budget), V_s the least cost of sector s over the day at these prices. L is below every plan for any m, c >= 0. An
arc's price is taken from the area whose core sends, a row's from the area that owns it. V_s depends on the prices of
arcs that leave or enter s and of rows that s covers, and on the traffic that could be sent to s: all of that lies in
the core of an area and its halo. So each area computes the sum of V_s over its core, once all prices are joined, and
the sum over the areas is exact, whatever the cut.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from plannerbase.progress import Progress
from planning.errors import InputError
from planning.shared_work import Lazily, Run, SharedWork
from planning.sleep.area_plan import BoundTask, PlanTask, core_value, plan_area
from planning.sleep.areas import SITES_PER_AREA, Area, Cut
from planning.sleep.incumbent import Incumbent, objective_of, serves_all
from planning.sleep.keeper import Keeper
from planning.sleep.lagrangian_bound import PriceSearch
from planning.sleep.optimise import optimise
from planning.sleep.problem import SleepProblem
from planning.sleep.repair import served
from planning.sleep.rules import always_on
from planning.sleep.schedule import group_counts, to_parts
from planning.sleep.settings import SleepSettings
from planning.solver import SolveResult

ALL_TRIES = 3  # at serving all traffic and covering all ground of the joined plan, before everything wakes


def optimise_in_areas(
    problem: SleepProblem,
    settings: SleepSettings,
    work: SharedWork,
    progress: Progress | None = None,
    earlier: np.ndarray | None = None,
    sites_per_area: int = SITES_PER_AREA,
) -> tuple[np.ndarray, SolveResult, tuple[str, ...]]:
    """`optimise` for networks of any size, by several processes.

    A network of one area, and one with sectors of too many states for prices, is planned by `optimise` as it is.

    Parameters
    ----------
    settings : of them, `time_limit` and `threads` count for nothing where there are several areas.
    work : who plans the areas, and where finished ones are kept.
    sites_per_area : most sites in the core of an area; the plan depends on it.

    Returns
    -------
    (parts, hours) bool, the outcome for exactly these parts, notes: as `optimise`.

    Raises
    ------
    ClusterError
        Where the workers cannot do it.
    InputError
        Where the folder of finished areas is that of another run.
    """
    if sites_per_area < 1:
        raise InputError(f"Areas of {sites_per_area} sites cannot be made; ask for at least 1.")
    begun = time.perf_counter()
    if problem.groups.sites <= sites_per_area or not PriceSearch.possible(problem):
        return optimise(problem, settings, progress, earlier)
    areas = Cut(problem, sites_per_area)
    counting = replace(settings, time_limit=1.0, threads=None)
    with work.run(
        "sleep", problem.demand, problem.graph, problem.groups, problem.cover, problem.may_sleep, problem.pairs,
        problem.before, problem.after, problem.network.metres(), counting, earlier, sites_per_area,
    ) as run:  # fmt: skip

        def task(number: int) -> PlanTask:
            area = areas[number]
            return PlanTask(area, settings, None if earlier is None else earlier[area.parts])

        plans = run.results("plans of areas", plan_area, Lazily(len(areas), task), progress)
        joined = _joined(problem, areas, plans)
        price, cover_price = _prices(problem, areas, plans)
        with ThreadPoolExecutor(1) as beside:  # this process mends while the workers bound
            mending = beside.submit(_mended_best, problem, settings, _closed(problem, areas, plans, joined))
            bound = bound_of(problem, settings, areas, price, cover_price, run, progress)
            best = mending.result()
        best.bound = bound
    by_hour = any(bool(plan["by_hour"]) for plan in plans)
    best.solver = f"prices{' and programs by hour' if by_hour else ''} in {len(areas)} areas"
    status = "optimal" if best.gap <= settings.gap else "feasible"
    seconds = time.perf_counter() - begun
    outcome = SolveResult(status, best.objective, best.bound, best.gap, seconds, 0.0, best.solver)
    worst = max(float(plan["local_gap"]) for plan in plans)
    woken = int((best.awake & ~joined).sum())
    note = (
        f"Planned in {len(areas)} areas of at most {sites_per_area} sites, each within {worst:.2%} of its own bound; "
        f"cells were woken in {woken} hours at the seams. The gap is that of the whole plan to the bound of the whole "
        "network."
    )
    return best.awake, outcome, (note,)


def _mended_best(problem: SleepProblem, settings: SleepSettings, awake: np.ndarray) -> Incumbent:
    """The plan (parts, hours) `mended`, or everything awake where that is better."""
    awake = mended(problem, settings, awake)
    best = Incumbent(awake, objective_of(problem, settings, awake))
    everything = always_on(problem, settings)
    best.take(everything, objective_of(problem, settings, everything))
    return best


def bound_of(
    problem: SleepProblem,
    settings: SleepSettings,
    areas: Sequence[Area],
    price: np.ndarray,
    cover_price: np.ndarray,
    run: Run,
    progress: Progress | None = None,
) -> float:
    """Wh that no plan of the whole network is below: L(m, c) of the module, for any areas whose cores hold every
    sector once.

    Parameters
    ----------
    price : (arcs, hours) >= 0, W per Mbit/s.
    cover_price : (binding rows, hours) >= 0, W.
    """

    def task(number: int) -> BoundTask:
        area = areas[number]
        return BoundTask(area, settings, price[area.arcs], cover_price[area.rows])

    tasks = Lazily(len(areas), task)
    values = [float(part["value"]) for part in run.results("bound", core_value, tasks, progress)]
    groups = problem.groups
    asleep = np.zeros((len(groups.site), 1))
    whole = float(groups.power_w(asleep, asleep).sum()) * problem.hours + float(cover_price.sum())
    return whole - PriceSearch.worth_of_holes(problem.cover, cover_price) + float(np.sum(values))


def _joined(problem: SleepProblem, areas: Cut, plans: list[dict[str, np.ndarray]]) -> np.ndarray:
    """(parts, hours) bool: of each area its core."""
    awake = np.zeros((problem.groups.number_of_parts, problem.hours), bool)
    for area, plan in zip(areas, plans, strict=True):
        core = area.core_parts
        awake[area.parts[core]] = plan["awake"][core]
    return awake


def _prices(
    problem: SleepProblem, areas: Cut, plans: list[dict[str, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray]:
    """(arcs, hours) and (binding rows, hours) W: of arcs by the area whose core sends, of rows by their owner."""
    price = np.zeros((len(problem.graph.arc_class), problem.hours))
    cover_price = np.zeros((len(problem.cover.binding), problem.hours))
    owner = areas.owner_of_rows
    for area, plan in zip(areas, plans, strict=True):
        sends = area.core[area.problem.graph.arc_source]
        price[area.arcs[sends]] = plan["price"][sends]
        own = owner[area.rows] == area.number
        cover_price[area.rows[own]] = plan["cover_price"][own]
    return price, cover_price


def _closed(
    problem: SleepProblem, areas: Cut, plans: list[dict[str, np.ndarray]], awake: np.ndarray
) -> np.ndarray:
    """The joined plan (parts, hours) with the cells awake that the owners of uncovered rows had counted on, in hours
    in which more ground is uncovered than may be."""
    cover, groups = problem.cover, problem.groups
    if not len(cover.binding):
        return awake
    counts = group_counts(groups, awake)
    hours = np.flatnonzero(~cover.kept(counts))
    if not len(hours):
        return awake
    sets = cover.bound_sets().tocsr()
    open_ = (sets @ (counts[:, hours] > 0).astype(float)) < 0.5  # (rows, hours)
    owner = areas.owner_of_rows
    for area, plan in zip(areas, plans, strict=True):
        mine = np.flatnonzero((owner[area.rows] == area.number) & open_[area.rows].any(axis=1))
        if not len(mine):
            continue
        local = group_counts(area.problem.groups, plan["awake"])[:, hours] > 0
        wanted = area.problem.cover.bound_sets()[mine].T @ open_[area.rows[mine]].astype(float) > 0.5
        ask = counts[np.ix_(area.groups, hours)]
        counts[np.ix_(area.groups, hours)] = np.maximum(ask, wanted & local)
    return awake | to_parts(groups, counts)


def mended(problem: SleepProblem, settings: SleepSettings, awake: np.ndarray) -> np.ndarray:
    """A plan (parts, hours) with more awake until it keeps the limits, covers all ground that has to be and serves all
    traffic."""
    keeper = Keeper(problem, settings)
    awake = keeper.keep(awake)
    for _ in range(ALL_TRIES):
        counts = group_counts(problem.groups, awake)
        if not problem.cover.kept(counts).all():
            more = to_parts(problem.groups, problem.cover.repaired(problem.groups, counts))
            awake = keeper.keep(awake | more)
        awake = served(problem, settings, keeper, awake)
        if serves_all(problem, settings, awake):
            return awake
    return always_on(problem, settings)
