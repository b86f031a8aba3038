"""A large covering plan area by area: sites sought side by side, joined without seams, and bounded as a whole.

From the greedy plan of the whole area, each area seeks better places for as many sites, and as much money, as the plan
has in its core. Its halo is every candidate from outside that reaches ground of the core: open ones stay, with the
capacity that they do not give to ground elsewhere. Areas that share ground or a halo have different colours, and only
those of one colour are planned at once. So what areas add to the plan adds up, no two of them put a site for the same
traffic, and none leaves ground that another one counted on. A second cut, along other lines, has the seams of the
first in the middle of its areas.

The bound is `covering_bound` of the whole, whose steps are sums over the arcs and cheap beside the search: this process
takes them while the workers plan. It is valid whatever the areas do, as no area's plan or price is in it.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix

from plannerbase.progress import Progress
from planning.deployment.covering import CoveringProblem
from planning.deployment.covering_bound import lagrangian_bound
from planning.deployment.covering_plan import CoveringPlan
from planning.deployment.covering_search import fill, greedy, improve
from planning.geometry import cut_in_halves
from planning.shared_work import Arrays, SharedWork
from planning.solver import SolveResult, relative_gap

LARGE = 2000  # candidates beyond which an area is cut, where work is shared
CANDIDATES_PER_AREA = 500
SHAKES = 40  # exchanges of a few sites that the search of an area tries
_TURN = np.pi / 4  # of the second cut's lines to the first one's


@dataclass(frozen=True)
class SitesTask:
    """An area to be planned: its covering problem, the candidates open now, seed and relative gap."""

    problem: CoveringProblem
    chosen: np.ndarray
    seed: int
    gap: float


@dataclass(frozen=True)
class _Part:
    """An area. Numbers lead from the part to the whole: candidates (those of the core first), points and arcs."""

    problem: CoveringProblem
    candidates: np.ndarray
    core: int  # how many candidates are of the core
    arcs: np.ndarray


def cover_in_areas(
    problem: CoveringProblem,
    places: np.ndarray,
    work: SharedWork,
    gap: float = 1e-4,
    seed: int = 0,
    progress: Progress | None = None,
    candidates_per_area: int = CANDIDATES_PER_AREA,
) -> CoveringPlan:
    """As `covering_plan.solve_covering` for areas of any size, by several processes; the same plan for any number.

    Parameters
    ----------
    places : (candidates, 2) m.
    work : who plans the areas, and where finished ones are kept.
    gap : relative, at which an area is good enough.
    candidates_per_area : most candidates in the core of an area; the plan depends on it.

    Raises
    ------
    ClusterError
        Where the workers cannot do it.
    InputError
        Where the folder of finished areas is that of another run.
    """
    begun = time.perf_counter()
    chosen = greedy(problem)
    first, flow = problem.serve(chosen)
    turned = places @ np.array([[np.cos(_TURN), -np.sin(_TURN)], [np.sin(_TURN), np.cos(_TURN)]])
    cuts = [cut_in_halves(at, candidates_per_area) for at in (places, turned)]
    with (
        work.run("deploy", problem, places, gap, seed, candidates_per_area) as run,
        ThreadPoolExecutor(1) as beside,
    ):
        relaxed = beside.submit(lagrangian_bound, problem, first)
        for turn, area in enumerate(cuts):
            for colour, members in enumerate(colours(problem, area)):
                parts = [_part(problem, area == number, chosen, flow) for number in members]
                stage = f"sites of areas {turn + 1}-{colour + 1}"
                tasks = [SitesTask(p.problem, chosen[p.candidates], seed, gap) for p in parts]
                for part, made in zip(parts, run.results(stage, sites_of_area, tasks, progress), strict=True):
                    chosen[part.candidates[: part.core]] = made["chosen"][: part.core]
                    flow[part.arcs] = made["flow"]
        chosen = fill(problem, chosen)
        served, flow = problem.serve(chosen)
        bound = max(relaxed.result().value, served)
    off = relative_gap(served, bound)
    status = "optimal" if off is not None and off <= gap else "feasible"
    count = int(cuts[0].max()) + 1
    answer = SolveResult(
        status, served, bound, off, time.perf_counter() - begun, 0.0, f"search in {count} areas"
    )
    step = f"search in {count} areas, twice: greedy {first:,.2f}, then {served:,.2f}, relaxation {bound:,.2f} Mbit/s"
    return CoveringPlan(chosen, served, flow, answer, (step,))


def sites_of_area(task: SitesTask) -> Arrays:
    """Better places for the sites of an area, by a number of steps, not of seconds.

    Returns
    -------
    chosen : (candidates,) bool. flow : (arcs,) Mbit/s that they serve.
    """
    problem = task.problem
    bound = lagrangian_bound(problem, problem.serve(task.chosen)[0]).value
    chosen, _ = improve(problem, [task.chosen], np.inf, bound, task.gap, task.seed, steps=SHAKES)
    return {"chosen": chosen, "flow": problem.serve(chosen)[1]}


def colours(problem: CoveringProblem, area: np.ndarray) -> list[list[int]]:
    """Areas that may be planned at once: no two of a list share ground, a candidate that reaches ground of both, or two
    candidates that may not both open. area: (candidates,) number of each candidate's area."""
    count = int(area.max()) + 1
    rows = np.arange(problem.candidates)
    core = csr_matrix((np.ones(len(area)), (area, rows)), (count, problem.candidates))
    shape = (problem.candidates, len(problem.need))
    reach = csr_matrix((np.ones(len(problem.point)), (problem.candidate, problem.point)), shape)
    around = (core @ reach) @ reach.T
    apart = core @ problem.neighbours() @ core.T
    beside = ((around @ around.T + apart) > 0).tolil().rows
    colour = np.full(count, -1)
    for number in range(count):
        taken = {int(colour[other]) for other in beside[number]}
        colour[number] = next(free for free in range(count) if free not in taken)
    return [np.flatnonzero(colour == one).tolist() for one in range(int(colour.max()) + 1)]


