"""What would relieve a hot spot: another carrier, a split of the sector, or neighbours that take users over.

Each measure is tried in the radio model, on the sites and tiles around: the levels are computed again, then the coupled
loads of the sector's worst hour.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from plannerbase.formats import hour_in_prose
from plannerbase.progress import Progress, silent
from planning.bands import CAPACITY_CARRIERS
from planning.coverage import Coverage, coupled_loads
from planning.geometry import local_metres
from planning.network import Network
from planning.network.cells import LIMITS, NARROW_BEAMWIDTH_DEG
from planning.prb.utilisation import NetworkUtilisation

SURROUNDINGS_M = 3000.0  # around the site that is looked at (assumed: beyond, a sector changes little)
SPLIT_DEG = 30.0  # half the angle between the two parts of a sector
SPLIT_GAIN_DB = 3.0  # of an antenna half as wide
TILTS_DEG = (2.0, 4.0)  # more downtilt, so that users at the edge go to neighbours
MEASURES = {
    "neighbour": "offload to neighbours (more downtilt)",
    "carrier": "another carrier",
    "split": "split of the sector",
}


@dataclass(frozen=True)
class Relief:
    """A measure at a sector. missing: around it, load: of its fullest cell, at its worst hour, before and after."""

    sector: str
    site: str
    hour: int
    measure: str  # one of MEASURES
    detail: str
    missing_before_mbps: float
    missing_after_mbps: float
    load_before: float
    load_after: float

    @property
    def gained_mbps(self) -> float:
        return self.missing_before_mbps - self.missing_after_mbps


def relief_of(
    found: NetworkUtilisation, sectors: np.ndarray, progress: Progress | None = None
) -> pd.DataFrame:
    """A row a sector and measure, as `Relief`, with gained_mbps and `best`: for each sector the measure after which
    least is missing, and among equals the lowest load.

    sectors: their numbers, as the index of `NetworkUtilisation.hot_spots`.
    """
    report = progress or silent
    rows = []
    for done, sector in enumerate(np.asarray(sectors, int).tolist()):
        report(done, len(sectors), "relief of hot spots")
        reliefs = _tried(found, sector)
        best = min(reliefs, key=lambda r: (round(r.missing_after_mbps, 3), r.load_after), default=None)
        rows += [{**vars(r), "gained_mbps": r.gained_mbps, "best": r is best} for r in reliefs]
    columns = [*Relief.__dataclass_fields__, "gained_mbps", "best"]
    return pd.DataFrame(rows, columns=columns)


def sentences_of(hot_spots: pd.DataFrame, relief: pd.DataFrame) -> list[str]:
    """A sentence a hot spot, with the measure that relieves it most."""
    best = relief[relief["best"].astype(bool)].set_index("sector") if len(relief) else relief
    out = []
    for spot in hot_spots.itertuples():
        text = (
            f"{spot.sector}: load {spot.worst_load:.0%} at {hour_in_prose(spot.worst_hour)}, "
            f"{spot.worst_missing_mbps:,.1f} Mbit/s missing"
        )
        if spot.sector in best.index:
            measure = best.loc[spot.sector]
            if measure["gained_mbps"] > 0.05 or measure["load_after"] < measure["load_before"]:
                text += (
                    f"; {MEASURES[measure['measure']]} ({measure['detail']}) would serve "
                    f"{max(measure['gained_mbps'], 0):,.1f} Mbit/s more around it, load {measure['load_after']:.0%}"
                )
        out.append(text + ".")
    return out


def _tried(found: NetworkUtilisation, sector: int) -> list[Relief]:
    hot = found.sectors.iloc[sector]
    missing = found.sector_missing_mbps[sector]
    hour = int((missing if missing.any() else found.sector_load[sector]).argmax())
    place = _Place.of(found, hot["lon"], hot["lat"], hour)
    before = place.tried(place.network, hot["sector"])
    out = []
    for measure, variants in _variants(place.network, hot["sector"]).items():
        results = [(place.tried(network, *names), detail) for network, names, detail in variants]
        if results:
            (after, load), detail = min(results, key=lambda r: (round(r[0][0], 3), r[0][1]))
            out.append(
                Relief(
                    hot["sector"],
                    hot["site"],
                    found.hours[hour],
                    measure,
                    detail,
                    before[0],
                    after,
                    before[1],
                    load,
                )
            )
    return out


@dataclass(frozen=True)
class _Place:
    """Sites and tiles around a hot spot in one hour."""

    found: NetworkUtilisation
    network: Network
    tiles: np.ndarray
    hour: int

    @classmethod
    def of(cls, found: NetworkUtilisation, lon: float, lat: float, hour: int) -> _Place:
        grid, sites = found.coverage.grid, found.network.sites
        near = np.hypot(*local_metres(sites["lon"].to_numpy(), sites["lat"].to_numpy(), (lon, lat)).T)
        pixel = np.hypot(*local_metres(grid.lon, grid.lat, (lon, lat)).T)
        tiles = np.unique(grid.tile[(pixel <= SURROUNDINGS_M) & (grid.tile >= 0)])
        return cls(found, found.network.only(near <= SURROUNDINGS_M), tiles, hour)

    def tried(self, network: Network, *sectors: str) -> tuple[float, float]:
        """(Mbit/s missing around, load of the fullest cell of these sectors) with this network."""
        x, y = self.found.x[self.tiles], self.found.y[self.tiles]
        around = Coverage.of(network, x, y, self.found.coverage.settings)
        whole = self.found.coverage.grid  # traffic lies in the tiles as there
        pixel = whole.pixel_at(around.grid.lon, around.grid.lat)
        around = around.with_weights(np.where(pixel >= 0, whole.weight[pixel], 0.0))
        loads = coupled_loads(around, self.found.demand_mbps[self.tiles, self.hour])
        mine = network.cells["sector"].isin(sectors).to_numpy()
        return float(loads.unserved_mbps.sum()), float(loads.load[mine].max(initial=0.0))


def _variants(network: Network, sector: str) -> dict[str, list[tuple[Network, tuple[str, ...], str]]]:
    """By measure: networks with it, the names of the sectors that carry the traffic then, and what was done."""
    cells = network.cells
    mine = (cells["sector"] == sector).to_numpy()
    out: dict[str, list[tuple[Network, tuple[str, ...], str]]] = {"neighbour": [], "carrier": [], "split": []}
    tilt = cells["tilt_deg"].to_numpy(float)
    for more in TILTS_DEG:
        changed = cells.assign(tilt_deg=np.where(mine, np.minimum(tilt + more, LIMITS["tilt_deg"][1]), tilt))
        out["neighbour"].append((Network(network.sites, changed), (sector,), f"downtilt {more:g}° more"))
    if (carrier := _free_carrier(cells[mine])) is not None:
        band, frequency, row = carrier
        new = row.assign(cell=row["cell"] + "-new", band=band, frequency_mhz=frequency, is_coverage=False)
        changed = pd.concat([cells, new], ignore_index=True)
        detail = f"{band} at {frequency:,.0f} MHz, {float(row['bandwidth_mhz'].iloc[0]):g} MHz"
        out["carrier"].append((Network.from_tables(network.sites, changed), (sector,), detail))
    if (cells.loc[mine, "beamwidth_deg"] > NARROW_BEAMWIDTH_DEG).all():
        names = (f"{sector}a", f"{sector}b")
        parts = [
            cells[mine].assign(
                cell=cells.loc[mine, "cell"] + name[-1],
                sector=name,
                azimuth=(cells.loc[mine, "azimuth"] + turn) % 360.0,
                beamwidth_deg=NARROW_BEAMWIDTH_DEG,
                gain_dbi=cells.loc[mine, "gain_dbi"] + SPLIT_GAIN_DB,
            )
            for name, turn in zip(names, (-SPLIT_DEG, SPLIT_DEG), strict=True)
        ]
        changed = pd.concat([cells[~mine], *parts], ignore_index=True)
        detail = f"two sectors of {NARROW_BEAMWIDTH_DEG:g}°"
        out["split"].append((Network.from_tables(network.sites, changed), names, detail))
    return out


def _free_carrier(cells: pd.DataFrame) -> tuple[str, float, pd.DataFrame] | None:
    """(band, MHz, a row to copy) of the first usual capacity carrier that overlaps none of a sector's."""
    technology = "5G" if (cells["technology"] == "5G").any() else "4G"
    same = cells[cells["technology"] == technology]
    if not len(same):
        return None
    row = same.sort_values("frequency_mhz").tail(1)
    width = float(row["bandwidth_mhz"].iloc[0])
    for band, frequency in CAPACITY_CARRIERS[technology]:
        apart = (cells["frequency_mhz"] - frequency).abs() >= (cells["bandwidth_mhz"] + width) / 2
        if apart.all():
            return band, frequency, row
    return None
