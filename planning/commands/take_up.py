"""`python -m planning import`: a network that other tools made (`import` is no name for a module)."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from plannerbase.counting import counted
from plannerbase.report import Report
from planning.commands.shared import (
    Commands,
    add_out,
    add_scale_options,
    assignment,
    checked_out,
    print_report,
    scale_of,
)
from planning.demand import Demand
from planning.network.files import Choice, import_network
from planning.network.near import box_near, only_near
from planning.network.table_files import FORMATS
from planning.scenario import Scenario
from planning.traffic import TrafficTable


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "import",
        help="import a network from other tools",
        description=f"Sites and cells from {FORMATS} or an OpenCelliD CSV; writes a scenario to plan on.",
    )
    command.add_argument("network", metavar="FILE", help="sites, or cells with their sites")
    command.add_argument(
        "--traffic", required=True, metavar="TRAFFIC", help="traffic table of the area, Parquet or CSV"
    )
    command.add_argument(
        "--map", action="append", default=[], type=assignment, metavar="OURS=THEIRS",
        help="column of ours and the file's, such as lon=Longitude; repeat for several (default: by usual names)",
    )  # fmt: skip
    command.add_argument(
        "--layer", default="", metavar="NAME", help="sheet or layer (default: all with places)"
    )
    command.add_argument(
        "--network", default="", dest="operator", metavar="MCC-MNC",
        help="of a file of several operators: one, as 460-0 or by its name (default: all)",
    )  # fmt: skip
    command.add_argument(
        "--crs", default="", metavar="CODE",
        help="reference system of positions that do not state theirs, such as EPSG:27700 or GCJ-02 (default: WGS-84)",
    )  # fmt: skip
    add_out(command)
    add_scale_options(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    out = checked_out(options.out)
    table = TrafficTable.read(options.traffic)
    choice = Choice(
        dict(options.map), options.layer, options.operator, options.crs, box_near(table.x, table.y)
    )
    imported = import_network(options.network, choice=choice)
    demand = Demand.build(table, scale_of(options, table))
    report = Report(list(imported.report.entries))
    network = only_near(imported.network, table.x, table.y, report)
    print_report(report)
    scenario = Scenario.from_network(network, demand)
    record: dict[str, Any] = {"file": Path(options.network).name, "report": list(report)}
    if imported.provenance:
        record["made by"] = imported.provenance
    replace(scenario, provenance=scenario.provenance | {"import": record}).save(out)
    print(f"{counted(len(network.sites), 'sites')} and {counted(len(network.cells), 'cells')}.")
    print(demand.scale.sentence)
    print(f"Wrote {out}")
