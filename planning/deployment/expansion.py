"""A network that grows with its traffic, year by year, by carriers, sectors and sites where they relieve most.

Each year the traffic grows by a rate. Every sector whose traffic in the busy hour exceeds what its cells carry at the
planned headroom gets one measure, the cheapest for a Mbit/s that it lacks: another carrier, a split into two narrower
directions, or a new site in the middle of its traffic. Then the radio model is run again, until no sector is short, no
measure is left, or `ROUNDS` are over. Places with traffic that no cell covers get new sites in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from plannerbase.counting import counted
from plannerbase.progress import Progress, silent
from planning.bands import CAPACITY_CARRIERS, band_named
from planning.coverage import Coverage, RadioSettings
from planning.demand import Demand
from planning.deployment.costs import Costs, by_layer
from planning.deployment.measures import (
    COLUMNS,
    MEASURES,
    NEW_SITE,
    Option,
    carrier_cell,
    free_names,
    split_cells,
)
from planning.deployment.serving import served
from planning.deployment.sizing import LOADED_MBPS, PIXEL_M, sector_demand, with_radio_capacity
from planning.equipment import CAPACITY
from planning.errors import InputError
from planning.network import Network

ROUNDS = 6  # of measures a year
MAX_YEARS = 20
SPLIT_GAIN = (
    0.7  # of a sector's capacity, to choose by (assumed); what it brings is computed by the radio model
)
_SHORT_MBPS = 0.5


@dataclass(frozen=True)
class ExpansionSettings:
    """years, growth: traffic of year y is (1 + growth)^y x today's. measures: of MEASURES. bands: of further carriers
    in their order; () takes the usual ones. min_distance_m: of a new site to any other. budget_per_year: capex, None:
    no limit. coverage: share of the traffic that is to be covered, indoors and outdoors as the radio settings have
    it."""

    years: int = 5
    growth: float = 0.25
    quantile: float = 0.9
    headroom: float = 0.2
    measures: tuple[str, ...] = MEASURES
    bands: tuple[str, ...] = ()
    min_distance_m: float = 200.0
    budget_per_year: float | None = None
    coverage: float = 0.9

    def validate(self) -> None:
        """Raises InputError."""
        if not 0 <= self.years <= MAX_YEARS:
            raise InputError(f"The roll-out has 0 to {MAX_YEARS} years, not {self.years}.")
        if not -0.5 <= self.growth <= 5:
            raise InputError(
                f"The growth a year must lie between -0.5 and 5, not {self.growth:g} (0.25 is 25 %)."
            )
        if not 0 <= self.headroom < 10 or not self.min_distance_m >= 0:
            raise InputError("The headroom and the minimum distance must be at least 0.")
        if not 0 <= self.coverage <= 1:
            raise InputError(
                f"The share of the traffic to cover must lie between 0 and 1, not {self.coverage:g}."
            )
        unknown = [m for m in self.measures if m not in MEASURES]
        if unknown or not self.measures:
            raise InputError(
                f"Measures are some of {', '.join(MEASURES)}, not {', '.join(unknown) or 'none'}."
            )
        for name in self.bands:
            if band_named(name) is None:
                raise InputError(f"There is no band {name!r}; give one as B3 or n41.")


@dataclass(frozen=True)
class Expansion:
    """network: of the last year. steps: a row a measure: year, measure, site, sector, layer, cells, basebands, capex,
    short_mbps (that it was taken for). years: a row a year: year, demand_mbps and served_mbps (busy hour),
    served_share, sites, cells, capex, opex_per_year (of all that was added), short_sectors. layers: costs by layer."""

    network: Network
    steps: pd.DataFrame
    years: pd.DataFrame
    layers: pd.DataFrame
    costs: Costs
    settings: ExpansionSettings

    @property
    def present_value(self) -> float:
        """Capex and opex of all years, discounted to the first."""
        years = self.years["year"].to_numpy(float)
        spent = self.years["capex"].to_numpy(float) + self.years["opex_per_year"].to_numpy(float)
        return float((spent / (1 + self.costs.discount) ** years).sum())

    @property
    def sentence(self) -> str:
        """In words."""
        counts = self.steps["measure"].value_counts()
        made = ", ".join(f"{counts[m]} {_WORDS[m]}" for m in MEASURES if m in counts) or "nothing"
        last = self.years.iloc[-1]
        text = (
            f"Over {self.settings.years} years with {100 * self.settings.growth:g} % growth a year: {made}; capex "
            f"{self.years['capex'].sum():,.0f} {self.costs.currency}, present value with rent and maintenance "
            f"{self.present_value:,.0f} {self.costs.currency}. In the last year "
            f"{100 * last['served_share']:.1f} % of the busy hour's traffic is served"
        )
        short = int(last["short_sectors"])
        return text + (f"; {counted(short, 'sectors remain')} short." if short else ".")

    def record(self) -> dict[str, Any]:
        """For provenance."""
        return {"sentence": self.sentence, "costs": self.costs.record(), "settings": vars(self.settings)}


_WORDS = {"carrier": "carriers", "split": "sector splits", "site": "new sites"}


def expand(
    network: Network,
    demand: Demand,
    settings: ExpansionSettings | None = None,
    costs: Costs | None = None,
    radio: RadioSettings | None = None,
    progress: Progress | None = None,
) -> Expansion:
    """The measures of each year; year 0 is today's traffic. Raises InputError."""
    settings, costs = settings or ExpansionSettings(), costs or Costs()
    settings.validate()
    radio = radio or RadioSettings(pixel_m=PIXEL_M)
    tell = progress or silent
    steps: list[dict[str, Any]] = []
    rows = []
    for year in range(settings.years + 1):
        tell(year, settings.years + 1, f"year {year}")
        factor = np.float32((1 + settings.growth) ** year)
        grown = replace(demand, mbps=demand.mbps * factor)
        work = _Year(grown, settings, costs, radio)
        network, made = work.grown(network, year)
        steps += made
        found = served(network, grown, radio=radio, coverage=work.coverage)
        added = pd.DataFrame(steps, columns=COLUMNS)
        rows.append(
            {
                "year": year,
                "demand_mbps": found.demand_mbps,
                "served_mbps": found.served_mbps,
                "served_share": found.served_share,
                "sites": len(network.sites),
                "cells": len(network.cells),
                "capex": float(sum(s["capex"] for s in made)),
                "opex_per_year": costs.opex_per_year(
                    int((added["measure"] == "site").sum()),
                    int(added["cells"].sum()),
                    int(added["basebands"].sum()),
                ),
                "short_sectors": work.short,
            }
        )
    tell(settings.years + 1, settings.years + 1, "expanded")
    table = pd.DataFrame(steps, columns=COLUMNS)
    return Expansion(network, table, pd.DataFrame(rows), by_layer(table, costs), costs, settings)


