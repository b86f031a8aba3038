"""Sleep: which cells sleep when, by several strategies side by side."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from app.background import sleep
from app.charts import sleep as sleep_charts
from app.colours import ramp_legend, rgb, swatch_legend
from app.files.scenario import scenario_of
from app.map.dots import Dots
from app.map.raster import HOLE, NEW_HOLE
from app.map.region import Picture, Region
from app.messages import errors_shown, plain, told
from app.state.controls import kept
from app.state.results import Comparison
from app.state.slots import Slot
from app.state.workspace import Workspace, workspace
from app.strategies import strategy_name
from app.widgets import accessible
from app.widgets.clock import hour_control, hour_label
from app.widgets.coverage_layer import grid_picture
from app.widgets.layout import choice, demand_picture, header, region_of
from app.widgets.plan_page import map_of_places, places_of_controls, plan_page, site_at, start_button
from app.widgets.sleep_settings import sleep_settings
from app.widgets.tables import show_table
from plannerbase import formats

if TYPE_CHECKING:
    from planning.sleep import SleepPlan

LAYER, LAYERS = "sleep layer", {"demand": "Demand", "holes": "Coverage holes"}
MOVED: Slot[np.ndarray] = Slot()
CLICKED, SITE, ALL_SITES = "sleep clicked", "sleep site", "all sites"
FORMATS_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FIGURE_NAMES = {
    "kwh_per_day": "Energy (kWh per day)",
    "saved_kwh_per_day": "Energy saved (kWh per day)",
    "saving": "Saving (%)",
    "unserved_share": "Unserved traffic (%)",
    "unserved_by_sleep": "Unserved because cells sleep (%)",
    "kwh_per_gb": "Energy per GB served (kWh/GB)",
    "mbit_per_j": "Energy efficiency, ETSI ES 203 228 (Mbit/J)",
    "cost_per_day": "Energy cost (per day)",
    "saved_cost_per_day": "Energy cost saved (per day)",
    "saved_kwh_per_year": "Energy saved (kWh per year)",
    "saved_co2_kg_per_year": "CO₂ saved (kg per year)",
    "saved_cost_per_year": "Energy cost saved (per year)",
}


def page() -> None:
    """Controls, strategies side by side, and one plan hour by hour."""
    space = workspace()
    made = space.sleep
    header(
        "Sleep",
        "Which cells sleep in which hour. Strategies are compared with keeping everything on.",
        ("Spectrum", "Next: spectrum") if made else None,
    )
    plan_page(
        space,
        made,
        sleep.JOB,
        "Change settings and plan again",
        lambda primary: _controls(space, primary),
        lambda: _result(space),
    )


def _controls(space: Workspace, primary: bool) -> None:
    with st.container(border=primary):
        button, advanced = places_of_controls(space, primary)
        with advanced:
            asked = sleep_settings(space)
        busy = sleep.JOB in space.jobs
        if start_button(button, "Compare sleep strategies", ":material/bedtime:", primary, busy, primary):
            _start(space, asked)


def _start(space: Workspace, asked: sleep.SleepRequest) -> None:
    if not asked.strategies:
        st.error("No strategy is chosen; choose at least one.", icon=":material/error:")
        return
    with errors_shown("starting"):  # the uploaded traffic or a figure may make no sense
        sleep.start(space, asked)
        st.rerun()


def _result(space: Workspace) -> None:
    assert space.sleep is not None
    with st.container():  # a place of its own: what comes and goes in it would else mount the map below anew
        if sleep.JOB in space.jobs and space.sleep.value.ranges is None:
            st.info(
                "First plans. Still being computed: the other strategies, energy, cost and CO₂ over the ensemble, and "
                "saving against risk. They appear here by themselves.",
                icon=":material/hourglass_top:",
            )
        _verdict(space.sleep.value)
    _comparison(space.sleep.value)
    _plan(space)


def _verdict(comparison: Comparison) -> None:
    """One line on top: what to switch on, what it saves, at what risk."""
    from planning.sleep.ranges import verdict

    if comparison.ranges is None:
        return
    found = verdict(comparison.ranges)
    show = st.info if found.strategy == "always-on" else st.success
    show(f"**{told(found.sentence)}**", icon=":material/bedtime:")
    plan = next(iter(comparison.plans.values()))
    for text in plan.problem.notes:
        if text.startswith("Warning"):
            st.warning(told(text.removeprefix("Warning: ").capitalize()), icon=":material/warning:")


def _comparison(comparison: Comparison) -> None:
    table = comparison.table
    days = next(iter(comparison.plans.values())).hours / 24
    shown = {
        "Strategy": table["strategy"].map(strategy_name),
        "Energy (kWh per day)": table["energy_kwh"] / days,
        "Saving": 100 * table["saving"],
        "Unserved": 100 * table["unserved_share"],
    }
    if (
        "replay_saving" in table
    ):  # beside what it is to be compared with, before the table ends on a narrow screen
        shown |= {
            "Saving, held-out week": 100 * table["replay_saving"],
            "Unserved, held-out week": 100 * table["replay_unserved_share"],
        }
    shown |= {
        "Overload hours per week": _hours_per_week(comparison) * table["overload_hours"],
        "Highest load": 100 * table["max_load"],
        "Ground without coverage": 100 * table["worst_hole_share"],
        "Wake-ups per day": table["switches"] / days,
        "kWh/GB": table["kwh_per_gb"],
        "Mbit/J": table["mbit_per_j"],
        "Worst": [_worst(row, 24 * days) for row in table.to_dict("records")],
    }
    digits = {"Energy (kWh per day)": 1, "Overload hours per week": 0, "kWh/GB": 3, "Mbit/J": 4}
    percents = ["Saving", "Unserved", "Highest load", "Ground without coverage"]
    if "replay_saving" in table:
        name = "Overload hours per week, held-out week"
        shown[name] = table["replay_overload_hours"] / (table["replay_hours"] / 168)
        percents += ["Saving, held-out week", "Unserved, held-out week"]
        digits[name] = 0
    shown["Solver"] = [comparison.plans[name].how for name in table["strategy"]]
    show_table(pd.DataFrame(shown), digits, percents)
    st.caption(
        "On the traffic planned for, a high quantile in each sector, unless the column says otherwise. The "
        "recommendation and the ensemble’s energy, cost and CO₂ below are of the samples as generated, so their "
        "figures differ."
    )
    if "replay_saving" in table:
        st.caption(f"Held out: the same plan on {plain(comparison.judged_on)}, which no plan was made on.")
    if comparison.risk is not None:
        with st.expander("Saving against risk", icon=":material/ssid_chart:"):
            accessible.chart(
                sleep_charts.risk(comparison.risk), "Saving against risk by reserve", "sleep risk"
            )
            st.caption(
                "A greedy plan for each quantile of demand, from the median to the maximum of the ensemble, "
                f"on {plain(comparison.judged_on)}. A higher quantile leaves less traffic unserved and saves less."
            )


def _hour(hour: int, hours: float) -> str:
    """An hour of a plan of so many hours: of a typical day without a weekday."""
    return hour_label(hour) if hours >= 168 else f"{hour % 24:02d}:00"


def _hours_per_week(comparison: Comparison) -> float:
    """By how much hours of the plan (of a typical day, say) are to be multiplied to be those of a week."""
    return 168 / next(iter(comparison.plans.values())).hours


def _worst(row: dict, hours: float) -> str:
    """Where and when the plan, of so many hours, leaves most traffic unserved."""
    if not row["worst_missing_mbps"] > 0:
        return "–"
    when = _hour(int(row["worst_hour"]), hours)
    return f"{row['worst_sector']}, {when}: {formats.number(row['worst_missing_mbps'])} Mbit/s short"


def _plan(space: Workspace) -> None:
    made = space.sleep
    region = region_of(space)
    assert made is not None
    comparison = made.value
    strategy = choice(
        sleep.CHOICE, "Show the plan of", list(comparison.plans), space.sleep_choice, strategy_name
    )
    space.sleep_choice = strategy
    plan = comparison.plans[strategy]
    result = plan.evaluation
    if plan.relaxed:
        share = result.unserved_share
        unserved = formats.percent(share, 1) if share >= 0.0005 else f"less than {formats.percent(0.001, 1)}"
        st.warning(
            f"The network cannot carry all traffic: {unserved} stays unserved, worst at "
            f"{result.worst_sector}, {_hour(result.worst_hour or 0, plan.hours)}. Deploy more sites or plan for less "
            "demand."
        )
    hour = hour_control(space, result.demand, plan.hours)
    by_hour = plan.energy_by_hour().iloc[hour]
    one, two, three, four, five = st.columns(5)
    one.metric(
        "Saved",
        formats.percent(result.saving, 1),
        help="Of the energy with everything always on, on planned traffic.",
    )
    two.metric("Asleep this hour", f"{int(by_hour.asleep_cells)} of {len(plan.network.cells)} cells")
    change = round(by_hour.energy_kwh - by_hour.always_on_kwh, 1)
    three.metric(
        "Power this hour",
        f"{formats.number(by_hour.energy_kwh, 1)} kW",
        f"{formats.number(change, 1, sign=True)} kW" if change else "no change",
        delta_color="inverse" if change else "off",
        delta_arrow="auto" if change else "off",
    )
    key = (made.identity, strategy)
    moved = space.cached(MOVED, key, lambda: moved_by_sleep(comparison, plan))[hour]
    four.metric(
        "Traffic moved by sleep", formats.percent(moved / max(by_hour.demand_mbps, 1e-9), 1),
        help="Share of the hour's traffic that other sectors carry because cells sleep. What they carry with "
        "everything on, because a sector is full, is not counted.",
    )  # fmt: skip
    five.metric(
        "Ground that lost coverage", f"{formats.number(by_hour.hole_km2, 2)} km²",
        help="Covered with everything on, and not in this hour.",
    )  # fmt: skip
    left, right = st.columns(2, gap="medium")
    with left:
        if region is not None:
            _map(space, region, plan, hour)
    with right:
        st.markdown("**Energy by hour**")
        accessible.chart(sleep_charts.energy(plan.energy_by_hour(), hour), "Energy by hour", "sleep energy")
    _schedule(space, plan, hour)
    _year(comparison, strategy)
    with st.expander("Cells by what their sleep saves", icon=":material/leaderboard:"):
        best = plan.best_cells()
        best = best[(best["hours_asleep"] > 0) | (best["hours_muted"] > 0)].round(2)
        names = {
            "cell": "Cell", "site": "Site", "hours_asleep": "Asleep (h)", "hours_muted": "Muted (h)",
            "saved_kwh": "Saved (kWh)",
        }  # fmt: skip
        show_table(best.rename(columns=names), {"Saved (kWh)": 2})
    st.caption("  \n".join(map(told, (*plan.problem.notes, *plan.notes, *comparison.notes))))


def moved_by_sleep(comparison: Comparison, plan: "SleepPlan") -> np.ndarray:
    """Mbit/s that other sectors carry because cells sleep: (hours of the plan,).

    What a full sector leaves to others with everything on is taken off.
    """
    from planning.sleep import evaluate

    always = comparison.plans.get("always-on")
    if always is None or always.hours != plan.hours:
        spill = evaluate(plan.problem, plan.settings, plan.problem.all_awake()).offloaded
    else:
        spill = always.evaluation.offloaded
    return np.maximum(plan.evaluation.offloaded - spill, 0.0)


def _schedule(space: Workspace, plan: "SleepPlan", hour: int) -> None:
    """Every cell that sleeps, of all sites or one, and the files of it."""
    from planning.export import export
    from planning.sleep.windows import schedule_json, windows

    st.markdown("**Schedule** · load of each cell that sleeps in some hour; blue is asleep")
    sites = plan.network.sites["site"].tolist()
    of_cell = plan.network.cells["site"].to_numpy()
    sleepy = (~plan.awake | plan.muted).any(axis=1)
    one, two, three, four = st.columns([2, 1, 1, 1], vertical_alignment="bottom")
    if st.session_state.get(SITE) not in (ALL_SITES, *sites):  # of another network
        st.session_state.pop(SITE, None)
    site = one.selectbox("Site", [ALL_SITES, *sites], **kept(SITE))
    shown = sleepy if site not in sites else of_cell == site
    if shown.any():
        figure = sleep_charts.schedule(
            plan.awake[shown], plan.loads()[shown], plan.network.cells[shown], hour, plan.capacities()[shown]
        )
        accessible.chart(figure, "Load of each cell by hour, none where it sleeps", "sleep schedule")
    else:
        st.info("No cell sleeps in this plan.")
    scenario = scenario_of(space)
    files = {
        two: ("CSV", "csv", lambda: export(scenario, "csv", table="sleep_windows"), "text/csv"),
        three: ("XLSX", "xlsx", lambda: export(scenario, "xlsx"), FORMATS_XLSX),
        four: (
            "JSON (TS 28.310)",
            "json",
            lambda: schedule_json(plan, scenario.provenance),
            "application/json",
        ),
    }
    if scenario is not None:
        for column, (label, ending, data, kind) in files.items():
            column.download_button(
                label, data, f"sleep-schedule.{ending}", kind, icon=":material/download:", width="stretch",
                key=f"sleep {ending}",
            )  # fmt: skip
    table = windows(plan)
    if site in sites:
        table = table[table["site"] == site]
    with st.expander("On and off windows", icon=":material/schedule:"):
        names = {
            "cell": "Cell", "site": "Site", "sector": "Sector", "technology": "Technology", "band": "Band",
            "state": "State", "day": "Day", "from": "From", "to": "To", "hours": "Hours", "wake_at": "Wake at",
        }  # fmt: skip
        show_table(table.rename(columns=names))


def _year(comparison: Comparison, strategy: str) -> None:
    """What days and years really come to: mean and range over the ensemble, and on held-out traffic."""
    ranges = comparison.ranges
    if ranges is None:
        return
    with st.expander("Energy, cost and CO₂ on the ensemble", icon=":material/payments:", expanded=True):
        mine = ranges[ranges["strategy"] == strategy].set_index("figure")
        money = "saved_cost_per_year"
        one, two, *three = st.columns(3 if money in mine.index else 2)
        one.metric(
            "Energy saved (MWh per year)", formats.number(mine.loc["saved_kwh_per_year", "mean"] / 1000)
        )
        two.metric("CO₂ saved (t per year)", formats.number(mine.loc["saved_co2_kg_per_year", "mean"] / 1000))
        for column in three:
            column.metric("Energy cost saved (per year)", formats.number(mine.loc[money, "mean"]))
        if not three:
            st.caption("Money: set an electricity price under “Change settings and plan again”.")
        names = {"mean": "Mean", "p10": "P10", "p90": "P90", "held_out": "Held-out week"}
        table = mine[[c for c in names if c in mine]].rename(columns=names)
        table = table.mul(np.where(mine["unit"] == "share", 100, 1), axis=0)
        table = table.map(formats.rounded)
        table.insert(0, "Figure", [FIGURE_NAMES[f] for f in mine.index])
        show_table(table)
        st.caption(
            "Over the samples of the ensemble as generated, without the reserve that the plan was made with."
        )
        if comparison.prices is not None:
            st.caption(told(" ".join(comparison.prices.sentences)))


def _map(space: Workspace, region: Region, plan: "SleepPlan", hour: int) -> None:
    made = space.sleep
    assert made is not None and made.value.network is not None
    demand = made.value.network.demand
    sites = plan.network.sites
    cells = np.bincount(plan.network.site_of_cell, minlength=len(sites))
    asleep, share = sleep_charts.asleep_by_site(plan, hour)
    says = zip(sites["site"], asleep, cells, strict=True)
    dots = Dots(
        sites["lon"].to_numpy(),
        sites["lat"].to_numpy(),
        sleep_charts.sleep_colours(share),
        [f"{name}: {int(some)} of {every} cells asleep" for name, some, every in says],
    )
    picture, top = demand_picture(space, demand, space.hour)
    holes = _holes(space, plan, hour)
    shown = (
        choice(LAYER, "Map", list(LAYERS), "demand", LAYERS.__getitem__) if holes is not None else "demand"
    )
    clicked = map_of_places(
        space,
        f"sleep {made.basis['network']}",
        region,
        demand,
        {"Cells asleep by site": dots},
        hour_label(space.hour),
        [holes] if shown == "holes" and holes is not None else [picture],
        clicks=True,
    )
    _filter_by_click(clicked, sites)
    ground = [("not covered with everything on", HOLE), ("coverage lost by the plan in this hour", NEW_HOLE)]
    legend = (
        swatch_legend(ground, "Ground outdoors")
        if shown == "holes"
        else ramp_legend(f"Median demand of a tile, {hour_label(space.hour)} (Mbit/s)", top)
    )
    st.html(sleep_charts.sleep_legend() + legend)


def _filter_by_click(clicked: tuple[float, float] | None, sites: pd.DataFrame) -> None:
    """The schedule below shows the site that was clicked last, until another one is chosen there."""
    st.caption("Click a site to see the schedule of its cells.")
    if clicked is None or st.session_state.get(CLICKED) == clicked:
        return
    st.session_state[CLICKED] = clicked
    if (site := site_at(clicked, sites)) is not None:
        st.session_state[SITE] = site


def _holes(space: Workspace, plan: "SleepPlan", hour: int) -> Picture | None:
    """Ground without coverage with everything on, and what the plan adds in the hour, on the pixels of the plan."""
    from planning.sleep.cover import NEVER
    from planning.sleep.schedule import group_counts

    problem = plan.problem
    cover, grid = problem.cover, problem.grid
    if grid is None or cover.pixel_row is None:
        return None
    counts = group_counts(problem.groups, plan.parts[:, [hour]])
    lost = np.append(cover.holes(counts)[:, 0], False)  # a last row for pixels without one
    row = np.where(cover.pixel_row >= 0, cover.pixel_row, cover.rows)
    frame = grid_picture(space, grid)
    rgba = np.zeros((len(row), 4), np.uint8)
    rgba[cover.pixel_row == NEVER] = (*rgb(HOLE), 200)
    rgba[lost[row]] = (*rgb(NEW_HOLE), 230)
    return frame.picture(rgba)
