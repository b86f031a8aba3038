"""Parquet tables from strangers, with the geometry that GeoParquet describes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from plannerbase.text import Refused, read_json

WRONG = (pa.ArrowException, OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError)
MAX_DEPTH = 3  # of records inside each other


class ParquetTable(NamedTuple):
    """table: plain columns; those of records under "record.field". shapes, crs: as those of `plannerbase.layers.Layer`.
    nested: names of columns that hold lists, which are not read. faults: (rows,) bool, geometry that cannot be read."""

    table: pd.DataFrame
    shapes: np.ndarray | None
    crs: Any
    nested: list[str]
    faults: np.ndarray


def read_parquet(data: bytes, most_rows: int, most_columns: int, most_bytes: int) -> ParquetTable:
    """A whole table. Raises `Refused`."""
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        about = file.metadata
        if about.num_rows > most_rows:
            raise Refused(f"holds more than {most_rows:,} rows")
        if about.num_columns > most_columns:
            raise Refused(f"holds more than {most_columns:,} columns")
        if sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups)) > most_bytes:
            raise Refused(f"unpacks to more than {most_bytes // 10**6:,} MB")
        table = file.read()
        geo = read_json((table.schema.metadata or {}).get(b"geo", b"null"))
        return _taken_apart(table, geo if isinstance(geo, dict) else {})
    except Refused:
        raise
    except WRONG as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise Refused(f"is no readable Parquet file ({reason})") from None


def _taken_apart(table: pa.Table, geo: dict[str, Any]) -> ParquetTable:
    shapes, crs, faults = None, None, np.zeros(len(table), bool)
    columns = geo.get("columns")
    described = columns if isinstance(columns, dict) else {}
    primary = geo.get("primary_column")
    if primary in described and primary in table.column_names and isinstance(described[primary], dict):
        shapes, faults = _shapes(table.column(primary), str(described[primary].get("encoding", "")))
        stated = described[primary].get("crs", "OGC:CRS84")
        crs = None if stated == "OGC:CRS84" else "" if stated is None else stated
        table = table.drop_columns([name for name in described if name in table.column_names])
    for _ in range(MAX_DEPTH):
        table = table.flatten()
    nested = [f.name for f in table.schema if pa.types.is_nested(f.type)]
    binary = [f.name for f in table.schema if pa.types.is_binary(f.type) or pa.types.is_large_binary(f.type)]
    plain = table.drop_columns(nested + binary)
    for place, column in enumerate(plain.schema):
        if pa.types.is_dictionary(column.type):
            plain = plain.set_column(place, column.name, plain.column(place).cast(column.type.value_type))
        elif pa.types.is_decimal(column.type):
            plain = plain.set_column(place, column.name, plain.column(place).cast(pa.float64()))
    # pyarrow parses what pandas wrote into the schema even where it is to be ignored
    frame = plain.replace_schema_metadata(None).to_pandas(ignore_metadata=True)
    return ParquetTable(frame, shapes, crs, nested, faults)


def _shapes(column: pa.ChunkedArray, encoding: str) -> tuple[np.ndarray, np.ndarray]:
    """(rows,) geometries, None where there is none that can be read, and (rows,) bool where one could not be."""
    if encoding.upper() != "WKB":
        raise Refused(
            f"keeps its geometry as {encoding!r}; export it again as WKB, which every tool writes by default"
        )
    written = np.array(column.to_pylist(), object)
    shapes = shapely.force_2d(shapely.from_wkb(written, on_invalid="ignore"))
    faults = np.array([w is not None for w in written], bool) & shapely.is_missing(shapes)
    return shapes, faults
