"""`python -m planning expand`: a roll-out over years for a network as it is."""

from __future__ import annotations

import argparse
from dataclasses import fields, replace

from plannerbase.progress import ProgressBar
from planning.commands.shared import Commands, add_out, add_scale_options, checked_out, scenario_and_demand
from planning.commands.siting_options import add_radio_options, radio_settings
from planning.deployment.costs import SOURCE, Costs
from planning.deployment.expansion import MEASURES, ExpansionSettings, expand
from planning.scenario import Scenario


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "expand",
        help="carriers, sectors and sites over years of growing traffic",
        description="Plan carriers, sector splits and new sites year by year as traffic grows, with capex and opex; "
        "writes the scenario of the last year with the tables expansion_steps, expansion_years and expansion_costs.",
    )
    preset = ExpansionSettings()
    command.add_argument("scenario", metavar="SCENARIO", help="of deploy or import (.gpkg)")
    command.add_argument("--traffic", required=True, metavar="TRAFFIC", help="today's traffic table")
    add_out(command)
    add_scale_options(command)
    command.add_argument("--years", type=int, default=preset.years, help=f"(default: {preset.years})")
    command.add_argument(
        "--growth", type=float, default=preset.growth, metavar="SHARE",
        help=f"of the traffic a year, 0.25 is 25 %% (default: {preset.growth:g}, assumed)",
    )  # fmt: skip
    command.add_argument(
        "--quantile", type=float, default=preset.quantile, help="of samples and days, 0-1 (default: 0.9)"
    )
    command.add_argument(
        "--headroom", type=float, default=preset.headroom, help="capacity beyond the peak (default: 0.2)"
    )
    command.add_argument(
        "--measures",
        default=",".join(MEASURES),
        metavar="LIST",
        help=f"some of {', '.join(MEASURES)} (default: all)",
    )
    command.add_argument("--bands", default="", metavar="LIST", help="of further carriers, as n78,n79")
    command.add_argument(
        "--min-distance-m",
        type=float,
        default=preset.min_distance_m,
        metavar="M",
        help="of a new site (default: 200)",
    )
    command.add_argument(
        "--budget-per-year", type=float, metavar="MONEY", help="most capex a year (default: none)"
    )
    command.add_argument(
        "--coverage", type=float, default=preset.coverage, metavar="SHARE",
        help=f"of the traffic to cover, by new sites (default: {preset.coverage:g})",
    )  # fmt: skip
    add_radio_options(command.add_argument_group("radio model"))
    group = command.add_argument_group(f"costs ({SOURCE})")
    for field in fields(Costs):
        value = field.default
        group.add_argument(
            f"--{'currency' if field.name == 'currency' else 'cost-' + field.name.replace('_', '-')}",
            dest=f"cost_{field.name}", type=type(value), default=value, help=f"(default: {value})",
        )  # fmt: skip
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    out = checked_out(options.out)
    costs = Costs(**{f.name: getattr(options, f"cost_{f.name}") for f in fields(Costs)})
    settings = ExpansionSettings(
        options.years, options.growth, options.quantile, options.headroom, _listed(options.measures),
        _listed(options.bands), options.min_distance_m, options.budget_per_year, options.coverage,
    )  # fmt: skip
    settings.validate()
    bar = ProgressBar()
    with bar.running():
        bar(0, 0, "reading scenario and traffic")
        scenario, demand = scenario_and_demand(options)
        made = expand(scenario.network, demand, settings, costs, radio_settings(options), bar)
        after = Scenario.from_network(made.network, demand, options.quantile)
        after = after.with_table("expansion_steps", made.steps).with_table("expansion_years", made.years)
        after = after.with_table("expansion_costs", made.layers)
        known = {"before": scenario.provenance, "expansion": made.record()}
        replace(after, provenance=after.provenance | known).save(out)
    print(made.years.round(3).to_string(index=False))
    if len(made.layers):
        print(made.layers.round(0).to_string(index=False))
    print(made.sentence)
    print(demand.scale.sentence)
    print(f"Wrote {out}")


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
