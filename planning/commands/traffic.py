"""`python -m planning traffic`: measured traffic by place and date-time as a traffic table."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from planning.atomic import write_whole
from planning.commands.shared import Commands, assignment, check_folder, print_report, read_small
from planning.errors import InputError
from planning.measured_traffic import read_measured
from planning.traffic import TrafficTable


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "traffic",
        help="measured traffic of cells or places as a traffic table",
        description="Traffic measured by place and date-time (CSV or XLSX): places become tiles, date-times hours.",
    )
    command.add_argument("measured", metavar="FILE", help="a row a cell or place and hour")
    command.add_argument(
        "--map", action="append", default=[], type=assignment, metavar="OURS=THEIRS",
        help="lon, lat, time, traffic or users and the file's column (default: by usual names)",
    )  # fmt: skip
    command.add_argument(
        "--crs", default="", metavar="CODE", help="of positions, such as EPSG:27700 (default: WGS-84)"
    )
    command.add_argument(
        "--layer", default="", metavar="NAME", help="sheet of a workbook (default: the largest)"
    )
    command.add_argument("--out", required=True, metavar="PATH", help="traffic table to write (.parquet)")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    out = Path(options.out)
    if out.suffix.lower() != ".parquet":
        raise InputError(f"Give --out a name that ends in .parquet, not {out.name!r}.")
    check_folder(out)
    data, name = read_small(options.measured), Path(options.measured).name
    table, report = read_measured(data, name, dict(options.map), options.crs, options.layer)
    print_report(report)
    write_whole(out, lambda path: _write(table, path))
    print(f"{table.tiles:,} tiles x {table.hours} hours: {out}")


def _write(table: TrafficTable, path: Path) -> None:
    """A row a tile and hour; what the table says of itself is in the file's metadata."""
    hours = np.tile(np.arange(table.hours), table.tiles)
    columns = {
        "x": np.repeat(table.x, table.hours), "y": np.repeat(table.y, table.hours),
        "sample": np.zeros(len(hours), np.int64), "hour": hours, "traffic": table.traffic[:, 0].ravel(),
    }  # fmt: skip
    if table.users is not None:
        columns["users"] = table.users[:, 0].ravel()
    made = pa.table(columns)
    pq.write_table(made.replace_schema_metadata({"opendiff": json.dumps(table.metadata)}), path)
