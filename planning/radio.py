"""Radio links: path loss of TR 38.901, noise, PRB counts of TS 38.101. All vectorised, every figure editable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from planning.bands import prb_count
from planning.errors import InputError
from planning.propagation import SHADOW_DB, los_probability, path_losses_db

ENVIRONMENTS = ("UMa", "UMi")
STATIONS = ("sites", "cells")
CONDITIONS = ("NLOS", "LOS", "drawn")
HIGHEST_USER_M = 13.0  # above, TR 38.901 draws the height of the surroundings


@dataclass(frozen=True)
class Radio:
    """A carrier and its two ends.

    What is None is worked out by the properties below.
    """

    carrier_ghz: float = 2.6
    bandwidth_mhz: float = 100
    scs_khz: int = 30  # subcarrier spacing
    link: str = "uplink"  # or "downlink"
    environment: str = "UMa"  # or "UMi", of TR 38.901
    condition: str = "NLOS"  # cautious; or "LOS", or "drawn" for each link from the LOS probability
    user_dbm: float = 23.0  # in all: power class 3 of TS 38.101-1
    station_dbm: float = 53.0  # in all: 200 W
    station_gain_dbi: float = 12.0
    user_gain_dbi: float = 0.0
    noise_figure_db: float | None = None  # of the receiver
    station_height_m: float | None = None
    user_height_m: float = 1.5
    shadowing: bool = False  # draw it, independent from link to link
    traffic_share: float | None = None  # of an hour's traffic on this link
    stations: str = (
        "sites"  # each one omnidirectional station; or "cells", with their own carrier, antenna and power
    )
    cell_carrier: str = ""  # of the cells, a label of `planning.prb.stations.carriers`; "": the widest
    seed: int = 0  # of conditions and shadowing

    def validate(self) -> None:
        """Raises InputError for a setting outside its range."""
        if not 0.5 <= self.carrier_ghz <= 100:
            raise InputError(
                f"The carrier must lie between 0.5 and 100 GHz (TR 38.901), not {self.carrier_ghz:g} GHz."
            )
        if self.link not in ("uplink", "downlink"):
            raise InputError(f"The link is 'uplink' or 'downlink', not {self.link!r}.")
        if self.environment not in ENVIRONMENTS:
            raise InputError(
                f"Unknown environment {self.environment!r}; choose one of {', '.join(ENVIRONMENTS)}."
            )
        if self.condition not in CONDITIONS:
            raise InputError(
                f"Unknown propagation condition {self.condition!r}; choose {', '.join(CONDITIONS)}."
            )
        if not 1.5 <= self.user_height_m <= HIGHEST_USER_M:
            raise InputError(
                f"The user's height must lie between 1.5 and {HIGHEST_USER_M:g} m, not {self.user_height_m:g} m."
            )
        if not self.height > self.user_height_m:
            raise InputError(
                f"The station's height of {self.height:g} m must be above the user's {self.user_height_m:g} m."
            )
        for name, unit in (("user_dbm", "dBm"), ("station_dbm", "dBm"), ("station_gain_dbi", "dBi"),
                           ("user_gain_dbi", "dBi")):  # fmt: skip
            if not np.isfinite(getattr(self, name)):
                raise InputError(f"The figure {name} must be a number of {unit}.")
        if self.noise_figure_db is not None and not self.noise_figure_db >= 0:
            raise InputError("The noise figure must be at least 0 dB.")
        if not 0 < self.share <= 1:
            raise InputError(
                f"The link's share of the traffic must lie above 0 and at most at 1, not {self.share:g}."
            )
        if self.stations not in STATIONS:
            raise InputError(f"Stations are {' or '.join(STATIONS)}, not {self.stations!r}.")
        if self.stations == "sites":  # cells state their PRBs
            prb_count(self.bandwidth_mhz, self.scs_khz)

    @property
    def height(self) -> float:
        """Of the station in metres: as given, else 25 for UMa and 10 for UMi, as the scenarios of TR 38.901."""
        if self.station_height_m is not None:
            return self.station_height_m
        return 25.0 if self.environment == "UMa" else 10.0

    @property
    def share(self) -> float:
        """Of the traffic on this link: as given, else 0.1 uplink and 0.9 downlink, assumed."""
        if self.traffic_share is not None:
            return self.traffic_share
        return 0.1 if self.link == "uplink" else 0.9

    @property
    def prbs(self) -> int:
        """Of the channel."""
        return prb_count(self.bandwidth_mhz, self.scs_khz)

    @property
    def prb_hz(self) -> float:
        """Width of a PRB: 12 subcarriers."""
        return 12e3 * self.scs_khz

    @property
    def noise_w(self) -> float:
        """Thermal noise (-174 dBm/Hz) on one PRB at the receiver, W; noise figure as given, else 5 dB at a station
        (uplink) and 9 dB at a user (downlink), assumed."""
        figure = self.noise_figure_db
        if figure is None:
            figure = 5.0 if self.link == "uplink" else 9.0
        return float(dbm_to_w(-174 + 10 * np.log10(self.prb_hz) + figure))

    def gains(self, metres: np.ndarray) -> np.ndarray:
        """(users, stations) linear gain of each link from its ground distance in metres, antennas included."""
        rng = np.random.default_rng(self.seed)
        loss = {
            c: path_loss_db(metres, self.carrier_ghz, self.environment, c, self.height, self.user_height_m)
            for c in ("LOS", "NLOS")
        }
        if self.condition == "drawn":
            is_los = rng.random(metres.shape) < los_probability(metres, self.environment)
        else:
            is_los = np.full(metres.shape, self.condition == "LOS")
        total = np.where(is_los, loss["LOS"], loss["NLOS"])
        if self.shadowing:
            sigma = np.where(is_los, SHADOW_DB[self.environment]["LOS"], SHADOW_DB[self.environment]["NLOS"])
            total = total + sigma * rng.standard_normal(metres.shape)
        return 10 ** ((self.station_gain_dbi + self.user_gain_dbi - total) / 10)


# usual channels of bands in TS 38.101-1 table 5.2-1
PRESETS = {
    "n41": Radio(carrier_ghz=2.6, bandwidth_mhz=100, scs_khz=30),
    "n78": Radio(carrier_ghz=3.5, bandwidth_mhz=100, scs_khz=30),
    "n79": Radio(carrier_ghz=4.9, bandwidth_mhz=100, scs_khz=30),
    "n1": Radio(carrier_ghz=2.1, bandwidth_mhz=20, scs_khz=15, station_dbm=49.0),
    "n28": Radio(carrier_ghz=0.7, bandwidth_mhz=20, scs_khz=15, station_dbm=49.0),
}


def dbm_to_w(dbm: ArrayLike) -> np.ndarray:
    """dBm to W."""
    return 10 ** ((np.asarray(dbm, float) - 30) / 10)


def path_loss_db(
    metres: ArrayLike,
    carrier_ghz: float,
    environment: str,
    condition: str,
    station_m: float = 25.0,
    user_m: float = 1.5,
) -> np.ndarray:
    """Median path loss in dB, TR 38.901 table 7.4.1-1, without shadowing.

    metres: ground distance (d2D), taken as at least 10 m, where the model begins; it is made for up to 5 km. condition:
    "LOS" or "NLOS".
    """
    los, blocked = path_losses_db(
        metres, environment=environment, frequency_ghz=carrier_ghz, station_m=station_m, user_m=user_m
    )
    return los if condition == "LOS" else blocked
