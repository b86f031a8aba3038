"""`python -m planning sleep`: which cells sleep when."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from plannerbase.progress import ProgressBar
from planning.api import compare_sleep, plan_sleep
from planning.atomic import write_whole
from planning.commands.shared import (
    Commands,
    add_counter_options,
    add_out,
    add_scale_options,
    add_solver_options,
    check_folder,
    checked_out,
    read_counters_of,
    read_csv,
    scenario_and_demand,
)
from planning.commands.worker_options import add_worker_options, shared_work
from planning.counted import counted_demand, counters_sentence
from planning.coverage import Coverage
from planning.demand import RATE_FLOOR_MBPS, Demand
from planning.deployment.places import read_places
from planning.errors import InputError
from planning.network import FIGURES, Network
from planning.prices import Prices, tariff_of
from planning.scenario import Scenario
from planning.shared_work import SharedWork
from planning.sleep import (
    DAY_TYPES,
    LABELS,
    QUANTILE,
    RISK_QUANTILES,
    STRATEGIES,
    Operation,
    SleepPlan,
    SleepSettings,
    replay,
    risk_curve,
)
from planning.sleep.evaluation import SleepEvaluation
from planning.sleep.offload import MAX_NEIGHBOURS
from planning.sleep.operation import BOUNDARIES, never
from planning.sleep.ranges import ensemble_figures, verdict
from planning.sleep.windows import schedule_json


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
    command.add_argument(
        "--schedule", metavar="PATH", action="append", default=[],
        help="also write the on and off windows of the cells: .csv, .xlsx, or .json in the states of 3GPP TS 28.310",
    )  # fmt: skip
    prices = Prices()
    command.add_argument(
        "--tariff",
        type=_tariff,
        metavar="MONEY",
        help="price of a kWh, or 24 of them by hour with commas between, or prices of hours: 22-6=0.35,0.8 for 0.8 in "
        "all other hours",
    )
    command.add_argument("--currency", default="", help="of the tariff, for the sentences")
    command.add_argument(
        "--co2-kg-per-kwh", type=float, default=prices.kg_per_kwh, metavar="KG",
        help=f"of the grid (default: {prices.kg_per_kwh:g}, China's mean of 2023)",
    )  # fmt: skip
    add_scale_options(command)
    add_counter_options(command)
    _add_problem_options(command)
    _add_strategy_options(command)
    add_solver_options(command, gap=SleepSettings().gap)
    add_worker_options(
        command,
        "received levels, and the strategy milp area by area, without --time-limit: each area stops at --gap or after "
        "a number of steps",
    )
    command.set_defaults(run=run)


def _add_problem_options(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("what is planned for, and which cells may sleep when")
    group.add_argument(
        "--hours", type=_hours, default=24,
        help=f"24 for a typical day, 168 for the week, or {DAY_TYPES} for two days (default: 24)",
    )  # fmt: skip
    group.add_argument(
        "--first-day",
        type=int,
        default=0,
        metavar="0-6",
        help="day of the week of hour 0, 0 for Monday (default: 0)",
    )
    group.add_argument("--quantile", type=float, default=QUANTILE, help=_about("quantile", QUANTILE))
    group.add_argument(
        "--rate-floor",
        type=float,
        default=RATE_FLOOR_MBPS,
        metavar="MBPS",
        help=_about("rate_floor", RATE_FLOOR_MBPS),
    )
    group.add_argument(
        "--neighbours", type=int, default=MAX_NEIGHBOURS, help=_about("max_neighbours", MAX_NEIGHBOURS)
    )
    group.add_argument(
        "--max-holes", type=float, default=0.0, metavar="SHARE", help=_about("max_hole_share", 0.0)
    )
    group.add_argument("--whole-site", action="store_true", help=_about("whole_site"))
    group.add_argument("--muting", action="store_true", help=_about("muting"))
    group.add_argument(
        "--never", action="append", default=[], metavar="NAMES",
        help="cells and sites that never sleep: names with commas between, or a CSV with a column cell or site",
    )  # fmt: skip
    group.add_argument(
        "--never-in", action="append", default=[], metavar="FILE",
        help="areas whose sites never sleep: GeoJSON, KML, FlatGeobuf, GeoPackage or zipped Shapefile with polygons",
    )  # fmt: skip
    group.add_argument("--window", type=_window, metavar="H-H", help=_about("window"))
    group.add_argument(
        "--band-order",
        default="",
        metavar="BANDS",
        help=f"{LABELS['band_order'].label}, first first: n78,n41,B3",
    )
    group.add_argument("--boundary", choices=BOUNDARIES, default="cyclic", help=_about("boundary"))
    group.add_argument(
        "--equipment", metavar="CSV",
        help="other figures: columns equipment and any of " + ", ".join(FIGURES),
    )  # fmt: skip


def _about(name: str, default: float | None = None) -> str:
    """A setting's label, unit and reason as help text."""
    label = LABELS[name]
    told = f"{label.title[:1].lower()}{label.title[1:]}; {label.reason}"
    return (told if default is None else f"{told} (default: {default:g})").replace("%", "%%")


