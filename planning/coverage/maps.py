"""The maps of a coverage by name, each with its unit and a scale of colours that colour-blind people can read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planning.coverage.coverage import Coverage
from planning.errors import InputError

# stops of matplotlib's viridis, even in lightness: from low to high
VIRIDIS = np.array(
    [
        (68, 1, 84), (72, 40, 120), (62, 74, 137), (49, 104, 142), (38, 130, 142), (31, 158, 137), (53, 183, 121),
        (110, 206, 88), (181, 222, 43), (253, 231, 37),
    ], float,
)  # fmt: skip
# of areas that have no order; Okabe and Ito's palette, which colour-blind people tell apart
OKABE_ITO = np.array(
    [(230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167)], float
)  # fmt: skip
MAPS = ("rsrp", "sinr", "rate", "server", "covered")


@dataclass(frozen=True)
class CoverageMap:
    """values: (pixels,) float32, NaN where there is none. low, high: ends of the scale of colours."""

    name: str
    label: str
    unit: str
    values: np.ndarray
    low: float
    high: float

    def colours(self) -> np.ndarray:
        """(pixels, 4) uint8 RGBA, transparent where there is no value."""
        out = np.zeros((len(self.values), 4), np.uint8)
        shown = np.isfinite(self.values)
        if self.name == "server":
            out[shown, :3] = OKABE_ITO[self.values[shown].astype(int) % len(OKABE_ITO)]
        else:
            out[shown, :3] = ramp((self.values[shown] - self.low) / (self.high - self.low))
        out[shown, 3] = 255
        return out


def ramp(share: np.ndarray) -> np.ndarray:
    """(..., 3) RGB 0-255 of places 0 to 1 on the scale of colours."""
    place = np.clip(np.asarray(share, float), 0, 1) * (len(VIRIDIS) - 1)
    below = np.minimum(place.astype(int), len(VIRIDIS) - 2)
    return VIRIDIS[below] + (place - below)[..., None] * (VIRIDIS[below + 1] - VIRIDIS[below])


def coverage_map(
    coverage: Coverage,
    name: str,
    load: np.ndarray | None = None,
    awake: np.ndarray | None = None,
    carrier: int | None = None,
    indoors: bool = False,
) -> CoverageMap:
    """One of MAPS: "rsrp" and "sinr" of the best server, "rate", "server" (its sector, so that carriers of a sector
    look alike), "covered" (0 nowhere, 1 outdoors only, 2 indoors too). Arguments as of `Coverage`.

    Raises InputError for a map of another name.
    """
    where = ", indoors" if indoors else ""
    heard = coverage.best_server(awake, carrier) >= 0
    if name == "rsrp":
        level = coverage.rsrp_dbm(awake, carrier)
        if indoors:
            cell = np.maximum(coverage.best_server(awake, carrier), 0)
            level = level - coverage.cells.indoor_db[cell]
        made = CoverageMap(name, f"RSRP of the best server{where}", "dBm", level, -125.0, -65.0)
    elif name == "sinr":
        values = coverage.sinr_db(load, awake, carrier, indoors)
        made = CoverageMap(name, f"SINR{where}", "dB", values, -5.0, 25.0)
    elif name == "rate":
        values = coverage.rate_mbps(load, awake, carrier, indoors)
        top = float(np.percentile(values, 98)) if len(values) else 1.0
        made = CoverageMap(
            name, f"Rate with all PRBs{where}", "Mbit/s", values, 0.0, max(10.0, round(top, -1))
        )
    elif name == "server":
        server = coverage.best_server(awake, carrier)
        sector = coverage.network.sector_of_cell[np.maximum(server, 0)]
        made = CoverageMap(name, "Best server", "sector", sector, 0.0, float(max(sector.max(initial=0), 1)))
    elif name == "covered":
        values = coverage.covered(awake).astype(float) + coverage.covered(awake, indoors=True)
        made = CoverageMap(name, "Covered: 1 outdoors, 2 indoors too", "class", values, 0.0, 2.0)
        heard = np.ones(len(values), bool)
    else:
        raise InputError(f"There is no map {name!r}; choose one of {', '.join(MAPS)}.")
    values = np.where(heard, made.values, np.nan).astype(np.float32)
    return CoverageMap(made.name, made.label, made.unit, values, made.low, made.high)
