"""PRB allocation (eq. 15): which station and how many PRBs each user gets, and which PRBs they are.

    max  sum_u counted_u - tau * PRBs used,   counted_u = min(rate_u, cap * demand_u)  (cap None: the whole rate)
    rate_u = sum over its PRBs of B log2(1 + SINR)

Each user has one station; within a station a PRB serves at most one user (the orthogonality that eq. 15 leaves open:
read to the letter, its interference counts only users of the same station). Between stations users of one PRB
interfere, and every plan, baselines included, is scored with that true SINR. An uplink user splits its power evenly
over its PRBs; a downlink station transmits each PRB with an equal part of its power.

Stations and numbers of PRBs come from a mixed-integer program at fixed interference (one binary per user, candidate
station and number of PRBs), solved again with the interference that its plan caused, the best true plan kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from .errors import InfeasibleError, InputError
from .geometry import centre_of, distances_m, local_metres
from .network import Network
from .radio import Radio, dbm_to_w
from .solver import Model, SolveResult, relative_gap
from .users import Users, draw_users

__all__ = ["MODES", "PrbPlan", "PrbProblem", "PrbSettings", "Users", "draw_users", "round_robin", "solve_prb"]

MODES = ("default", "paper")
_MET = 1 - 1e-6  # a demand counts as met from here
_EXACT_OPTIONS = 4_000  # up to here every number of PRBs is an option, beyond a geometric ladder
_SERVE_FIRST = (
    10.0  # a Mbit/s of demand served weighs this much more than the objective, so that demands come first
)
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class PrbSettings:
    """mode: "default" (several PRBs a user) or "paper" (at most one, whole rate counted). tau_mbps: penalty a PRB in
    Mbit/s. cap: rate counts up to cap x demand, None for all of it. rounds: re-solves with the interference found."""

    mode: str = "default"
    tau_mbps: float = 0.05
    cap: float | None = 1.0
    rounds: int = 3
    candidates: int = 5
    time_limit: float = 30.0
    gap: float = 0.01
    solver: str = "auto"

    def validate(self) -> None:
        if self.mode not in MODES:
            raise InputError(f"Unknown PRB mode {self.mode!r}; choose one of {', '.join(MODES)}.")
        if not self.tau_mbps >= 0:
            raise InputError("The penalty of a PRB must be at least 0 Mbit/s.")
        if self.cap is not None and not self.cap >= 1:
            raise InputError("The counted rate must be capped at 1 x the demand or more, or not at all.")
        if self.rounds < 1 or self.candidates < 1:
            raise InputError("At least one round and one candidate station are needed.")


@dataclass(frozen=True)
class PrbProblem:
    """gain: (users, stations) linear. demand_mbps: (users,) on this link. power_w: of a user in all (uplink) or of a
    station on one PRB (downlink)."""

    site_names: tuple[str, ...]
    users: Users
    radio: Radio
    gain: np.ndarray
    metres: np.ndarray
    demand_mbps: np.ndarray
    power_w: float

    @classmethod
    def build(cls, network: Network, users: Users, radio: Radio | None = None) -> PrbProblem:
        """Every site is one station. Raises InputError for radio settings that make no sense."""
        radio = radio or Radio()
        radio.validate()
        sites = network.sites
        origin = centre_of(users.lon, users.lat)
        metres = distances_m(local_metres(users.lon, users.lat, origin), network.metres(origin))
        power = (
            dbm_to_w(radio.user_dbm) if radio.link == "uplink" else dbm_to_w(radio.station_dbm) / radio.prbs
        )
        gain = radio.gains(metres)
        return cls(
            tuple(sites["site"]), users, radio, gain, metres, users.demand_mbps * radio.share, float(power)
        )

    @property
    def stations(self) -> int:
        return self.gain.shape[1]

    @property
    def prbs(self) -> int:
        return self.radio.prbs

    def splits(self, count):
        """Over how many PRBs an uplink user's power is spread: a drawn user that stands for w users has w transmitters,
        so its power per PRB falls only from w PRBs on."""
        return np.maximum(np.asarray(count, float) / max(self.users.weight, 1.0), 1.0)

    def rates(self, user, station, count, interference_w) -> np.ndarray:
        """Mbit/s of `count` PRBs at a given interference per PRB (arrays broadcast)."""
        count = np.asarray(count, float)
        received = self.power_w * self.gain[user, station]
        if self.radio.link == "uplink":
            received = received / self.splits(count)
        sinr = received / (self.radio.noise_w + interference_w)
        return count * self.radio.prb_hz * np.log2(1 + sinr) / 1e6

    def usual_interference(self) -> np.ndarray:
        """(users, stations) W per PRB to begin with: half of what neighbours on every PRB would cause.

        Uplink: the mean over each other station's own users of what arrives here, at full power on one PRB shared
        over the PRBs such a user typically has; downlink: what the other stations' PRBs send to the user.
        """
        best = self.gain.argmax(axis=1)
        if self.radio.link == "downlink":
            total = self.gain.sum(axis=1, keepdims=True)
            return 0.5 * self.power_w * (total - self.gain)
        per_prb = self.power_w / max(1.0, self.prbs * self.stations / len(self.gain) / 2)
        arriving = np.zeros((self.stations, self.stations))
        for station in range(self.stations):
            mine = best == station
            if mine.any():
                arriving[station] = per_prb * self.gain[mine].mean(axis=0)
        np.fill_diagonal(arriving, 0.0)
        return np.broadcast_to(0.5 * arriving.sum(axis=0), self.gain.shape)


@dataclass(frozen=True)
class PrbPlan:
    """station: (users,) row of the site, -1 for none. prbs: each user's PRB numbers. sinr_db: mean over its PRBs in
    the rate sense. objective_mbps: with the true SINR. bound_mbps: no plan can exceed it (no interference at all)."""

    strategy: str
    problem: PrbProblem
    tau_mbps: float
    cap: float | None
    station: np.ndarray
    prbs: tuple[np.ndarray, ...]
    rate_mbps: np.ndarray
    sinr_db: np.ndarray
    objective_mbps: float
    bound_mbps: float | None
    solve: SolveResult | None
    unmet: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def met(self) -> np.ndarray:
        return self.rate_mbps >= self.problem.demand_mbps * _MET

    @property
    def used_prbs(self) -> int:
        return sum(len(p) for p in self.prbs)

    @property
    def utilisation(self) -> np.ndarray:
        """(stations,) share of PRBs in use."""
        used = np.array([len(p) for p in self.prbs], float)
        served = self.station >= 0
        return np.bincount(self.station[served], used[served], self.problem.stations) / self.problem.prbs

    @property
    def gap(self) -> float | None:
        return relative_gap(self.objective_mbps, self.bound_mbps)

    @property
    def unserved_mbps(self) -> float:
        """Demand beyond what users get."""
        return float(np.maximum(self.problem.demand_mbps - self.rate_mbps, 0.0)[~self.met].sum())

    @property
    def sentence(self) -> str:
        text = (
            f"{self.strategy}: {int(self.met.sum())} of {len(self.met)} demands met, {self.unserved_mbps:,.2f} Mbit/s "
            f"missing, {self.used_prbs} PRBs used, objective {self.objective_mbps:,.2f} Mbit/s with true SINR"
        )
        if self.bound_mbps is not None:
            text += f" (bound without interference {self.bound_mbps:,.2f})"
        return f"{text}. {self.problem.users.sentence}"

    def assignment(self) -> pd.DataFrame:
        """One row a user."""
        names = np.array([*self.problem.site_names, None], object)
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
                "sinr_db": np.where(np.isfinite(self.sinr_db), self.sinr_db, np.nan),
                "met": self.met,
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
                "used_prbs": np.round(self.utilisation * self.problem.prbs).astype(int),
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

    def record(self) -> dict:
        """For provenance."""
        radio = asdict(self.problem.radio)
        out = {
            "strategy": self.strategy,
            "sentence": self.sentence,
            "hour": self.problem.users.hour,
            "users": len(self.station),
            "weight": self.problem.users.weight,
            "met": int(self.met.sum()),
            "unserved_mbps": self.unserved_mbps,
            "used_prbs": self.used_prbs,
            "tau_mbps": self.tau_mbps,
            "cap": self.cap,
            "objective_mbps": self.objective_mbps,
            "bound_mbps": self.bound_mbps,
            "gap_to_bound": self.gap,
            "radio": radio,
            "traffic_share": self.problem.radio.share,
            "notes": list(self.notes),
        }
        return out | ({"solve": self.solve.record()} if self.solve else {})


# --- scoring -----------------------------------------------------------------------------------------------------


def true_sinr(problem: PrbProblem, station: np.ndarray, uses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(users, prbs) SINR and interference in W on the PRBs in use (0 elsewhere), all co-channel users counted.

    uses: (users, prbs) bool; within a station no PRB may be used twice.
    """
    count = uses.sum(axis=1)
    own = problem.gain[np.arange(len(station)), np.maximum(station, 0)]
    if problem.radio.link == "uplink":
        sent = uses * (problem.power_w / problem.splits(count))[:, None]  # W of each user on each PRB
        arriving = problem.gain.T @ sent  # (stations, prbs)
        signal = sent * own[:, None]
        interference = np.where(uses, arriving[np.maximum(station, 0)] - signal, 0.0)
    else:
        on_air = np.zeros((problem.stations, problem.prbs))
        np.maximum.at(on_air, station[station >= 0], uses[station >= 0].astype(float))
        signal = uses * (problem.power_w * own)[:, None]
        interference = np.where(uses, problem.power_w * (problem.gain @ on_air) - signal, 0.0)
    interference = np.maximum(interference, 0.0)
    return np.where(uses, signal / (problem.radio.noise_w + interference), 0.0), interference


