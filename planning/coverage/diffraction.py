"""Diffraction over terrain: the Bullington construction of ITU-R P.526-15, clause 4.5.1, over many paths at once."""

from __future__ import annotations

import functools

import numpy as np

EFFECTIVE_EARTH_M = 8_500_000.0  # 4/3 of the earth's radius, clause 4.5
LIGHT_M_S = 3e8
LEVEL_STEP_M = 50.0
_LEVEL_M = np.geomspace(10.0, 50_000.0, 430)


def knife_edge_db(v: np.ndarray) -> np.ndarray:
    """(...) loss J(v) of a knife edge in dB, 0 below v = -0.78 (eq. 31)."""
    v = np.asarray(v)
    above = np.maximum(v, -0.78)
    loss = 6.9 + 20 * np.log10(np.sqrt((above - 0.1) ** 2 + 1) + above - 0.1)
    return np.where(v > -0.78, loss, 0.0)


def bullington_db(
    along: np.ndarray, ground_m: np.ndarray, distance_m: np.ndarray, start_m: np.ndarray, end_m: np.ndarray,
    frequency_ghz: float,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Diffraction loss of paths over a profile; arguments as of `obstruction`.

    Returns
    -------
    (loss_db, in_sight) : (paths,) and (paths,) bool, whether no point of the profile rises above the direct ray.
    """
    obstacle, in_sight = obstruction(along, ground_m, distance_m, start_m, end_m)
    return obstruction_db(obstacle, distance_m, frequency_ghz), in_sight


def obstruction(
    along: np.ndarray, ground_m: np.ndarray, distance_m: np.ndarray, start_m: np.ndarray, end_m: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What of the Bullington construction does not depend on the frequency.

    Parameters
    ----------
    along : (points,) places of the profile's inner points between the ends, as a share of the distance, above 0 and
        below 1.
    ground_m : (paths, points) ground above sea level at the points.
    distance_m : (paths,) length of the paths.
    start_m, end_m : (paths,) antennas above sea level.

    Returns
    -------
    (obstacle, in_sight) : (paths,) the diffraction parameter v x the root of the wavelength in m, of the point that
        obstructs most where the ends see each other, else of the Bullington point; (paths,) bool.

    References
    ----------
    ITU-R P.526-15 clause 4.5.1, equations 50 to 57 (the same as P.1812 and P.452).
    """
    length = distance_m[:, None]
    share = along * (1 - along)
    height = ground_m + length * length * (share / (2 * EFFECTIVE_EARTH_M)).astype(
        ground_m.dtype
    )  # earth's bulge
    rise = height - start_m[:, None]
    steepest = (rise / along).max(axis=1) / distance_m  # Stim
    direct = (end_m - start_m) / distance_m  # Str
    in_sight = steepest < direct
    above_ray = rise - (end_m - start_m)[:, None] * along
    obstacle = (above_ray * np.sqrt(2 / share)).max(axis=1) / np.sqrt(distance_m)
    hidden = np.flatnonzero(~in_sight)
    if len(hidden):
        far, start, end = distance_m[hidden], start_m[hidden], end_m[hidden]
        back = ((height[hidden] - end[:, None]) / (1 - along)).max(axis=1) / far  # Srim
        place = (end - start + back * far) / (steepest[hidden] + back)  # of the Bullington point
        place = np.clip(place, 1e-3 * far, (1 - 1e-3) * far)
        above = start + steepest[hidden] * place - (start * (far - place) + end * place) / far
        obstacle[hidden] = above * np.sqrt(2 * far / (place * (far - place)))
    return obstacle, in_sight


def obstruction_db(obstacle: np.ndarray, distance_m: np.ndarray, frequency_ghz: float) -> np.ndarray:
    """(paths,) loss of an `obstruction` at a frequency, equation 58."""
    edge = knife_edge_db(obstacle * np.sqrt(1e9 * frequency_ghz / LIGHT_M_S))
    return edge + (1 - np.exp(-edge / 6)) * (10 + 0.02 * distance_m / 1000)


def level_ground_db(distance_m: np.ndarray, start_m: float, end_m: float, frequency_ghz: float) -> np.ndarray:
    """(paths,) loss over level ground between antennas at heights above it.

    It depends on the distance alone, and is interpolated from a table of distances 2 % apart.
    """
    return np.interp(distance_m, _LEVEL_M, _level_ground(start_m, end_m, frequency_ghz))


@functools.lru_cache(maxsize=512)
def _level_ground(start_m: float, end_m: float, frequency_ghz: float) -> np.ndarray:
    """(distances,) loss at _LEVEL_M, from profiles with a point every LEVEL_STEP_M."""
    loss = np.empty(len(_LEVEL_M))
    for i, length in enumerate(_LEVEL_M.tolist()):
        points = max(8, int(length / LEVEL_STEP_M))
        along = np.arange(1, points + 1) / (points + 1)
        ends = np.array([start_m]), np.array([end_m])
        found, _ = bullington_db(along, np.zeros((1, points)), np.array([length]), *ends, frequency_ghz)
        loss[i] = found[0]
    return loss
