"""The antenna pattern of a cell."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

MAX_ATTENUATION_DB = 30.0  # A_max and SLA_V of TR 38.901 table 7.3-1
OMNI_DEG = 360.0  # horizontal beam width of an antenna without direction


def attenuation_db(
    bearing_deg: ArrayLike,
    depression_deg: ArrayLike,
    *,
    azimuth_deg: ArrayLike,
    tilt_deg: ArrayLike,
    beamwidth_deg: ArrayLike,
    vertical_beamwidth_deg: ArrayLike,
) -> np.ndarray:
    """Loss in dB against the antenna's peak gain, 0 to 30.

    Parameters
    ----------
    bearing_deg : direction from the antenna to the user, degrees clockwise from north, 0 to 360.
    depression_deg : angle of that direction below the horizon in degrees (zenith angle - 90).
    azimuth_deg : main direction, 0 to 360.
    tilt_deg : downtilt, electrical and mechanical together; it shifts the vertical pattern alike at every azimuth.
    beamwidth_deg, vertical_beamwidth_deg : 3 dB beam widths; 360 or more means no horizontal pattern.

    All are broadcast.

    References
    ----------
    TR 38.901 table 7.3-1: A = min(A_H + A_V, 30 dB) with A = min(12 (angle / beam width)^2, 30 dB) for either angle,
    there with beam widths of 65 degrees.
    """
    bearing, depression = np.asarray(bearing_deg), np.asarray(depression_deg)
    wide, high = np.asarray(beamwidth_deg), np.asarray(vertical_beamwidth_deg)
    off = np.abs(bearing - np.asarray(azimuth_deg))
    off = np.minimum(off, 360 - off) / wide
    horizontal = np.minimum(12 * off * off, MAX_ATTENUATION_DB)
    horizontal = np.where(wide >= OMNI_DEG, bearing.dtype.type(0), horizontal)
    down = (depression - np.asarray(tilt_deg)) / high
    vertical = np.minimum(12 * down * down, MAX_ATTENUATION_DB)
    return np.minimum(horizontal + vertical, MAX_ATTENUATION_DB)
