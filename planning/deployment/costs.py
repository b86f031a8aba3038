"""What sites, sectors and carriers cost to build and to run, by layer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from planning.errors import InputError

SOURCE = "edwardoughton/pysim5g, scripts/run.py, in US dollars; maintenance assumed"


@dataclass(frozen=True)
class Costs:
    """Prices in one currency. Capex once, opex a year; figures without a source in SOURCE are assumed.

    Attributes
    ----------
    site : tower 10,000, civil works 5,000, transport 10,000, power 5,000, backhaul 15,000, router 2,000.
    baseband : of a site and technology.
    antenna : of a sector, for each new band.
    radio_unit : of a cell.
    visit : installation work for one measure at one site.
    rent_per_year : of a site.
    maintenance : share of the capex of antennas, basebands and radio units, a year.
    discount : rate a year, for present values.
    """

    currency: str = "USD"
    site: float = 47_000.0
    baseband: float = 10_000.0
    antenna: float = 1_500.0
    radio_unit: float = 4_000.0
    visit: float = 5_000.0
    rent_per_year: float = 9_600.0
    maintenance: float = 0.1
    discount: float = 0.035

    def __post_init__(self) -> None:
        """Raises InputError for a price below 0 and a currency that is not short."""
        if not 1 <= len(self.currency.strip()) <= 12:
            raise InputError("Give the currency as a short name, such as USD or CNY.")
        for name, value in asdict(self).items():
            if name != "currency" and not (0 <= value < 1e12):
                raise InputError(f"The price {name} must be at least 0, not {value}.")
        if self.maintenance > 1 or self.discount > 1:
            raise InputError("Maintenance and discount are shares a year, 0 to 1.")

    def record(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self) | {"source": SOURCE}

    def new_site(self, bands: int, technologies: int, sectors: int = 3) -> float:
        """Capex of a site with so many bands in each sector."""
        equipment = sectors * bands * (self.antenna + self.radio_unit) + technologies * self.baseband
        return self.site + self.visit + equipment

    def new_carrier(self, new_technology: bool) -> float:
        """Capex of one more carrier in one sector."""
        return self.antenna + self.radio_unit + self.visit + (self.baseband if new_technology else 0.0)

    def split(self, carriers: int) -> float:
        """Capex of a second direction beside a sector's: its carriers once more."""
        return carriers * (self.antenna + self.radio_unit) + self.visit

    def opex_per_year(self, sites: int, cells: int, basebands: int) -> float:
        """Rent and maintenance of what was added."""
        equipment = cells * (self.antenna + self.radio_unit) + basebands * self.baseband
        return sites * self.rent_per_year + self.maintenance * equipment


def by_layer(steps: pd.DataFrame, costs: Costs) -> pd.DataFrame:
    """A row a layer: layer, measures, cells, capex, opex_per_year, currency. steps: see `expansion`."""
    rows = []
    for layer, part in steps.groupby("layer", sort=True):
        sites = int((part["measure"] == "site").sum())
        cells, basebands = int(part["cells"].sum()), int(part["basebands"].sum())
        rows.append(
            {
                "layer": layer,
                "measures": len(part),
                "cells": cells,
                "capex": float(part["capex"].sum()),
                "opex_per_year": costs.opex_per_year(sites, cells, basebands),
                "currency": costs.currency,
            }
        )
    names = ["layer", "measures", "cells", "capex", "opex_per_year", "currency"]
    return pd.DataFrame(rows, columns=names)