def _score(problem, station, uses, tau, cap) -> tuple[np.ndarray, float, float]:
    """(rates, objective, what the search maximises: demand first)."""
    sinr, _ = true_sinr(problem, station, uses)
    rate = problem.radio.prb_hz * np.log2(1 + sinr).sum(axis=1) / 1e6
    counted = rate if cap is None else np.minimum(rate, cap * problem.demand_mbps)
    objective = float(counted.sum() - tau * uses.sum())
    served = np.minimum(rate, problem.demand_mbps)
    met = rate >= problem.demand_mbps * _MET
    return rate, objective, objective + _SERVE_FIRST * float(served.sum() + problem.demand_mbps[met].sum())


def _finish(problem, strategy, station, uses, tau, cap, bound, solve, single, notes=()) -> PrbPlan:
    rate, objective, _ = _score(problem, station, uses, tau, cap)
    count = uses.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        # the one SINR that would give the same rate on every PRB of the user
        mean = 2 ** (rate * 1e6 / problem.radio.prb_hz / np.maximum(count, 1)) - 1
        sinr_db = 10 * np.log10(np.where(count > 0, mean, np.nan))
    station = np.where(count > 0, station, -1)
    prbs = tuple(np.flatnonzero(row) for row in uses)
    unmet = _reasons(problem, station, uses, rate, single)
    return PrbPlan(
        strategy,
        problem,
        tau,
        cap,
        station,
        prbs,
        rate,
        sinr_db,
        objective,
        bound,
        solve,
        unmet,
        tuple(notes),
    )


