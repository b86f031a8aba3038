"""What several commands share: the solver, the scale of the traffic, and files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from planning.csv_table import read_table
from planning.demand import GB_PER_MONTH, SUBSCRIBERS_PER_KM2, Demand, Scale
from planning.errors import InputError
from planning.scenario import Scenario
from planning.solver import SOLVERS
from planning.traffic import TrafficTable

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
MOST_CSV_BYTES = 50_000_000


def add_out(command: argparse.ArgumentParser) -> None:
    """--out, for `checked_out`."""
    command.add_argument("--out", required=True, metavar="PATH", help="scenario to write (.gpkg)")


def add_solver_options(command: argparse.ArgumentParser, gap: float, time_limit: float = 60.0) -> None:
    """--solver, --time-limit (seconds) and --gap (relative), with these defaults."""
    group = command.add_argument_group("solver")
    group.add_argument("--solver", choices=SOLVERS, default="auto", help="(default: auto, HiGHS before CBC)")
    group.add_argument(
        "--time-limit", type=float, default=time_limit, metavar="S", help=f"seconds (default: {time_limit:g})"
    )
    group.add_argument(
        "--gap", type=float, default=gap, help=f"relative gap at which to stop (default: {gap:g})"
    )


def add_scale_options(command: argparse.ArgumentParser) -> None:
    """What `scale_of` looks at."""
    group = command.add_argument_group(
        "scale (what relative traffic means in Mbit/s; default: the scenario's, else assumed subscribers)"
    )
    group.add_argument(
        "--subscribers-per-km2",
        type=float,
        metavar="N",
        help=f"of the area (assumed: {SUBSCRIBERS_PER_KM2:g})",
    )
    group.add_argument(
        "--gb-per-month", type=float, metavar="GB", help=f"a subscriber (assumed: {GB_PER_MONTH:g})"
    )
    group.add_argument(
        "--busy-hour-mbps", type=float, metavar="MBPS", help="known busy-hour rate of the area, Mbit/s"
    )
    group.add_argument("--total-gb-day", type=float, metavar="GB", help="known total of the area, GB a day")


def scale_of(options: argparse.Namespace, table: TrafficTable, stored: Scale | None = None) -> Scale | None:
    """The scale the options ask for, else the stored one, else None (the demand's own default)."""
    by_subscribers = options.subscribers_per_km2 is not None or options.gb_per_month is not None
    given = [by_subscribers, options.busy_hour_mbps is not None, options.total_gb_day is not None]
    if sum(given) > 1:
        raise InputError(
            "Give one scale only: subscribers and GB per month, or a busy-hour rate, or a daily total."
        )
    if options.busy_hour_mbps is not None:
        return Scale.busy_hour(table, options.busy_hour_mbps)
    if options.total_gb_day is not None:
        return Scale.daily_total(table, options.total_gb_day)
    if by_subscribers:
        return Scale.subscribers(table, options.subscribers_per_km2, options.gb_per_month)
    return None if table.metadata.get("unit") == "Mbit/s" else stored


def scenario_and_demand(options: argparse.Namespace) -> tuple[Scenario, Demand]:
    """Of the arguments scenario and traffic, on the scale that the options ask for or the scenario's own."""
    scenario = Scenario.read(options.scenario)
    if "cells" in scenario.provenance:
        print(scenario.provenance["cells"])
    table = TrafficTable.read(options.traffic)
    return scenario, Demand.build(table, scale_of(options, table, scenario.scale()))


def checked_out(text: str) -> Path:
    """Refuse a bad place before the work, not after it."""
    path = Path(text)
    if path.suffix.lower() != ".gpkg":
        raise InputError(
            f"A scenario is a GeoPackage: give --out a name that ends in .gpkg, not {path.name!r}."
        )
    check_folder(path)
    return path


def read_csv(path: str, columns: str) -> pd.DataFrame:
    """A small CSV; columns: what it should hold, for the error. Raises InputError."""
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_CSV_BYTES + 1)
        if len(data) > MOST_CSV_BYTES:
            raise InputError(f"{path} is larger than {MOST_CSV_BYTES // 1_000_000} MB; give fewer rows.")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); name a CSV file.") from None
    return read_table(data, path, columns)


def check_folder(path: Path) -> None:
    """Raises InputError where the folder of a file to write does not exist."""
    if not path.resolve().parent.is_dir():
        raise InputError(f"The folder {path.resolve().parent} does not exist; create it or choose another.")
