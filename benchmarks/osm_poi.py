"""How well OpenStreetMap's counts of places stand for a map service's: correlations on the tiles that have both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from opendiff.open_data.sources import PackSource
from opendiff.poi.categories import POI_CATEGORIES
from opendiff.poi.osm_files import osm_poi_counts
from opendiff.poi.registration import register_poi


@dataclass(frozen=True)
class PoiAgreement:
    """By category, each (14,): places counted by OSM and by the map service on the same tiles, Pearson correlation of
    log1p counts and Spearman's; NaN where one of them counts nothing. total: Pearson of log1p of all places of a
    tile."""

    tiles: int
    osm: np.ndarray
    service: np.ndarray
    pearson: np.ndarray
    spearman: np.ndarray
    total: float

    def table(self) -> pd.DataFrame:
        """One row a category."""
        return pd.DataFrame(
            {
                "category": POI_CATEGORIES,
                "OSM": self.osm,
                "map service": self.service,
                "Pearson of log1p": self.pearson,
                "Spearman": self.spearman,
            }
        )


def poi_agreement(pack: PackSource, extract: str | Path) -> PoiAgreement:
    """OSM counts of an extract against the pack's own, which are registered to WGS-84 first. Raises SourceError."""
    tiles = pack.all_tiles()
    x, y = tiles["x"].to_numpy(), tiles["y"].to_numpy()
    data = pack.open_data(tiles, imagery=False)
    counted = data.has_poi
    service, known = register_poi(
        x, y, x[counted], y[counted], data.poi[counted].astype(float), pack.poi_datum, data.osm_places
    )
    osm, service = osm_poi_counts(extract, tiles)[known].astype(float), service[known]
    pearson, spearman = np.full((2, len(POI_CATEGORIES)), np.nan)
    for category in range(len(POI_CATEGORIES)):
        pearson[category], spearman[category] = _correlations(osm[:, category], service[:, category])
    total, _ = _correlations(osm.sum(axis=1), service.sum(axis=1))
    return PoiAgreement(int(known.sum()), osm.sum(axis=0), service.sum(axis=0), pearson, spearman, total)


def _correlations(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Pearson of log1p and Spearman; NaN where a side is constant."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return np.nan, np.nan
    return float(np.corrcoef(np.log1p(a), np.log1p(b))[0, 1]), float(spearmanr(a, b).statistic)
