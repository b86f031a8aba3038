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
from planning.network.xlsx import MAX_TEXT, workbook_bytes

CLOUDRF_FRONT_TO_BACK_DB = 30.0  # TR 38.901 table 7.3-1: greatest attenuation of the pattern
SHORT = 10  # letters of a column's name in a Shapefile


def network_table(network: Network) -> pd.DataFrame:
    """One row a cell with the figures of its site: the whole network in one table."""
    return network.sites.merge(network.cells, on="site", how="left")


def xlsx_bytes(tables: dict[str, pd.DataFrame], provenance: dict[str, Any]) -> bytes:
    """A workbook with a sheet a table and one of the provenance."""
    rows = [(k, json.dumps(v, ensure_ascii=False)[:MAX_TEXT]) for k, v in provenance.items()]
    return workbook_bytes({**tables, "provenance": pd.DataFrame(rows, columns=["key", "value"])})


def shapefile_zip(layers: dict[str, gpd.GeoDataFrame], provenance: dict[str, Any]) -> bytes:
    """Layers (name -> GeoDataFrame) as Shapefiles in one zip, with provenance.json. Names of columns are cut to ten
    letters, as the format wants; columns.json holds the whole ones in the same order."""
    names = {layer: [str(c) for c in frame.columns if c != "geometry"] for layer, frame in layers.items()}
    with tempfile.TemporaryDirectory() as folder:
        for name, layer in layers.items():
            short = layer.rename(columns=dict(zip(names[name], short_names(names[name]), strict=True)))
            pyogrio.write_dataframe(
                short, Path(folder, f"{name}.shp"), driver="ESRI Shapefile", encoding="UTF-8"
            )
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(Path(folder).iterdir()):
                archive.write(path, path.name)
            archive.writestr("provenance.json", json.dumps(provenance, ensure_ascii=False))
            archive.writestr("columns.json", json.dumps(names, ensure_ascii=False))
    return buffer.getvalue()


def short_names(names: list[str]) -> list[str]:
    """Unique names of at most SHORT bytes."""
    out: list[str] = []
    for name in names:
        short = name.encode()[:SHORT].decode(errors="ignore")
        number = 1
        while short in out:
            number += 1
            tail = f"_{number}"
            short = name.encode()[: SHORT - len(tail)].decode(errors="ignore") + tail
        out.append(short)
    return out


def kmz_bytes(kml: bytes) -> bytes:
    """A KML in its zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("doc.kml", kml)
    return buffer.getvalue()


def cloudrf_table(network: Network) -> pd.DataFrame:
    """A transmitter a cell, in exactly the columns of CloudRF's multisite CSV; degrees, m, MHz, W, dBi."""
    cells = network_table(network)
    return pd.DataFrame(
        {
            "lat": cells["lat"],
            "lon": cells["lon"],
            "alt": cells["height_m"],
            "frq": cells["frequency_mhz"],
            "txw": 10 ** ((cells["power_dbm"] - 30) / 10),
            "bwi": cells["bandwidth_mhz"],
            "antenna.txg": cells["gain_dbi"],
            "antenna.txl": 0.0,  # feeder loss: power is conducted
            "antenna.ant": 0,  # the pattern that the beam widths make
            "antenna.azi": cells["azimuth"] % 360.0,
            "antenna.tlt": cells["tilt_deg"],
            "antenna.hbw": cells["beamwidth_deg"],
            "antenna.vbw": cells["vertical_beamwidth_deg"],
            "antenna.fbr": CLOUDRF_FRONT_TO_BACK_DB,
            "antenna.pol": "v",
        }
    )
