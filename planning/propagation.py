"""Path loss, line of sight and building loss of TR 38.901 (V17), vectorised and in the precision of their input."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from planning.distinct import ascending

ENVIRONMENTS = ("UMa", "UMi", "RMa")
LIGHT_M_S = 3e8  # as TR 38.901 takes it
MIN_GROUND_M = 10.0  # where the models begin
RANGE_M = {"UMa": 5000.0, "UMi": 5000.0, "RMa": 10_000.0}  # to which they are made (RMa NLOS: 5 km)
# GHz to which the path loss holds; table 7.4.1-1 and clause 7.4.1
FREQUENCY_GHZ = {"UMa": (0.5, 100.0), "UMi": (0.5, 100.0), "RMa": (0.5, 30.0)}
STATION_M = {"UMa": 25.0, "UMi": 10.0, "RMa": 35.0}  # table 7.2-1 and 7.2-3
RMA_STATION_M = (10.0, 150.0)  # applicability range of the RMa formulas
RMA_BUILDING_M, RMA_STREET_M = 5.0, 20.0  # mean building height and street width, defaults of table 7.4.1-1
# table 7.4.1-1: standard deviation of shadow fading in dB (RMa LOS: before the breakpoint)
SHADOW_DB = {
    "UMa": {"LOS": 4.0, "NLOS": 6.0},
    "UMi": {"LOS": 4.0, "NLOS": 7.82},
    "RMa": {"LOS": 4.0, "NLOS": 8.0},
}
BUILDINGS = ("low", "high")
PENETRATION_DEVIATION_DB = {"low": 4.4, "high": 6.5}  # table 7.4.3-2
# mean of the distance to the outer wall in m: least of two uniform draws to 25 m (RMa: 10 m), clause 7.4.3.1
LOS_CORRELATION_M = 50.0  # of LOS states, table 7.6.3.1-2
INDOOR_M = {"UMa": 25.0 / 3, "UMi": 25.0 / 3, "RMa": 10.0 / 3}


def path_losses_db(
    ground_m: ArrayLike,
    *,
    environment: str,
    frequency_ghz: ArrayLike,
    station_m: ArrayLike,
    user_m: float = 1.5,
) -> tuple[np.ndarray, np.ndarray]:
    """Median path loss in line of sight and without it, outdoors.

    Parameters
    ----------
    ground_m : (...) ground distance (d2D) in metres; below 10 m it counts as 10 m, where the models begin. Beyond
        `RANGE_M` the formulas are continued.
    environment : "UMa", "UMi" or "RMa".
    frequency_ghz, station_m : carrier frequency and antenna height above ground in metres, each broadcast with
        `ground_m`. RMa takes heights to 10-150 m.
    user_m : user's antenna height in metres, 1.5 to 13.

    Returns
    -------
    (LOS, NLOS) in dB, each of the shape of `ground_m` broadcast with the others.

    References
    ----------
    TR 38.901 table 7.4.1-1. UMa and UMi take the breakpoint at an effective environment height of 1 m, which is exact
    for users up to 13 m.
    """
    ground = np.maximum(np.asarray(ground_m), MIN_GROUND_M)
    frequency, station = np.asarray(frequency_ghz, ground.dtype), np.asarray(station_m, ground.dtype)
    if environment == "RMa":
        return _rma(ground, frequency, np.clip(station, *RMA_STATION_M), user_m)
    return _urban(_log_far(ground, station, user_m), environment, frequency, station, user_m)


def link_losses_db(
    ground_m: np.ndarray,
    row: np.ndarray,
    *,
    environment: str,
    frequency_ghz: np.ndarray,
    station_m: np.ndarray,
    user_m: float = 1.5,
) -> tuple[np.ndarray, np.ndarray]:
    """`path_losses_db` of links, several of which may begin at one mast: ground_m (masts, places) in metres, row
    (links,) mast of each link, frequency_ghz and station_m (links, 1), one height a mast. Equal to the last bit."""
    if environment == "RMa":
        return path_losses_db(
            ground_m[row],
            environment=environment,
            frequency_ghz=frequency_ghz,
            station_m=station_m,
            user_m=user_m,
        )
    masts, place = ascending(row)
    ground = np.maximum(ground_m if len(masts) == len(ground_m) else ground_m[masts], MIN_GROUND_M)
    frequency, station = np.asarray(frequency_ghz, ground.dtype), np.asarray(station_m, ground.dtype)
    height = np.empty((len(masts), 1), ground.dtype)
    height[place] = station
    log_far = _log_far(ground, height, user_m)
    if not np.array_equal(place, np.arange(len(masts))):
        log_far = log_far[place]
    return _urban(log_far, environment, frequency, station, user_m)


def _log_far(ground: np.ndarray, station: np.ndarray, user_m: float) -> np.ndarray:
    """Logarithm of the distance to the antenna in metres."""
    return 0.5 * np.log10(ground * ground + (station - ground.dtype.type(user_m)) ** 2)


def _urban(
    log_far: np.ndarray, environment: str, frequency: np.ndarray, station: np.ndarray, user_m: float
) -> tuple[np.ndarray, np.ndarray]:
    """`path_losses_db` of UMa and UMi, from `_log_far`."""
    square = (station - log_far.dtype.type(user_m)) ** 2
    breakpoint_m = 4 * (station - 1) * (user_m - 1) * frequency * (1e9 / LIGHT_M_S)
    log_break = np.log10(np.maximum(breakpoint_m, 1) ** 2 + square)
    log_f = np.log10(frequency)
    # the two branches of LOS cross at the breakpoint, so the larger one holds on either side of it
    if environment == "UMa":
        los = np.maximum(22 * log_far + (28 + 20 * log_f), 40 * log_far + (28 + 20 * log_f - 9 * log_break))
        blocked = 39.08 * log_far + (13.54 + 20 * log_f - 0.6 * (user_m - 1.5))
    else:
        los = np.maximum(
            21 * log_far + (32.4 + 20 * log_f), 40 * log_far + (32.4 + 20 * log_f - 9.5 * log_break)
        )
        blocked = 35.3 * log_far + (22.4 + 21.3 * log_f - 0.3 * (user_m - 1.5))
    return los, np.maximum(los, blocked)


def _rma(
    ground: np.ndarray, frequency: np.ndarray, station: np.ndarray, user_m: float
) -> tuple[np.ndarray, np.ndarray]:
    h = RMA_BUILDING_M
    far = np.sqrt(ground * ground + (station - user_m) ** 2)
    breakpoint_m = 2 * np.pi * station * user_m * frequency * (1e9 / LIGHT_M_S)

    def near(metres: np.ndarray) -> np.ndarray:
        return (
            20 * np.log10(40 * np.pi * metres * frequency / 3)
            + min(0.03 * h**1.72, 10) * np.log10(metres)
            - min(0.044 * h**1.72, 14.77)
            + 0.002 * np.log10(h) * metres
        )

    los = np.where(ground <= breakpoint_m, near(far), near(breakpoint_m) + 40 * np.log10(far / breakpoint_m))
    log_station = np.log10(station)
    blocked = (
        161.04
        - 7.1 * np.log10(RMA_STREET_M)
        + 7.5 * np.log10(h)
        - (24.37 - 3.7 * (h / station) ** 2) * log_station
        + (43.42 - 3.1 * log_station) * (np.log10(far) - 3)
        + 20 * np.log10(frequency)
        - (3.2 * np.log10(11.75 * user_m) ** 2 - 4.97)
    )
    los = los.astype(ground.dtype, copy=False)
    return los, np.maximum(los, blocked.astype(ground.dtype, copy=False))


def los_probability(ground_m: ArrayLike, environment: str) -> np.ndarray:
    """(...) probability of line of sight outdoors at a ground distance in metres, of users up to 13 m high.

    TR 38.901 table 7.4.2-1.
    """
    ground = np.asarray(ground_m)
    if environment == "RMa":
        return np.exp(np.minimum((10 - ground) / 1000, 0))
    near = 18 / np.maximum(ground, 18)
    reach = 63 if environment == "UMa" else 36
    return near + np.exp(ground * (-1 / reach)) * (1 - near)


def building_loss_db(frequency_ghz: ArrayLike, environment: str, building: str = "low") -> np.ndarray:
    """(...) median loss from outdoors to indoors in dB: outer wall and the mean way inside, without its deviation.

    TR 38.901 clause 7.4.3.1: penetration of tables 7.4.3-1 and 7.4.3-2 for a "low" or "high" loss building, plus
    0.5 dB a metre over the mean distance inside (8.3 m, RMa 3.3 m).
    """
    f = np.asarray(frequency_ghz, float)
    glass, coated, concrete = 2 + 0.2 * f, 23 + 0.3 * f, 5 + 4 * f
    if building == "low":
        through = 0.3 * 10 ** (-glass / 10) + 0.7 * 10 ** (-concrete / 10)
    else:
        through = 0.7 * 10 ** (-coated / 10) + 0.3 * 10 ** (-concrete / 10)
    return 5 - 10 * np.log10(through) + 0.5 * INDOOR_M[environment]


def line_of_sight(
    east_m: np.ndarray, north_m: np.ndarray, probability: np.ndarray, key: np.ndarray, seed: int
) -> np.ndarray:
    """Drawn line of sight: the same for a place and a site in every run, order and batch.

    A Gaussian field of each site, smooth over 50 m (the correlation distance of LOS states, TR 38.901 table 7.6.3.1-2),
    is compared with the probability.

    Parameters
    ----------
    east_m, north_m : (...) place as seen from the site in metres.
    probability : (...) of line of sight.
    key : uint64, broadcast with the places: of the site, from `site_key`.
    """
    i, j = np.floor(east_m / LOS_CORRELATION_M), np.floor(north_m / LOS_CORRELATION_M)
    u, v = east_m / LOS_CORRELATION_M - i, north_m / LOS_CORRELATION_M - j
    i, j = i.astype(np.int64), j.astype(np.int64)
    total, square = np.zeros_like(u), np.zeros_like(u)
    for di in (0, 1):
        for dj in (0, 1):
            share = np.abs(1 - di - u) * np.abs(1 - dj - v)
            total += share * _gaussian(i + di, j + dj, key, seed)
            square += share * share
    return _upper_tail(total / np.sqrt(square)) < probability


def site_key(lon: ArrayLike, lat: ArrayLike) -> np.ndarray:
    """(sites,) uint64 from places in degrees, to a tenth of a metre: what `line_of_sight` knows a site by."""
    east = np.round((np.asarray(lon, float) + 180) * 1e6).astype(np.uint64)
    north = np.round((np.asarray(lat, float) + 90) * 1e6).astype(np.uint64)
    return _mixed(east << np.uint64(32) | north)


def _gaussian(i: np.ndarray, j: np.ndarray, key: np.ndarray, seed: int) -> np.ndarray:
    node = (i.astype(np.uint64) << np.uint64(32)) ^ (j.astype(np.uint64) & np.uint64(0xFFFFFFFF))
    bits = _mixed(_mixed(node ^ key) + np.uint64(seed & 0xFFFFFFFFFFFF))
    # the sum of four independent 16-bit uniforms is near enough to normal for a threshold field
    parts = [(bits >> np.uint64(s) & np.uint64(0xFFFF)).astype(np.float32) for s in (0, 16, 32, 48)]
    return (np.sum(parts, axis=0) / np.float32(65535) - 2) * np.float32(np.sqrt(3))


def _mixed(value: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64."""
    with np.errstate(over="ignore"):
        value = (value ^ value >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ value >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return value ^ value >> np.uint64(31)


def _upper_tail(z: np.ndarray) -> np.ndarray:
    """1 - Phi(z)."""
    from scipy.special import ndtr

    return ndtr(-z)
