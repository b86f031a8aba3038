"""`python -m planning experiment`: the deployment experiment of the paper on any area."""

from __future__ import annotations

import argparse
from pathlib import Path

from plannerbase.progress import ProgressBar
from planning.atomic import write_whole
from planning.commands.shared import Commands, add_scale_options, check_folder, scale_of
from planning.demand import Demand
from planning.deployment.experiment import MOVING_SHARES, PAPER_SITES, paper_experiment
from planning.deployment.judging import USERS_PER_SITE
from planning.deployment.places import read_places
from planning.errors import InputError
from planning.traffic import TrafficTable


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "experiment",
        help="the paper's comparison of deployments (figure 3c, table 5) on any area",
        description="Share out base stations by traffic, POI, business POI and evenly; compare them with real sites "
        "and judge how many users they cover while these move by the gravity model, for several readings of its G.",
    )
    command.add_argument("traffic", metavar="TRAFFIC", help="traffic that sites are placed by")
    command.add_argument(
        "--real", required=True, metavar="FILE", help="real sites, in any format that import reads"
    )
    command.add_argument(
        "--against",
        metavar="TRAFFIC",
        help="traffic to judge on (default: a quarter of the samples, held out)",
    )
    command.add_argument(
        "--sites", type=int, default=PAPER_SITES, help=f"(default: {PAPER_SITES}, as the paper)"
    )
    command.add_argument(
        "--area-tiles",
        type=int,
        default=1,
        metavar="K",
        help="areas of K x K tiles (default: 1; the paper: 16)",
    )
    command.add_argument(
        "--users-per-site",
        type=float,
        default=USERS_PER_SITE,
        help=f"(default: {USERS_PER_SITE:g}, as the paper)",
    )
    command.add_argument(
        "--moving-shares", type=_shares, default=MOVING_SHARES, metavar="LIST",
        help=f"of a tile's users that leave in a step (default: {','.join(map(str, MOVING_SHARES))})",
    )  # fmt: skip
    command.add_argument("--out", metavar="CSV", help="also write the table here")
    add_scale_options(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    out = None if options.out is None else Path(options.out)
    if out is not None:
        if out.suffix.lower() != ".csv":
            raise InputError(f"The table is a CSV: give a file name that ends in .csv, not {out.name!r}.")
        check_folder(out)
    bar = ProgressBar()
    with bar.running():
        bar(0, 0, "reading sites and traffic")
        real = read_places(options.real)
        table = TrafficTable.read(options.traffic)
        demand = Demand.build(table, scale_of(options, table))
        placed_on, judged_on = demand.held_out()
        if options.against:
            placed_on, judged_on = demand, Demand.build(TrafficTable.read(options.against), demand.scale)
        counted = demand.count_in_tiles(real.lon, real.lat)
        found = paper_experiment(
            placed_on, judged_on or demand, counted, options.sites, options.area_tiles, options.users_per_site,
            options.moving_shares, bar,
        )  # fmt: skip
        if out is not None:
            write_whole(out, lambda part: part.write_bytes(found.to_csv(index=False).encode()))
    print(f"{int(counted.sum()):,} of {len(real):,} real sites lie in the {demand.tiles:,} tiles.")
    if judged_on is None:
        print("Judged on the traffic that the sites were placed on: a single sample leaves none to hold out.")
    print(
        "G of the gravity model: each tile's own, so that the moving share of its users leaves in a step; with one G "
        "for all pairs nothing would change."
    )
    print(found.round(4).to_string(index=False))
    print(demand.scale.sentence)
    if out is not None:
        print(f"Wrote {out}")


def _shares(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of shares such as 0.01,0.05") from None
