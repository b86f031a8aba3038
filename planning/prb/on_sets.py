"""What no downlink plan exceeds, with interference: a linear program over the sets of stations that send on a PRB.

On the downlink the interference on a PRB depends only on which stations send there. With z_A PRBs on which the
stations A send, and y_uA,s of them that s gives to user u, every plan satisfies

    max  sum_u worth_u(rate_u) - tau sum_A |A| z_A
    s.t. rate_u = sum y_uA,s rate_uA,s;   sum_u y_uA,s <= z_A for s in A;   sum_A z_A <= PRBs;   sum y_uA,s <= most

Relaxed are whole numbers, one station a user, and worth to its concave envelope, for any rates by SINR. The program is
solved by its dual. With prices w_u of a Mbit/s and c_u of a PRB of user u the dual function is

    sum_u max over rates r of (worth_u(r) - w_u r) + most sum_u c_u
        + PRBs max(0, max over A of sum over s in A of (max_u (w_u rate_uA,s - c_u) - tau))

which bounds every plan at any prices >= 0; the best prices are found by cutting planes, which keep the sets A and users
that met a price on the way. Worth jumps where a demand is met: branch and bound on the demands that are met, or not,
closes the gap of the envelope.

With many stations the sets would be too many. Stations are then split in clusters, and the interference between
clusters is left out, which only raises the bound.
"""

from __future__ import annotations

import heapq
import itertools
import time
from dataclasses import dataclass, field

import numpy as np

from planning.prb.problem import MET, Objective, PrbProblem, PrbSettings
from planning.solver import Model

_MAX_VALUES = 12_000_000  # rates held at once: users x stations x sets
_MAX_CLUSTER = 10  # stations: 1,023 sets
_CUTS = 12  # sets added a cluster and iteration
_SMOOTH = 0.6  # weight of the best prices against the newest, which swing
_CLOSE = 2e-4  # relative distance between bound and cutting planes at which the dual counts as solved
_MAX_ITERATIONS = 150
_STEEP = 4.0  # highest price of a Mbit/s in branches, of what one is worth
_FIRST_PRICES = (0.02, 0.1, 0.3, 0.6, 1.0)  # of a Mbit/s, of what one is worth


@dataclass
class Cluster:
    """Stations among which interference counts.

    stations: (k,) their numbers. on: (sets, k) bool, every set but the empty one. rate: (sets, k, users) Mbit/s of a
    PRB, 0 where a station does not send. columns: (set, place in `stations`, user) of the cutting planes.
    """

    stations: np.ndarray
    on: np.ndarray
    rate: np.ndarray
    columns: dict[tuple[int, int, int], None] = field(default_factory=dict)

    @classmethod
    def of(cls, problem: PrbProblem, stations: np.ndarray) -> Cluster:
        """All sets of these stations."""
        place = np.arange(len(stations))
        on = ((np.arange(1, 2 ** len(stations))[:, None] >> place) & 1).astype(bool)
        own = problem.power_w * problem.gain[:, stations].T  # (k, users)
        total = on.astype(float) @ own
        rate = np.zeros((*on.shape, len(problem.gain)))
        for s in place:
            sends = on[:, s]
            heard = np.maximum(total[sends] - own[s], 0.0)
            rate[sends, s] = problem.prb_mbps(own[s] / (problem.noise_w + heard))
        return cls(stations, on, rate)

    def best(self, price: np.ndarray, charge: np.ndarray, tau: float) -> tuple[np.ndarray, np.ndarray]:
        """(sets,) worth of a PRB by set at these prices, (sets, k) the users that it serves."""
        user = np.empty(self.on.shape, int)
        worth = np.empty(self.on.shape)
        for s in range(self.on.shape[1]):  # one station at a time keeps the arrays small
            value = self.rate[:, s] * price - charge
            user[:, s] = value.argmax(axis=1)
            worth[:, s] = value[np.arange(len(value)), user[:, s]]
        return np.where(self.on, worth - tau, 0.0).sum(axis=1), user

    def add(self, sets: np.ndarray, user: np.ndarray) -> int:
        """Keep sets with the users that they serve; returns how many columns are new."""
        before = len(self.columns)
        row, place = np.nonzero(self.on[sets])
        for key in zip(sets[row].tolist(), place.tolist(), user[sets[row], place].tolist(), strict=True):
            self.columns[key] = None
        return len(self.columns) - before