def _part(problem: CoveringProblem, core: np.ndarray, chosen: np.ndarray, flow: np.ndarray) -> _Part:
    """The area of some candidates, core (candidates,) bool, beside the others as they are chosen."""
    ground = np.zeros(len(problem.need), bool)
    ground[problem.point[core[problem.candidate]]] = True
    here = ground[problem.point]
    halo = np.zeros(problem.candidates, bool)
    halo[problem.candidate[here]] = True
    halo &= chosen & ~core
    inside, beside = np.flatnonzero(core), np.flatnonzero(halo)
    # what the halo gives to ground elsewhere is not to be had
    elsewhere = np.bincount(problem.candidate, np.where(here, 0.0, flow), problem.candidates)
    shut = (problem.neighbours() @ (chosen & ~core).astype(float) > 0) & ~chosen
    cost = np.concatenate([np.where(shut, np.inf, problem.cost)[inside], np.zeros(len(beside))])
    capacity = np.concatenate(
        [problem.capacity[inside], np.maximum(problem.capacity - elsewhere, 0.0)[beside]]
    )
    candidates = np.concatenate([inside, beside])
    arcs, small = _between(problem, candidates, ground)
    mine = chosen & core
    part = replace(
        small, capacity=capacity, cost=cost,
        forced=np.concatenate([problem.forced[inside], np.ones(len(beside), bool)]),
        sites=None if problem.sites is None else int(mine.sum()) + len(beside),
        budget=None if problem.budget is None else float(problem.cost[mine].sum()),
    )  # fmt: skip
    return _Part(part, candidates, len(inside), arcs)


def _between(
    problem: CoveringProblem, candidates: np.ndarray, ground: np.ndarray
) -> tuple[np.ndarray, CoveringProblem]:
    """The arcs between some candidates (numbers) and some points (points,) bool, and the problem of these alone."""
    number = np.full(problem.candidates, -1)
    number[candidates] = np.arange(len(candidates))
    arcs = np.flatnonzero((number[problem.candidate] >= 0) & ground[problem.point])
    arcs = arcs[np.argsort(number[problem.candidate[arcs]], kind="stable")]
    point = np.cumsum(ground) - 1
    conflicts = number[problem.conflicts]
    return arcs, replace(
        problem, need=problem.need[ground], point=point[problem.point[arcs]],
        candidate=number[problem.candidate[arcs]], capacity=problem.capacity[candidates],
        cost=problem.cost[candidates], forced=problem.forced[candidates],
        conflicts=conflicts[(conflicts >= 0).all(axis=1)],
    )  # fmt: skip
