"""Equipment presets: capacity and power of a cell, each figure with its source or the word "assumed".

Power law of eq. 13: an awake RRU carrying t Mbit/s draws idle_w + slope_w_per_mbps * t, an asleep one sleep_w.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

from planning.errors import InputError
from planning.power_states import CARRIER_OFF, DEEP_SLEEP, STATES

_GIULIA = "OpenGiuliaSLS, giulia/kpis/power_consumptions.py"

# Cooling draws a share of the heat, eq. 13: ac_slope * (BBU + RRUs) + ac_bias_w
AC_SLOPE = 0.15
AC_BIAS_W = 50.0
AC_SOURCE = "assumed: within the 10-25 % cooling loss of the EARTH project's notes; bias assumed"


@dataclass(frozen=True)
class Equipment:
    """One kind of cell. Powers in W, capacity in Mbit/s (mean over the cell at full load)."""

    name: str
    technology: str
    capacity_mbps: float
    idle_w: float
    slope_w_per_mbps: float
    sleep_w: float
    bbu_w: float
    standing_w: float  # P0: of an idle cell without its chains and amplifiers; sleep saves a part of it
    radiated_w: (
        float  # at full load, over all antennas: what `slope_w_per_mbps` pays for and the radio model sends
    )
    bandwidth_mhz: float  # of the carrier that capacity and power are of
    sources: dict[str, str] = field(default_factory=dict)  # figure -> where it comes from


LTE = Equipment(
    name="4G 20 MHz 8T 80 W",
    technology="4G",
    capacity_mbps=40.0,
    idle_w=192.4,
    slope_w_per_mbps=5.0,
    sleep_w=38.5,
    bbu_w=160.0,
    standing_w=90.0,
    radiated_w=80.0,
    bandwidth_mhz=20.0,
    sources={
        "capacity_mbps": "assumed: loaded mean of a 20 MHz LTE cell, 30-40 Mbit/s",
        "idle_w": f"{_GIULIA}: P0 90 W + 8 x (2.8 W a chain + 10 W an amplifier)",
        "slope_w_per_mbps": f"{_GIULIA}: 80 W radiated at 40 % efficiency = 200 W at full load, over 40 Mbit/s",
        "radiated_w": "TR 38.901 table 7.8-1: 49 dBm of a UMa carrier of 20 MHz",
        "sleep_w": f"20 % of idle power, {DEEP_SLEEP.source}",
        "bbu_w": f"{_GIULIA}: 4G baseband 160 W a site",
    },
)
NR = Equipment(
    name="5G 100 MHz 64T 200 W",
    technology="5G",
    capacity_mbps=400.0,
    idle_w=444.9,
    slope_w_per_mbps=1.0,
    sleep_w=89.0,
    bbu_w=220.0,
    standing_w=171.0,
    radiated_w=200.0,
    bandwidth_mhz=100.0,
    sources={
        "capacity_mbps": "assumed: loaded mean of a 100 MHz NR cell, 300-600 Mbit/s",
        "idle_w": f"{_GIULIA}: P0 171 W + 64 x (1.28 W a chain + 3 W an amplifier)",
        "slope_w_per_mbps": f"{_GIULIA}: 200 W radiated (assumed) at 50 % efficiency = 400 W, over 400 Mbit/s",
        "radiated_w": "assumed: 53 dBm, usual of 64T64R units of 100 MHz",
        "sleep_w": f"20 % of idle power, {DEEP_SLEEP.source}",
        "bbu_w": f"{_GIULIA}: 5G baseband 220 W a site",
    },
)

# states in which a cell carries nothing, with the share of idle power that they draw
SLEEP_DEPTHS = {state.name: state.left for state in (DEEP_SLEEP, CARRIER_OFF)}


def at_depth(equipment: Equipment, depth: str) -> Equipment:
    """The equipment with the sleep power of one of SLEEP_DEPTHS."""
    if depth not in SLEEP_DEPTHS:
        raise InputError(f"Unknown sleep depth {depth!r}; choose one of {', '.join(SLEEP_DEPTHS)}.")
    asleep = round(SLEEP_DEPTHS[depth] * equipment.idle_w, 1)
    return replace(equipment, sleep_w=asleep, sources=equipment.sources | {"sleep_w": STATES[depth].source})


PRESETS: dict[str, Equipment] = {e.name: e for e in (LTE, NR)}
_FORMER_NAMES = {"4G 20 MHz 8T 20 W": LTE.name}  # in networks that earlier versions saved
COVERAGE, CAPACITY = LTE, NR  # of the default site: the layer that stays awake, and those that may sleep


@lru_cache(maxsize=1024)
def preset(name: str) -> Equipment:
    """The preset of a name or a technology ("4G", "5G"; 2G and 3G cells take the figures of 4G, assumed)."""
    name = _FORMER_NAMES.get(name, "4G" if name in ("2G", "3G") else name)
    for equipment in PRESETS.values():
        if name in (equipment.name, equipment.technology):
            return equipment
    raise InputError(f"Unknown equipment {name!r}; choose one of {', '.join(PRESETS)}.")
