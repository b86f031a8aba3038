"""`python -m planning prb`: utilisation of a whole network, or PRBs for the users of a cluster or an area."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path

from plannerbase.progress import Progress, ProgressBar
from planning.commands import prb_options
from planning.commands.shared import (
    Commands,
    add_counter_options,
    add_out,
    add_scale_options,
    add_solver_options,
    checked_out,
    read_counters_of,
    scenario_and_demand,
)
from planning.commands.worker_options import add_worker_options, shared_work
from planning.counted import counted_demand, counters_sentence
from planning.coverage import Coverage
from planning.demand import Demand
from planning.prb import Cluster, PrbSettings, compared, network_utilisation, relief_of
from planning.prb.baselines import BASELINES, baseline
from planning.prb.cluster import MAX_SITES
from planning.prb.hours import PrbHours, reserve_cost, solve_hours
from planning.prb.in_clusters import LARGE
from planning.prb.relief import sentences_of
from planning.prb.utilisation import DOWNLINK_SHARE
from planning.scenario import Scenario
from planning.shared_work import SharedWork
from planning.traffic import TrafficTable


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "prb",
        help="PRB utilisation of a network, or PRBs of users in one hour or several",
        description="With --network: PRB utilisation of every cell, hot spots and what would relieve them. Else: "
        "allocate physical resource blocks to users drawn for an hour. Writes the scenario with the result.",
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
    what = command.add_mutually_exclusive_group()
    what.add_argument(
        "--network", action="store_true", help="utilisation of every cell instead of a plan for drawn users"
    )
    what.add_argument(
        "--cluster", type=_place, metavar="LON,LAT[,SITES]",
        help=f"plan the SITES sites nearest to a place alone (default 7, at most {MAX_SITES})",
    )  # fmt: skip
    command.add_argument(
        "--hot-spots",
        type=int,
        default=5,
        metavar="N",
        help="with --network: sectors to relieve (default: 5)",
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
    add_counter_options(command)
    prb_options.add(command)
    add_solver_options(command, gap=PrbSettings().gap, time_limit=PrbSettings().time_limit)
    add_worker_options(
        command,
        f"received levels with --network; else, of over {LARGE} sites, clusters of neighbouring sites, for each of "
        "which --time-limit counts; else the hours of --hours (which --work does not keep)",
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    out = checked_out(options.out)
    if options.network:
        run_network(options, out)
        return
    radio, settings = prb_options.radio(options), prb_options.settings(options)
    mapping = prb_options.mapping(options)
    bar = ProgressBar()
    with bar.running(), shared_work(options) as work:
        bar(0, 3, "reading scenario and traffic")
        scenario, demand = scenario_and_demand(options)
        scenario, demand, coverage = _counted(options, scenario, demand)
        hours = options.hours or [demand.busy_hour() if options.busy_hour else options.hour]

        def plans_on(traffic: Demand) -> PrbHours:
            network, inside = scenario.network, None
            if options.cluster:
                cluster = Cluster.of(network, traffic, *options.cluster)
                network, traffic, inside = cluster.network, cluster.demand, cluster.inside
            return solve_hours(
                network, traffic, hours, radio, settings, options.users, options.quantile, options.baseline, bar,
                inside, mapping, work,
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
    if coverage is not None:
        print(counters_sentence(demand))
    if len(hours) > 1:
        print(made.sentence)
    print(plan.sentence)
    if plan.bounds_sentence:
        print(plan.bounds_sentence)
    for note in plan.notes:
        print(note)
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


def _counted(
    options: argparse.Namespace,
    scenario: Scenario,
    demand: Demand,
    progress: Progress | None = None,
    work: SharedWork | None = None,
) -> tuple[Scenario, Demand, Coverage | None]:
    """Network and demand as the counters of --measured say, and the coverage that they were laid on; None without."""
    network, counted = read_counters_of(options, scenario.network)
    if counted is None:
        return scenario, demand, None
    coverage = Coverage.of(network, demand.x, demand.y, progress=progress, work=work)
    demand, coverage = counted_demand(demand, counted, coverage)
    return replace(scenario, network=network), demand, coverage


def run_network(options: argparse.Namespace, out: Path) -> None:
    """Utilisation, hot spots and their relief as tables of the scenario."""
    bar = ProgressBar()
    with bar.running(), shared_work(options) as work:
        bar(0, 0, "reading scenario and traffic")
        scenario, demand = scenario_and_demand(options)
        hours = options.hours or [demand.busy_hour() if options.busy_hour else options.hour]
        share = prb_options.radio(options).traffic_share
        scenario, demand, coverage = _counted(options, scenario, demand, bar, work)
        found = network_utilisation(
            scenario.network, demand, hours, quantile=options.quantile, progress=bar, work=work,
            downlink_share=DOWNLINK_SHARE if share is None else share, coverage=coverage,
        )  # fmt: skip
        hot = found.hot_spots(max(options.hot_spots, 0))
        relief = relief_of(found, hot.index.to_numpy(), bar)
        tables = {"by_hour": found.by_hour(), "cells": found.cells(), "hot_spots": hot, "relief": relief}
        scenario.with_utilisation(found.record(), tables).save(out)
    if coverage is not None:
        print(counters_sentence(demand))
    print(found.sentence_of_all)
    for text in sentences_of(hot, relief):
        print(text)
    print(f"Wrote {out}")


def _place(text: str) -> tuple[float, float, int]:
    found = re.fullmatch(r"(-?[\d.]+),(-?[\d.]+)(?:,(\d+))?", text)
    try:
        assert found
        return float(found[1]), float(found[2]), int(found[3] or 7)
    except (AssertionError, ValueError):
        raise argparse.ArgumentTypeError(f"{text!r} is no place such as 115.9,28.7 or 115.9,28.7,5") from None


def _hours(text: str) -> list[int]:
    found = re.fullmatch(r"(\d{1,3})-(\d{1,3})", text)
    if not found or int(found[1]) > int(found[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is no range of hours such as 0-23")
    return list(range(int(found[1]), int(found[2]) + 1))
