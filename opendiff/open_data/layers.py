"""Further layers of a pack: which column is which, and how far its population is borne out by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from opendiff.conditions import USUAL_RELIABILITY

# Further layers and the beginning of their column's name; of several columns the last in order (the newest year).
# jobs: people who work in the tile. lights: radiance of VIIRS night lights, nW/cm2/sr. osm_nodes: density of
# OpenStreetMap nodes, 0..1 on a logarithmic scale. activity: any count of activity by place of the user's own.
LAYER_COLUMNS: dict[str, str] = {
    "lights": "viirs_", "osm_nodes": "osm_nodes_", "jobs": "jobs", "activity": "activity",
}  # fmt: skip
LAYERS: tuple[str, ...] = tuple(LAYER_COLUMNS)
MIN_RELIABILITY_TILES = 30


class ShownLayer(NamedTuple):
    """A layer that the Area page shows and no model is told.

    label, unit: as people read them. column: the beginning of its column's name. summed: over a tile, for counts; else
    averaged.
    """

    label: str
    unit: str
    column: str
    summed: bool = False


# A line here is all that a layer to be shown needs: packs may hold it, the command `layer` fills it, a page paints it.
SHOWN_LAYERS: dict[str, ShownLayer] = {
    "building_height": ShownLayer("Building height", "m", "building_height"),
}


def layer_columns(columns: Iterable[str]) -> dict[str, str]:
    """The column of each of LAYERS among names of columns; of several the last in order, which is the newest year."""
    names = sorted(map(str, columns))
    found = {
        layer: [name for name in names if name.startswith(start)] for layer, start in LAYER_COLUMNS.items()
    }
    return {layer: fitting[-1] for layer, fitting in found.items() if fitting}


def column_beginnings() -> tuple[str, ...]:
    """How the columns of layers begin, told to models or only shown."""
    return (*LAYER_COLUMNS.values(), *(layer.column for layer in SHOWN_LAYERS.values()))


def shown_columns(columns: Iterable[str]) -> dict[str, str]:
    """The column of each of SHOWN_LAYERS among names of columns; of several the last in order."""
    names = sorted(map(str, columns))
    found = {
        name: [column for column in names if column.startswith(of.column)]
        for name, of in SHOWN_LAYERS.items()
    }
    return {name: fitting[-1] for name, fitting in found.items() if fitting}


def reliability(residents: np.ndarray, others: Mapping[str, np.ndarray]) -> float:
    """Share of the variance of log residents that is signal, 0.02..1, judged by how well other layers tell it.

    residents: (tiles,) people; others: (tiles,) each, NaN where unknown. A raster whose log residents follow from the
    others with R2 of 0.5 or more counts as good (Seoul 0.75, the Helsinki region 0.76), one of 0.2 or less as noise
    (Nanchang 0.2); with fewer than MIN_RELIABILITY_TILES common tiles, or no other layer, it is USUAL_RELIABILITY.
    """
    known = {name: values for name, values in others.items() if np.isfinite(values).mean() > 0.3}
    if not known:
        return USUAL_RELIABILITY
    table = np.log1p(np.column_stack([residents / 10, *known.values()]))
    table = table[np.isfinite(table).all(axis=1)]
    if len(table) < MIN_RELIABILITY_TILES:
        return USUAL_RELIABILITY
    centred = table - table.mean(axis=0)
    target, design = centred[:, 0], centred[:, 1:]
    error = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
    explained = 1 - (error @ error) / max(target @ target, 1e-12)
    return float(np.clip((explained - 0.2) / 0.3, 0.02, 1.0))
