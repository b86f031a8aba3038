"""`python -m planning export`: a scenario for other tools."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..export import FORMATS, export
from ..scenario import Scenario
from .shared import Commands, check_folder


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "export",
        help="write a scenario for other tools",
        description="Write a scenario as KML, KMZ, GeoJSON, CSV (a .zip gets every table), XLSX, GeoPackage, zipped "
        "Shapefile, CloudRF's CSV or one HTML page.",
    )
    command.add_argument("scenario", metavar="SCENARIO", help="scenario (.gpkg)")
    command.add_argument("--format", required=True, choices=[f for f in FORMATS if f != "zip"])
    command.add_argument("--table", help="csv: which table (default: sites)")
    command.add_argument("--out", required=True, metavar="PATH", help="file to write")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    out = Path(options.out)
    check_folder(out)
    export(Scenario.read(options.scenario), options.format, out, options.table)
    print(f"Wrote {out}")