def _add_strategy_options(command: argparse.ArgumentParser) -> None:
    settings = SleepSettings()
    group = command.add_argument_group("what the strategies obey")
    group.add_argument(
        "--night", type=_window, default=settings.night, metavar="H-H", help="night window (default: 0-6)"
    )
    group.add_argument(
        "--threshold",
        type=_pair,
        default=(settings.sleep_below, settings.wake_above),
        metavar="SLEEP,WAKE",
        help="utilisation below which a cell sleeps and above which one wakes, 0-1 (default: 0.5,0.7)",
    )
    for option, name, kind in (
        ("--max-load", "max_load", float), ("--min-up", "min_up", int), ("--min-off", "min_off", int),
        ("--max-wakes", "max_wakes", int), ("--wake-energy", "switch_wh", float),
        ("--wake-delay", "wake_delay_min", float), ("--offload-price", "offload_w_per_mbps", float),
    ):  # fmt: skip
        value = getattr(settings, name)
        group.add_argument(option, dest=name, type=kind, default=value, help=_about(name, value))
    group.add_argument(
        "--switch-price", dest="switch_wh", type=float, help=argparse.SUPPRESS
    )  # its former name
    group.add_argument("--allow-unserved", action="store_true", help=_about("allow_unserved"))


def run(options: argparse.Namespace) -> None:
    out = checked_out(options.out)
    schedules = [checked_schedule(path) for path in options.schedule]
    bar = ProgressBar()
    prices = Prices(options.tariff, options.co2_kg_per_kwh, options.currency)
    if options.risk_curve and not options.replay:
        raise InputError("A risk curve needs traffic that was not planned on; name it with --replay.")
    with bar.running(), shared_work(options) as work:
        bar(0, 4, "reading scenario and traffic")
        scenario, demand = scenario_and_demand(options)
        held_out = _held_out(options, demand)
        network = scenario.network
        if options.equipment:
            network = network.with_equipment(read_csv(options.equipment, "equipment and figures"))
        network, counted = read_counters_of(options, network)
        bar(1, 4, "received levels")
        coverage = Coverage.of(network, demand.x, demand.y, progress=bar if work else None, work=work)
        if counted is not None:
            demand, coverage = counted_demand(demand, counted, coverage)
        around = _around(options, network) | {"coverage": coverage}
        bar(2, 4, "plans of the hours")
        made = _planned(options, network, demand, held_out, around, bar, work)
        bar(3, 4, "the ensemble")
        ranges = ensemble_figures(made.plans, demand, prices, held_out)
        plan = made.plans[options.strategy]
        planned = scenario.with_sleep(plan, made.comparison, ranges, prices)
        planned.save(out)
        for path in schedules:
            write_schedule(plan, planned, path)
        replayed = None if held_out is None else replay(plan, held_out)
        risk = None
        if options.risk_curve and held_out is not None:
            floored = demand.with_rate_floor(options.rate_floor)
            risk = risk_curve(
                network,
                floored,
                held_out,
                RISK_QUANTILES,
                options.strategy,
                replace(plan.settings, allow_unserved=True),
                bar,
                **around,
            )
    _tell(made, plan, prices, ranges, replayed, risk)
    print(demand.scale.sentence)
    if counted is not None:
        print(counters_sentence(demand))
    for path in (out, *schedules):
        print(f"Wrote {path}")


class _Made(NamedTuple):
    plans: dict[str, SleepPlan]
    comparison: pd.DataFrame | None


def checked_schedule(text: str) -> Path:
    """Refuse a bad place for a schedule before the work."""
    path = Path(text)
    if path.suffix.lower() not in (".csv", ".xlsx", ".json"):
        raise InputError(f"A schedule is written as .csv, .xlsx or .json, not as {path.name!r}.")
    check_folder(path)
    return path


def write_schedule(plan: SleepPlan, planned: Scenario, path: Path) -> None:
    """On and off windows of the cells, by the ending of the path."""
    from planning.export import export

    if path.suffix.lower() == ".json":
        data = schedule_json(plan, planned.provenance)
        write_whole(path, lambda part: part.write_bytes(data))
    elif path.suffix.lower() == ".xlsx":
        export(planned, "xlsx", path)
    else:
        export(planned, "csv", path, table="sleep_windows")


def _held_out(options: argparse.Namespace, demand: Demand) -> Demand | None:
    """The traffic of --replay, on the scale of the demand unless it states Mbit/s itself."""
    return Demand.on_scale_of(demand, options.replay) if options.replay else None


def _around(options: argparse.Namespace, network: Network) -> dict[str, Any]:
    """What a problem is made with beside network, demand and quantile."""
    bands = tuple(band.strip() for band in options.band_order.split(",") if band.strip())
    operation = Operation(
        whole_site=options.whole_site, muting=options.muting, never=_never(options, network),
        window=options.window, band_order=bands, max_hole_share=options.max_holes, boundary=options.boundary,
    )  # fmt: skip
    return {
        "hours": options.hours, "first_day": options.first_day, "max_neighbours": options.neighbours,
        "operation": operation,
    }  # fmt: skip


