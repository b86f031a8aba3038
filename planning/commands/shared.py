"""What several commands share: the solver, the scale of the traffic, and files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pandas as pd

from plannerbase.report import Report
from planning.csv_table import read_table
from planning.demand import GB_PER_MONTH, SUBSCRIBERS_PER_KM2, Demand, Scale
from planning.errors import InputError
from planning.network import Network
from planning.scenario import Scenario
from planning.solver import SOLVERS
from planning.traffic import TrafficTable

if TYPE_CHECKING:
    from planning.counted import Counted

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
MAX_CSV_BYTES = 50_000_000


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
    names = ("subscribers_per_km2", "gb_per_month", "busy_hour_mbps", "total_gb_day")
    given = Scale.stated(table, **{name: getattr(options, name) for name in names})
    if given is not None:
        return given
    return None if table.metadata.get("unit") == "Mbit/s" else stored


def scenario_and_demand(options: argparse.Namespace) -> tuple[Scenario, Demand]:
    """Of the arguments scenario and traffic, on the scale that the options ask for or the scenario's own."""
    scenario = Scenario.read(options.scenario)
    if "cells" in scenario.provenance:
        print(scenario.provenance["cells"])
    table = TrafficTable.read(options.traffic)
    return scenario, Demand.build(table, scale_of(options, table, scenario.scale()))


def add_counter_options(
    command: argparse.ArgumentParser,
    names: tuple[str, ...] = ("--measured", "--counters"),
    columns: str = "--map",
) -> None:
    """What `read_counters_of` looks at; names, columns: of the options, where the usual ones are taken."""
    group = command.add_argument_group("an operator's counters (docs/measured.md)")
    group.add_argument(
        *names, dest="counters", metavar="FILE",
        help="counters by cell (CSV, XLSX or Parquet): measured cells carry what they say, others what was generated; "
        "capacities follow from PRB use, power (eq. 13) from energy",
    )  # fmt: skip
    group.add_argument(
        columns, dest="counter_columns", action="append", default=[], type=assignment, metavar="OURS=THEIRS",
        help="column of the counters: cell, time, traffic, users, prb, energy, radio_unit (default: by usual names)",
    )  # fmt: skip
    group.add_argument("--timezone", default="", metavar="ZONE", help="of the area: Asia/Shanghai or +08:00")
    group.add_argument(
        "--unit", default="", metavar="UNIT", help="of traffic without one in its heading: MB, Mbit/s"
    )


def read_counters_of(options: argparse.Namespace, network: Network) -> tuple[Network, Counted | None]:
    """The network with what the counters of --measured say of its cells, and these; (network, None) without."""
    if not options.counters:
        return network, None
    from planning.counted import counted_network, read_counted

    counted = read_counted(
        Path(options.counters),
        Path(options.counters).name,
        network,
        dict(options.counter_columns),
        options.timezone,
        options.unit,
    )
    print_report(counted.report)
    network, notes = counted_network(network, counted)
    for note in notes:
        print(note)
    return network, counted


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
    return read_table(read_small(path), path, columns)


def assignment(text: str) -> tuple[str, str]:
    """A pair as an option gives it, "lon=Longitude"."""
    ours, equals, theirs = text.partition("=")
    if not (ours and equals and theirs):
        raise argparse.ArgumentTypeError(f"{text!r} is no pair such as lon=Longitude")
    return ours, theirs


def read_small(path: str) -> bytes:
    """The bytes of a small table. Raises InputError."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_CSV_BYTES + 1)
        if len(data) > MAX_CSV_BYTES:
            raise InputError(f"{path} is larger than {MAX_CSV_BYTES // 1_000_000} MB; give fewer rows.")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); name a table.") from None
    return data


def print_report(report: Report, about: str = "") -> None:
    """What was taken, fixed, left out and assumed of a file, on stderr."""
    for entry in report.entries:
        print(f"{about}{entry.kind}: {entry.line}", file=sys.stderr)


def check_folder(path: Path) -> None:
    """Raises InputError where the folder of a file to write does not exist."""
    if not path.resolve().parent.is_dir():
        raise InputError(f"The folder {path.resolve().parent} does not exist; create it or choose another.")
