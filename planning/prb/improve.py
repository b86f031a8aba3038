"""Local search on the true objective: users leave the grid and come back where, alone, they are worth most.

A user comes back to the station, number of PRBs and PRBs that are best for all: its own worth, less what it takes from
users that it disturbs or whose PRBs it takes. So one step can move a user to another station, exchange PRBs, give more,
give fewer, or silence an interferer; a step stays only if the true score rises.

The worth of a user jumps where its demand is met, so a search from a crowded plan soon serves whom it meets and gives
up the others. `improve_in_stages` therefore begins with the objective that has no such jump.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from planning.prb.problem import MET, Objective, PrbProblem, PrbSettings
from planning.prb.sinr import Grid

_WEIGHTS = np.array([0.3, 1.0, 3.0, 11.0])  # of a user's own Mbit/s against what it takes from others
_GAIN = 1e-9  # of the score; less is rounding
_20_DB_BELOW = 0.01
_SMOOTH_SHARE = 0.6  # of the time: the search on the objective without the jump
_HEARD = 1e-4  # of noise and interference: users disturbed by less are not asked


def candidate_stations(grid: Grid, user: int, most: int) -> np.ndarray:
    """The stations at which a user without PRBs would have the best SINR, best first, none 20 dB below the best."""
    gain = grid.problem.gain[user]
    if grid.problem.uplink:
        gain = gain / (grid.problem.noise_w + grid.interference.mean(axis=1))
    best = np.argsort(-gain, kind="stable")[:most]
    return best[gain[best] >= _20_DB_BELOW * gain[best[0]]]


def ladder(most: int) -> np.ndarray:
    """Numbers of PRBs to try: every small one, then ever wider steps."""
    if most <= 10:
        return np.arange(1, most + 1)
    return np.unique(
        np.concatenate([np.arange(1, 5), np.geomspace(5, most, 2 + int(np.log2(most))).astype(int)])
    )


def best_place(
    grid: Grid, user: int, stations: np.ndarray, sizes: np.ndarray
) -> tuple[float, int, np.ndarray]:
    """(gain of the score, station, PRBs) of the best way back of a user that has none; no PRBs if none gains."""
    objective, problem = grid.objective, grid.problem
    demand = problem.demand_mbps[user]
    nothing = float(objective.worth(0.0, demand))
    best = (0.0, -1, np.zeros(0, int))
    sent = np.atleast_1d(problem.sent(sizes))
    for station in stations:
        signal = sent * problem.gain[user, station]
        noise = problem.noise_w + grid.heard(user, station)
        own = problem.prb_mbps(signal[:, None] / noise)  # (sizes, prbs)
        damage = _damage(grid, user, station, sent)
        ranked = np.argsort(damage - _WEIGHTS[:, None, None] * own, axis=2)
        own_sum = np.take_along_axis(np.broadcast_to(own, ranked.shape), ranked, axis=2).cumsum(axis=2)
        damage_sum = np.take_along_axis(np.broadcast_to(damage, ranked.shape), ranked, axis=2).cumsum(axis=2)
        last = (sizes - 1)[None, :, None]
        rate = np.take_along_axis(own_sum, last, axis=2)[:, :, 0]
        harm = np.take_along_axis(damage_sum, last, axis=2)[:, :, 0]
        value = objective.worth(rate, demand) - nothing - harm - objective.tau_mbps * sizes
        way, size = np.unravel_index(int(value.argmax()), value.shape)
        if value[way, size] > best[0] + _GAIN:
            best = (float(value[way, size]), int(station), ranked[way, size, : sizes[size]])
    return best


def _damage(grid: Grid, user: int, station: int, sent: np.ndarray) -> np.ndarray:
    """(sizes, prbs) worth that others lose on each PRB when a user sends `sent` W there; PRBs taken from users of the
    same station included."""
    problem, objective = grid.problem, grid.objective
    owner = grid.owner
    sent, which = np.unique(sent, return_inverse=True)  # powers that do not fall are looked at once
    others = np.flatnonzero((owner >= 0).any(axis=1) & (np.arange(len(owner)) != station))
    out = np.zeros((len(sent), problem.prbs))
    row, prb = np.nonzero(owner[others] >= 0)
    row = others[row]
    if len(row):
        who = owner[row, prb]
        if problem.uplink:
            added = sent[:, None] * problem.gain[user, row]
        else:
            added = (problem.power_w * problem.gain[who, station])[None, :]
        signal = grid.sent[who] * problem.gain[who, row]
        quiet = problem.noise_w + grid.interference[row, prb]
        heard = added.max(axis=0) > _HEARD * quiet
        row, prb, who, signal, quiet, added = (
            row[heard],
            prb[heard],
            who[heard],
            signal[heard],
            quiet[heard],
            added[:, heard],
        )
        lost = grid.mbps[row, prb] - problem.prb_mbps(signal / (quiet + added))
        taken = _lost_worth(grid, objective, who, lost)
        for power in range(len(taken)):
            out[power] = np.bincount(prb, taken[power], problem.prbs)
    mine = np.flatnonzero(owner[station] >= 0)
    if len(mine):
        who = owner[station, mine]
        out[:, mine] += _lost_worth(grid, objective, who, grid.mbps[station, mine]) - objective.tau_mbps
    return out[which]


def _lost_worth(grid: Grid, objective: Objective, who: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """What it costs users to lose so many Mbit/s each (arrays broadcast)."""
    demand, rate = grid.problem.demand_mbps[who], grid.rate[who]
    return objective.worth(rate, demand) - objective.worth(rate - lost, demand)


def replace_users(grid: Grid, users: np.ndarray, candidates: int, most: int) -> Grid:
    """A new grid in which these users have left and come back one after the other."""
    trial = grid.copy()
    had = grid.count[users]
    for user in users:
        trial.remove(user)
    for user, count in zip(users, had.tolist(), strict=True):
        around = np.arange(count - 2, count + 3) if count else np.zeros(0, int)
        sizes = np.unique(np.concatenate([ladder(most), around]))
        sizes = sizes[(sizes >= 1) & (sizes <= most)]
        _, station, prbs = best_place(trial, user, candidate_stations(trial, user, candidates), sizes)
        if len(prbs):
            trial.place(user, station, prbs)
    return trial


def insert(problem: PrbProblem, settings: PrbSettings, station: np.ndarray, count: np.ndarray) -> Grid:
    """The PRBs of users whose station and number of PRBs are given; the weakest links choose first."""
    grid = Grid(problem, settings.objective)
    own = problem.gain[np.arange(len(station)), np.maximum(station, 0)]
    for user in np.lexsort((np.arange(len(station)), own)).tolist():
        if station[user] >= 0 and count[user]:
            _, at, prbs = best_place(grid, user, station[[user]], count[user : user + 1])
            if len(prbs):
                grid.place(user, at, prbs)
    return grid


def improve(
    grid: Grid,
    settings: PrbSettings,
    deadline: float,
    seed: int = 0,
    patience: int = 200,
    enough: float = np.inf,
) -> Grid:
    """The grid after sweeps over all users, then after groups of users left and came back together.

    deadline: of time.perf_counter. patience: groups in a row without any gain. enough: a score with which to stop.
    """
    candidates, most = settings.candidates, settings.most(grid.problem)
    grid, rng = _sweeps(grid, candidates, most, deadline), np.random.default_rng(seed)
    users, waited = len(grid.station), 0
    while waited < patience and grid.score < enough and time.perf_counter() < deadline:
        first = _someone(grid, rng)
        group = [first, *_rivals(grid, first, rng, int(rng.integers(1, min(5, users) + 1)) - 1)]
        trial = replace_users(grid, rng.permutation(group), candidates, most)
        if trial.score > grid.score + _GAIN:
            grid, waited = trial, 0
        else:
            waited += 1
    return grid


def improve_in_stages(
    grid: Grid,
    settings: PrbSettings,
    deadline: float,
    seed: int = 0,
    patience: int = 200,
    enough: float = np.inf,
) -> Grid:
    """`improve` on the objective whose worth does not jump where a demand is met, then on the true one.

    Arguments as of `improve`. The result is never worse than `grid`.
    """
    smooth = replace(settings, unmet_share=0.0)
    begun = time.perf_counter()
    best = grid
    if smooth.objective.missing_price > 0 and settings.unmet_share > 0 and grid.score < enough:
        until = begun + _SMOOTH_SHARE * (deadline - begun)
        again = improve(grid.judged_by(smooth.objective), smooth, until, seed, patience, enough)
        best = again.judged_by(grid.objective)
    best = improve(best, settings, deadline, seed, patience, enough)
    return best if best.score >= grid.score else grid


def _sweeps(grid: Grid, candidates: int, most: int, deadline: float) -> Grid:
    """Each user leaves and comes back, those that lack most first, until a whole round gains nothing; between two
    rounds over all users, those that lack something try as long as that gains."""
    demand, everyone = grid.problem.demand_mbps, True
    while True:
        lack = grid.objective.floor(demand) * MET - grid.rate
        users = np.argsort(-lack, kind="stable")
        gained = 0
        for user in users if everyone else users[: (lack > 0).sum()]:
            if time.perf_counter() > deadline:
                return grid
            trial = replace_users(grid, np.array([user]), candidates, most)
            if trial.score > grid.score + max(_GAIN, 1e-6 * abs(grid.score)):
                grid, gained = trial, gained + 1
        if everyone and not gained:
            return grid
        everyone = not everyone and not gained


def _someone(grid: Grid, rng: np.random.Generator) -> int:
    """A user to begin with: one that lacks something, half of the time."""
    lacking = np.flatnonzero(grid.rate < grid.objective.floor(grid.problem.demand_mbps) * MET)
    if len(lacking) and rng.random() < 0.5:
        return int(rng.choice(lacking))
    return int(rng.integers(len(grid.station)))


def _rivals(grid: Grid, user: int, rng: np.random.Generator, count: int) -> list[int]:
    """Users of the same station, or on the same PRBs, or whoever."""
    users = len(grid.station)
    if grid.station[user] < 0:
        pool = grid.owner[int(grid.problem.gain[user].argmax())]
    elif rng.random() < 0.5:
        pool = grid.owner[grid.station[user]]
    else:
        pool = grid.owner[:, grid.owner[grid.station[user]] == user]
    pool = np.setdiff1d(pool[pool >= 0], [user])
    if len(pool) < count:
        pool = np.setdiff1d(np.arange(users), [user])
    return rng.choice(pool, min(count, len(pool)), replace=False).tolist()