class _Year:
    """The traffic of a year, and the network as it grows in it."""

    def __init__(self, demand: Demand, settings: ExpansionSettings, costs: Costs, radio: RadioSettings):
        self.demand, self.settings, self.costs, self.radio = demand, settings, costs, radio
        self.coverage: Coverage | None = None
        self.short = 0
        self.left = np.inf if settings.budget_per_year is None else settings.budget_per_year

    def grown(self, network: Network, year: int) -> tuple[Network, list[dict[str, Any]]]:
        """The network after the measures of the year, and these."""
        made: list[dict[str, Any]] = []
        for turn in range(ROUNDS + 1):
            self.coverage = Coverage.of(network, self.demand.x, self.demand.y, self.radio)
            load = min(1.0, 1 / (1 + self.settings.headroom))
            network = with_radio_capacity(network, self.coverage, self.demand, load)
            short = self._shortage(network)
            self.short = int((short > _SHORT_MBPS).sum())
            if turn == ROUNDS:
                break
            network, measures = self._round(network, short, year)
            if not measures:
                break
            made += measures
        return network, made

    def _shortage(self, network: Network) -> np.ndarray:
        """(sectors,) Mbit/s that the sector's busy hour lacks at the headroom."""
        assert self.coverage is not None
        peak = sector_demand(self.coverage, self.demand, 24, self.settings.quantile).max(axis=1)
        capacity = np.bincount(network.sector_of_cell, network.cells["capacity_mbps"].to_numpy(float))
        return np.maximum(peak * (1 + self.settings.headroom) - capacity, 0.0)

    def _round(self, network: Network, short: np.ndarray, year: int) -> tuple[Network, list[dict[str, Any]]]:
        """One measure for each short sector, and new sites where traffic is not covered."""
        sites, cells = network.sites, network.cells
        parts, measures = [cells], []
        places: list[tuple[float, float]] = []
        gone: set[str] = set()
        sector_of = network.sector_of_cell
        for sector in np.argsort(-short, kind="stable"):
            if short[sector] <= _SHORT_MBPS:
                break
            mine = cells[sector_of == sector]
            options = self._options(network, mine, int(sector), float(short[sector]), places)
            options = [o for o in options if o.capex <= self.left]
            if not options:
                continue
            best = min(options, key=lambda o: (o.capex / min(o.gain, short[sector]), o.capex))
            self.left -= best.capex
            if best.place is not None:
                places.append(best.place)
            if best.cells is not None:
                parts.append(best.cells)
                gone |= best.replaces
            name = best.name or str(mine["site"].iloc[0])
            measures.append(best.row(year, name, str(mine["sector"].iloc[0]), float(short[sector])))
        if "site" in self.settings.measures:
            for place in self._uncovered(network, places):
                capex = self.costs.new_site(2, 2)
                if capex > self.left:
                    break
                self.left -= capex
                places.append(place)
                measures.append(
                    Option("site", capex, np.inf, NEW_SITE, 6, 2, place=place).row(year, "", "", 0.0)
                )
        kept = pd.concat(
            [p[~p["cell"].isin(gone)] if i == 0 else p for i, p in enumerate(parts)], ignore_index=True
        )
        if places:
            names = free_names(sites["site"], len(places))
            rows = iter(names)
            for measure in measures:
                if measure["measure"] == "site":
                    measure["site"] = next(rows)
            new = Network.from_sites([p[0] for p in places], [p[1] for p in places], names)
            sites = pd.concat([sites, new.sites], ignore_index=True)
            kept = pd.concat([kept, new.cells], ignore_index=True)
        return Network.from_tables(sites, kept), measures

    def _options(
        self,
        network: Network,
        mine: pd.DataFrame,
        sector: int,
        short: float,
        places: list[tuple[float, float]],
    ) -> list[Option]:
        out = []
        allowed, costs = self.settings.measures, self.costs
        carrier = self._free_carrier(mine) if "carrier" in allowed else None
        if carrier is not None:
            band, frequency = carrier
            known = network.cells.loc[network.cells["site"] == mine["site"].iloc[0], "technology"]
            technology = "5G" if band.startswith("n") else "4G"
            new = not (known == technology).any()
            cell = carrier_cell(mine, band, frequency, technology, network)
            out.append(
                Option(
                    "carrier",
                    costs.new_carrier(new),
                    LOADED_MBPS[technology],
                    f"{technology} {band}",
                    1,
                    int(new),
                    cell,
                )
            )
        if "split" in allowed and 40.0 < float(mine["beamwidth_deg"].max()) < 360.0:
            gain = SPLIT_GAIN * float(mine["capacity_mbps"].sum())
            cells = split_cells(mine, network)
            out.append(
                Option(
                    "split", costs.split(len(mine)), max(gain, 1.0), "sector split", len(mine), 0, cells,
                    replaces=set(mine["cell"]),
                )
            )  # fmt: skip
        if "site" in allowed:
            place = self._middle(sector)
            if place is not None and self._far_enough(network, place, places):
                gain = 3 * sum(LOADED_MBPS.values())
                out.append(Option("site", costs.new_site(2, 2), gain, NEW_SITE, 6, 2, place=place))
        return out

    def _free_carrier(self, mine: pd.DataFrame) -> tuple[str, float] | None:
        """(band, MHz) of the next carrier that overlaps none of the sector's; None where there is none."""
        usual = CAPACITY_CARRIERS[CAPACITY.technology]
        wanted = [(b.name, b.frequency_mhz) for n in self.settings.bands if (b := band_named(n)) is not None]
        low = mine["frequency_mhz"] - mine["bandwidth_mhz"] / 2
        high = mine["frequency_mhz"] + mine["bandwidth_mhz"] / 2
        for name, frequency in wanted or usual:
            band = band_named(name, "5G" if name.startswith("n") else "4G")
            assert band is not None
            half = band.bandwidth_mhz / 2
            if not ((low < frequency + half) & (high > frequency - half)).any():
                return name, frequency
        return None

    def _middle(self, sector: int) -> tuple[float, float] | None:
        """(lon, lat) of the middle of the farther half of a sector's traffic, where a new site takes most of it."""
        assert self.coverage is not None
        coverage, grid = self.coverage, self.coverage.grid
        server = coverage.best_server()
        mine = np.flatnonzero((server >= 0) & (coverage.network.sector_of_cell[server] == sector))
        if not len(mine):
            return None
        weight = coverage.pixel_values(self.demand.mean_mbps())[mine]
        site = coverage.cells.site[server[mine[0]]]
        east, north = grid.metres(coverage.cells.lon[site], coverage.cells.lat[site])
        far = np.hypot(grid.east_m[mine] - east, grid.north_m[mine] - north)
        weight = weight * (far >= np.median(far))
        if not weight.sum() > 0:
            return None
        return float(np.average(grid.lon[mine], weights=weight)), float(
            np.average(grid.lat[mine], weights=weight)
        )

    def _uncovered(self, network: Network, places: list[tuple[float, float]]) -> list[tuple[float, float]]:
        """Middles of what is not covered in the tiles with most of it, as many as the target needs, at most a fifth as
        many as there are sites."""
        assert self.coverage is not None
        coverage, grid, mean = self.coverage, self.coverage.grid, self.demand.mean_mbps()
        outdoors, indoors = coverage.users_by_place()
        covered = outdoors * coverage.covered() + indoors * coverage.covered(indoors=True)
        none = coverage.pixel_values(mean) * (1 - covered)
        missing = none.sum() - (1 - self.settings.coverage) * mean.sum()
        by_tile = np.bincount(grid.tile, none, grid.tiles)
        found: list[tuple[float, float]] = []
        for tile in np.argsort(-by_tile, kind="stable").tolist():
            if missing <= 0 or len(found) >= max(1, len(network.sites) // 5):
                break
            mine = (grid.tile == tile) & (none > 0)
            if not mine.any():
                break
            lon, lat = (float(np.average(v[mine], weights=none[mine])) for v in (grid.lon, grid.lat))
            if self._far_enough(network, (lon, lat), [*places, *found]):
                found.append((lon, lat))
                missing -= by_tile[tile]
        return found

    def _far_enough(
        self, network: Network, place: tuple[float, float], places: list[tuple[float, float]]
    ) -> bool:
        apart = np.hypot(*network.metres(place).T).min()
        scale = np.array([111_320 * np.cos(np.radians(place[1])), 110_574])
        others = [float(np.hypot(*((np.array(p) - place) * scale))) for p in places]
        return bool(min([apart, *others]) >= self.settings.min_distance_m)
