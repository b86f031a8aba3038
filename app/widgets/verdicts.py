"""What a page comes to, in one bold sentence on top of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from app.messages import plain
from app.strategies import AS_MUCH, serves_most, strategy_name
from app.widgets.clock import hour_label
from plannerbase import formats

if TYPE_CHECKING:
    from planning.coverage import Coverage

LOST = 0.0005  # share of people beyond which lost coverage is a warning
ALL_SERVED = 0.999  # share of traffic that counts as all of it
ENOUGH = 0.9  # share of the busy hour's traffic below which a network calls for more


@dataclass(frozen=True)
class Verdict:
    """A sentence, and whether nothing is to be done about it."""

    sentence: str
    good: bool = True


def verdict_line(found: Verdict | None, icon: str) -> None:
    """Show it; icon: of Material, as ":material/balance:"."""
    if found is not None:
        show = st.success if found.good else st.warning
        show(f"**{plain(found.sentence)}**", icon=icon)


def of_networks(table: pd.DataFrame, chosen: str) -> Verdict:
    """Of the deployments side by side (`judge`) and the one that is planned with."""
    from planning.deployment import UPLOADED

    rows = table.set_index("strategy")
    mine, name = rows.loc[chosen], strategy_name(chosen)
    over = int(mine.get("overloaded", 0))
    overload = (
        f"; {formats.number(over)} of these sites {'is' if over == 1 else 'are'} overloaded" if over else ""
    )
    sites = formats.counted(int(mine["sites"]), "sites in the area" if chosen == UPLOADED else "sites")
    if "served_share" not in rows or pd.isna(mine["served_share"]):
        return Verdict(
            f"{name} puts {sites} on {formats.counted(int(mine['tiles']), 'tiles')}{overload}.", not over
        )
    served = float(mine["served_share"])
    text = (
        f"{sites} serve {formats.percent(served, 1)} of the busy hour's traffic and cover "
        f"{formats.percent(mine['people_covered'], 1)} of the active users"
    )
    good = not over and served >= ENOUGH
    if len(rows) == 1:
        return Verdict(f"{name}: {text}{overload}.", good)
    best = serves_most(rows["served_share"])
    if rows["served_share"].max() - served < AS_MUCH:
        return Verdict(f"{name}: {text}, the most of {len(rows)} strategies{overload}.", good)
    return Verdict(
        f"The strategy {strategy_name(best)} would serve {formats.percent(rows.loc[best, 'served_share'], 1)} "
        "of the busy hour's "
        f"traffic; {name}, which is planned with, serves {formats.percent(served, 1)}{overload}.",
        False,
    )


def of_coverage(
    cover: "Coverage", people: np.ndarray | None, before: np.ndarray, after: np.ndarray | None, when: str
) -> Verdict:
    """Of a network with everything on and, where given, with a plan.

    people: by tile, None where they are not known and the ground is counted. before, after: (cells,) bool, what is on;
    after is None without a plan. when: the hour.
    """
    whom = "ground" if people is None else "people"
    was = cover.covered_share(before, people)
    if after is None:
        is_ = "is" if people is None else "are"
        return Verdict(
            f"With everything on, {formats.percent(was[0], 1)} of the {whom} {is_} covered outdoors and "
            f"{formats.percent(was[1], 1)} indoors."
        )
    now = cover.covered_share(after, people)
    lost = was[0] - now[0], was[1] - now[1]
    if max(lost) <= LOST:
        return Verdict(
            f"The plan keeps coverage on {when}: {formats.percent(now[0], 1)} of the {whom} outdoors and "
            f"{formats.percent(now[1], 1)} indoors, as with "
            "everything on."
        )
    return Verdict(
        f"The plan costs coverage on {when}: {formats.number(100 * lost[0], 1)} points of the {whom} outdoors "
        f"and {formats.number(100 * lost[1], 1)} "
        f"points indoors (left: {formats.percent(now[0], 1)} and {formats.percent(now[1], 1)}).",
        False,
    )


def of_network_use(by_hour: pd.DataFrame, hot_spots: pd.DataFrame, relief: pd.DataFrame) -> Verdict:
    """Of the utilisation of a day (`NetworkUtilisation.by_hour`), its hot spots and what would relieve them."""
    from planning.prb.relief import MEASURES

    worst = by_hour.loc[by_hour["missing_mbps"].astype(float).idxmax()]
    if worst["served_share"] >= ALL_SERVED:
        full = by_hour.loc[by_hour["utilisation"].astype(float).idxmax()]
        return Verdict(
            f"The network serves the day: at its fullest hour, {hour_label(int(full['hour']))}, cells use "
            f"{formats.percent(full['utilisation'])} of their PRBs on average and "
            f"{formats.number(int(full['busy_cells']))} are above {formats.percent(0.7)}."
        )
    text = (
        f"On {hour_label(int(worst['hour']))} {formats.percent(1 - worst['served_share'], 1)} of the downlink "
        "demand goes unserved "
        f"({formats.number(worst['missing_mbps'])} Mbit/s) and {formats.number(int(worst['overloaded_cells']))} "
        "cells are overloaded"
    )
    best = relief[relief["best"].astype(bool) & (relief["gained_mbps"] > 0)] if len(relief) else relief
    if len(best) and len(hot_spots):
        first = best.loc[best["gained_mbps"].astype(float).idxmax()]
        text += f"; most is won at {first['sector']} by {MEASURES.get(first['measure'], first['measure'])}"
    return Verdict(f"{text}.", False)


def of_spectrum(table: pd.DataFrame, hour: int) -> Verdict:
    """Of PRB plans side by side, the optimised one first."""
    rows = table.set_index("strategy")
    mine = rows.iloc[0]
    name, met, users = strategy_name(str(rows.index[0])), int(mine["met"]), int(mine["users"])
    text = (
        f"{name} meets {met} of {users} demands on {hour_label(hour)} with "
        f"{formats.number(int(mine['used_prbs']))} PRBs"
    )
    others = rows.iloc[1:]
    if len(others):
        best = others.loc[others["met"].astype(int).idxmax()]
        more = met - int(best["met"])
        said = f"{more} fewer" if more > 0 else "as many" if more == 0 else f"{-more} more"
        text += (
            f"; the best rule ({strategy_name(str(best.name))}) meets {said} with "
            f"{formats.number(int(best['used_prbs']))} PRBs"
        )
    missing = float(mine["missing_mbps"])
    return Verdict(
        f"{text}{f'; {formats.number(missing, 1)} Mbit/s are missing' if missing > 0.05 else ''}.",
        met == users,
    )


def of_cases(figures: Mapping[str, Mapping[str, float]]) -> Verdict | None:
    """Of plans side by side, the first being the baseline: which takes the least energy, and what it leaves unserved.

    figures: KPIs (`planning.kpis`) by label. None where fewer than two have an energy.
    """
    known = {label: found for label, found in figures.items() if "kwh_a_day" in found}
    if len(known) < 2:
        return None
    best = min(known, key=lambda label: known[label]["kwh_a_day"])
    kwh, unserved = known[best]["kwh_a_day"], known[best]["unserved"]
    baseline = next(iter(known))
    saved = 1 - kwh / known[baseline]["kwh_a_day"] if known[baseline]["kwh_a_day"] > 0 else 0.0
    less = f", {formats.percent(saved, 1)} less than {baseline}" if best != baseline else ""
    more = unserved - known[baseline]["unserved"]
    return Verdict(
        f"Least energy: {best} with {formats.number(kwh)} kWh per day{less}; "
        f"{formats.percent(unserved / 100, 2)} of the traffic stays unserved.",
        more <= 0.1,
    )
