"""PRBs of a whole network cluster by cluster: neighbouring sites planned side by side, judged and repaired together.

Sites are halved at the median of the longer side of their box until no group has more than `SITES_PER_CLUSTER`. A user
belongs to the cluster of its strongest station, and each cluster is planned as if it were alone. All plans together are
then one plan of the network, with the true SINR of every user: interference between clusters counts. Users at the seams
that lose their demand by it get other PRBs or another station, of any cluster, where the whole plan is worth more for
it. The bound is that of the whole network without interference (`bound`), which no cut enters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from plannerbase.progress import Progress
from planning.geometry import cut_in_halves
from planning.network import Network
from planning.prb.allocation import solve_prb
from planning.prb.bound import Options, solve_dual
from planning.prb.bounds import DEMANDS, SERVED
from planning.prb.improve import replace_users
from planning.prb.plan import PrbPlan
from planning.prb.problem import MET, Objective, PrbProblem, PrbSettings
from planning.prb.sinr import Grid
from planning.shared_work import Arrays, Lazily, SharedWork

LARGE = 20  # sites beyond which a network is cut, where work is shared
SITES_PER_CLUSTER = 7
REPAIRS = 10  # most rounds over the users that interference between clusters left without their demand
MANY_PAIRS = 1_000_000  # of user and station, beyond which the bound has no prices
_STEPS = 30  # of the bound's prices


@dataclass(frozen=True)
class ClusterTask:
    """The problem of a cluster's users and stations."""

    problem: PrbProblem
    settings: PrbSettings


def solve_in_clusters(
    problem: PrbProblem,
    network: Network,
    settings: PrbSettings,
    work: SharedWork,
    progress: Progress | None = None,
    sites_per_cluster: int = SITES_PER_CLUSTER,
) -> PrbPlan:
    """A plan of all stations of a network.

    Parameters
    ----------
    problem : of the network's sites or of its cells of one carrier.
    settings : `time_limit` counts for each cluster, as each is planned alone.
    work : who plans the clusters, and where finished ones are kept.

    Raises
    ------
    ClusterError
        Where the workers cannot do it.
    """
    cluster = cut_in_halves(network.metres(), sites_per_cluster)[site_of_station(problem, network)]
    owner = cluster[problem.gain.argmax(axis=1)]
    numbers = np.unique(owner)

    def task(place: int) -> ClusterTask:
        users, stations = owner == numbers[place], cluster == numbers[place]
        return ClusterTask(part_of(problem, users, stations), settings)

    station = np.full(len(problem.gain), -1)
    uses = np.zeros((len(problem.gain), problem.prbs), bool)
    with work.run(
        "prb", problem.gain, problem.demand_mbps, problem.power_w, problem.prbs, problem.layers, problem.usable,
        problem.users.weight, problem.radio, problem.mapping, cluster, settings,
    ) as run:  # fmt: skip
        made = run.results("clusters", plan_cluster, Lazily(len(numbers), task), progress)
    for number, found in zip(numbers.tolist(), made, strict=True):
        users, stations = np.flatnonzero(owner == number), np.flatnonzero(cluster == number)
        station[users] = np.where(found["station"] >= 0, stations[found["station"]], -1)
        uses[users] = found["uses"]
    joined = Grid.of(problem, settings.objective, station, uses)
    before = int((joined.rate >= problem.demand_mbps * MET).sum())
    grid = repaired(joined, settings)
    bounds = [bound_of(problem, objective, settings) for objective in (settings.objective, SERVED, DEMANDS)]
    plan = PrbPlan.of("optimised", grid, settings)
    after = int(plan.met.sum())
    how = f"{len(numbers)} clusters of at most {sites_per_cluster} sites"
    if after > before:
        how += f"; {after - before} demands more met at the seams"
    return replace(
        plan,
        bound_mbps=max(bounds[0], grid.score),
        served_bound_mbps=max(min(bounds[1], float(problem.demand_mbps.sum())), plan.served_mbps),
        met_bound=max(int(np.floor(bounds[2] + 1e-6)), after),
        how=how,
    )


def plan_cluster(task: ClusterTask) -> Arrays:
    """The plan of a cluster alone.

    Returns
    -------
    station : (users,) row of the cluster's station, -1 for none. uses : (users, prbs) bool.
    """
    plan = solve_prb(task.problem, task.settings)
    uses = np.zeros((len(plan.station), task.problem.prbs), bool)
    for user, prbs in enumerate(plan.prbs):
        uses[user, prbs] = True
    return {"station": plan.station, "uses": uses}


def bound_of(problem: PrbProblem, objective: Objective, settings: PrbSettings) -> float:
    """What no plan of the whole network exceeds: without interference, at prices of the stations' PRBs; with over
    `MANY_PAIRS` pairs of user and station without prices, each user as if it had the network to itself."""
    most = settings.most(problem)
    if problem.gain.size <= MANY_PAIRS:
        return solve_dual(Options(problem, objective, most), settings, np.inf, 0, _STEPS).bound
    pieces = np.array_split(np.arange(len(problem.gain)), -(-problem.gain.size // MANY_PAIRS))
    every, free = np.ones(problem.stations, bool), np.zeros(problem.stations)
    parts = (part_of(problem, np.isin(np.arange(len(problem.gain)), rows), every) for rows in pieces)
    return float(sum(Options(part, objective, most).bound(free) for part in parts))


def repaired(grid: Grid, settings: PrbSettings) -> Grid:
    """The plan with users that miss their demand placed anew, one by one, as long as that makes it worth more."""
    for _ in range(REPAIRS):
        missing = np.flatnonzero(grid.rate < grid.problem.demand_mbps * MET)
        if not len(missing):
            break
        trial = grid.copy()
        for user in missing.tolist():
            trial.remove(user)
        trial = replace_users(trial, missing, settings.candidates, settings.most(grid.problem))
        if trial.score <= grid.score + 1e-9:
            break
        grid = trial
    return grid


def part_of(problem: PrbProblem, users: np.ndarray, stations: np.ndarray) -> PrbProblem:
    """The problem of some users and stations, both bool."""
    mine = problem.users
    few = replace(mine, lon=mine.lon[users], lat=mine.lat[users], demand_mbps=mine.demand_mbps[users])
    at = np.ix_(users, stations)
    names = tuple(name for name, inside in zip(problem.site_names, stations, strict=True) if inside)
    return replace(
        problem, site_names=names, users=few, gain=problem.gain[at], metres=problem.metres[at],
        demand_mbps=problem.demand_mbps[users],
    )  # fmt: skip


def site_of_station(problem: PrbProblem, network: Network) -> np.ndarray:
    """(stations,) row of the site of each station, which is a site or a cell."""
    if problem.radio.stations != "cells":
        return np.arange(problem.stations)
    row = {name: number for number, name in enumerate(network.cells["cell"].tolist())}
    return network.site_of_cell[[row[name] for name in problem.site_names]]
