"""How planned sites are built: antenna heights, tilts and bands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from planning.bands import band_named
from planning.errors import InputError


@dataclass(frozen=True)
class SiteDesign:
    """What is planned of the sites; None leaves the assumption of `planning.network.cells`.

    Attributes
    ----------
    height_m : of the antennas, one figure or (sites,), NaN where not planned.
    tilt_deg : downtilt, likewise.
    coverage_band : of the coverage cells, as "B3", one or (sites,), "" where not planned.
    capacity_bands : of the capacity layers in their order, as ("n41", "n78"); further layers take the usual carriers.
    """

    height_m: float | np.ndarray | None = None
    tilt_deg: float | np.ndarray | None = None
    coverage_band: str | np.ndarray = ""
    capacity_bands: tuple[str, ...] = ()

    def validate(self) -> None:
        """Raises InputError for a band that there is not."""
        names = [*np.atleast_1d(np.asarray(self.coverage_band, object)).tolist(), *self.capacity_bands]
        for name in names:
            if name and band_named(str(name)) is None:
                raise InputError(f"There is no band {name!r}; give one as B3 or n41.")

    def applied(self, cells: pd.DataFrame, sites: list[str]) -> pd.DataFrame:
        """Generated cells with what is planned, which is no longer assumed. sites: names, in the order of arrays."""
        self.validate()
        row = pd.Series(np.arange(len(sites)), index=sites).loc[cells["site"]].to_numpy()
        cells = cells.copy()
        for column, value in (("height_m", self.height_m), ("tilt_deg", self.tilt_deg)):
            if value is not None:
                cells[column] = np.broadcast_to(np.asarray(value, float), (len(sites),))[row]
                self._stated(cells, cells[column].notna().to_numpy(), column)
        is_base = cells["is_coverage"].to_numpy(bool)
        planned = np.broadcast_to(np.asarray(self.coverage_band, object), (len(sites),))[row]
        self._on_band(cells, is_base & (planned != ""), planned)
        layer = cells.groupby(["site", "azimuth", "is_coverage"]).cumcount().to_numpy()
        for number, band in enumerate(self.capacity_bands):
            self._on_band(cells, ~is_base & (layer == number), np.full(len(cells), band, object))
        return cells

    @classmethod
    def _on_band(cls, cells: pd.DataFrame, mine: np.ndarray, bands: np.ndarray) -> None:
        for name in set(bands[mine].tolist()):
            rows = mine & (bands == name)
            band = band_named(str(name))
            assert band is not None  # validated
            technology = "5G" if band.name.startswith("n") else "4G"
            cells.loc[rows, ["band", "frequency_mhz", "technology"]] = [
                band.name,
                band.frequency_mhz,
                technology,
            ]
            usual = band_named(band.name, technology)
            assert usual is not None
            width = usual.bandwidth_mhz / cells.loc[rows, "bandwidth_mhz"]
            cells.loc[rows, "bandwidth_mhz"] = usual.bandwidth_mhz
            cells.loc[rows, "power_dbm"] += 10 * np.log10(width)
            cells.loc[rows, "capacity_mbps"] *= width
            cls._stated(cells, rows, "band", "frequency_mhz")

    @staticmethod
    def _stated(cells: pd.DataFrame, rows: np.ndarray, *names: str) -> None:
        texts = cells.loc[rows, "assumed"]
        cells.loc[rows, "assumed"] = [",".join(a for a in t.split(",") if a not in names) for t in texts]
