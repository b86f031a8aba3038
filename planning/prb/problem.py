"""What PRB allocation decides and what it is worth (eq. 15): settings, objective and problem.

    max  sum_u worth_u(rate_u) - tau * PRBs used,   rate_u = sum over its PRBs of B log2(1 + SINR)

worth is the counted rate, less a price for what a user lacks of the rate that it must have. Each user has one station;
within a station a PRB serves at most one user (the orthogonality that eq. 15 leaves open: read to the letter, its
interference counts only users of the same station). Between stations users of one PRB interfere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from planning.coverage.rates import RateMapping
from planning.errors import InputError
from planning.geometry import centre_of, distances_m, local_metres
from planning.network import Network
from planning.prb.stations import links_of_cells
from planning.prb.users import Users
from planning.radio import Radio, dbm_to_w

MODES = ("default", "paper", "literal")
FAIRNESS = ("rate", "proportional")
MET = 1 - 1e-6  # a demand counts as met from here
_LOG_FROM = 0.05  # log utility is taken as log(this share of the demand + rate), finite for nobody served
# shares of the demand at which the broken line meets the logarithm
_LOG_POINTS = (0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20, 50, 100)


Values = float | np.ndarray
Rows = int | np.integer | np.ndarray  # row numbers of users or stations


@dataclass(frozen=True)
class Objective:
    """What rates and PRBs are worth, in Mbit/s.

    counted rate = min over k of slopes[k] * rate + offsets[k] * demand: concave and piecewise linear.
    """

    tau_mbps: float  # penalty of each PRB in use
    slopes: np.ndarray  # (lines,)
    offsets: np.ndarray  # (lines,)
    min_mbps: float | None  # that a user must have, at most its demand; None: all of its demand
    missing_price: float  # for each Mbit/s missing of it ...
    unmet_share: float  # ... and, where any is, for this share of it on top

    def floor(self, demand: Values) -> np.ndarray:
        """The rate that a user must have."""
        asked = np.asarray(demand, float)
        return asked if self.min_mbps is None else np.minimum(asked, self.min_mbps)

    def jump(self, demand: Values) -> np.ndarray:
        """What a user's worth rises by where its rate gets to the one that it must have."""
        return self.missing_price * self.unmet_share * self.floor(demand)

    def counted(self, rate: Values, demand: Values) -> np.ndarray:
        """Mbit/s that count (arrays broadcast)."""
        out: np.ndarray = self.slopes[0] * rate + self.offsets[0] * demand
        for slope, offset in zip(self.slopes[1:], self.offsets[1:], strict=True):
            out = np.minimum(out, slope * rate + offset * demand)
        return out

    def worth(self, rate: Values, demand: Values) -> np.ndarray:
        """Counted rate less the price of what is missing (arrays broadcast), without the PRBs' own price."""
        floor = self.floor(demand)
        lack = np.where(rate < floor * MET, floor - rate + self.unmet_share * floor, 0.0)
        return self.counted(rate, demand) - self.missing_price * lack


@dataclass(frozen=True)
class PrbSettings:
    """What rates and PRBs are worth, and how long a plan is sought for.

    A user that misses the rate that it must have is charged `missing_price` for each Mbit/s that it lacks, and for
    `unmet_share` of that rate on top.
    """

    # several PRBs a user; "paper": at most one, its whole rate counted; "literal": eq. 15 to the letter (`literal`)
    mode: str = "default"
    tau_mbps: float = 0.05  # penalty of each PRB in use
    cap: float | None = 1.0  # rate counts up to cap x demand, None: all of it
    min_mbps: float | None = None  # rate that each user must have, None: its demand
    missing_price: float = 10.0  # Mbit/s of worth for each one missing
    unmet_share: float = 0.35  # demands met count beside Mbit/s
    fairness: str = "rate"  # counts Mbit/s, "proportional" their logarithm
    rounds: int = 4  # most solves with the interference found by the one before
    candidates: int = 5  # stations that the local search considers for a user
    exact_size: int = 600  # up to so many users x stations x PRBs the exact co-channel program runs
    time_limit: float = 30.0  # seconds, for everything together
    gap: float = 1e-4  # relative, between plan and bound, at which to stop
    solver: str = "auto"
    threads: int | None = None  # None: one, as the programs are small
    seed: int = 0  # of the local search

    def validate(self) -> None:
        """Raises InputError for a setting that makes no sense."""
        if self.mode not in MODES:
            raise InputError(f"Unknown PRB mode {self.mode!r}; choose one of {', '.join(MODES)}.")
        if self.fairness not in FAIRNESS:
            raise InputError(f"Unknown fairness {self.fairness!r}; choose one of {', '.join(FAIRNESS)}.")
        if not self.tau_mbps >= 0:
            raise InputError("The penalty of a PRB must be at least 0 Mbit/s.")
        if self.cap is not None and not self.cap >= 1:
            raise InputError("The counted rate must be capped at 1 x the demand or more, or not at all.")
        if self.min_mbps is not None and not self.min_mbps >= 0:
            raise InputError("The minimum rate must be at least 0 Mbit/s.")
        if not (self.missing_price >= 0 and self.unmet_share >= 0):
            raise InputError(
                "The price of a missing Mbit/s and the share for an unmet user must be at least 0."
            )
        if self.rounds < 1 or self.candidates < 1:
            raise InputError("At least one round and one candidate station are needed.")
        if not self.time_limit > 0:
            raise InputError(f"The time limit must be above 0 seconds, not {self.time_limit:g}.")

    def most(self, problem: PrbProblem) -> int:
        """PRBs that a user may have."""
        return problem.prbs if self.mode == "default" else 1

    @property
    def objective(self) -> Objective:
        """For fairness by rate counted = min(rate, cap * demand); for proportional fairness the broken line through
        demand * log(1 + x / _LOG_FROM) / log(1 + 1 / _LOG_FROM) at x = rate / demand of _LOG_POINTS."""
        if self.mode == "literal":
            return Objective(self.tau_mbps, np.ones(1), np.zeros(1), None, 0.0, 0.0)
        cap = None if self.mode == "paper" else self.cap
        if self.fairness == "rate":
            slopes, offsets = [1.0], [0.0]
            top = cap
        else:
            below = [p for p in _LOG_POINTS if cap is None or p < cap]
            share = np.array([*below, cap] if cap else below, float)
            utility = np.log(1 + share / _LOG_FROM) / np.log(1 + 1 / _LOG_FROM)
            slope = np.diff(utility) / np.diff(share)
            slopes, offsets = slope.tolist(), (utility[:-1] - slope * share[:-1]).tolist()
            top = utility[-1] if cap else None
        if top is not None:
            slopes.append(0.0)
            offsets.append(float(top))
        return Objective(
            self.tau_mbps,
            np.array(slopes),
            np.array(offsets),
            self.min_mbps,
            self.missing_price,
            self.unmet_share,
        )


