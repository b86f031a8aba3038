"""Diffraction over terrain: the Bullington construction of ITU-R P.526-15, clause 4.5.1, over many paths at once."""

from __future__ import annotations

import numpy as np

EFFECTIVE_EARTH_M = 8_500_000.0  # 4/3 of the earth's radius, clause 4.5
LIGHT_M_S = 3e8


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
    """Diffraction loss of paths over a profile.

    Parameters
    ----------
    along : (points,) or (paths, points) places of the profile's inner points between the ends, as a share of the
        distance, above 0 and below 1.
    ground_m : (paths, points) ground above sea level at the points.
    distance_m : (paths,) length of the paths.
    start_m, end_m : (paths,) antennas above sea level.
    frequency_ghz : of the carrier.

    Returns
    -------
    (loss_db, in_sight) : (paths,) and (paths,) bool, whether no point of the profile rises above the direct ray.

    References
    ----------
    ITU-R P.526-15 clause 4.5.1, equations 50 to 58 (the same as P.1812 and P.452).
    """
    length = distance_m[:, None]
    from_start, to_end = along * length, (1 - along) * length
    height = ground_m + from_start * to_end / (2 * EFFECTIVE_EARTH_M)  # with the bulge of the earth
    steepest = ((height - start_m[:, None]) / from_start).max(axis=1)  # Stim
    direct = (end_m - start_m) / distance_m  # Str
    in_sight = steepest < direct
    wave = LIGHT_M_S / (1e9 * frequency_ghz)
    ray = start_m[:, None] * (1 - along) + end_m[:, None] * along
    clearance = (height - ray) * np.sqrt(2 * length / (wave * from_start * to_end))
    v_sight = clearance.max(axis=1)
    back = ((height - end_m[:, None]) / to_end).max(axis=1)  # Srim
    with np.errstate(invalid="ignore", divide="ignore"):
        place = (end_m - start_m + back * distance_m) / (steepest + back)  # of the Bullington point
        place = np.clip(np.where(in_sight, distance_m / 2, place), 1e-3 * distance_m, (1 - 1e-3) * distance_m)
    above = start_m + steepest * place - (start_m * (distance_m - place) + end_m * place) / distance_m
    v_hidden = above * np.sqrt(2 * distance_m / (wave * place * (distance_m - place)))
    edge = knife_edge_db(np.where(in_sight, v_sight, v_hidden))
    return edge + (1 - np.exp(-edge / 6)) * (10 + 0.02 * distance_m / 1000), in_sight
