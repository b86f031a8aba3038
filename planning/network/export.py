"""The network alone, in formats that `planning.network.files` reads back as the same network, and CloudRF's CSV."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pyogrio

from planning.network import Network
from planning.network.xlsx import MOST_TEXT, workbook_bytes

CLOUDRF_POWER_W = {"4G": 20.0, "5G": 200.0}  # radiated, of the equipment presets
CLOUDRF_MHZ = {"4G": (1800.0, 20.0), "5G": (2600.0, 100.0)}  # assumed carrier and bandwidth
HEIGHT_M = 25.0  # assumed: the UMa station of TR 38.901
CLOUDRF_ANTENNA = {  # assumed: a sector antenna; gain in dBi, tilt and beam widths in degrees
    "antenna.txg": 17.0,
    "antenna.tlt": 6.0,
    "antenna.hbw": 65.0,
    "antenna.vbw": 8.0,
}


def network_table(network: Network) -> pd.DataFrame:
    """One row a cell with the figures of its site: the whole network in one table."""
    return network.sites.merge(network.cells, on="site", how="left")


def xlsx_bytes(tables: dict[str, pd.DataFrame], provenance: dict[str, Any]) -> bytes:
    """A workbook with a sheet a table and one of the provenance."""
    rows = [(k, json.dumps(v, ensure_ascii=False)[:MOST_TEXT]) for k, v in provenance.items()]
    return workbook_bytes({**tables, "provenance": pd.DataFrame(rows, columns=["key", "value"])})


def shapefile_zip(layers: dict[str, gpd.GeoDataFrame], provenance: dict[str, Any]) -> bytes:
    """Layers (name -> GeoDataFrame) as Shapefiles in one zip, with provenance.json. Names of columns are cut to ten
    letters, as the format wants; the cells' remain unique."""
    with tempfile.TemporaryDirectory() as folder:
        for name, layer in layers.items():
            short = layer.rename(columns={c: c[:10] for c in layer.columns if c != "geometry"})
            pyogrio.write_dataframe(
                short, Path(folder, f"{name}.shp"), driver="ESRI Shapefile", encoding="UTF-8"
            )
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(Path(folder).iterdir()):
                archive.write(path, path.name)
            archive.writestr("provenance.json", json.dumps(provenance, ensure_ascii=False))
    return buffer.getvalue()


def kmz_bytes(kml: bytes) -> bytes:
    """A KML in its zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("doc.kml", kml)
    return buffer.getvalue()


def cloudrf_table(network: Network) -> pd.DataFrame:
    """A transmitter a cell, in the columns of CloudRF's multisite CSV: degrees, m, MHz, W, MHz, dBi, degrees.

    Height, carrier, bandwidth and antenna are assumed (UMa, 25 m; see the constants); edit them before use.
    """
    cells = network_table(network)
    kind = cells["technology"].where(cells["technology"].isin(list(CLOUDRF_MHZ)), "4G")
    return pd.DataFrame(
        {
            "site": cells["site"],
            "cell": cells["cell"],
            "lat": cells["lat"],
            "lon": cells["lon"],
            "alt": HEIGHT_M,
            "frq": kind.map({k: v[0] for k, v in CLOUDRF_MHZ.items()}),
            "txw": kind.map(CLOUDRF_POWER_W),
            "bwi": kind.map({k: v[1] for k, v in CLOUDRF_MHZ.items()}),
            "antenna.txg": CLOUDRF_ANTENNA["antenna.txg"],
            "antenna.azi": cells["azimuth"],
            **{name: CLOUDRF_ANTENNA[name] for name in ("antenna.tlt", "antenna.hbw", "antenna.vbw")},
        }
    )
