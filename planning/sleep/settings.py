"""What the sleep strategies obey, each setting with its label, unit, default and the reason for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from planning.errors import InputError


class Label(NamedTuple):
    """How a setting is called wherever it is shown. reason: why the default is what it is."""

    label: str
    unit: str
    reason: str

    @property
    def title(self) -> str:
        """Label and unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


LABELS = {
    "quantile": Label(
        "Plan for demand up to", "quantile", "P95 of each sector's own traffic"
    ),
    "rate_floor": Label(
        "User rate at least", "Mbit/s",
        "0.25: a voice or messaging session goes on; assumed. Demand is raised to it where traffic is lower",
    ),
    "max_load": Label(
        "Highest load of an awake cell", "share of PRBs", "0.8: above, delay rises and peaks within the hour are lost"
    ),
    "min_up": Label("Minimum on-time after wake-up", "h", "2: sessions are not handed over twice in an hour"),
    "min_off": Label("Minimum off-time", "h", "2: shorter sleep does not pay for the hand-overs"),
    "max_wakes": Label("Most wake-ups of a cell a day", "", "4: wear of power supplies and amplifiers; assumed"),
    "switch_wh": Label("Energy per wake-up", "Wh", "50: restart of the radio unit and signalling; assumed"),
    "wake_delay_min": Label("Wake-up time before a cell carries traffic", "min", "5: reboot from deep sleep; assumed"),
    "offload_w_per_mbps": Label(
        "Price of traffic carried by other sectors", "W per Mbit/s",
        "0.5: a weaker signal needs more PRBs; in the objective only, not in the energy reported",
    ),
    "max_hole_share": Label(
        "Ground that may lose coverage", "share of covered ground", "0: covered ground stays covered"
    ),
    "max_neighbours": Label("Other sectors that may carry a sector's traffic", "", "6: those that reach most of it"),
    "whole_site": Label("Whole sites may sleep", "", "off: the coverage layer stays on, as operators do today"),
    "muting": Label("RF channels may be muted", "", "off: needs the feature in the radio unit"),
    "never": Label("Cells and sites that never sleep", "", "none"),
    "window": Label("Hours in which cells may sleep", "h", "all"),
    "band_order": Label("Order in which bands go to sleep", "", "none: whichever saves most"),
    "night": Label("Night window", "h", "0 to 6"),
    "sleep_below": Label("Load threshold: sleep below", "share", "0.5 of the cells that would stay awake"),
    "wake_above": Label("Load threshold: wake above", "share", "0.7 of the awake cells"),
    "boundary": Label(
        "State before the first hour and after the last",
        "",
        "cyclic: the plan repeats. awake: every cell on before and after",
    ),
    "allow_unserved": Label(
        "Plan even if the network is too small", "", "off: a demand beyond the network is an error that says where"
    ),
    "time_limit": Label("Time limit", "s", "60"),
    "gap": Label("Optimality gap at which to stop", "share", "0.01: energy figures are no more exact than that"),
}  # fmt: skip


@dataclass(frozen=True)
class SleepSettings:
    """What the strategies obey, and how long a solver may take. Units and reasons: `LABELS`."""

    night: tuple[int, int] = (0, 6)  # first hour asleep, first hour awake again
    sleep_below: float = 0.5
    wake_above: float = 0.7
    max_load: float = 0.8
    min_up: int = 2
    min_off: int = 2
    max_wakes: int | None = 4  # None: no limit
    switch_wh: float = 50.0
    wake_delay_min: float = 5.0
    offload_w_per_mbps: float = 0.5
    time_limit: float = 60.0
    gap: float = 0.01
    solver: str = "auto"
    threads: int | None = None  # None: as many as there are cores
    allow_unserved: bool = False  # plan for what can be served, marked, instead of refusing

    def validate(self, hours: int) -> None:
        """Raises InputError for a setting outside its range, by its label."""
        if not all(0 <= h <= 24 for h in self.night):
            raise InputError(
                f"{LABELS['night'].label!r} must be two hours between 0 and 24, not {self.night}."
            )
        if not 0 <= self.sleep_below < self.wake_above <= 1:
            raise InputError(
                f"The load thresholds must satisfy 0 <= sleep below < wake above <= 1, not {self.sleep_below:g} and "
                f"{self.wake_above:g}."
            )
        self._within("max_load", 0.05, 1)
        self._within("min_up", 1, hours)
        self._within("min_off", 1, hours)
        if self.max_wakes is not None:
            self._within("max_wakes", 0, 24)
        self._within("switch_wh", 0, 1e6)
        self._within("wake_delay_min", 0, 60)
        self._within("offload_w_per_mbps", 0, 1e6)
        if not self.time_limit > 0:
            raise InputError(f"{LABELS['time_limit'].label!r} must be above 0 s, not {self.time_limit:g}.")
        if not 0 <= self.gap < 1:
            raise InputError(f"{LABELS['gap'].label!r} must be between 0 and 1, not {self.gap:g}.")

    def _within(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        if not low <= value <= high:
            label = LABELS[name]
            raise InputError(
                f"{label.label!r} must be {low:g} to {high:g} {label.unit}, not {value:g}.".replace("  ", " ")
            )
