"""`python -m planning fit-power`: eq. 13 from measurements."""

from __future__ import annotations

import argparse
from pathlib import Path

from planning.atomic import write_whole
from planning.commands.shared import Commands, check_folder, read_csv
from planning.export.power_plot import power_page
from planning.power_fit import fit_power


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "fit-power",
        help="fit the power of a radio unit to measurements",
        description="Idle power and slope of a radio unit (eq. 13) from a CSV with columns load_mbps and power_w.",
    )
    command.add_argument("measured", metavar="CSV", help="one measurement a line")
    command.add_argument("--plot", metavar="HTML", help="page with the fit and its residuals")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    plot = None if options.plot is None else Path(options.plot)
    if plot is not None:
        check_folder(plot)
    fit = fit_power(read_csv(options.measured, "load_mbps and power_w"))
    if plot is not None:
        write_whole(plot, lambda path: path.write_text(power_page(fit), encoding="utf-8"))
    print(fit.sentence)
    if plot is not None:
        print(f"Wrote {plot}")
