"""`python -m planning sleep`: which cells sleep when."""

from __future__ import annotations

import argparse
import re
from typing import Any, NamedTuple

import pandas as pd

from planning.commands.shared import (
    Commands,
    add_out,
    add_scale_options,
    add_solver_options,
    checked_out,
    read_csv,
    scenario_and_demand,
)  # fmt: skip
from planning.demand import Demand
from planning.energy import Prices
from planning.errors import InputError
from planning.network import FIGURES, Network
from planning.progress import ProgressBar
from planning.sleep import (
    RISK_QUANTILES,
    STRATEGIES,
    SleepPlan,
    SleepProblem,
    SleepSettings,
    compare_strategies,
    plan_sleep,
    replay,
    risk_curve,
)
from planning.sleep.evaluation import SleepEvaluation
from planning.sleep.problem import RINGS
from planning.traffic import TrafficTable


def add_command(commands: Commands) -> None:
    command = commands.add_parser(
        "sleep",
        help="plan which cells sleep when",
        description="Plan the hours in which cells sleep and what that saves; writes the scenario with the schedule.",
    )
    command.add_argument("scenario", metavar="SCENARIO", help="scenario made by deploy (.gpkg)")
    command.add_argument("--traffic", required=True, metavar="TRAFFIC", help="traffic table to plan for")
    command.add_argument("--strategy", choices=STRATEGIES, default="milp", help="(default: milp)")
    add_out(command)
    command.add_argument(
        "--compare", action="store_true", help="also run all strategies; adds the table sleep_comparison"
    )
    command.add_argument(
        "--replay", metavar="TRAFFIC", help="also judge the plan on this traffic, not planned on"
    )
    command.add_argument(
        "--risk-curve",
        action="store_true",
        help="with --replay: also saving against unserved traffic for reserves from the median to the maximum",
    )
    prices = Prices()
    command.add_argument("--tariff", type=float, metavar="MONEY", help="price of a kWh, in your currency")
    command.add_argument(
        "--co2-kg-per-kwh", type=float, default=prices.kg_per_kwh, metavar="KG",
        help=f"of the grid (default: {prices.kg_per_kwh:g}, China's mean of 2023)",
    )  # fmt: skip
    add_scale_options(command)
    _add_problem_options(command)
    _add_strategy_options(command)
    add_solver_options(command, gap=SleepSettings().gap)
    command.set_defaults(run=run)


def _add_problem_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--hours", type=int, default=24, help="24 for a typical day or 168 for the week (default: 24)"
    )
    command.add_argument(
        "--quantile", type=float, default=0.9, help="of the ensemble to plan for, 0-1 (default: 0.9)"
    )
    command.add_argument(
        "--ring-m", type=float, default=2000.0, help="reach of neighbours in metres (default: 2000)"
    )
    command.add_argument("--neighbours", type=int, default=6, help="most neighbours a site (default: 6)")
    command.add_argument(
        "--ring", choices=RINGS, default="distance",
        help="neighbours: the nearest sites, or those that reach most of a site's ground (default: distance)",
    )  # fmt: skip
    command.add_argument(
        "--rate-floor",
        type=float,
        default=0.0,
        metavar="MBPS",
        help="least Mbit/s for every active user (default: 0)",
    )
    command.add_argument(
        "--whole-site", action="store_true", help="milp and greedy may put whole sites to sleep, BBU included"
    )
    command.add_argument(
        "--equipment", metavar="CSV",
        help="other figures: columns equipment and any of " + ", ".join(FIGURES),
    )  # fmt: skip


def _add_strategy_options(command: argparse.ArgumentParser) -> None:
    settings = SleepSettings()
    command.add_argument(
        "--night", type=_window, default=settings.night, metavar="H-H", help="night window (default: 0-6)"
    )
    command.add_argument(
        "--threshold",
        type=_pair,
        default=(settings.sleep_below, settings.wake_above),
        metavar="SLEEP,WAKE",
        help="utilisation below which a cell sleeps and above which one wakes, 0-1 (default: 0.5,0.7)",
    )
    command.add_argument(
        "--min-up", type=int, default=settings.min_up, help="least hours awake after waking (default: 2)"
    )
    command.add_argument(
        "--switch-price", type=float, default=settings.switch_wh, help="Wh a wake-up (default: 50)"
    )
    command.add_argument(
        "--allow-unserved", action="store_true", help="plan even if not all traffic can be served"
    )


