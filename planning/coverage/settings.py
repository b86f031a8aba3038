"""What the radio model assumes, each figure with its reason."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from plannerbase.counting import counted
from planning.coverage.pixels import DEFAULT_PIXEL_M, MAX_PIXEL_M, MIN_PIXEL_M
from planning.coverage.rates import RateMapping
from planning.errors import InputError
from planning.propagation import BUILDINGS, ENVIRONMENTS, FREQUENCY_GHZ, RANGE_M

AUTO = "auto"
UMI_BELOW_M = 15.0  # "auto": antennas lower than this stand below the roofs (UMi has 10 m, UMa 25 m)
LOS_MODES = ("expected", "drawn", "LOS", "NLOS")
CARRIER_USE = ("aggregated", "best")
# upper ends of the band classes in MHz that have a threshold of their own
BAND_CLASSES_MHZ = {"below 1 GHz": 1000.0, "1-3 GHz": 3000.0, "3-7 GHz": 7125.0, "above 7 GHz": np.inf}


@dataclass(frozen=True)
class BandTuning:
    """A correction of the path loss of a band, fitted to measurements: `offset_db + slope_db x log10(d / 1 km)` is
    added, d the 3D distance."""

    offset_db: float = 0.0
    slope_db: float = 0.0  # a decade of distance


@dataclass(frozen=True)
class RadioSettings:
    """Settings of the radio model; figures without a source are assumptions that every user may change.

    Attributes
    ----------
    environment : "UMa", "UMi", "RMa" (TR 38.901), or "auto": UMi for antennas below 15 m, else UMa.
    los : "expected" (default): path loss is the mean in dB of LOS and NLOS by the probability of LOS, which is what a
        typical place of that distance has. The mean of linear power would be that of the few places in sight. "drawn":
        LOS or NLOS by place and site from `seed`, correlated over 50 m. "LOS" or "NLOS": always.
    indoor_share : users indoors, 0 to 1; 0.8 is that of TR 38.901 table 7.2-1.
    building : "low" or "high" loss (table 7.4.3-2): old buildings, or coated glass.
    thresholds_dbm : lowest RSRP at the user with service by band class (BAND_CLASSES_MHZ), margin not included; -120
        dBm is about the noise on a resource element of 30 kHz at 9 dB noise figure.
    margin_db : for shadowing; 5 dB covers 80 % of places at the 6 dB deviation of UMa NLOS.
    user_height_m, user_gain_dbi, noise_figure_db : of the user's equipment; 9 dB as in TR 38.901 evaluations.
    rates : SINR to efficiency.
    lte_rates : the same for 4G, whose downlink ends at 64QAM by default.
    overhead_5g, overhead_4g : share of resource elements without user data: TS 38.306 4.1.2 (FR1 downlink 0.14);
        about 25 % of LTE for control and reference signals (assumed).
    tdd_downlink : share of time for the downlink in TDD bands (assumed: 3 of 4 slots).
    carriers : "aggregated": a user is served by all carriers at once, "best": by the one with the highest rate.
    max_load : load of a cell above which its traffic counts as unserved.
    reach_m : cells farther from a pixel are left out; None takes the range of the environment's model.
    floor_dbm : levels below are no server; their power still counts as interference.
    strongest : cells kept for a pixel and carrier; the power of the others is summed up.
    pixel_m : side of a pixel, 20 to 200 m.
    tuning : band -> BandTuning.
    """

    environment: str = "UMa"
    los: str = "expected"
    indoor_share: float = 0.8
    building: str = "low"
    thresholds_dbm: tuple[float, float, float, float] = (-120.0, -120.0, -120.0, -110.0)
    margin_db: float = 5.0
    user_height_m: float = 1.5
    user_gain_dbi: float = 0.0
    noise_figure_db: float = 9.0
    rates: RateMapping = field(default_factory=RateMapping)
    lte_rates: RateMapping = field(default_factory=lambda: RateMapping("cqi-64qam"))
    overhead_5g: float = 0.14
    overhead_4g: float = 0.25
    tdd_downlink: float = 0.75
    carriers: str = "aggregated"
    max_load: float = 1.0
    reach_m: float | None = None
    floor_dbm: float = -130.0
    strongest: int = 12
    pixel_m: float = DEFAULT_PIXEL_M
    seed: int = 0
    tuning: dict[str, BandTuning] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises InputError for a setting outside its range."""
        _one_of("environment", self.environment, (AUTO, *ENVIRONMENTS))
        _one_of("line-of-sight mode", self.los, LOS_MODES)
        _one_of("kind of building", self.building, BUILDINGS)
        _one_of("use of carriers", self.carriers, CARRIER_USE)
        if len(self.thresholds_dbm) != len(BAND_CLASSES_MHZ):
            raise InputError(f"There are {len(BAND_CLASSES_MHZ)} thresholds, one for each band class.")
        for what, value, low, high in (
            ("share of indoor users", self.indoor_share, 0, 1),
            ("user's height in m", self.user_height_m, 1.5, 13),
            ("margin in dB", self.margin_db, -20, 40),
            ("noise figure in dB", self.noise_figure_db, 0, 30),
            ("user's antenna gain in dBi", self.user_gain_dbi, -30, 40),
            ("overhead of 5G", self.overhead_5g, 0, 0.9),
            ("overhead of 4G", self.overhead_4g, 0, 0.9),
            ("share of the downlink in TDD", self.tdd_downlink, 0.05, 1),
            ("highest load", self.max_load, 0.05, 1),
            ("floor in dBm", self.floor_dbm, -160, -60),
            ("number of strongest cells", self.strongest, 2, 64),
            ("pixel in m", self.pixel_m, MIN_PIXEL_M, MAX_PIXEL_M),
            ("reach in m", self.reach_m or 1000.0, 100, 50_000),
            *(("threshold in dBm", t, -150, -40) for t in self.thresholds_dbm),
        ):
            if not low <= value <= high:
                raise InputError(f"The {what} must lie between {low:g} and {high:g}, not {value:g}.")
        if self.seed < 0:
            raise InputError(f"The seed must be at least 0, not {self.seed}.")

    def thresholds_of(self, frequency_mhz: ArrayLike) -> np.ndarray:
        """(...) dBm by carrier frequency, margin not included."""
        place = np.searchsorted(list(BAND_CLASSES_MHZ.values()), np.asarray(frequency_mhz, float), "right")
        return np.asarray(self.thresholds_dbm)[np.minimum(place, len(self.thresholds_dbm) - 1)]

    def environment_of(self, height_m: ArrayLike) -> np.ndarray:
        """(...) name of the environment by antenna height."""
        height = np.asarray(height_m, float)
        if self.environment != AUTO:
            return np.full(height.shape, self.environment, object)
        return np.where(height < UMI_BELOW_M, "UMi", "UMa").astype(object)

    def reach_of(self, environment: str) -> float:
        """Metres beyond which cells are left out."""
        return self.reach_m or RANGE_M[environment]

    def record(self) -> dict[str, Any]:
        """As plain values, for the provenance of plans and exports."""
        return asdict(self)


def check_frequencies(frequency_mhz: np.ndarray, environments: np.ndarray, names: np.ndarray) -> None:
    """Raises InputError for a carrier outside the range of its environment's model."""
    for environment in sorted(set(environments.tolist())):
        low, high = FREQUENCY_GHZ[environment]
        wrong = (environments == environment) & ~(
            (frequency_mhz >= 1000 * low) & (frequency_mhz <= 1000 * high)
        )
        if wrong.any():
            i = int(wrong.argmax())
            raise InputError(
                f"{counted(int(wrong.sum()), 'cells have')} a carrier outside {low:g}-{high:g} GHz, for which the "
                f"{environment} "
                f"model of TR 38.901 is made (first: {names[i]} with {frequency_mhz[i]:g} MHz); correct the frequency"
                + (" or choose UMa." if environment == "RMa" else ".")
            )


def _one_of(what: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"Unknown {what} {value!r}; choose one of {', '.join(choices)}.")