def _reasons(problem, station, uses, rate, single) -> tuple[str, ...]:
    """For each demand that is not met: the best rate the user could get, and what stands in the way."""
    out = []
    used = np.zeros(problem.stations, int)
    np.add.at(used, station[station >= 0], uses.sum(axis=1)[station >= 0])
    every = np.arange(problem.stations)
    most = 1 if single else problem.prbs
    for user in np.flatnonzero(rate < problem.demand_mbps * _MET):
        alone = problem.rates(user, every, most, 0.0)
        best = int(alone.argmax())
        demand = problem.demand_mbps[user]
        place = f"User {user} asks for {demand:,.2f} Mbit/s and gets {rate[user]:,.2f}"
        limit = "the one PRB of the paper's mode" if single else f"all {most} PRBs"
        if alone[best] < demand:
            why = f"alone on {limit} of {problem.site_names[best]} it would get {alone[best]:,.2f}: power is the limit"
        else:
            count = int(uses[user].sum())
            quiet = problem.rates(user, station[user], count, 0.0) if count else 0.0
            if quiet >= demand * _MET:
                why = f"without interference its {count} PRBs would give {float(quiet):,.2f}: interference is the limit"
            elif station[user] >= 0 and used[station[user]] < problem.prbs and not single:
                why = (
                    f"{problem.site_names[station[user]]} has PRBs free, but on them others would lose more than it "
                    f"gains (alone it could get {alone[best]:,.2f}): interference is the limit"
                )
            elif single:
                why = f"{problem.site_names[best]} alone could give {alone[best]:,.2f}: PRBs are the limit"
            else:
                busy = station[user] if station[user] >= 0 else best
                why = (
                    f"{problem.site_names[busy]} has {used[busy]} of {problem.prbs} PRBs in use; alone the user could "
                    f"get {alone[best]:,.2f}: PRBs are the limit"
                )
        out.append(f"{place}; {why}.")
    return tuple(out)


# --- optimisation ------------------------------------------------------------------------------------------------