@dataclass(frozen=True)
class Prices:
    """Of the dual. mbps: (users,) w. prb: (users,) c. bound: no plan is worth more."""

    mbps: np.ndarray
    prb: np.ndarray
    bound: float


@dataclass(frozen=True)
class Worth:
    """Rates at which worth - w rate can be greatest, by user. rate, value: (users, points), value -inf where a point
    does not exist. met: (points,) bool, whether the demand is met there."""

    rate: np.ndarray
    value: np.ndarray
    met: np.ndarray

    @classmethod
    def of(cls, objective: Objective, demand: np.ndarray, highest: np.ndarray) -> Worth:
        """The corners of the objective's broken line and its jump, up to (users,) the highest rates."""
        slopes, offsets = objective.slopes, objective.offsets
        corners = np.diff(offsets) / np.maximum(-np.diff(slopes), 1e-12)  # x demand
        floor = objective.floor(demand) * MET
        ends = np.concatenate([corners[:, None] * demand, np.stack([floor, highest])]).T
        rate = np.concatenate([np.zeros((len(demand), 1)), ends, ends], axis=1)
        met = np.arange(rate.shape[1]) > ends.shape[1]
        value = objective.worth(rate, demand[:, None])
        reached = rate >= floor[:, None]
        # not met: worth below the floor, at the floor itself the limit from below
        jump = objective.jump(demand)[:, None]
        value = np.where(~met & reached, value - jump, value)
        exists = np.where(met, reached, rate <= floor[:, None]) & (rate <= highest[:, None] * (1 + 1e-9))
        return cls(rate, np.where(exists, value, -np.inf), met)

    @property
    def steepest(self) -> np.ndarray:
        """(users,) the most that a Mbit/s can be worth, from none on."""
        gained = self.value - self.value[:, :1]
        return np.max(np.where(self.rate > 0, gained / np.where(self.rate > 0, self.rate, 1.0), 0.0), axis=1)

    def allowed(self, fixed: np.ndarray) -> np.ndarray:
        """value with demands that must be met (1) or must not be (0); (users,) -1 where both may be."""
        wrong = ((fixed == 1)[:, None] & ~self.met) | ((fixed == 0)[:, None] & self.met)
        return np.where(wrong, -np.inf, self.value)


