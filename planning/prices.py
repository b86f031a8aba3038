"""What a kWh costs and stands for: tariff by hour, currency, CO2."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from planning.errors import InputError

HOURS_PER_YEAR = 8760
CO2_KG_PER_KWH = 0.5306  # China, 2023 grid mean, Ministry of Ecology and Environment; editable


def tariff_of(text: str, base: float | None = None) -> float | tuple[float, ...] | None:
    """The tariff that a text states.

    Parameters
    ----------
    text : a price of a kWh ("0.8"); 24 of them by hour of the day with commas between; or prices of hours of the day,
        the last hour excluded, with commas between ("22-6 0.35, 10-15 1.1"), beside at most one for all other hours.
        Empty: `base`.
    base : price of the hours that the text does not name; None: it must name all.

    Raises
    ------
    InputError
        For a text that states none.
    """
    items = [item.strip() for item in text.replace(";", ",").split(",") if item.strip()]
    windows: list[tuple[int, int, float]] = []
    prices: list[float] = []
    for item in items:
        found = re.fullmatch(r"(\d{1,2})\s*-\s*(\d{1,2})[\s:=]+(\S+)", item)
        try:
            if found:
                windows.append((int(found[1]), int(found[2]), float(found[3])))
            else:
                prices.append(float(item))
        except ValueError:
            found = None
        if not found and not prices:
            raise InputError(f"{item!r} is no price and no price of hours such as 22-6 0.35.")
    if not items:
        return base
    if not windows:
        if len(prices) == 1:
            return prices[0]
        if len(prices) != 24:
            raise InputError(f"A tariff is one price a kWh or 24 by hour of the day, not {len(prices)}.")
        return tuple(prices)
    if len(prices) > 1:
        raise InputError("Beside prices of hours, a tariff has one price for all other hours.")
    by_hour = np.full(24, np.nan if base is None else base)
    if prices:
        by_hour[:] = prices[0]
    named = np.zeros(24, bool)
    for first, last, price in windows:
        if not (0 <= first <= 23 and 0 <= last <= 24) or first == last:
            raise InputError(f"The hours {first}-{last} of a tariff must be between 0 and 24 and differ.")
        hours = np.arange(first, last if last > first else last + 24) % 24
        if named[hours].any():
            raise InputError(f"The tariff has two prices for hour {hours[named[hours]][0]}.")
        named[hours] = True
        by_hour[hours] = price
    if np.isnan(by_hour).any():
        hour = int(np.flatnonzero(np.isnan(by_hour))[0])
        raise InputError(f"The tariff has no price for hour {hour}; add one for all other hours.")
    return tuple(by_hour.tolist())


@dataclass(frozen=True)
class Prices:
    """tariff: price of a kWh, or 24 of them by hour of the day, in the user's own currency; None leaves cost out, as no
    default would be right. kg_per_kwh: CO2 of the grid. Raises InputError for a figure that makes no sense."""

    tariff: float | tuple[float, ...] | None = None
    kg_per_kwh: float = CO2_KG_PER_KWH
    currency: str = ""

    def __post_init__(self) -> None:
        by_hour = np.atleast_1d(np.asarray(0.0 if self.tariff is None else self.tariff, float))
        if len(by_hour) not in (1, 24):
            raise InputError(f"A tariff is one price a kWh or 24 by hour of the day, not {len(by_hour)}.")
        if not (np.isfinite(by_hour) & (by_hour >= 0)).all() or not self.kg_per_kwh >= 0:
            raise InputError("The tariff and the CO2 of a kWh must be at least 0.")

    def cost(self, kwh: np.ndarray) -> float | None:
        """Of energy by hour of the day from midnight on, (hours,); None without a tariff."""
        if self.tariff is None:
            return None
        by_hour = np.broadcast_to(np.asarray(self.tariff, float), (24,))
        return float(kwh @ by_hour[np.arange(len(kwh)) % 24])

    def record(self) -> dict[str, Any]:
        """As plain values, with what is assumed in sentences."""
        tariff = list(self.tariff) if isinstance(self.tariff, tuple) else self.tariff
        return {
            "tariff": tariff, "currency": self.currency, "co2_kg_per_kwh": self.kg_per_kwh,
            "sentences": list(self.sentences),
        }  # fmt: skip

    @classmethod
    def from_record(cls, stored: dict[str, Any]) -> Prices:
        """What `record` was made of. Raises InputError for figures that make no sense, also of another kind."""
        try:
            tariff = stored["tariff"]
            tariff = tuple(map(float, tariff)) if isinstance(tariff, list | tuple) else tariff
            return cls(
                tariff if tariff is None or isinstance(tariff, tuple) else float(tariff),
                float(stored["co2_kg_per_kwh"]),
                str(stored["currency"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"The stored prices are none ({error}); plan sleep again.") from None

    @property
    def sentences(self) -> tuple[str, ...]:
        """What figures of cost and of CO2 rest on."""
        money = self.currency or "in the user's currency"
        if self.tariff is None:
            price = "No electricity price was given, so no cost is stated."
        elif isinstance(self.tariff, tuple):
            by_hour = np.array(self.tariff)
            starts = [0, *(np.flatnonzero(np.diff(by_hour)) + 1).tolist(), len(by_hour)]
            windows = ", ".join(
                f"{by_hour[a]:g} from {a:02d}:00 to {b:02d}:00" for a, b in itertools.pairwise(starts)
            )
            price = f"Electricity price by hour of the day (given), {money} per kWh: {windows}."
        else:
            price = f"Electricity price (given): {self.tariff:g} {money} per kWh in every hour."
        assumed = self.kg_per_kwh == CO2_KG_PER_KWH
        source = (
            "assumed: China's grid mean of 2023, Ministry of Ecology and Environment" if assumed else "given"
        )
        return price, f"CO2 of the grid: {self.kg_per_kwh:g} kg per kWh ({source})."

    def of(self, kwh: float, cost: float | None = None) -> dict[str, float]:
        """kwh, co2_kg and, where there is a tariff, cost: as given, or at the mean tariff."""
        figures = {"kwh": kwh, "co2_kg": kwh * self.kg_per_kwh}
        if self.tariff is None:
            return figures
        return figures | {"cost": kwh * float(np.mean(self.tariff)) if cost is None else cost}

    def sentence(self, saved_kwh: float, hours: int, saved_cost: float | None = None) -> str:
        """What a saving of a plan of `hours` (a day or a week) comes to in a year of such, with what is assumed."""
        times = HOURS_PER_YEAR / hours
        year = self.of(saved_kwh * times, None if saved_cost is None else saved_cost * times)
        at = (
            "by hour"
            if isinstance(self.tariff, tuple)
            else f"at {self.tariff:g} a kWh"
            if self.tariff is not None
            else ""
        )
        cost = "" if self.tariff is None else f", {year['cost']:,.0f} {self.currency or 'in money'} {at}"
        source = "assumed: China's grid mean of 2023" if self.kg_per_kwh == CO2_KG_PER_KWH else "given"
        such = "days" if hours <= 24 else "weeks"
        return (
            f"A year of such {such} saves {year['kwh']:,.0f} kWh{cost}, and {year['co2_kg'] / 1000:,.1f} t of CO2 at "
            f"{self.kg_per_kwh:g} kg a kWh ({source})."
        )