def _never(options: argparse.Namespace, network: Network) -> np.ndarray | None:
    """(cells,) bool of names, files of names and files of areas."""
    names: list[str] = []
    for text in options.never:
        if Path(text).suffix.lower() == ".csv":
            table = read_csv(text, "cell or site")
            columns = [c for c in ("cell", "site") if c in table]
            if not columns:
                raise InputError(
                    f"{text} needs a column cell or site, with the names of those that never sleep."
                )
            names += [str(v) for c in columns for v in table[c].dropna()]
        else:
            names += [part.strip() for part in text.split(",") if part.strip()]
    areas: list[Any] = []
    for file in options.never_in:
        found = read_places(file, areas=True).areas
        if not found:
            raise InputError(f"{file} holds no area; give polygons whose sites never sleep.")
        areas += found
    return never(network, names, areas)


def _planned(
    options: argparse.Namespace,
    network: Network,
    demand: Demand,
    held_out: Demand | None,
    around: dict[str, Any],
    bar: ProgressBar,
    work: SharedWork | None,
) -> _Made:
    limits = {
        name: getattr(options, name)
        for name in ("max_load", "min_up", "min_off", "max_wakes", "wake_delay_min", "offload_w_per_mbps", "time_limit",
                     "gap", "solver", "allow_unserved")
    }  # fmt: skip
    switch_wh = SleepSettings().switch_wh if options.switch_wh is None else options.switch_wh
    settings = SleepSettings(
        night=options.night, sleep_below=options.threshold[0], wake_above=options.threshold[1], switch_wh=switch_wh,
        **limits,
    )  # fmt: skip
    asked: dict[str, Any] = {
        "settings": settings, "quantile": options.quantile, "rate_floor_mbps": options.rate_floor, "progress": bar,
        "work": work,
    }  # fmt: skip
    if not options.compare:
        plan = plan_sleep(network, demand, strategy=options.strategy, **asked, **around)
        return _Made({options.strategy: plan}, None)
    return _Made(
        *compare_sleep(network, demand, strategies=tuple(STRATEGIES), held_out=held_out, **asked, **around)
    )


def _tell(
    made: _Made,
    plan: SleepPlan,
    prices: Prices,
    ranges: pd.DataFrame,
    replayed: SleepEvaluation | None,
    risk: pd.DataFrame | None,
) -> None:
    if made.comparison is not None:
        print(verdict(ranges).sentence)
        for row in made.comparison.to_dict("records"):
            print(_line(row["strategy"], row))
    else:
        print(_line(plan.strategy, plan.evaluation.record()))
    print(plan.how)
    for note in (*plan.problem.notes, *plan.notes):
        if note.startswith("Warning") or note in plan.notes:
            print(note)
    if plan.relaxed:
        print("Relaxed: not all traffic can be served even with every cell awake.")
    mine = ranges[ranges["strategy"] == plan.strategy].set_index("figure")
    for figure, digits in (
        ("kwh_per_day", ",.1f"),
        ("saving", ".1%"),
        ("unserved_share", ".3%"),
        ("kwh_per_gb", ".3f"),
        ("mbit_per_j", ".4f"),
    ):
        row = mine.loc[figure]
        print(
            f"{figure} over the ensemble: mean {row['mean']:{digits}}, "
            f"P10 {row['p10']:{digits}}, P90 {row['p90']:{digits}}"
            + (f", held out {row['held_out']:{digits}}" if "held_out" in row else "")
        )
    days = mine.loc["saved_kwh_per_day", "mean"]
    cost = mine.loc["saved_cost_per_day", "mean"] if "saved_cost_per_day" in mine.index else None
    print(prices.sentence(days, 24, cost))
    if replayed is not None:
        print(_line("replay", replayed.record()))
    if risk is not None:
        print("On traffic that was not planned on, by the demand that is planned for:")
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
    worst = row["worst_sector"]
    if isinstance(worst, str) and row["worst_missing_mbps"] > 0:
        when, missing = clock(int(row["worst_hour"])), row["worst_missing_mbps"]
        line += f"; worst sector {worst} on {when}, {missing:,.1f} Mbit/s short"
    return line


def _window(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,2})-(\d{1,2})", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no window of hours such as 0-6 or 23-5")
    return int(found[1]), int(found[2])


def clock(hour: int) -> str:
    """An hour of a plan or of several periods in words: "day 2, 11:00", always of a period of a week."""
    return f"day {hour // 24 % 7 + 1}, {hour % 24:02d}:00"


def _hours(text: str) -> int | str:
    if text == DAY_TYPES:
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of hours and not {DAY_TYPES}") from None


def _tariff(text: str) -> float | tuple[float, ...]:
    try:
        tariff = tariff_of(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if tariff is None:
        raise argparse.ArgumentTypeError("the tariff is empty")
    return tariff


def _pair(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no pair of thresholds such as 0.5,0.7") from None
    return low, high
