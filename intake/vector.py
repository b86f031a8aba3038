"""Vector files from strangers (GeoPackage, Shapefile, KML) for GDAL, which chooses its driver by content.

Each is read from a private folder that holds nothing else, under a name of our own.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyogrio
import shapely

from intake.database import copy_plain
from intake.text import Refused

SHAPEFILE_PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")
SHAPEFILE_BEGINS = b"\x00\x00\x27\x0a"
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
