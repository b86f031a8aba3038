"""`python -m planning deploy`: base stations by demand."""

from __future__ import annotations

import argparse

from planning.commands.shared import (
    Commands,
    add_out,
    add_scale_options,
    add_solver_options,
    checked_out,
    print_report,
    scale_of,
)
from planning.commands.siting_options import add_siting_options, siting_settings
from planning.demand import Demand
from planning.deployment import STRATEGIES, DeploymentPlan, available, deploy
from planning.deployment.judging import comparison_text, judge
from planning.deployment.places import read_places
from planning.deployment.siting import SitingSettings
from planning.errors import InputError
from planning.progress import ProgressBar
from planning.scenario import Scenario
from planning.traffic import TrafficTable


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "deploy",
        help="place base stations by demand",
        description="Place N base stations over the tiles of a traffic table and size them; writes a scenario.",
    )
    command.add_argument("traffic", metavar="TRAFFIC", help="traffic table, Parquet or CSV")
    command.add_argument("--sites", type=int, metavar="N", help="number of sites, exact")
    command.add_argument("--strategy", choices=STRATEGIES, default="traffic", help="(default: traffic)")
    add_out(command)
    add_scale_options(command)
    command.add_argument(
        "--quantile", type=float, default=0.9, help="of samples and days to size for, 0-1 (default: 0.9)"
    )
    command.add_argument(
        "--headroom", type=float, default=0.2, help="capacity beyond the peak, 0.2 = 20 %% (default: 0.2)"
    )
    command.add_argument("--max-layers", type=int, default=4, help="most 5G cells a sector (default: 4)")
    command.add_argument(
        "--area-tiles", type=int, default=1, metavar="K",
        help="share sites out over areas of K x K tiles first (proportional strategies; default: 1)",
    )  # fmt: skip
    command.add_argument(
        "--compare",
        action="store_true",
        help="also judge every strategy; adds the table deployment_comparison",
    )
    command.add_argument(
        "--real", metavar="FILE", help="with --compare: real sites, OpenStreetMap masts or an OpenCelliD CSV"
    )
    add_siting_options(command)
    add_solver_options(command, gap=SitingSettings().gap)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    out = checked_out(options.out)
    if options.real and not options.compare:
        raise InputError("Real sites are for judging strategies; add --compare.")
    bar = ProgressBar()
    with bar.running():
        bar(0, 100, "reading places and traffic")
        siting = siting_settings(options) if options.compare or options.strategy == "optimised" else None
        real = None if options.real is None else read_places(options.real, areas=False)
        table = TrafficTable.read(options.traffic)
        demand = Demand.build(table, scale_of(options, table))

        def deployed(strategy: str) -> DeploymentPlan:
            return deploy(
                demand, options.sites, strategy, options.quantile, options.headroom, options.max_layers,
                options.area_tiles, siting, bar,
            )  # fmt: skip

        plan, comparison = deployed(options.strategy), None
        scenario = Scenario.from_deployment(plan, demand, options.quantile)
        if options.compare:
            number = len(plan.network.sites)  # of a budget plan, what the others are to place
            options.sites = options.sites or number
            others = [s for s in available(demand) if s != options.strategy]
            plans = {options.strategy: plan} | {s: deployed(s) for s in others}
            counted = None if real is None else demand.count_in_tiles(real.lon, real.lat)
            comparison = judge(demand, {s: p.counts for s, p in plans.items()}, counted)
            scenario = scenario.with_table("deployment_comparison", comparison)
        bar(99, 100, "writing the scenario")
        scenario.save(out)
    print(plan.sentence)
    print(demand.scale.sentence)
    if real is not None:
        print_report(real.report, "Real sites: ")
    if comparison is not None:
        print(comparison_text(comparison))
    print(f"Wrote {out}")