def solve_prb(
    problem: PrbProblem, settings: PrbSettings | None = None, progress: Progress | None = None
) -> PrbPlan:
    """The best plan found under `settings`; users whose demand is not met are named in plan.unmet."""
    settings = settings or PrbSettings()
    settings.validate()
    single = settings.mode == "paper"
    cap = None if single else settings.cap
    tau = settings.tau_mbps
    steps = settings.rounds + 1
    each = settings.time_limit / steps
    if progress:
        progress(0, steps, "bound without interference")
    nobody = np.zeros(problem.gain.shape)
    bound_run = _choose(problem, nobody, settings, each, demand_first=False)[2]
    bound = bound_run.bound
    best, last = None, None
    interference = problem.usual_interference()
    for turn in range(settings.rounds):
        if progress:
            progress(turn + 1, steps, f"allocating, round {turn + 1}")
        station, count, result, exact = _choose(problem, interference, settings, each)
        uses = _indices(problem, station, count)
        if not single:
            station, uses = _improve(problem, station, uses, interference, tau, cap, tries=40)
        merit = _score(problem, station, uses, tau, cap)[2]
        if best is None or merit > best[0]:
            best = (merit, station, uses, result, exact)
        key = (tuple(station), tuple(uses.sum(axis=1)))
        if key == last:
            break  # settled
        last = key
        interference = _found(problem, station, uses, interference)
    if progress:
        progress(steps, steps, "allocated")
    _, station, uses, result, exact = best
    if not single:
        station, uses = _improve(problem, station, uses, interference, tau, cap, tries=400)
    notes = [f"{problem.radio.share:.0%} of the traffic is taken to be {problem.radio.link}."]
    if not exact:
        notes.append("The program chose numbers of PRBs from a ladder of sizes, not from every number.")
    name = "paper (one PRB a user)" if single else "optimised"
    return _finish(problem, name, station, uses, tau, cap, bound, result, single, notes)


def _choose(problem, interference, settings, time_limit, demand_first=True):
    """(station, PRBs) of each user by the program at fixed interference, its answer, and whether every number of
    PRBs was open to choice."""
    users = len(problem.demand_mbps)
    single = settings.mode == "paper"
    near = min(settings.candidates, problem.stations)
    if not demand_first:
        near = problem.stations  # the bound must not forget a station
    wanted = np.argsort(-problem.gain / (problem.radio.noise_w + interference), axis=1, kind="stable")[
        :, :near
    ]
    sizes = np.array([1]) if single else np.arange(1, problem.prbs + 1)
    user = np.repeat(np.arange(users), near)
    station = wanted.ravel()
    rate = problem.rates(user[:, None], station[:, None], sizes, interference[user, station][:, None])
    demand = problem.demand_mbps[user][:, None]
    cap = None if single else settings.cap
    counted = rate if cap is None else np.minimum(rate, cap * demand)
    value = counted - settings.tau_mbps * sizes
    if demand_first:
        met = rate >= demand * _MET
        value = value + _SERVE_FIRST * (np.minimum(rate, demand) + np.where(met, demand, 0.0))
    # an option is worth keeping only if no smaller one of the same station is worth as much
    best_before = np.maximum.accumulate(
        np.concatenate([np.zeros((len(value), 1)), value[:, :-1]], axis=1), axis=1
    )
    keep = value > best_before + 1e-12
    exact = single or int(keep.sum()) <= _EXACT_OPTIONS
    if not exact:
        keep &= _ladder(rate, demand, cap, len(sizes))
    pair, size = np.nonzero(keep)
    if not demand_first and not exact:
        # a ladder forgets plans; a bound may not: use the relaxation with every size's best value per PRB instead
        return None, None, _relaxed_bound(problem, settings, rate, demand, sizes, user, station, cap), False
    model = Model("prb", maximise=True)
    w = model.variables("w", len(pair), upper=1, integer=True)
    model.cost(w, value[pair, size])
    model.rows(user[pair], w, 1.0, upper=1.0, count=users)
    model.rows(station[pair], w, sizes[size], upper=float(problem.prbs), count=problem.stations)
    first = _greedy_options(problem, user[pair], station[pair], sizes[size], value[pair, size])
    model.start(w, first)
    result = model.solve(settings.solver, time_limit, settings.gap)
    if not result.has_solution:
        raise InfeasibleError(
            f"The solver found no allocation within {time_limit:.1f} s; raise the time limit."
        )
    chosen = np.flatnonzero(result.values > 0.5) if len(w) else np.zeros(0, int)
    picked = np.full(users, -1)
    count = np.zeros(users, int)
    picked[user[pair[chosen]]] = station[pair[chosen]]
    count[user[pair[chosen]]] = sizes[size[chosen]]
    return picked, count, result, exact


