"""References of the British National Grid, as "TQ 30080 80430", as eastings and northings."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

SYSTEM = "EPSG:27700"
_SQUARE = r"([HJNOST])([A-HJ-Z])\s*"
_REFERENCE = re.compile(rf"{_SQUARE}(\d{{1,5}})\s*[,/ ]\s*(\d{{1,5}})|{_SQUARE}(\d{{2,10}})", re.IGNORECASE)
_LETTERS = "ABCDEFGHJKLMNOPQRSTUVWXYZ"  # without I: five by five squares, from the north-west
_WIDTH_KM, _HEIGHT_KM = 700, 1300  # of the grid


def grid_references(texts: Sequence[object]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Eastings, northings and the side of the square that each reference names.

    Parameters
    ----------
    texts : two letters and as many digits for the easting as for the northing, none to five each, with or without
        spaces.

    Returns
    -------
    easting, northing, side : (texts,) metres in EPSG:27700, of the centre of the square; NaN for what is no reference.

    References
    ----------
    Ordnance Survey, "A guide to coordinate systems in Great Britain", section 7.
    """
    out = np.full((3, len(texts)), np.nan)
    for i, text in enumerate(texts):
        found = _REFERENCE.fullmatch(str(text).strip())
        if not found:
            continue
        if found[1]:
            first, second, east, north = found[1], found[2], found[3], found[4]
        else:
            first, second, digits = found[5], found[6], found[7]
            east, north = digits[: len(digits) // 2], digits[len(digits) // 2 :]
        if len(east) != len(north):
            continue
        (row_1, column_1), (row_2, column_2) = (
            divmod(_LETTERS.index(letter.upper()), 5) for letter in (first, second)
        )
        # of 25 squares of 500 km, S has the grid's origin at its south-west corner; each has 25 of 100 km
        corner = (5 * (column_1 - 2) + column_2, 5 * (3 - row_1) + 4 - row_2)
        if not (0 <= corner[0] * 100 < _WIDTH_KM and 0 <= corner[1] * 100 < _HEIGHT_KM):
            continue
        side = 10.0 ** (5 - len(east))
        out[:, i] = (
            1e5 * corner[0] + side * (int(east) + 0.5), 1e5 * corner[1] + side * (int(north) + 0.5), side,
        )  # fmt: skip
    return out[0], out[1], out[2]
