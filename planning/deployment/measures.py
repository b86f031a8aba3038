"""Measures that relieve a sector: what each costs, brings and adds to the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from planning.equipment import CAPACITY, COVERAGE
from planning.network import Network
from planning.network.cells import NARROW_BEAMWIDTH_DEG

MEASURES = ("carrier", "split", "site")
COLUMNS = ["year", "measure", "site", "sector", "layer", "cells", "basebands", "capex", "short_mbps"]

NEW_SITE = f"site ({COVERAGE.technology} and {CAPACITY.technology})"


@dataclass(frozen=True)
class Option:
    """A measure: its capex, the Mbit/s that it brings, and the cells that it adds."""

    measure: str
    capex: float
    gain: float
    layer: str
    number: int
    basebands: int
    cells: pd.DataFrame | None = None
    replaces: frozenset[str] | set[str] = frozenset()
    place: tuple[float, float] | None = None
    name: str = ""

    def row(self, year: int, site: str, sector: str, short: float) -> dict[str, Any]:
        """Under COLUMNS."""
        values = (
            year,
            self.measure,
            site,
            sector,
            self.layer,
            self.number,
            self.basebands,
            self.capex,
            short,
        )
        return dict(zip(COLUMNS, values, strict=True))


def carrier_cell(
    mine: pd.DataFrame, band: str, frequency: float, technology: str, network: Network
) -> pd.DataFrame:
    """A cell on another carrier beside a sector's, with its antenna's place and direction."""
    first = mine.iloc[0]
    stem = f"{first['site']}-{technology}-{str(first['sector']).rsplit('/', 1)[-1]}"
    cell = {
        name: first[name] for name in ("site", "azimuth", "beamwidth_deg", "height_m", "tilt_deg", "sector")
    }
    cell |= {"cell": _free_name(f"{stem}-{band}", network), "technology": technology, "band": band}
    return pd.DataFrame([cell | {"frequency_mhz": frequency, "is_coverage": False}])


def split_cells(mine: pd.DataFrame, network: Network) -> pd.DataFrame:
    """The sector's cells in two narrower directions, of which the first keeps the names."""
    width = float(mine["beamwidth_deg"].max())
    left = mine.assign(azimuth=(mine["azimuth"] - width / 2.2) % 360, beamwidth_deg=NARROW_BEAMWIDTH_DEG)
    right = mine.assign(
        azimuth=(mine["azimuth"] + width / 2.2) % 360,
        beamwidth_deg=NARROW_BEAMWIDTH_DEG,
        cell=[_free_name(f"{c}-S", network) for c in mine["cell"]],
    )
    right = right.assign(radio_unit=right["cell"])
    return pd.concat([left, right]).assign(sector="")


def _free_name(name: str, network: Network) -> str:
    taken = set(network.cells["cell"])
    while name in taken:
        name += "'"
    return name


def free_names(taken: pd.Series, count: int) -> list[str]:
    """NEW001, NEW002, ... as far as they are not taken."""
    names: list[str] = []
    used, number = set(taken), 0
    while len(names) < count:
        number += 1
        if (name := f"NEW{number:03d}") not in used:
            names.append(name)
    return names
