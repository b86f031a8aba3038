"""Frequency bands, channels and the usual carrier of each: 3GPP TS 36.101 and TS 38.101-1/-2, table 5.2-1."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from planning.errors import InputError

# TS 38.101-1 / 38.101-2 table 5.3.2-1: subcarrier spacing kHz -> bandwidth MHz -> PRBs
PRBS = {
    15: {5: 25, 10: 52, 15: 79, 20: 106, 25: 133, 30: 160, 40: 216, 50: 270},
    30: {
        5: 11,
        10: 24,
        15: 38,
        20: 51,
        25: 65,
        30: 78,
        40: 106,
        50: 133,
        60: 162,
        70: 189,
        80: 217,
        90: 245,
        100: 273,
    },
    60: {10: 11, 15: 18, 20: 24, 25: 31, 30: 38, 40: 51, 50: 65, 60: 79, 70: 93, 80: 107, 90: 121, 100: 135},
    120: {50: 32, 100: 66, 200: 132, 400: 264},
}
LTE_PRBS = {1.4: 6, 3.0: 15, 5.0: 25, 10.0: 50, 15.0: 75, 20.0: 100}  # TS 36.101 table 5.6-1, 15 kHz
# downlink MHz of the bands, which LTE (B3) and NR (n3) number alike
DOWNLINK_MHZ = {
    1: (2110, 2170), 2: (1930, 1990), 3: (1805, 1880), 4: (2110, 2155), 5: (869, 894), 7: (2620, 2690),
    8: (925, 960), 12: (729, 746), 13: (746, 756), 14: (758, 768), 17: (734, 746), 18: (860, 875), 19: (875, 890),
    20: (791, 821), 25: (1930, 1995), 26: (859, 894), 28: (758, 803), 30: (2350, 2360), 31: (462.5, 467.5),
    32: (1452, 1496), 34: (2010, 2025), 38: (2570, 2620), 39: (1880, 1920), 40: (2300, 2400), 41: (2496, 2690),
    42: (3400, 3600), 43: (3600, 3800), 48: (3550, 3700), 50: (1432, 1517), 65: (2110, 2200), 66: (2110, 2200),
    70: (1995, 2020), 71: (617, 652), 74: (1475, 1518), 75: (1432, 1517), 77: (3300, 4200), 78: (3300, 3800),
    79: (4400, 5000), 257: (26500, 29500), 258: (24250, 27500), 260: (37000, 40000), 261: (27500, 28350),
}  # fmt: skip
TDD_BANDS = frozenset({34, 38, 39, 40, 41, 42, 43, 48, 50, 77, 78, 79, 257, 258, 260, 261})
USUAL_MHZ = {"n41": 2600.0, "n78": 3500.0, "n79": 4900.0}  # where operators' carriers stand; else mid-band
_NOMINAL_MHZ = {700: 28, 800: 20, 850: 5, 900: 8, 1800: 3, 1900: 39, 2000: 1, 2100: 1, 2300: 40, 2600: 7}
_NR_ONLY = frozenset({71, 74, 75, 77, 78, 79, 257, 258, 260, 261})
# of a frequency that lies in several bands, the one that networks use most (assumed)
_BY_FREQUENCY = {
    "4G": (3, 1, 7, 8, 20, 28, 5, 40, 39, 38, 41, 34, 42, 43, 66, 25, 2, 12, 13, 14, 17, 26, 18, 19, 30, 31, 32, 48),
    "5G": (78, 41, 79, 28, 1, 3, 7, 8, 20, 5, 40, 38, 77, 66, 25, 2, 71, 12, 14, 26, 18, 30, 34, 39, 70, 74, 50,
           258, 257, 260, 261),
    "3G": (1, 8, 5, 2, 4),
    "2G": (8, 3, 5, 2),
}  # fmt: skip
DEFAULT_BAND = {"2G": "B8", "3G": "B1", "4G": "B3", "5G": "n41"}  # assumed where nothing is stated
# carriers of the capacity layers of a generated site, in this order: no two overlap (assumed)
CAPACITY_CARRIERS = {
    "5G": (("n41", 2600.0), ("n78", 3500.0), ("n79", 4900.0), ("n78", 3600.0), ("n78", 3400.0), ("n79", 4800.0),
           ("n79", 4700.0), ("n79", 4600.0), ("n78", 3700.0), ("n77", 3850.0)),
    "4G": (("B1", 2140.0), ("B7", 2655.0), ("B40", 2350.0), ("B38", 2595.0)),
}  # fmt: skip
DEFAULT_LAYERS = {"2G": 1.0, "3G": 1.0, "4G": 2.0, "5G": 4.0}  # assumed: 2 x 2 and 4 x 4 MIMO at the user


@dataclass(frozen=True)
class Band:
    """A band as one technology uses it. MHz."""

    name: str  # "B3", "n41"
    low_mhz: float  # downlink
    high_mhz: float
    frequency_mhz: float  # of the usual carrier
    bandwidth_mhz: float  # of the usual carrier, assumed
    tdd: bool


@lru_cache(maxsize=4096)
def band_named(name: str, technology: str = "") -> Band | None:
    """The band of a name as "B3", "n41" or "41"; None where there is none such.

    technology ("2G" .. "5G") decides between B and n where the name does not.
    """
    found = re.fullmatch(r"\s*(b|n|band)?\s*(\d{1,3})\s*", str(name), re.IGNORECASE)
    if not found:
        return None
    number = int(found[2])
    if number not in DOWNLINK_MHZ:
        return None
    prefix = (found[1] or "").lower()
    nr = prefix == "n" or (prefix != "b" and technology == "5G") or number in _NR_ONLY
    low, high = DOWNLINK_MHZ[number]
    label = f"{'n' if nr else 'B'}{number}"
    tdd = number in TDD_BANDS
    usual = USUAL_MHZ.get(label, (low + high) / 2)
    return Band(label, low, high, usual, _bandwidth(technology, nr, number, low, tdd), tdd)


def band_at(frequency_mhz: float, technology: str) -> Band | None:
    """The band in which a technology transmits downlink at a frequency; None where no band has it.

    A nominal frequency ("1800", "2600", "3500") counts as the band that is called so.
    """
    candidates = _BY_FREQUENCY.get(technology, _BY_FREQUENCY["4G"])
    nominal = _NOMINAL_MHZ.get(round(frequency_mhz))
    if technology == "5G" and nominal == 7:
        nominal = 41
    prefix = "n" if technology == "5G" else "B"
    if nominal in candidates:
        return band_named(f"{prefix}{nominal}", technology)
    for number in candidates:
        low, high = DOWNLINK_MHZ[number]
        if low <= frequency_mhz <= high:
            return band_named(f"{prefix}{number}", technology)
    return None


def prb_count(bandwidth_mhz: float, scs_khz: int) -> int:
    """PRBs of an NR channel, TS 38.101-1 table 5.3.2-1. Raises InputError for a channel that the table lacks."""
    if scs_khz not in PRBS:
        raise InputError(f"The subcarrier spacing must be {' or '.join(map(str, PRBS))} kHz, not {scs_khz}.")
    if bandwidth_mhz not in PRBS[scs_khz]:
        known = ", ".join(map(str, PRBS[scs_khz]))
        raise InputError(
            f"With {scs_khz} kHz spacing the bandwidth must be one of {known} MHz, not {bandwidth_mhz:g}."
        )
    return PRBS[scs_khz][int(bandwidth_mhz)]


def channel_prbs(technology: str, bandwidth_mhz: float, frequency_mhz: float) -> int:
    """PRBs of a carrier of any bandwidth: the tables' where they have it, else what fits into 95 % of it.

    NR spacing is 15 kHz in FDD bands below 3 GHz up to 50 MHz, 120 kHz above 24 GHz, else 30 kHz (assumed). Carriers
    of 2G and 3G count in widths of 180 kHz.
    """
    if technology == "5G":
        if frequency_mhz > 24_000:
            spacing = 120
        else:
            band = band_at(frequency_mhz, "5G")
            fdd = band is not None and not band.tdd
            spacing = 15 if fdd and bandwidth_mhz <= 50 else 30
        table: dict[float, int] = {float(k): v for k, v in PRBS[spacing].items()}
    else:
        spacing, table = 15, LTE_PRBS
    if bandwidth_mhz in table:
        return table[bandwidth_mhz]
    return max(1, int(0.95 * bandwidth_mhz * 1000 / (12 * spacing)))


def prb_khz(prbs: ArrayLike, bandwidth_mhz: ArrayLike) -> np.ndarray:
    """Width of a PRB (12 subcarriers) in kHz: the widest of 180, 360, 720 and 1440 at which `prbs` fit the channel."""
    prbs, width = np.asarray(prbs, float), np.asarray(bandwidth_mhz, float)
    out = np.full(np.broadcast(prbs, width).shape, 180.0)
    for khz in (360.0, 720.0, 1440.0):
        out = np.where(prbs * khz <= 1000 * width, khz, out)
    return out


def _bandwidth(technology: str, nr: bool, number: int, low_mhz: float, tdd: bool) -> float:
    if technology == "2G":
        return 0.2
    if technology == "3G":
        return 5.0
    if not nr:
        return 10.0 if low_mhz < 1000 else 20.0
    if not tdd or number == 34:
        return 20.0 if number != 34 else 15.0
    return {38: 40.0, 39: 30.0}.get(number, 100.0)