def run(options: argparse.Namespace) -> None:
    out = checked_out(options.out)
    bar = ProgressBar()
    prices = Prices(options.tariff, options.co2_kg_per_kwh)
    if options.risk_curve and not options.replay:
        raise InputError("A risk curve needs traffic that was not planned on; name it with --replay.")
    with bar.running():
        bar(0, 3, "reading scenario and traffic")
        scenario, demand = scenario_and_demand(options)
        held_out = _held_out(options, demand)
        bar(1, 3, "laying traffic on sites")
        demand = demand.with_rate_floor(options.rate_floor)
        made = _planned(options, scenario.network, demand, held_out, bar)
        bar(2, 3, "writing the scenario")
        scenario.with_sleep(made.plan, made.comparison).save(out)
        replayed = None if held_out is None else replay(made.plan, held_out)
        risk = None
        if options.risk_curve and held_out is not None:
            risk = risk_curve(
                made.plan.network, demand, held_out, RISK_QUANTILES, options.strategy, made.plan.settings, bar,
                **_around(options),
            )  # fmt: skip
    _tell(made, prices, replayed, risk)
    print(demand.scale.sentence)
    print(f"Wrote {out}")


class _Made(NamedTuple):
    plan: SleepPlan
    comparison: pd.DataFrame | None


def _held_out(options: argparse.Namespace, demand: Demand) -> Demand | None:
    """The traffic of --replay, on the scale of the demand unless it states Mbit/s itself."""
    if not options.replay:
        return None
    table = TrafficTable.read(options.replay)
    scale = demand.scale if table.metadata.get("unit") != "Mbit/s" else None
    return Demand.build(table, scale).with_rate_floor(options.rate_floor)


def _around(options: argparse.Namespace) -> dict[str, Any]:
    """What a problem is made with beside network, demand and quantile."""
    return {
        "hours": options.hours,
        "ring_m": options.ring_m,
        "max_neighbours": options.neighbours,
        "whole_site": options.whole_site,
        "ring": options.ring,
    }


def _planned(
    options: argparse.Namespace, network: Network, demand: Demand, held_out: Demand | None, bar: ProgressBar
) -> _Made:
    if options.equipment:
        network = network.with_equipment(read_csv(options.equipment, "equipment and figures"))
    problem = SleepProblem.build(network, demand, quantile=options.quantile, **_around(options))
    settings = SleepSettings(
        night=options.night,
        sleep_below=options.threshold[0],
        wake_above=options.threshold[1],
        min_up=options.min_up,
        switch_wh=options.switch_price,
        time_limit=options.time_limit,
        gap=options.gap,
        solver=options.solver,
        allow_unserved=options.allow_unserved,
    )
    if not options.compare:
        return _Made(plan_sleep(problem, options.strategy, settings, bar), None)
    plans, comparison = compare_strategies(problem, STRATEGIES, settings, held_out, bar)
    return _Made(plans[options.strategy], comparison)


def _tell(made: _Made, prices: Prices, replayed: SleepEvaluation | None, risk: pd.DataFrame | None) -> None:
    plan = made.plan
    if made.comparison is not None:
        for row in made.comparison.to_dict("records"):
            print(_line(row["strategy"], row))
    else:
        print(_line(plan.strategy, plan.evaluation.record()))
    if plan.solve is not None:
        print(plan.solve.sentence)
    if plan.relaxed:
        print("Relaxed: not all traffic can be served even with every cell awake.")
    saved = plan.evaluation.always_on_kwh - plan.evaluation.energy_kwh
    print(prices.sentence(saved, plan.hours))
    if replayed is not None:
        print(_line("replay", replayed.record()))
    if risk is not None:
        print("On traffic that was not planned on, by the quantile that is reserved:")
        for row in risk.to_dict("records"):
            print(
                f"{row['quantile']:>10.0%}: saves {row['saving']:.1%}, unserved {row['unserved_share']:.3%}, "
                f"{row['overload_hours']} overload hours"
            )


def _line(name: str, row: dict[str, Any]) -> str:
    line = (
        f"{name:>10}: {row['energy_kwh']:,.1f} kWh, saves {100 * row['saving']:.1f} % of always on, unserved "
        f"{100 * row['unserved_share']:.3f} %, {row['overload_hours']} overload hours, {row['switches']} switches"
    )
    worst = row["worst_site"]
    if isinstance(worst, str) and row["worst_missing_mbps"] > 0:
        line += (
            f"; worst {worst} at hour {int(row['worst_hour'])}, {row['worst_missing_mbps']:,.1f} Mbit/s short"
        )
    return line


def _window(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,2})-(\d{1,2})", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no window of hours such as 0-6 or 23-5")
    return int(found[1]), int(found[2])


def _pair(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no pair of thresholds such as 0.5,0.7") from None
    return low, high
