"""`python -m planning deploy`: base stations by demand."""

from __future__ import annotations

import argparse

from plannerbase.progress import ProgressBar
from planning.commands.shared import (
    Commands,
    add_out,
    add_scale_options,
    add_solver_options,
    checked_out,
    print_report,
    scale_of,
)
from planning.commands.siting_options import (
    PLACE_FILES,
    add_site_options,
    add_siting_options,
    design_of,
    layer_of,
    radio_settings,
    siting_settings,
)
from planning.commands.worker_options import add_worker_options, shared_work
from planning.demand import Demand
from planning.deployment import STRATEGIES, DeploymentPlan, available, deploy
from planning.deployment.covering_areas import LARGE
from planning.deployment.judging import comparison_text, judge
from planning.deployment.places import read_places
from planning.deployment.siting import SitingSettings
from planning.errors import InputError
from planning.network.files import Choice
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
    command.add_argument(
        "--against", metavar="TRAFFIC",
        help="with --compare: judge on this traffic (default: on a quarter of the samples, held out)",
    )  # fmt: skip
    add_site_options(command)
    add_siting_options(command)
    add_solver_options(command, gap=SitingSettings().gap)
    add_worker_options(
        command,
        "received levels of the sites, part by part, and the sites of the strategy optimised, area by area, where "
        f"there are over {LARGE:,} candidates: without --time-limit, by a number of steps",
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    out = checked_out(options.out)
    if (options.real or options.against) and not options.compare:
        raise InputError("Real sites and other traffic are for judging strategies; add --compare.")
    layer_of(options, "real")  # refuses a --layer without a file before the work
    unheeded = [f"--{role}" for role in PLACE_FILES if role != "real" and getattr(options, role)]
    if unheeded and not options.compare and options.strategy != "optimised":
        raise InputError(
            f"The strategy {options.strategy} does not heed {' and '.join(unheeded)}; add --strategy optimised, "
            f"or leave {'it' if len(unheeded) == 1 else 'them'} out."
        )
    bar = ProgressBar()
    with bar.running(), shared_work(options) as work:
        bar(0, 100, "reading places and traffic")
        siting = siting_settings(options) if options.compare or options.strategy == "optimised" else None
        real = (
            None
            if options.real is None
            else read_places(options.real, areas=False, choice=Choice(layer=layer_of(options, "real")))
        )
        table = TrafficTable.read(options.traffic)
        demand = Demand.build(table, scale_of(options, table))
        basis, unseen = demand, None
        if options.against:
            unseen = Demand.build(TrafficTable.read(options.against), demand.scale)
        elif options.compare:
            basis, unseen = demand.held_out()

        def deployed(strategy: str) -> DeploymentPlan:
            return deploy(
                basis, sites=options.sites, strategy=strategy, quantile=options.quantile, headroom=options.headroom,
                max_layers=options.max_layers, area_tiles=options.area_tiles, siting=siting,
                radio=radio_settings(options), design=design_of(options), progress=bar, work=work,
            )  # fmt: skip

        plan, comparison = deployed(options.strategy), None
        scenario = Scenario.from_deployment(plan, demand, options.quantile)
        if options.compare:
            number = len(plan.network.sites)  # of a budget plan, what the others are to place
            options.sites = options.sites or number
            others = [s for s in available(demand) if s != options.strategy]
            plans = {options.strategy: plan} | {s: deployed(s) for s in others}
            counted = None if real is None else demand.count_in_tiles(real.lon, real.lat)
            comparison = judge(
                unseen or demand, {s: p.counts for s, p in plans.items()}, counted,
                networks={s: p.network for s, p in plans.items()}, radio=radio_settings(options),
            )  # fmt: skip
            scenario = scenario.with_table("deployment_comparison", comparison)
        bar(99, 100, "writing the scenario")
        scenario.save(out)
    print(plan.sentence)
    print(demand.scale.sentence)
    if real is not None:
        print_report(real.report, "Real sites: ")
    if comparison is not None:
        print(_judged_on(options.against, basis, unseen))
        print(comparison_text(comparison))
    print(f"Wrote {out}")


def _judged_on(against: str | None, basis: Demand, unseen: Demand | None) -> str:
    if against:
        return f"Judged on {against}."
    if unseen is None:
        return "Judged on the traffic that the sites were placed on: a single sample leaves none to hold out."
    return f"Placed on {basis.samples} samples and judged on {unseen.samples} held out."