@dataclass
class OnSets:
    """The program of a problem; its cutting planes serve every objective."""

    problem: PrbProblem
    settings: PrbSettings
    clusters: list[Cluster]

    @classmethod
    def of(cls, problem: PrbProblem, settings: PrbSettings) -> OnSets:
        """With as large clusters as memory allows."""
        size = _MAX_CLUSTER
        while size > 1 and 2**size * problem.gain.size > _MAX_VALUES:
            size -= 1
        parts = clusters_of(problem, size)
        return cls(problem, settings, [Cluster.of(problem, part) for part in parts])

    @property
    def most(self) -> int:
        return self.settings.most(self.problem)

    @property
    def highest(self) -> np.ndarray:
        """(users,) Mbit/s of a user with all PRBs that it may have, alone."""
        alone = np.max([c.rate.max(axis=(0, 1)) for c in self.clusters], axis=0)
        return np.asarray(alone * self.most)

    def learn(self, owner: np.ndarray) -> None:
        """Begin with the sets and users of a plan. owner: (stations, prbs) user or -1."""
        for cluster in self.clusters:
            mine = owner[cluster.stations]
            number = (mine >= 0).T @ (1 << np.arange(len(cluster.stations))) - 1
            place, prb = np.nonzero(mine >= 0)
            for key in zip(number[prb].tolist(), place.tolist(), mine[place, prb].tolist(), strict=True):
                cluster.columns[key] = None

    def solve(
        self, objective: Objective, deadline: float, fixed: np.ndarray | None = None, target: float = -np.inf
    ) -> Prices:
        """The best prices found until `deadline` (of time.perf_counter), or until the bound is below `target`.

        fixed: (users,) 1 where the demand must be met, 0 where it must not be, -1 elsewhere.
        """
        points = Worth.of(objective, self.problem.demand_mbps, self.highest)
        value = points.value if fixed is None else points.allowed(fixed)
        if not np.isfinite(value.max(axis=1)).all():
            return Prices(np.zeros(len(value)), np.zeros(len(value)), -np.inf)  # a demand beyond reach
        best: Prices | None = None
        steepest = points.steepest
        if fixed is None:
            for share in _FIRST_PRICES:
                at = (share * steepest, np.zeros(len(value)))
                bound, _ = self._price(objective.tau_mbps, points.rate, value, *at)
                if best is None or bound < best.bound:
                    best = Prices(*at, bound)
        else:  # more where a demand must be met that can hardly be
            steepest = _STEEP * steepest
        for _ in range(_MAX_ITERATIONS):
            master, lowest = self._master(objective.tau_mbps, steepest, points.rate, value)
            new = 0
            for share in (_SMOOTH, 0.0):
                at = master
                if best is not None and share:
                    at = tuple(
                        share * b + (1 - share) * m
                        for b, m in zip((best.mbps, best.prb), master, strict=True)
                    )
                bound, added = self._price(objective.tau_mbps, points.rate, value, *at)
                if best is None or bound < best.bound:
                    best = Prices(*at, bound)
                new += added
                if added:
                    break
            close = best.bound - lowest <= _CLOSE * max(1.0, abs(best.bound))
            if close or not new or best.bound <= target or time.perf_counter() > deadline:
                break
        return best

    def _price(
        self, tau: float, rate: np.ndarray, value: np.ndarray, price: np.ndarray, charge: np.ndarray
    ) -> tuple[float, int]:
        """(the dual function, new columns) at these prices."""
        bound = float((value - price[:, None] * rate).max(axis=1).sum() + self.most * charge.sum())
        new = 0
        for cluster in self.clusters:
            worth, user = cluster.best(price, charge, tau)
            bound += self.problem.prbs * max(0.0, float(worth.max()))
            count = min(_CUTS, len(worth))
            top = np.argpartition(-worth, count - 1)[:count]
            new += cluster.add(top, user)
        return bound, new

    def _master(
        self, tau: float, steepest: np.ndarray, rate: np.ndarray, value: np.ndarray
    ) -> tuple[tuple[np.ndarray, np.ndarray], float]:
        """Prices that are best for the cutting planes alone, and that optimum, which the dual does not go below."""
        users = len(rate)
        model = Model("on-sets dual")
        w = model.variables("w", users, upper=steepest)
        c = model.variables("c", users, upper=np.inf if self.most < self.problem.prbs else 0.0)
        phi = model.variables("phi", users, lower=-np.inf)
        model.cost(phi, 1.0)
        model.cost(c, float(self.most))
        user, point = np.nonzero(np.isfinite(value))
        row = np.arange(len(user))
        model.rows(
            np.append(row, row), np.append(phi[user], w[user]), np.append(np.ones(len(row)), rate[user, point]),
            lower=value[user, point],
        )  # fmt: skip
        for cluster in self.clusters:
            self._add_cuts(model, cluster, tau, w, c)
        result = model.solve(self.settings.solver, None, 0.0, self.settings.threads or 1)
        return (np.maximum(result.of(w), 0.0), np.maximum(result.of(c), 0.0)), result.reached

    def _add_cuts(self, model: Model, cluster: Cluster, tau: float, w: np.ndarray, c: np.ndarray) -> None:
        """A PRB costs no less than the sets found are worth, these no less than with the users found."""
        mu = model.variables("mu", 1)
        model.cost(mu, float(self.problem.prbs))
        if not cluster.columns:
            return
        sets, place, user = np.array(list(cluster.columns)).T
        slot, first = np.unique(sets * len(cluster.stations) + place, return_inverse=True)
        known, of_set = np.unique(slot // len(cluster.stations), return_inverse=True)
        nu = model.variables("nu", len(slot))
        row, rows = np.arange(len(sets)), np.arange(len(known))
        model.rows(
            np.concatenate([row, row, row]),
            np.concatenate([nu[first], w[user], c[user]]),
            np.concatenate([np.ones(len(row)), -cluster.rate[sets, place, user], np.ones(len(row))]),
            lower=0.0,
        )
        model.rows(
            np.append(rows, of_set),
            np.append(np.full(len(rows), mu[0]), nu),
            np.append(np.ones(len(rows)), -np.ones(len(slot))),
            lower=-tau * cluster.on[known].sum(axis=1),
        )

    def branched(self, objective: Objective, root: Prices, enough: float, deadline: float) -> float:
        """The bound after branch and bound on which demands are met, as far as the deadline lets it get.

        enough: a bound with which to stop.
        """
        users, number = len(self.problem.demand_mbps), itertools.count()
        points = Worth.of(objective, self.problem.demand_mbps, self.highest)
        heap = [(-root.bound, next(number), np.full(users, -1), root)]
        while heap:
            known, _, fixed, prices = heap[0]
            if -known <= enough or time.perf_counter() > deadline:
                break
            user = _undecided(points, prices, fixed)
            if user < 0:  # the envelope is no longer what is loose
                break
            heapq.heappop(heap)
            for met in (0, 1):
                part = fixed.copy()
                part[user] = met
                found = self.solve(objective, deadline, part, enough)
                heapq.heappush(heap, (-min(-known, found.bound), next(number), part, found))
        return -heap[0][0] if heap else -np.inf

    def used(self, prices: Prices, objective: Objective) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each cluster (sets,) z and (users, k) Mbit/s by station of the program over the columns found."""
        points = Worth.of(objective, self.problem.demand_mbps, self.highest)
        users = len(points.rate)
        model = Model("on-sets", maximise=True)
        share = model.variables("share", points.rate.shape)
        exists = np.isfinite(points.value)
        model.cost(share[exists], points.value[exists])
        model.rows(np.nonzero(exists)[0], share[exists], 1.0, 1.0, 1.0, users)
        terms, parts = [(np.nonzero(exists)[0], share[exists], -points.rate[exists])], []
        for cluster in self.clusters:
            sets, place, user = np.array(list(cluster.columns)).T
            slot, first = np.unique(sets * len(cluster.stations) + place, return_inverse=True)
            known, of_set = np.unique(slot // len(cluster.stations), return_inverse=True)
            z = model.variables("z", len(known))
            y = model.variables("y", len(sets))
            model.cost(z, -objective.tau_mbps * cluster.on[known].sum(axis=1))
            model.rows(np.zeros(len(z), int), z, 1.0, upper=float(self.problem.prbs))
            model.rows(
                np.append(first, np.arange(len(slot))), np.append(y, z[of_set]),
                np.append(np.ones(len(y)), -np.ones(len(slot))), upper=0.0,
            )  # fmt: skip
            terms.append((user, y, cluster.rate[sets, place, user]))
            parts.append((known, z, y, sets, place, user))
        rows, columns, values = (np.concatenate(t) for t in zip(*terms, strict=True))
        model.rows(rows, columns, values, lower=0.0, count=users)
        if self.most < self.problem.prbs:
            model.rows(
                np.concatenate([p[5] for p in parts]), np.concatenate([p[2] for p in parts]), 1.0,
                upper=float(self.most), count=users,
            )  # fmt: skip
        result = model.solve(self.settings.solver, None, 0.0, self.settings.threads or 1)
        out = []
        for cluster, (known, z, y, sets, place, user) in zip(self.clusters, parts, strict=True):
            prbs = np.zeros(len(cluster.on))
            prbs[known] = result.of(z)
            rate = np.zeros((users, len(cluster.stations)))
            np.add.at(rate, (user, place), result.of(y) * cluster.rate[sets, place, user])
            out.append((prbs, rate))
        return out


def _undecided(points: Worth, prices: Prices, fixed: np.ndarray) -> int:
    """The user for whom, at these prices, meeting its demand is worth as much as not: the one that asks for most."""
    net = points.value - prices.mbps[:, None] * points.rate
    met, not_met = net[:, points.met].max(axis=1), net[:, ~points.met].max(axis=1)
    scale = 1e-3 * (1 + np.abs(not_met))
    tie = (fixed < 0) & np.isfinite(met) & (np.abs(met - not_met) <= scale)
    jump = points.rate[:, points.met].min(axis=1)
    return int(np.where(tie, jump, -1.0).argmax()) if tie.any() else -1


def clusters_of(problem: PrbProblem, size: int) -> list[np.ndarray]:
    """Stations in clusters of at most `size`, those together that disturb each other most.

    Pairs are merged by how much one is heard by users whose best station is the other, against their signal.
    """
    best = problem.gain.argmax(axis=1)
    signal = problem.gain.max(axis=1)
    heard = np.zeros((problem.stations, problem.stations))
    np.add.at(heard, best, problem.gain / signal[:, None])
    heard = heard + heard.T
    np.fill_diagonal(heard, -1.0)
    of = np.arange(problem.stations)
    for first, second in zip(*np.unravel_index(np.argsort(-heard, axis=None), heard.shape), strict=True):
        one, two = of[first], of[second]
        if one != two and (of == one).sum() + (of == two).sum() <= size:
            of[of == two] = one
    return [np.flatnonzero(of == c) for c in np.unique(of)]