@dataclass(frozen=True)
class PrbProblem:
    """gain: (users, stations) linear. metres: (users, stations) on the ground. demand_mbps: (users,) on this link.
    power_w: of a user in all (uplink) or of a station on one PRB (downlink). prbs: of each station. mapping: from SINR
    to bit/s/Hz, one layer; None: Shannon's log2(1 + SINR), as in eq. 15. layers: spatial layers at best, which share
    the power. usable: share of resource elements and time that carries data of this link. Both count with a mapping
    only. `planning.prb.stations` makes problems whose stations are cells."""

    site_names: tuple[str, ...]
    users: Users
    radio: Radio
    gain: np.ndarray
    metres: np.ndarray
    demand_mbps: np.ndarray
    power_w: float
    prbs: int
    mapping: RateMapping | None = None
    layers: int = 1
    usable: float = 1.0

    @classmethod
    def build(
        cls,
        network: Network,
        users: Users,
        radio: Radio | None = None,
        mapping: RateMapping | None = None,
    ) -> PrbProblem:
        """Every site is one station, or every cell of a carrier, as `radio.stations` says.

        Cells bring their own rates and layers, and the carrier is asked for its share of the users' traffic; mapping
        counts for sites alone. Raises InputError for radio settings that make no sense.
        """
        radio = radio or Radio()
        radio.validate()
        if radio.stations == "cells":
            links = links_of_cells(network, users, radio)
            asked = users.demand_mbps * links.radio.share * links.share
            return cls(
                links.names, users, links.radio, links.gain, links.metres, asked, links.power_w, links.prbs,
                links.mapping, links.layers, links.usable,
            )  # fmt: skip
        sites = network.sites
        origin = centre_of(users.lon, users.lat)
        metres = distances_m(local_metres(users.lon, users.lat, origin), network.metres(origin))
        power = (
            dbm_to_w(radio.user_dbm) if radio.link == "uplink" else dbm_to_w(radio.station_dbm) / radio.prbs
        )
        return cls(
            tuple(sites["site"]),
            users,
            radio,
            radio.gains(metres),
            metres,
            users.demand_mbps * radio.share,
            float(power),
            radio.prbs,
            mapping,
        )

    @property
    def uplink(self) -> bool:
        """Whether users send; else stations do."""
        return self.radio.link == "uplink"

    @property
    def stations(self) -> int:
        """How many."""
        return self.gain.shape[1]

    @property
    def size(self) -> int:
        """Users x stations x PRBs."""
        return self.gain.size * self.prbs

    @cached_property
    def noise_w(self) -> float:
        """Thermal noise on a PRB at the receiver."""
        return float(self.radio.noise_w)

    @cached_property
    def prb_mhz(self) -> float:
        """Width of a PRB, which is its Mbit/s at 1 bit/s/Hz."""
        return self.radio.prb_hz / 1e6

    def sent(self, count: Values) -> np.ndarray:
        """W on each of `count` PRBs: an uplink user splits its power evenly over its PRBs, a downlink station gives
        each PRB the same. A drawn user that stands for w users has w transmitters, so its power on a PRB falls only
        from w PRBs on."""
        if not self.uplink:
            return np.full(np.shape(count), self.power_w)
        return self.power_w / np.maximum(np.asarray(count, float) / max(self.users.weight, 1.0), 1.0)

    def prb_mbps(self, sinr: Values) -> np.ndarray:
        """Mbit/s of one PRB at a linear SINR (any shape); never less at a better one."""
        if self.mapping is None:
            return self.prb_mhz * np.log2(1 + np.asarray(sinr))
        return self.prb_mhz * self.usable * self.mapping.efficiency_of(sinr, self.layers)

    def rates(self, user: Rows, station: Rows, count: Values, interference_w: Values) -> np.ndarray:
        """Mbit/s of `count` PRBs at a given interference per PRB in W (arrays broadcast)."""
        received = self.sent(count) * self.gain[user, station]
        return np.asarray(count, float) * self.prb_mbps(received / (self.noise_w + interference_w))
