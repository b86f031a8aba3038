"""The command line: deploy, sleep, prb, export. Bad input ends with exit status 2 and one line on stderr."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from . import deployment, prb, prb_options, sleep
from .demand import GB_PER_MONTH, SUBSCRIBERS_PER_KM2, Demand, Scale
from .energy import Prices, fit_power
from .errors import InputError, PlanningError
from .export import FORMATS, export
from .judging import comparison_text, count_sites_in_tiles, judge
from .network import FIGURES
from .network_files import import_network
from .places import read_places
from .power_plot import power_page
from .prb_baselines import BASELINES
from .prb_hours import PrbHours, reserve_cost, solve_hours
from .progress import ProgressBar
from .scenario import Scenario, write_whole
from .siting import SitingSettings
from .siting_options import add_siting_options, siting_settings
from .solver import SOLVERS
from .table_files import FORMATS as NETWORK_FORMATS
from .tables import read_table
from .traffic import TrafficTable

MOST_CSV_BYTES = 50_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = parser().parse_args(arguments)
    try:
        options.run(options)
    except PlanningError as error:
        print(f"planning {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"planning {options.command}: stopped, nothing was written", file=sys.stderr)
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m planning",
        description="From a traffic table to network plans: deployment, sleep, PRBs, exports.",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _deploy_options(commands)
    _import_options(commands)
    _sleep_options(commands)
    _fit_power_options(commands)
    _prb_options(commands)
    _export_options(commands)
    return top


# --- deploy ------------------------------------------------------------------------------------------------------


def _deploy_options(commands) -> None:
    command = commands.add_parser(
        "deploy",
        help="place base stations by demand",
        description="Place N base stations over the tiles of a traffic table and size them; writes a scenario.",
    )
    command.add_argument("traffic", metavar="TRAFFIC", help="traffic table, Parquet or CSV")
    command.add_argument("--sites", type=int, metavar="N", help="number of sites, exact")
    command.add_argument(
        "--strategy", choices=deployment.STRATEGIES, default="traffic", help="(default: traffic)"
    )
    _out(command)
    _scale_options(command)
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
    _solver_options(command, gap=SitingSettings().gap)
    command.set_defaults(run=_deploy)


def _deploy(options) -> None:
    out = _checked_out(options.out)
    if options.real and not options.compare:
        raise InputError("Real sites are for judging strategies; add --compare.")
    bar = ProgressBar()
    with bar.running():
        bar(0, 100, "reading places and traffic")
        siting = siting_settings(options) if options.compare or options.strategy == "optimised" else None
        real = None if options.real is None else read_places(options.real)
        table = TrafficTable.read(options.traffic)
        demand = Demand.build(table, _scale(options, table))

        def deployed(strategy: str) -> deployment.DeploymentPlan:
            return deployment.deploy(
                demand, options.sites, strategy, options.quantile, options.headroom, options.max_layers,
                options.area_tiles, siting, bar,
            )  # fmt: skip

        plan, comparison = deployed(options.strategy), None
        scenario = Scenario.from_deployment(plan, demand, options.quantile)
        if options.compare:
            number = len(plan.network.sites)  # of a budget plan, what the others are to place
            options.sites = options.sites or number
            others = [s for s in deployment.available(demand) if s != options.strategy]
            plans = {options.strategy: plan} | {s: deployed(s) for s in others}
            counted = None if real is None else count_sites_in_tiles(demand, real.lon, real.lat)
            comparison = judge(demand, {s: p.counts for s, p in plans.items()}, counted)
            scenario = scenario.with_table("deployment_comparison", comparison)
        bar(99, 100, "writing the scenario")
        scenario.save(out)
    print(plan.sentence)
    print(demand.scale.sentence)
    for sentence in () if real is None else real.report:
        print(f"Real sites: {sentence}")
    if comparison is not None:
        print(comparison_text(comparison))
    print(f"Wrote {out}")


# --- import ------------------------------------------------------------------------------------------------------


def _import_options(commands) -> None:
    command = commands.add_parser(
        "import",
        help="take up a network from other tools",
        description=f"Sites and cells from {NETWORK_FORMATS} or an OpenCelliD CSV; writes a scenario to plan on.",
    )
    command.add_argument("network", metavar="FILE", help="sites, or cells with their sites")
    command.add_argument(
        "--traffic", required=True, metavar="TRAFFIC", help="traffic table of the area, Parquet or CSV"
    )
    command.add_argument(
        "--map", action="append", default=[], type=_assignment, metavar="OURS=THEIRS",
        help="column of ours and the file's, such as lon=Longitude; repeat for several (default: by usual names)",
    )  # fmt: skip
    _out(command)
    _scale_options(command)
    command.set_defaults(run=_import)


def _import(options) -> None:
    out = _checked_out(options.out)
    imported = import_network(options.network, mapping=dict(options.map))
    table = TrafficTable.read(options.traffic)
    demand = Demand.build(table, _scale(options, table))
    scenario = Scenario.from_network(imported.network, demand)
    record = {"file": Path(options.network).name, "report": list(imported.report)}
    if imported.provenance:
        record["made by"] = imported.provenance
    replace(scenario, provenance=scenario.provenance | {"import": record}).save(out)
    for line in (*imported.report, demand.scale.sentence):
        print(line)
    print(f"Wrote {out}")


# --- sleep -------------------------------------------------------------------------------------------------------


def _sleep_options(commands) -> None:
    command = commands.add_parser(
        "sleep",
        help="plan which cells sleep when",
        description="Plan the hours in which cells sleep and what that saves; writes the scenario with the schedule.",
    )
    command.add_argument("scenario", metavar="SCENARIO", help="scenario made by deploy (.gpkg)")
    command.add_argument("--traffic", required=True, metavar="TRAFFIC", help="traffic table to plan for")
    command.add_argument("--strategy", choices=sleep.STRATEGIES, default="milp", help="(default: milp)")
    _out(command)
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
    _scale_options(command)
    settings = sleep.SleepSettings()
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
        "--ring", choices=sleep.RINGS, default="distance",
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
    _solver_options(command, gap=settings.gap)
    command.set_defaults(run=_sleep)


def _sleep(options) -> None:
    out = _checked_out(options.out)
    bar = ProgressBar()
    prices = Prices(options.tariff, options.co2_kg_per_kwh)
    if options.risk_curve and not options.replay:
        raise InputError("A risk curve needs traffic that was not planned on; name it with --replay.")
    settings = sleep.SleepSettings(
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
    with bar.running():
        bar(0, 3, "reading scenario and traffic")
        scenario, demand = _scenario_and_demand(options)
        held_out = None
        if options.replay:
            other = TrafficTable.read(options.replay)
            held_out = Demand.build(other, demand.scale if other.metadata.get("unit") != "Mbit/s" else None)
        bar(1, 3, "laying traffic on sites")
        demand = demand.with_rate_floor(options.rate_floor)
        held_out = None if held_out is None else held_out.with_rate_floor(options.rate_floor)
        network = scenario.network
        if options.equipment:
            network = network.with_equipment(_read_csv(options.equipment, "equipment and figures"))
        around = {
            "hours": options.hours, "ring_m": options.ring_m, "max_neighbours": options.neighbours,
            "whole_site": options.whole_site, "ring": options.ring,
        }  # fmt: skip
        problem = sleep.SleepProblem.build(network, demand, quantile=options.quantile, **around)
        comparison = None
        if options.compare:
            plans, comparison = sleep.compare_strategies(problem, sleep.STRATEGIES, settings, held_out, bar)
            plan = plans[options.strategy]
        else:
            plan = sleep.plan_sleep(problem, options.strategy, settings, bar)
        bar(2, 3, "writing the scenario")
        scenario.with_sleep(plan, comparison).save(out)
        other = sleep.replay(plan, held_out) if held_out is not None else None
        risk = None
        if options.risk_curve:
            risk = sleep.risk_curve(
                network, demand, held_out, sleep.RISK_QUANTILES, options.strategy, settings, bar, **around
            )
    if comparison is not None:
        for row in comparison.to_dict("records"):
            print(_sleep_line(row["strategy"], row))
    else:
        print(_sleep_line(plan.strategy, plan.evaluation.record()))
    if plan.solve is not None:
        print(plan.solve.sentence)
    if plan.relaxed:
        print("Relaxed: not all traffic can be served even with every cell awake.")
    saved = plan.evaluation.always_on_kwh - plan.evaluation.energy_kwh
    print(prices.sentence(saved, plan.hours))
    if other is not None:
        print(_sleep_line("replay", other.record()))
    if risk is not None:
        print("On traffic that was not planned on, by the quantile that is reserved:")
        for row in risk.to_dict("records"):
            print(
                f"{row['quantile']:>10.0%}: saves {row['saving']:.1%}, unserved {row['unserved_share']:.3%}, "
                f"{row['overload_hours']} overload hours"
            )
    print(demand.scale.sentence)
    print(f"Wrote {out}")


def _sleep_line(name: str, row: dict) -> str:
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


def _fit_power_options(commands) -> None:
    command = commands.add_parser(
        "fit-power",
        help="fit the power of a radio unit to measurements",
        description="Idle power and slope of a radio unit (eq. 13) from a CSV with columns load_mbps and power_w.",
    )
    command.add_argument("measured", metavar="CSV", help="one measurement a line")
    command.add_argument("--plot", metavar="HTML", help="page with the fit and its residuals")
    command.set_defaults(run=_fit_power)


def _fit_power(options) -> None:
    plot = None if options.plot is None else Path(options.plot)
    if plot is not None:
        _check_folder(plot)
    fit = fit_power(_read_csv(options.measured, "load_mbps and power_w"))
    if plot is not None:
        write_whole(plot, lambda path: path.write_text(power_page(fit), encoding="utf-8"))
    print(fit.sentence)
    if plot is not None:
        print(f"Wrote {plot}")


# --- prb ---------------------------------------------------------------------------------------------------------


def _prb_options(commands) -> None:
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
    _out(command)
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
    _scale_options(command)
    prb_options.add(command)
    _solver_options(command, gap=prb.PrbSettings().gap, time_limit=prb.PrbSettings().time_limit)
    command.set_defaults(run=_prb)


def _prb(options) -> None:
    out = _checked_out(options.out)
    radio, settings = prb_options.radio(options), prb_options.settings(options)
    bar = ProgressBar()
    with bar.running():
        bar(0, 3, "reading scenario and traffic")
        scenario, demand = _scenario_and_demand(options)
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
            rules = [prb.baseline(plan.problem, name, plan.settings) for name in BASELINES]
            tables["comparison"] = prb.compared([plan, *rules])
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


# --- export ------------------------------------------------------------------------------------------------------


def _export_options(commands) -> None:
    command = commands.add_parser(
        "export",
        help="write a scenario for other tools",
        description="Write a scenario as KML, KMZ, GeoJSON, CSV (a .zip gets every table), XLSX, GeoPackage, zipped "
        "Shapefile, CloudRF's CSV or one HTML page.",
    )
    command.add_argument("scenario", metavar="SCENARIO", help="scenario (.gpkg)")
    command.add_argument("--format", required=True, choices=[f for f in FORMATS if f != "zip"])
    command.add_argument("--table", help="csv: which table (default: sites)")
    command.add_argument("--out", required=True, metavar="PATH", help="file to write")
    command.set_defaults(run=_export)


def _export(options) -> None:
    out = Path(options.out)
    _check_folder(out)
    export(Scenario.read(options.scenario), options.format, out, options.table)
    print(f"Wrote {out}")


# --- shared ------------------------------------------------------------------------------------------------------


def _out(command) -> None:
    command.add_argument("--out", required=True, metavar="PATH", help="scenario to write (.gpkg)")


def _solver_options(command, gap: float, time_limit: float = 60.0) -> None:
    group = command.add_argument_group("solver")
    group.add_argument("--solver", choices=SOLVERS, default="auto", help="(default: auto, HiGHS before CBC)")
    group.add_argument(
        "--time-limit", type=float, default=time_limit, metavar="S", help=f"seconds (default: {time_limit:g})"
    )
    group.add_argument(
        "--gap", type=float, default=gap, help=f"relative gap at which to stop (default: {gap:g})"
    )


def _scale_options(command) -> None:
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


def _scale(options, table: TrafficTable, stored: Scale | None = None) -> Scale | None:
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


def _scenario_and_demand(options) -> tuple[Scenario, Demand]:
    scenario = Scenario.read(options.scenario)
    table = TrafficTable.read(options.traffic)
    return scenario, Demand.build(table, _scale(options, table, scenario.scale()))


def _checked_out(text: str) -> Path:
    """Refuse a bad place before the work, not after it."""
    path = Path(text)
    if path.suffix.lower() != ".gpkg":
        raise InputError(
            f"A scenario is a GeoPackage: give --out a name that ends in .gpkg, not {path.name!r}."
        )
    _check_folder(path)
    return path


def _read_csv(path: str, columns: str) -> pd.DataFrame:
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_CSV_BYTES + 1)
        if len(data) > MOST_CSV_BYTES:
            raise InputError(f"{path} is larger than {MOST_CSV_BYTES // 1_000_000} MB; give fewer rows.")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); name a CSV file.") from None
    return read_table(data, path, columns)


def _check_folder(path: Path) -> None:
    if not path.resolve().parent.is_dir():
        raise InputError(f"The folder {path.resolve().parent} does not exist; create it or choose another.")


def _assignment(text: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not (ours and equals and theirs):
        raise argparse.ArgumentTypeError(f"{text!r} is no pair such as lon=Longitude")
    return ours, theirs


def _window(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,2})-(\d{1,2})", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no window of hours such as 0-6 or 23-5")
    return int(found[1]), int(found[2])


def _hours(text: str) -> list[int]:
    found = re.fullmatch(r"(\d{1,3})-(\d{1,3})", text)
    if not found or int(found[1]) > int(found[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is no range of hours such as 0-23")
    return list(range(int(found[1]), int(found[2]) + 1))


def _pair(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no pair of thresholds such as 0.5,0.7") from None
    return low, high
