"""Downlink channel numbers as frequencies: EARFCN of TS 36.101, table 5.7.3-1, and NR-ARFCN of TS 38.104, 5.4.2.1."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

# of LTE bands: lowest EARFCN, MHz there, channels (100 kHz apart)
_EARFCN = np.array([
    (0, 2110, 600), (600, 1930, 600), (1200, 1805, 750), (1950, 2110, 450), (2400, 869, 250), (2750, 2620, 700),
    (3450, 925, 350), (5010, 729, 170), (5180, 746, 100), (5280, 758, 100), (5730, 734, 120), (5850, 860, 150),
    (6000, 875, 150), (6150, 791, 300), (8040, 1930, 650), (8690, 859, 350), (9210, 758, 450), (9770, 2350, 100),
    (9870, 462.5, 50), (9920, 1452, 440), (36200, 2010, 150), (37750, 2570, 500), (38250, 1880, 400),
    (38650, 2300, 1000), (39650, 2496, 1940), (41590, 3400, 2000), (43590, 3600, 2000), (55240, 3550, 1500),
    (66436, 2110, 900), (68586, 617, 350),
], float)  # fmt: skip
# of the NR raster: lowest NR-ARFCN, MHz there, MHz between channels
_NR_ARFCN = ((0.0, 0.0, 0.005), (600_000.0, 3000.0, 0.015), (2_016_667.0, 24_250.08, 0.06))
_FIRST_NR = 100_000.0  # no EARFCN is as high, no NR-ARFCN of a band as low


def frequency_of_channel(channel: ArrayLike, technology: ArrayLike = "") -> np.ndarray:
    """(rows,) downlink MHz, NaN where a number belongs to no band.

    Numbers from 100,000 on are NR-ARFCN, lower ones EARFCN unless the technology says 5G or NR, or is one of 2G and
    3G, whose channels have other tables.
    """
    number = np.atleast_1d(np.asarray(channel, float))
    text = pd.Series(np.broadcast_to(np.asarray(technology, object), number.shape)).astype(str).str.upper()
    older = text.str.contains("GSM|2G|UMTS|WCDMA|3G", regex=True).to_numpy()
    row = np.clip(np.searchsorted(_EARFCN[:, 0], number, "right") - 1, 0, None)
    first, low, channels = _EARFCN[row].T
    lte = np.where((number >= first) & (number < first + channels), low + 0.1 * (number - first), np.nan)
    nr = np.full(number.shape, np.nan)
    for first_nr, base, step in _NR_ARFCN:
        nr = np.where(number >= first_nr, base + step * (number - first_nr), nr)
    nr = np.where(number <= 3_279_165, nr, np.nan)
    return np.where(number >= _FIRST_NR, nr, np.where(older, np.nan, lte))