def _ladder(rate, demand, cap, most: int) -> np.ndarray:
    """(pairs, sizes) bool: the number of PRBs that just meets the demand, parts of it, and steps beyond it."""
    reached = rate >= demand * _MET
    enough = np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, most)
    steps = [0.125, 0.25, 0.5, 0.75, 1.0]
    if cap != 1.0:
        steps += [1.25, 1.5, 2.0, 3.0, 4.5, 7.0, 10.0, 15.0, 25.0, 40.0, 70.0, 120.0]
    wanted = np.clip(np.ceil(enough[:, None] * np.array(steps)), 1, most).astype(int)
    out = np.zeros(rate.shape, bool)
    np.put_along_axis(out, wanted - 1, True, axis=1)
    return out


def _greedy_options(problem, user, station, size, value) -> np.ndarray:
    """A first solution: options by worth per PRB, one a user, while the station has PRBs left."""
    taken = np.zeros(len(value))
    done = np.zeros(len(problem.demand_mbps), bool)
    left = np.full(problem.stations, problem.prbs)
    for option in np.argsort(-value / size, kind="stable").tolist():
        u, s, k = user[option], station[option], size[option]
        if not done[u] and k <= left[s] and value[option] > 0:
            taken[option] = 1.0
            done[u] = True
            left[s] -= k
    return taken


def _relaxed_bound(problem, settings, rate, demand, sizes, user, station, cap) -> SolveResult:
    """An LP whose optimum no plan exceeds: rates are concave in the number of PRBs, so tangents bound them."""
    counted = rate if cap is None else np.minimum(rate, cap * demand)
    model = Model("prb bound", maximise=True)
    pairs = len(user)
    share = model.variables("a", pairs, upper=1.0)
    n = model.variables("n", pairs, upper=float(len(sizes)))
    r = model.variables("r", pairs, upper=counted.max(axis=1))
    model.cost(r, 1.0)
    model.cost(n, -settings.tau_mbps)
    # chords between neighbouring sizes, extended: above a concave function outside their own interval
    steps = np.unique(np.geomspace(1, len(sizes), 12).astype(int)) - 1
    padded = np.concatenate([np.zeros((pairs, 1)), rate], axis=1)  # rate of 0, 1, .. PRBs
    for step in steps:
        slope = padded[:, step + 1] - padded[:, step]
        offset = padded[:, step] - slope * step
        row = np.arange(pairs)
        model.rows(
            np.tile(row, 3),
            np.concatenate([r, share, n]),
            np.concatenate([np.ones(pairs), -offset, -slope]),
            upper=0.0,
            count=pairs,
        )
    if cap is not None:
        row = np.arange(pairs)
        model.rows(
            np.tile(row, 2),
            np.concatenate([r, share]),
            np.concatenate([np.ones(pairs), -cap * demand[:, 0]]),
            upper=0.0,
            count=pairs,
        )
    model.rows(user, share, 1.0, upper=1.0, count=len(problem.demand_mbps))
    model.rows(station, n, 1.0, upper=float(problem.prbs), count=problem.stations)
    return model.solve(settings.solver, None, settings.gap)


def _indices(problem, station, count) -> np.ndarray:
    """(users, prbs) bool: which PRBs, so that co-channel users disturb each other least.

    Users with the weakest link choose first; each takes the free PRBs of its station on which the least power
    arrives from others and on which it disturbs others least.
    """
    users = len(station)
    uses = np.zeros((users, problem.prbs), bool)
    free = np.ones((problem.stations, problem.prbs), bool)
    arriving = np.zeros((problem.stations, problem.prbs))  # W at each station (uplink), co-channel
    used_by = np.zeros((problem.stations, problem.prbs), bool)
    own = problem.gain[np.arange(users), np.maximum(station, 0)]
    # start each station at another place, so that lightly loaded neighbours do not meet
    tie = (
        (np.arange(problem.prbs)[None, :] - np.arange(problem.stations)[:, None] * 37) % problem.prbs * 1e-30
    )
    for user in np.lexsort((np.arange(users), own)):
        s, k = int(station[user]), int(count[user])
        if s < 0 or k == 0:
            continue
        each = problem.power_w / problem.splits(k) if problem.radio.link == "uplink" else problem.power_w
        others = used_by.copy()
        others[s] = False
        if problem.radio.link == "uplink":
            cost = arriving[s] + each * (problem.gain[user] @ others)
        else:
            cost = each * (problem.gain[user] @ others)
        cost = np.where(free[s], cost + tie[s], np.inf)
        chosen = np.argsort(cost, kind="stable")[:k]
        uses[user, chosen] = True
        free[s, chosen] = False
        used_by[s, chosen] = True
        if problem.radio.link == "uplink":
            arriving[:, chosen] += each * problem.gain[user][:, None]
            arriving[s, chosen] -= each * own[user]
    return uses


