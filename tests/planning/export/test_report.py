"""The report: figures show the numbers of the scenario, text is told to a screen reader, nothing else is needed."""

import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planning import kpis
from planning.demand import Demand, Scale
from planning.deployment import deploy
from planning.deployment.judging import judge
from planning.errors import InputError
from planning.export import export, tables
from planning.export.report import kpis_of, page
from planning.export.report_figures import asleep
from planning.export.svg import Axis, round_ticks
from planning.prb import PrbProblem, PrbSettings, baseline, compared, draw_users
from planning.prb.hours import solve_hours
from planning.prices import Prices
from planning.radio import Radio
from planning.scenario import Scenario
from planning.sleep import SleepProblem, SleepSettings, compare_strategies
from planning.sleep.ranges import ensemble_figures, figures_table
from tests.planning.conftest import make_table

PRICES = Prices(tuple([0.25] * 6 + [0.5] * 18), 0.4, "CNY")


class Figures(HTMLParser):
    """The figures of a page: what each says, and its shapes with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.figures, self.headings, self.urls, self._open = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.urls += [attrs[name] for name in ("src", "href", "action") if name in attrs]
        if tag == "svg":
            self.figures.append({"says": attrs["aria-label"], "shapes": [], "words": []})
        elif self.figures:
            self.figures[-1]["shapes"].append((tag, attrs))
        self._open = tag

    def handle_data(self, data):
        if self._open == "text":
            self.figures[-1]["words"].append(data)
        elif self._open == "h2":
            self.headings.append(data)

    def figure(self, begin):
        return next(f for f in self.figures if f["says"].startswith(begin))


def points(figure, tag, which=0):
    shape = [attrs for name, attrs in figure["shapes"] if name == tag][which]
    return np.array([tuple(map(float, pair.split(","))) for pair in shape["points"].split()])


@pytest.fixture(scope="module")
def demand():
    table = make_table(3, 2, 5, 168, metadata={"area_name": "Old <town>"})
    return Demand.build(table, Scale.subscribers(table))


@pytest.fixture(scope="module")
def scenarios(demand):
    """The same network with everything on, and with an optimised sleep plan and a PRB plan."""
    plan = deploy(demand, 5, "traffic", max_layers=8)
    bare = Scenario.from_deployment(plan, demand)
    bare = bare.with_table("deployment_comparison", judge(demand, {"traffic": plan.counts}))
    plans, table = compare_strategies(
        SleepProblem.build(plan.network, demand), ["always-on", "greedy"], SleepSettings(allow_unserved=True)
    )
    ranges = ensemble_figures(plans, demand, PRICES)
    users, settings = draw_users(demand, 20, 12), PrbSettings(time_limit=1)
    radio = Radio(bandwidth_mhz=20)
    prb = baseline(PrbProblem.build(plan.network, users, radio), "best-sinr", settings)
    hours = solve_hours(plan.network, demand, range(24), radio, settings, 6, rule="best-sinr")
    full = bare.with_sleep(plans["greedy"], table, ranges, PRICES)
    full = full.with_prb(prb, comparison=compared([prb]), hours=hours.table())
    return {"everything on": bare.with_sleep(plans["always-on"], table), "greedy": full}


@pytest.fixture(scope="module")
def report(scenarios):
    full = scenarios["greedy"]
    return Figures(page(full, tables(full), scenarios))


def test_it_has_every_part_and_asks_nobody_for_anything(report):
    assert report.headings == [
        "Traffic", "Map", "Deployment", "Sleep plan", "Spectrum plan", "Side by side", "What this rests on", "Tables",
        "Equipment figures", "Provenance",
    ]  # fmt: skip
    assert all(url.startswith("#") for url in report.urls)


def test_every_axis_has_its_unit(report):
    charts = [
        f for f in report.figures if not f["says"].startswith(("Demand of each tile", "everything", "greedy"))
    ]
    assert len(charts) == 9
    for figure in charts:
        said = " ".join(figure["words"])
        assert re.search(r"Mbit/s|kWh|%|without unit|hour of the day", said), figure["says"]


def test_the_week_shows_the_quantiles_of_the_samples(report, demand):
    figure = report.figure("Traffic of the whole area")
    total = demand.mbps.sum(axis=0, dtype=float)
    median = points(figure, "polyline")[:, 1]
    expected = np.median(total, axis=0)
    slope, offset = np.polyfit(expected, median, 1)  # the height of a point is linear in its value, upwards
    assert slope < 0
    np.testing.assert_allclose(median, slope * expected + offset, atol=0.06)
    outer = points(figure, "polygon", 0)[:, 1]
    high, low = np.quantile(total, [0.95, 0.05], axis=0, method="weibull")
    np.testing.assert_allclose(outer, slope * np.concatenate([high, low[::-1]]) + offset, atol=0.06)


def test_energy_is_drawn_against_always_on(report, scenarios):
    figure = report.figure("Energy by hour (kWh): ")
    table = scenarios["greedy"].tables["energy_by_hour"]
    always, plan = (points(figure, "polyline", k)[:, 1] for k in (0, 1))
    slope = (plan[0] - always[0]) / (table["energy_kwh"][0] - table["always_on_kwh"][0])
    np.testing.assert_allclose(
        plan - always, slope * (table["energy_kwh"] - table["always_on_kwh"]), atol=0.16
    )
    assert f"{table['energy_kwh'].sum():,.0f} kWh in 24 hours" in figure["says"]


def test_the_schedule_covers_each_site_and_hour_once(report, scenarios):
    figure = report.figure("Sleep schedule")
    boxes = [attrs for tag, attrs in figure["shapes"] if tag == "rect" and "shape-rendering" in attrs]
    area = sum(float(box["width"]) * float(box["height"]) for box in boxes)
    sites = len(scenarios["greedy"].network.sites)
    assert area == pytest.approx((760 - 74 - 14) * 16 * sites, rel=1e-3)
    count, share = asleep(scenarios["greedy"])
    schedule = scenarios["greedy"].tables["sleep_schedule"]
    assert count.sum() == (~schedule["awake"].astype(bool)).sum()
    assert np.nanmin(share) >= 0 and np.nanmax(share) <= 1


def test_the_map_has_a_box_a_tile_and_a_dot_a_site(report, scenarios):
    figure = report.figure("Demand of each tile in the busy hour")
    shapes = figure["shapes"]
    tiles = [attrs for tag, attrs in shapes if tag == "rect" and attrs.get("stroke") == "#fff"]
    assert len(tiles) == len(scenarios["greedy"].tiles)
    dots = [attrs for tag, attrs in shapes if tag == "circle"]
    assert len(dots) == len(scenarios["greedy"].network.sites)
    assert any(re.fullmatch(r"[\d,]+ k?m", text) for text in figure["words"])  # the scale bar


def test_differences_are_from_the_first_scenario(scenarios):
    values = {label: kpis_of(scenario) for label, scenario in scenarios.items()}
    table = kpis.table(values).set_index("KPI")
    energy = table.loc["Energy (kWh a day)"]
    hourly = scenarios["greedy"].tables["energy_by_hour"]
    assert energy["greedy"] == pytest.approx(hourly["energy_kwh"].sum())
    assert energy["Δ greedy"] == pytest.approx((hourly["energy_kwh"] - hourly["always_on_kwh"]).sum())
    assert np.isnan(table.loc["Spectrum: PRBs used", "everything on"])
    assert table.loc["Busy-hour demand, median (Mbit/s)", "Δ greedy"] == 0


def test_an_older_scenario_still_has_a_report(scenarios):
    full = scenarios["greedy"]
    old = Scenario(full.tiles.drop(columns="busy_mbps"), full.network, {}, {})
    made = Figures(page(old, tables(old)))
    assert "Traffic" not in made.headings and "Demand of each tile on average" in made.figures[0]["says"]


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_few_round_and_inside(low, span):
    ticks = round_ticks(low, low + span)
    assert 1 <= len(ticks) <= 7
    assert all(low - 1e-6 * span <= t <= low + span + 1e-6 * span for t in ticks)
    axis = Axis.of("x", [low, low + span])
    assert axis.low <= low + 1e-9 * span and axis.high >= low + span - 1e-6 * span


def test_cost_and_co2_stand_in_the_report_and_the_workbook_with_their_assumptions(scenarios):
    full = scenarios["greedy"]
    text = page(full, tables(full), scenarios)
    ranges = full.tables["sleep_ranges"].set_index(["strategy", "figure"])
    mine = ranges.loc["greedy"]
    cost, co2 = mine.loc["saved_cost_per_year"], mine.loc["saved_co2_kg_per_year"]
    assert cost["unit"] == "CNY a year"
    assert co2["mean"] == pytest.approx(0.4 * mine.loc["saved_kwh_per_year", "mean"])
    for row in (cost, co2):
        said = f"{row['mean']:,.0f} ({row['p10']:,.0f} to {row['p90']:,.0f}) {row['unit']}"
        assert text.count(said) == 2  # in the summary, and side by side
    hours = "0.25 from 00:00 to 06:00, 0.5 from 06:00 to 24:00"
    assumed = f"Electricity price by hour of the day (given), CNY per kWh: {hours}."
    assert text.count(assumed) >= 3 and "CO2 of the grid: 0.4 kg per kWh (given)." in text
    sheets = openpyxl.load_workbook(io.BytesIO(export(full, "xlsx")), read_only=True)
    money = [row for row in sheets["sleep_ranges"].values if row[:2] == ("greedy", "saved_cost_per_year")]
    assert money[0][2] == "CNY a year" and money[0][3] == pytest.approx(cost["mean"])
    rows = [row[1] for row in sheets["assumptions"].values]
    assert assumed in rows and "CNY" in rows


def test_prices_come_back_from_their_record_and_say_what_is_assumed():
    for prices in (Prices(), Prices(0.8, 0.1, "EUR"), PRICES):
        assert Prices.from_record(json.loads(json.dumps(prices.record()))) == prices
    price, co2 = Prices().sentences
    assert "no cost is stated" in price and "assumed: China" in co2
    assert "0.8 EUR per kWh" in Prices(0.8, 0.1, "EUR").sentences[0]
    for wrong in (
        {},
        {"tariff": "x", "co2_kg_per_kwh": 1, "currency": ""},
        PRICES.record() | {"tariff": [1.0, 2.0]},
    ):
        with pytest.raises(InputError):
            Prices.from_record(wrong)


def test_figures_over_the_ensemble_are_written_for_people():
    rows = [
        {"strategy": "greedy", "figure": "saving", "unit": "share", "mean": 0.25, "p10": 0.2, "p90": 0.3,
         "held_out": 0.22},
        {"strategy": "greedy", "figure": "saved_kwh_per_year", "unit": "kWh a year", "mean": 12345.6, "p10": 9.876,
         "p90": 20000.0, "held_out": np.nan},
    ]  # fmt: skip
    table = figures_table(pd.DataFrame(rows)).set_index("figure")
    assert table.loc["Saving", "unit"] == "%" and table.loc["Saving", "Greedy"] == "25.00 (20.00 to 30.00)"
    assert table.loc["Saving", "Greedy, held-out"] == "22.00"
    assert table.loc["Energy saved", "Greedy"] == "12,346 (9.876 to 20,000)"
