"""What a cell draws in its energy-saving states, as a share of its idle power.

The shares are rounded from `python -m benchmarks sleep --part energy --energy DIR` on the public energy set of an ITU
challenge (1,020 5G stations, a week by hour, energy in a normalised unit): see docs/figures.md. That set does not
name its modes; that the deepest is deep sleep, the next one carrier off and the mildest RF-channel muting is assumed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PowerState:
    """An energy-saving state. left: share of idle power that it still draws, 0..1."""

    name: str
    left: float
    source: str


_SET = "public energy set of 5G stations, fitted"
DEEP_SLEEP = PowerState(
    "deep sleep",
    0.2,
    f"{_SET}: mode 6 of radio unit type 10 (32 antennas) 0.09, types 5 and 9 (2 antennas) 0.39 and 0.50; 0.2 chosen",
)
CARRIER_OFF = PowerState(
    "carrier off",
    0.35,
    f"{_SET}: mode 1 of radio unit types 8 and 10 (8 and 32 antennas) 0.17 and 0.30; 0.35 chosen",
)
MUTING = PowerState(
    "RF-channel muting", 0.6, f"{_SET}: modes 1 and 2 of radio unit types 4 and 2, 0.61 and 0.70; 0.6 chosen"
)
STATES = {state.name: state for state in (DEEP_SLEEP, CARRIER_OFF, MUTING)}
MUTED_CAPACITY = 0.5  # assumed: half of the layers
MUTED_LOSS_DB = 6.0  # assumed: half of the power and half of the array gain
