"""What energy costs and emits: tariff by hour of the day, currency, CO2 of the grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from planning.errors import InputError

HOURS_PER_YEAR, DAYS_PER_YEAR = 8760, 365
CO2_KG_PER_KWH = 0.5306  # China, 2023 grid mean, Ministry of Ecology and Environment; editable


@dataclass(frozen=True)
class Prices:
    """What a kWh stands for.

    Attributes
    ----------
    tariff : float, (24,) floats or None
        Price per kWh, one for all hours or one for each hour of the day; None leaves cost out, as no default would be
        right.
    currency : str
        Of the tariff, such as "EUR".
    kg_per_kwh : float
        CO2 of the grid.

    Raises
    ------
    InputError
        For a negative figure, or another number of prices.
    """

    tariff: float | Sequence[float] | None = None
    currency: str = ""
    kg_per_kwh: float = CO2_KG_PER_KWH

    def __post_init__(self) -> None:
        prices = self.by_hour
        if prices is not None and not (np.isfinite(prices) & (prices >= 0)).all():
            raise InputError("Electricity prices must be at least 0 per kWh.")
        if not (np.isfinite(self.kg_per_kwh) and self.kg_per_kwh >= 0):
            raise InputError("The CO2 of a kWh must be at least 0 kg.")

    @property
    def by_hour(self) -> np.ndarray | None:
        """(24,) price per kWh by hour of the day."""
        if self.tariff is None:
            return None
        prices = np.atleast_1d(np.asarray(self.tariff, float))
        if prices.shape not in ((1,), (24,)):
            raise InputError(
                f"Give one electricity price, or 24, one for each hour of the day, not {prices.size}."
            )
        return np.broadcast_to(prices, (24,))

    def of(self, kwh: ArrayLike) -> dict[str, float]:
        """kwh, co2_kg and, where there is a tariff, cost.

        kwh : (hours,) from midnight on; a single number counts as spread evenly over the day.
        """
        energy = np.atleast_1d(np.asarray(kwh, float))
        total = float(energy.sum())
        figures = {"kwh": total, "co2_kg": total * self.kg_per_kwh}
        prices = self.by_hour
        if prices is None:
            return figures
        cost = total * prices.mean() if energy.size == 1 else energy @ prices[np.arange(energy.size) % 24]
        return figures | {"cost": float(cost)}

    @property
    def sentence(self) -> str:
        """What is assumed."""
        source = "assumed: China's grid mean of 2023" if self.kg_per_kwh == CO2_KG_PER_KWH else "given"
        co2 = f"CO2 at {self.kg_per_kwh:g} kg per kWh ({source})"
        prices = self.by_hour
        if prices is None:
            return f"{co2}; no electricity price given."
        low, high = prices.min(), prices.max()
        price = f"{low:g}" if low == high else f"{low:g} to {high:g} by hour of the day"
        return f"{co2}; electricity at {price} {self.currency} per kWh (given).".replace("  ", " ")
