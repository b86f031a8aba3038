"""Scoring with the true SINR: all users of a PRB interfere, wherever they are.

`true_sinr` and `rates_of` score a finished allocation, `Grid` one that changes user by user.
"""

from __future__ import annotations

import numpy as np

from planning.prb.problem import Objective, PrbProblem


def true_sinr(problem: PrbProblem, station: np.ndarray, uses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(users, prbs) SINR and interference in W on the PRBs in use (0 elsewhere), all co-channel users counted.

    station: (users,) -1 for none. uses: (users, prbs) bool; within a station no PRB may be used twice.
    """
    at = np.maximum(station, 0)
    own = problem.gain[np.arange(len(station)), at]
    sent = uses * problem.sent(uses.sum(axis=1))[:, None]  # W of each user on each PRB
    signal = sent * own[:, None]
    if problem.uplink:
        everything = (problem.gain.T @ sent)[at]
    else:
        on_air = np.zeros((problem.stations, problem.prbs))
        np.maximum.at(on_air, station[station >= 0], sent[station >= 0])
        everything = problem.gain @ on_air
    interference = np.where(uses, np.maximum(everything - signal, 0.0), 0.0)
    return np.where(uses, signal / (problem.noise_w + interference), 0.0), interference


def rates_of(problem: PrbProblem, station: np.ndarray, uses: np.ndarray) -> np.ndarray:
    """(users,) Mbit/s with the true SINR."""
    return problem.prb_mbps(true_sinr(problem, station, uses)[0]).sum(axis=1)


def score(problem: PrbProblem, objective: Objective, rate: np.ndarray, used_prbs: int) -> float:
    """The objective of eq. 15 as `Objective` counts it."""
    return float(objective.worth(rate, problem.demand_mbps).sum() - objective.tau_mbps * used_prbs)


class Grid:
    """An allocation that changes user by user, with its true rates kept up to date.

    owner: (stations, prbs) user or -1. sent: (users,) W on each of its PRBs. interference: (stations, prbs) W that
    reach the owner (uplink: the station) from the other stations' users. mbps: (stations, prbs) rate of each PRB. rate:
    (users,) Mbit/s. station, count: (users,) station, -1 for none, and number of PRBs.
    """

    def __init__(self, problem: PrbProblem, objective: Objective):
        users, shape = len(problem.gain), (problem.stations, problem.prbs)
        self.problem, self.objective = problem, objective
        self.station = np.full(users, -1)
        self.owner = np.full(shape, -1)
        self.count = np.zeros(users, int)
        self.sent = np.zeros(users)
        self.interference = np.zeros(shape)
        self.mbps = np.zeros(shape)
        self.rate: np.ndarray = np.zeros(users)

    @classmethod
    def of(cls, problem: PrbProblem, objective: Objective, station: np.ndarray, uses: np.ndarray) -> Grid:
        """station: (users,) -1 for none; uses: (users, prbs) bool, no PRB of a station twice."""
        grid = cls(problem, objective)
        user, prb = np.nonzero(uses)
        grid.owner[station[user], prb] = user
        grid.count = uses.sum(axis=1)
        grid.station = np.where(grid.count > 0, station, -1)
        grid.sent = np.where(grid.count > 0, problem.sent(grid.count), 0.0)
        grid._refresh(np.arange(problem.prbs))
        return grid

    def copy(self) -> Grid:
        """Another grid with the same allocation."""
        other = object.__new__(Grid)
        other.problem, other.objective = self.problem, self.objective
        for name in ("station", "owner", "count", "sent", "interference", "mbps", "rate"):
            setattr(other, name, getattr(self, name).copy())
        return other

    def judged_by(self, objective: Objective) -> Grid:
        """The same allocation under another objective."""
        other = self.copy()
        other.objective = objective
        return other

    @property
    def uses(self) -> np.ndarray:
        """(users, prbs) bool."""
        out = np.zeros((len(self.station), self.problem.prbs), bool)
        station, prb = np.nonzero(self.owner >= 0)
        out[self.owner[station, prb], prb] = True
        return out

    @property
    def score(self) -> float:
        """The objective of eq. 15."""
        return score(self.problem, self.objective, self.rate, int(self.count.sum()))

    def remove(self, user: int) -> None:
        """Take all PRBs from a user."""
        if self.count[user]:
            station = self.station[user]
            prbs = np.flatnonzero(self.owner[station] == user)
            self.owner[station, prbs] = -1
            self.station[user], self.count[user], self.sent[user] = -1, 0, 0.0
            self._refresh(prbs)

    def place(self, user: int, station: int, prbs: np.ndarray) -> None:
        """Give PRBs of a station to a user that has none; those of other users are taken from them."""
        former = np.unique(self.owner[station, prbs])
        self.owner[station, prbs] = user
        self.station[user], self.count[user] = station, len(prbs)
        self.sent[user] = self.problem.sent(len(prbs))
        changed = [prbs]
        for other in former[former >= 0]:
            left = np.flatnonzero(self.owner[station] == other)
            self.count[other] = len(left)
            self.sent[other] = self.problem.sent(len(left)) if len(left) else 0.0
            if not len(left):
                self.station[other] = -1
            changed.append(left)
        self._refresh(np.unique(np.concatenate(changed)) if len(changed) > 1 else prbs)

    def _refresh(self, prbs: np.ndarray) -> None:
        """Interference and rates on these PRBs again."""
        problem = self.problem
        owner = self.owner[:, prbs]
        on = owner >= 0
        # reach: (t, s, k) W of what station t or its owner sends that arrives at s, on each PRB k
        if problem.uplink:
            each = np.where(on, self.sent[owner], 0.0)  # (t, k): W that the owner at station t sends
            reach = each[:, None, :] * problem.gain[owner].transpose(0, 2, 1)
            total = reach.sum(axis=0)
        else:
            reach = problem.power_w * problem.gain[owner].transpose(2, 0, 1)
            total = np.einsum("tsk,tk->sk", reach, on)
        own = np.where(on, reach.diagonal(axis1=0, axis2=1).T, 0.0)
        interference = np.maximum(total - own, 0.0)
        self.interference[:, prbs] = interference
        self.mbps[:, prbs] = problem.prb_mbps(own / (problem.noise_w + interference))
        self.rate = np.bincount((self.owner + 1).ravel(), self.mbps.ravel(), len(self.rate) + 1)[1:]

    def heard(self, user: int, station: int) -> np.ndarray:
        """(prbs,) W of interference that a user without PRBs would meet at a station, its own users aside."""
        if self.problem.uplink:
            return self.interference[station]
        on = self.owner >= 0
        on[station] = False
        return self.problem.power_w * (self.problem.gain[user] @ on)
