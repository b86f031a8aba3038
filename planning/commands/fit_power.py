"""`python -m planning fit-power`: eq. 13 from measurements."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import get_args

from planning.atomic import write_whole
from planning.commands.shared import Commands, assignment, check_folder, print_report, read_small
from planning.export.power_plot import power_page
from planning.measured_power import LoadUnit, PowerUnit, read_power
from planning.power_fit import fit_power


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "fit-power",
        help="fit the power of a radio unit to measurements",
        description="Idle power and slope of a radio unit (eq. 13) from a table of its load and power (CSV or XLSX).",
    )
    command.add_argument("measured", metavar="FILE", help="one measurement a line")
    command.add_argument(
        "--map", action="append", default=[], type=assignment, metavar="OURS=THEIRS",
        help="load=COLUMN or power=COLUMN (default: by usual names)",
    )  # fmt: skip
    command.add_argument(
        "--load-unit",
        choices=get_args(LoadUnit),
        help="of the load (default: as its heading says, else Mbit/s)",
    )
    command.add_argument(
        "--power-unit",
        choices=get_args(PowerUnit),
        help="of the power (default: as its heading says, else W)",
    )
    command.add_argument(
        "--capacity-mbps",
        type=float,
        metavar="MBPS",
        help="of the unit at full load, for a load in shares or percent",
    )
    command.add_argument(
        "--layer", default="", metavar="NAME", help="sheet of a workbook (default: the first that fits)"
    )
    command.add_argument("--plot", metavar="HTML", help="page with the fit and its residuals")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    plot = None if options.plot is None else Path(options.plot)
    if plot is not None:
        check_folder(plot)
    measured = read_power(
        read_small(options.measured), Path(options.measured).name, dict(options.map), options.load_unit,
        options.power_unit, options.capacity_mbps, options.layer,
    )  # fmt: skip
    print_report(measured.report)
    fit = fit_power(measured.table)
    if plot is not None:
        write_whole(plot, lambda path: path.write_text(power_page(fit), encoding="utf-8"))
    print(fit.sentence)
    for doubt in fit.doubts:
        print(f"warning: {doubt}", file=sys.stderr)
    if plot is not None:
        print(f"Wrote {plot}")
