"""GeoPackages of layers, tables and provenance: what a scenario is stored as, read within limits.

Layers have a geometry in WGS-84, tables have none. "provenance" is a table with a row a key, its value as JSON.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio

from plannerbase.database import copy_plain
from plannerbase.source import Source
from plannerbase.text import Refused, read_json
from planning.errors import InputError

CRS = "EPSG:4326"
FORMAT = 1  # of the file; another is refused
MAX_BYTES, MAX_LAYERS, MAX_ROWS = 2_000_000_000, 64, 5_000_000  # MAX_ROWS: of a layer
MANY_ROWS = 20_000  # of a table, from which it is written by way of Arrow
OTHERS = "opendiff_"  # tables that others keep in the file begin so, and are left to them
_SQLITE = b"SQLite format 3\0"


def write_layers(
    path: Path,
    layers: Mapping[str, gpd.GeoDataFrame],
    tables: Mapping[str, pd.DataFrame],
    provenance: Mapping[str, Any],
) -> None:
    """Write a new file."""
    for name, layer in layers.items():
        pyogrio.write_dataframe(
            layer, path, layer=name, driver="GPKG", append=path.exists(), use_arrow=_is_fast(layer)
        )
    for name, table in tables.items():
        plain = _plain(table)
        pyogrio.write_dataframe(
            plain, path, layer=name, driver="GPKG", append=True, use_arrow=_is_fast(plain)
        )
    rows = pd.DataFrame(
        {
            "key": ["format", *provenance],
            "value": [json.dumps(v, ensure_ascii=False) for v in (FORMAT, *provenance.values())],
        }
    )
    pyogrio.write_dataframe(rows, path, layer="provenance", driver="GPKG", append=True)


def read_layers(
    source: Source, required: Sequence[str]
) -> tuple[dict[str, pd.DataFrame], dict[str, Any], str]:
    """(layers and tables by name, provenance, file name) of a path, bytes or binary file object.

    required: layers that must be there; the first keeps its geometry. Raises InputError where the file is no scenario.
    """
    if isinstance(source, (str, Path)):
        return _read(Path(source), required)
    data = bytes(source) if isinstance(source, (bytes, bytearray)) else source.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise InputError(f"The scenario is larger than {MAX_BYTES // 10**6} MB; make a smaller one.")
    with tempfile.TemporaryDirectory(prefix="scenario-", ignore_cleanup_errors=True) as folder:
        path = Path(folder, "upload.gpkg")
        path.write_bytes(data)
        return _read(path, required)


def _read(path: Path, required: Sequence[str]) -> tuple[dict[str, pd.DataFrame], dict[str, Any], str]:
    name = path.name
    _check_database(path)
    try:
        with tempfile.TemporaryDirectory(prefix="scenario-", ignore_cleanup_errors=True) as folder:
            plain = Path(folder, "plain.gpkg")
            copy_plain(path, plain)
            frames = {
                layer: pyogrio.read_dataframe(plain, layer=layer, read_geometry=layer == required[0])
                for layer in _checked_layers(plain, required, name)
            }
    except Refused as error:
        raise InputError(f"{name} {error}; give a scenario made by this planner.") from None
    except (
        pyogrio.errors.DataSourceError,
        pyogrio.errors.DataLayerError,
        RuntimeError,
        ValueError,
    ) as error:
        raise InputError(f"{name} is no readable GeoPackage; make the scenario again.") from error
    provenance = _provenance(frames.pop("provenance"), name)
    tables = {layer: as_objects(frame) for layer, frame in frames.items() if layer not in required}
    return {**{layer: frames[layer] for layer in required}, **tables}, provenance, name


def _check_database(path: Path) -> None:
    """Refuse what is no plain SQLite file before GDAL, which would open much more, sees it."""
    if not path.is_file():
        raise InputError(f"There is no file {path}; make a scenario with `python -m planning deploy` first.")
    with open(path, "rb") as file:
        if file.read(len(_SQLITE)) != _SQLITE:
            raise InputError(
                f"{path.name} is no readable GeoPackage; give a scenario (.gpkg) made by this planner."
            )


def _checked_layers(path: Path, required: Sequence[str], name: str) -> list[str]:
    """The names of the file's layers and tables, their numbers and sizes within the limits; name: of the file."""
    found = [str(n) for n in pyogrio.list_layers(path)[:, 0] if not str(n).startswith(OTHERS)]
    missing = [layer for layer in (*required, "provenance") if layer not in found]
    if missing:
        plural = "s" * (len(missing) > 1)
        raise InputError(f"{name} is no scenario: it lacks the layer{plural} {', '.join(missing)}.")
    if len(found) > MAX_LAYERS:
        raise InputError(f"{name} has {len(found)} layers and the limit is {MAX_LAYERS}; it is no scenario.")
    for layer in found:
        rows = pyogrio.read_info(path, layer=layer, force_feature_count=True)["features"]
        if not 0 <= rows <= MAX_ROWS:
            raise InputError(f"{name}: {layer} has more than {MAX_ROWS:,} rows; make a smaller scenario.")
    return found


def _provenance(rows: pd.DataFrame, name: str) -> dict[str, Any]:
    try:
        provenance = {k: read_json(v) for k, v in zip(rows["key"], rows["value"], strict=True)}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{name}: its provenance cannot be read; make the scenario again.") from error
    if provenance.pop("format", None) != FORMAT:
        raise InputError(f"{name} was written by another version of the planner; make the scenario again.")
    return provenance


def as_objects(table: pd.DataFrame) -> pd.DataFrame:
    """Text columns as plain objects, whatever string type pandas read them as."""
    text = {c: table[c].astype(object) for c in table if not pd.api.types.is_numeric_dtype(table[c].dtype)}
    kept = {c: v.where(v.notna(), None) for c, v in text.items() if table[c].dtype != bool}
    return table.assign(**kept)


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """Columns that a GeoPackage holds: lists become JSON text, missing objects None."""
    out = table.reset_index(drop=True)
    for column in out:
        if _is_mixed(out[column]):
            out[column] = [
                json.dumps(v) if isinstance(v, (list, tuple, dict)) else None if _is_missing(v) else v
                for v in out[column]
            ]
            if all(v is None or isinstance(v, (int, float)) for v in out[column]):
                out[column] = out[column].astype(float)
    return out


def _is_fast(table: pd.DataFrame) -> bool:
    """Whether it is to be written by way of Arrow: long tables take a third of the time then, and columns of mixed
    objects are refused."""
    return len(table) >= MANY_ROWS and not any(
        _is_mixed(table[column]) for column in table if column != "geometry"
    )


def _is_mixed(values: pd.Series) -> bool:
    """Whether a column of objects may hold anything but text."""
    return values.dtype == object and pd.api.types.infer_dtype(values, skipna=False) != "string"


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))
