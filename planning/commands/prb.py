"""`python -m planning prb`: PRBs for users, in one hour or several."""

from __future__ import annotations

import argparse
import re

from planning.commands import prb_options
from planning.commands.shared import (
    Commands,
    add_out,
    add_scale_options,
    add_solver_options,
    checked_out,
    scenario_and_demand,
)
from planning.demand import Demand
from planning.prb import PrbSettings, compared
from planning.prb.baselines import BASELINES, baseline
from planning.prb.hours import PrbHours, reserve_cost, solve_hours
from planning.progress import ProgressBar
from planning.traffic import TrafficTable


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "prb",
        help="allocate PRBs to users in one hour or several",
        description="Allocate physical resource blocks to users drawn for an hour; writes the scenario with the plan.",
    )
    command.add_argument("scenario", metavar="SCENARIO", help="scenario made by deploy (.gpkg)")
    command.add_argument(
        "--traffic", required=True, metavar="TRAFFIC", help="traffic table to draw users from"
    )
    when = command.add_mutually_exclusive_group(required=True)
    when.add_argument("--hour", type=int, metavar="H", help="hour of the table's day or week, 0-167")
    when.add_argument("--hours", type=_hours, metavar="A-B", help="several in a row, such as 0-23")
    when.add_argument("--busy-hour", action="store_true", help="the hour with the most traffic")
    add_out(command)
    command.add_argument(
        "--against",
        metavar="TRAFFIC",
        help="measured traffic: also what reserving the planned PRBs would cost",
    )
    command.add_argument(
        "--compare", action="store_true", help="also run the baselines; adds the table prb_comparison"
    )
    command.add_argument(
        "--baseline",
        nargs="?",
        const=BASELINES[0],
        choices=BASELINES,
        help=f"instead of optimising ({BASELINES[0]})",
    )
    add_scale_options(command)
    prb_options.add(command)
    add_solver_options(command, gap=PrbSettings().gap, time_limit=PrbSettings().time_limit)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    out = checked_out(options.out)
    radio, settings = prb_options.radio(options), prb_options.settings(options)
    bar = ProgressBar()
    with bar.running():
        bar(0, 3, "reading scenario and traffic")
        scenario, demand = scenario_and_demand(options)
        hours = options.hours or [demand.busy_hour() if options.busy_hour else options.hour]

        def plans_on(traffic: Demand) -> PrbHours:
            return solve_hours(
                scenario.network, traffic, hours, radio, settings, options.users, options.quantile,
                options.baseline, bar,
            )  # fmt: skip

        made = plans_on(demand)
        plan, tables = made.busiest, {}
        if len(hours) > 1:
            tables = {"hours": made.table(), "station_hours": made.stations()}
        if options.against:
            measured = Demand.build(TrafficTable.read(options.against), demand.scale)
            tables["reserve_cost"] = reserve_cost(made, plans_on(measured))
        if options.compare:
            rules = [baseline(plan.problem, name, plan.settings) for name in BASELINES]
            tables["comparison"] = compared([plan, *rules])
        bar(2, 3, "writing the scenario")
        scenario.with_prb(plan, **tables).save(out)
    if len(hours) > 1:
        print(made.sentence)
    print(plan.sentence)
    if options.compare:
        for rule in rules:
            print(rule.sentence)
    if options.against:
        total = tables["reserve_cost"].sum()
        print(
            f"Measured traffic needs {total['needed_prbs']:,.0f} PRBs; {total['planned_prbs']:,.0f} are planned: "
            f"{total['short_prbs']:,.0f} short, {total['idle_prbs']:,.0f} idle."
        )
    for sentence in plan.unmet[:10]:
        print(sentence)
    if len(plan.unmet) > 10:
        print(f"... and {len(plan.unmet) - 10} more users; all are in the table prb_assignment.")
    print(demand.scale.sentence)
    print(f"Wrote {out}")


def _hours(text: str) -> list[int]:
    found = re.fullmatch(r"(\d{1,3})-(\d{1,3})", text)
    if not found or int(found[1]) > int(found[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is no range of hours such as 0-23")
    return list(range(int(found[1]), int(found[2]) + 1))
