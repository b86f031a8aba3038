"""Maps of a coverage as bytes of files."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from planning.coverage import Coverage

GEOTIFF, KMZ, GEOPACKAGE = "image/tiff", "application/vnd.google-earth.kmz", "application/geopackage+sqlite3"


def geotiff(coverage: "Coverage", load: "np.ndarray", awake: "np.ndarray", about: Mapping[str, Any]) -> bytes:
    """All maps as bands of a cloud-optimised GeoTIFF."""
    from planning.coverage.export import geotiff_bytes
    from planning.coverage.maps import MAPS, coverage_map

    return geotiff_bytes(
        coverage.grid, [coverage_map(coverage, m, load, awake) for m in MAPS], coverage.record() | dict(about)
    )


def overlay(
    coverage: "Coverage", name: str, load: "np.ndarray", awake: "np.ndarray", about: Mapping[str, Any]
) -> bytes:
    """One map as KMZ."""
    from planning.coverage.export import kmz_bytes
    from planning.coverage.maps import coverage_map

    lines = [f"{key}: {value}" for key, value in (coverage.record() | dict(about)).items()]
    return kmz_bytes(coverage.grid, coverage_map(coverage, name, load, awake), lines)


def level_contours(coverage: "Coverage", load: "np.ndarray", awake: "np.ndarray") -> bytes:
    """Polygons between levels of RSRP as a GeoPackage."""
    import pyogrio

    from planning.coverage.export import RSRP_LEVELS, contours
    from planning.coverage.maps import coverage_map

    found = contours(coverage.grid, coverage_map(coverage, "rsrp", load, awake), RSRP_LEVELS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "contours.gpkg")
        pyogrio.write_dataframe(found, path, layer="rsrp_contours", driver="GPKG")
        return path.read_bytes()
