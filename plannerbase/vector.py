"""Vector files from strangers (GeoPackage, Shapefile) for GDAL, which chooses its driver by content.

Each is read from a private folder that holds nothing else, under a name of our own. Text of a Shapefile is read in
the encoding that it states, else in the one that it is written in.
"""

from __future__ import annotations

import codecs
import re
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyogrio
import shapely

from plannerbase.database import copy_plain
from plannerbase.text import Refused, encoding_of

SHAPEFILE_PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")
SHAPEFILE_BEGINS = b"\x00\x00\x27\x0a"
MAX_LAYERS = 100
_CODE_PAGES = {"936": "cp936", "ANSI 936": "cp936", "OEM 936": "cp936", "950": "cp950", "932": "cp932", "949": "cp949",
               "1252": "cp1252", "ANSI 1252": "cp1252", "1251": "cp1251", "88591": "latin-1"}  # fmt: skip
UNREADABLE = (
    pyogrio.errors.DataSourceError,
    pyogrio.errors.DataLayerError,
    shapely.errors.ShapelyError,
    RuntimeError,
    ValueError,
)


def shapefiles(inside: dict[str, bytes]) -> dict[str, dict[str, bytes]]:
    """The Shapefiles among the members of an archive, by the path of their .shp: content by suffix.

    Raises `Refused` for one that is none by its first bytes.
    """
    found = {}
    for path, content in inside.items():
        if not path.lower().endswith(".shp"):
            continue
        if not content.startswith(SHAPEFILE_BEGINS):
            raise Refused(f"holds {path}, which is not a Shapefile though its name says so")
        found[path] = {
            suffix: inside[member]
            for member in inside
            for suffix in SHAPEFILE_PARTS
            if member[:-4] == path[:-4] and member[-4:].lower() == suffix
        }
    return found


@contextmanager
def handed_to_gdal(parts: dict[str, bytes], suffix: str) -> Iterator[Path]:
    """The path of the part with this suffix, beside the others, while GDAL reads it. parts: content by suffix.

    GDAL sees of a GeoPackage a new file with the rows of its plain tables. Raises `Refused` for what cannot be read
    meanwhile, and for a GeoPackage that is more than plain tables.
    """
    with tempfile.TemporaryDirectory() as folder:
        for kind, content in parts.items():
            Path(folder, f"upload{kind}").write_bytes(content)
        path = Path(folder, f"upload{suffix}")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what GDAL grumbles about is an error below or of no concern
                if suffix == ".gpkg":
                    path, given = Path(folder, "plain.gpkg"), path
                    copy_plain(given, path)
                    given.unlink()
                yield path
        except Refused:
            raise
        except UNREADABLE as error:
            raise Refused(f"cannot be read ({str(error).replace(folder, '')})") from None


class Read(NamedTuple):
    """table: data of each row. shapes: (rows,) geometry as written, None where a row has none that can be read; None
    for a table without geometry. crs: of the shapes, "" where it is not stated. faults: rows whose geometry could not
    be read."""

    table: pd.DataFrame
    shapes: np.ndarray | None
    crs: Any
    faults: np.ndarray


def read_with_gdal(
    parts: dict[str, bytes], suffix: str, most_rows: int, data: bool = True
) -> dict[str, Read]:
    """Every layer of a file by its name, also those without geometry. parts: content by suffix. data: whether the
    columns are wanted. Raises `Refused`."""
    layers = {}
    encoding = text_encoding(parts) if suffix == ".shp" else None
    with handed_to_gdal(parts, suffix) as path:
        for layer, kind in pyogrio.list_layers(path)[:MAX_LAYERS]:
            if kind is None and not data:
                continue
            layers[str(layer)] = _layer(path, str(layer), most_rows, encoding, data)
    return layers


def _layer(path: Path, layer: str, most_rows: int, encoding: str | None, data: bool) -> Read:
    options: dict[str, Any] = {"encoding": "ISO-8859-1"} if encoding else {}
    frame = pyogrio.read_dataframe(
        path, layer=layer, max_features=most_rows + 1, on_invalid="ignore", columns=None if data else [],
        force_2d=True, **options,
    )  # fmt: skip
    if len(frame) > most_rows:
        raise Refused(f"holds more than {most_rows:,} features")
    if "geometry" not in frame or not hasattr(frame, "geometry"):
        return Read(_decoded(frame, encoding), None, None, np.zeros(len(frame), bool))
    shapes = frame.geometry.to_numpy()
    crs = frame.crs
    unstated = crs is None or "Undefined" in str(crs)
    missing = np.array([shape is None for shape in shapes], bool)
    faults = np.zeros(len(frame), bool)
    if missing.any():  # a geometry that is not there, or one that cannot be read
        written = pyogrio.raw.read(path, layer=layer, columns=[], max_features=most_rows + 1)[2]
        faults = missing & np.array([shape is not None for shape in written], bool)
    return Read(
        _decoded(pd.DataFrame(frame.drop(columns="geometry")), encoding),
        shapes,
        "" if unstated else crs,
        faults,
    )


def text_encoding(parts: dict[str, bytes]) -> str | None:
    """The encoding of a Shapefile's text where it has to be found out: without a .cpg that is right and without a
    language code in the .dbf; None where GDAL may read it as stated."""
    body = parts.get(".dbf", b"")
    stated = parts.get(".cpg", b"").decode("ascii", "replace").strip()
    high = bytes(b for b in body[32:] if b >= 0x80)
    if not high:
        return None
    if re.fullmatch(r"utf-?8", stated, re.IGNORECASE):
        return None if _is_utf8(body[32:]) else encoding_of(body[32:])
    if stated:
        try:
            codecs.lookup(_CODE_PAGES.get(stated.upper(), stated))
        except (
            LookupError,
            ValueError,
        ):  # a name that no encoding has, or with a character that none can have
            pass
        else:
            return None
    elif body[29] not in (
        0,
        0x03,
        0x57,
    ):  # a language that the table's head names; 3 and 57 are what many just write
        return None
    found = "utf-8" if _is_utf8(body[32:]) else encoding_of(body[32:])
    return None if found in ("cp1252", "latin-1") else found


def _is_utf8(text: bytes) -> bool:
    """Whether text is UTF-8, of which the width of a field may have cut single characters."""
    wrong = text.decode("utf-8", "replace").count("\ufffd")
    return wrong <= 0.05 * sum(b >= 0xC0 for b in text)


def _decoded(frame: pd.DataFrame, encoding: str | None) -> pd.DataFrame:
    """Text that was read byte by byte, in its encoding."""
    if encoding is None:
        return frame

    def text(value: object) -> object:
        if not isinstance(value, str):
            return value
        return value.encode("latin-1", "replace").decode(encoding, "replace")

    columns = {c: [text(v) for v in frame[c]] for c in frame if not pd.api.types.is_numeric_dtype(frame[c])}
    return frame.assign(**columns).rename(columns=text)
