"""`python -m planning export`: a scenario for other tools."""

from __future__ import annotations

import argparse
from pathlib import Path

from planning.commands.shared import Commands, check_folder
from planning.errors import InputError
from planning.export import FORMATS, WITHOUT_PROVENANCE, export, provenance_path
from planning.scenario import Scenario


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
    command.add_argument(
        "--compare", nargs="+", default=[], metavar="OTHER",
        help="html: further scenarios (.gpkg) to put side by side with this one, which is their baseline",
    )  # fmt: skip
    command.add_argument("--out", required=True, metavar="PATH", help="file to write")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    out = Path(options.out)
    check_folder(out)
    scenario = Scenario.read(options.scenario)
    export(scenario, options.format, out, options.table, _compared(options, scenario))
    beside = [provenance_path(out)] if options.format in WITHOUT_PROVENANCE else []
    for path in (out, *(path for path in beside if path.is_file())):
        print(f"Wrote {path}")


def _compared(options: argparse.Namespace, scenario: Scenario) -> dict[str, Scenario]:
    """By the names of their files, this scenario first."""
    if options.compare and options.format != "html":
        raise InputError("Scenarios are put side by side in the HTML page only; give --format html.")
    found = {Path(options.scenario).stem: scenario}
    for path in options.compare:
        name, number = Path(path).stem, 2
        while name in found:
            name, number = f"{Path(path).stem} ({number})", number + 1
        found[name] = Scenario.read(path)
    return found
