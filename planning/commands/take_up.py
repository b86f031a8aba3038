"""`python -m planning import`: a network that other tools made (`import` is no name for a module)."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from planning.commands.shared import Commands, add_out, add_scale_options, checked_out, scale_of
from planning.demand import Demand
from planning.network.files import import_network
from planning.network.table_files import FORMATS
from planning.scenario import Scenario
from planning.traffic import TrafficTable


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "import",
        help="take up a network from other tools",
        description=f"Sites and cells from {FORMATS} or an OpenCelliD CSV; writes a scenario to plan on.",
    )
    command.add_argument("network", metavar="FILE", help="sites, or cells with their sites")
    command.add_argument(
        "--traffic", required=True, metavar="TRAFFIC", help="traffic table of the area, Parquet or CSV"
    )
    command.add_argument(
        "--map", action="append", default=[], type=_assignment, metavar="OURS=THEIRS",
        help="column of ours and the file's, such as lon=Longitude; repeat for several (default: by usual names)",
    )  # fmt: skip
    add_out(command)
    add_scale_options(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    out = checked_out(options.out)
    imported = import_network(options.network, mapping=dict(options.map))
    table = TrafficTable.read(options.traffic)
    demand = Demand.build(table, scale_of(options, table))
    scenario = Scenario.from_network(imported.network, demand)
    record: dict[str, Any] = {"file": Path(options.network).name, "report": list(imported.report)}
    if imported.provenance:
        record["made by"] = imported.provenance
    replace(scenario, provenance=scenario.provenance | {"import": record}).save(out)
    for line in (*imported.report, demand.scale.sentence):
        print(line)
    print(f"Wrote {out}")


def _assignment(text: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not (ours and equals and theirs):
        raise argparse.ArgumentTypeError(f"{text!r} is no pair such as lon=Longitude")
    return ours, theirs