def _improve(problem, station, uses, interference, tau, cap, tries: int) -> tuple[np.ndarray, np.ndarray]:
    """Local search with the true SINR: more PRBs for users that miss their demand, fewer where nothing is lost.

    Each step changes one user's PRBs and stays only if the score rises. interference: (users, stations) W per PRB to
    size the first PRBs of a user that has none.
    """
    station, uses = station.copy(), uses.copy()
    rate, _, merit = _score(problem, station, uses, tau, cap)
    sizes = np.arange(1, problem.prbs + 1)
    for grow in (True, False):
        settled = np.zeros(len(station), bool)
        for _ in range(tries):
            if grow:
                todo = (rate < problem.demand_mbps * _MET) & ~settled
            else:
                lean = problem.demand_mbps if cap is None else cap * problem.demand_mbps
                todo = (rate > lean * 1.001) & (uses.sum(axis=1) > 1) & ~settled
            if not todo.any():
                break
            user = int(todo.argmax())
            trial, at = uses.copy(), station.copy()
            if grow:
                if at[user] < 0 or not uses[user].any():
                    busy = np.bincount(
                        station[station >= 0], uses.sum(axis=1)[station >= 0], problem.stations
                    )
                    at[user] = np.where(busy < problem.prbs, problem.gain[user], -1.0).argmax()
                free = ~uses[at == at[user]].any(axis=0)
                if not free.any():
                    settled[user] = True
                    continue
                if uses[user].any():
                    missing = 1 - rate[user] / problem.demand_mbps[user]
                    step = int(np.ceil(missing * uses[user].sum()))
                else:
                    enough = problem.rates(user, at[user], sizes, interference[user, at[user]])
                    step = int(np.searchsorted(enough, problem.demand_mbps[user])) + 1
                crowd = np.where(free, uses.sum(axis=0), len(station) + 1)
                trial[user, np.argsort(crowd, kind="stable")[: min(max(step, 1), int(free.sum()))]] = True
            else:
                sinr, _ = true_sinr(problem, station, uses)
                trial[user, np.where(uses[user], sinr[user], np.inf).argmin()] = False
            new_rate, _, new_merit = _score(problem, at, trial, tau, cap)
            if new_merit > merit + 1e-9:
                station, uses, rate, merit = at, trial, new_rate, new_merit
            else:
                settled[user] = True
    return station, uses


def _found(problem, station, uses, before) -> np.ndarray:
    """(users, stations) interference for the next round: what the plan caused, averaged with what was assumed."""
    _, interference = true_sinr(problem, station, uses)
    out = before.copy()
    count = uses.sum(axis=1)
    for s in range(problem.stations):
        mine = np.flatnonzero((station == s) & (count > 0))
        if len(mine) and problem.radio.link == "uplink":
            mean = interference[mine].sum() / count[mine].sum()
            out[:, s] = 0.5 * (out[:, s] + mean)
    for user in np.flatnonzero(count):
        out[user, station[user]] = interference[user].sum() / count[user]
    return out


# --- baseline ----------------------------------------------------------------------------------------------------


def round_robin(problem: PrbProblem, tau_mbps: float = 0.05, cap: float | None = 1.0) -> PrbPlan:
    """Baseline: each user at its nearest station, which deals PRBs 0, 1, 2, .. in turn to its users that still want
    more by their interference-free rate."""
    users = len(problem.demand_mbps)
    station = problem.metres.argmin(axis=1)
    uses = np.zeros((users, problem.prbs), bool)
    for s in range(problem.stations):
        waiting = list(np.flatnonzero(station == s))
        prb = 0
        while waiting and prb < problem.prbs:
            user = waiting.pop(0)
            uses[user, prb] = True
            prb += 1
            if problem.rates(user, s, uses[user].sum(), 0.0) < problem.demand_mbps[user]:
                waiting.append(user)
    return _finish(problem, "round robin", station, uses, tau_mbps, cap, None, None, False)
