"""Deployment: where base stations go."""

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from app.background import deployment
from app.charts import deployment as deployment_charts
from app.colours import ACCENT, GOOD, MUTED, ramp_legend, swatch_legend
from app.map.dots import Dots
from app.map.region import Region
from app.messages import errors_shown, plain, told
from app.state.controls import kept
from app.state.results import Comparison, Deployed, Made, network_of
from app.state.workspace import Workspace, workspace
from app.strategies import strategy_name
from app.widgets import accessible
from app.widgets.cells_table import cells_of_site, cells_table
from app.widgets.coverage_layer import signal_layer
from app.widgets.layout import choice, demand_picture, header, opacity_control, region_of
from app.widgets.own_sites import own_sites
from app.widgets.plan_page import map_of_places, plan_page, site_at, start_button
from app.widgets.scale import SUM_OF_MEDIANS
from app.widgets.siting_settings import siting_settings
from app.widgets.tables import show_table
from app.widgets.verdicts import of_networks, verdict_line
from plannerbase import formats

if TYPE_CHECKING:
    from planning.deployment import DeploymentPlan

OPTIMISED, UPLOADED = "optimised", "uploaded"
LAYER, LAYERS = "network layer", {"demand": "Demand", "signal": "Signal level"}
ORIGINS = {"new": ACCENT, "existing": MUTED, "forced": GOOD}  # colours of sites on the map

RADIO_COLUMNS = {
    "people_covered": "Active users covered",
    "served_share": "Traffic served",
    "users_served": "Active users served",
}


def page() -> None:
    """Controls, strategies side by side, and the network chosen for other plans."""
    space = workspace()
    made = space.deployments
    header(
        "Network",
        "Where base stations go: deploy them by several strategies, or import your own. All other pages plan with the "
        "network chosen here.",
        ("Coverage", "Next: coverage") if made else None,
    )
    plan_page(
        space,
        made,
        deployment.JOB,
        "Change settings and deploy again",
        lambda primary: _controls(space, primary),
        lambda: _result(space),
        # one strategy alone is the default that another page has deployed: the comparison is still to be made
        fits=made is None or list(made.value.plans) != ["traffic"],
    )


def _controls(space: Workspace, primary: bool) -> None:
    from planning.deployment import STRATEGIES, available
    from planning.deployment.siting import MAX_SITES

    with errors_shown("preparing the demand"), st.container(border=primary):
        demand = space.demand()
        possible = [s for s in STRATEGIES if s in available(demand)]
        number, action = st.columns([3, 1], vertical_alignment="bottom")
        sites = number.number_input(
            "Base stations to deploy",
            1,
            20_000,
            _sites_now(space) or deployment.default_sites(space),
            help=f"Preset: {formats.general(deployment.SITES_PER_KM2)} a km² of the area (assumed), and enough "
            "for the busy hour.",
            **kept(f"sites {space.area_identity}"),
        )
        with st.expander("Your own sites", icon=":material/upload_file:"):
            own = own_sites(space)
            if own is not None and st.button(
                "Plan with these sites", icon=":material/cell_tower:", disabled=deployment.JOB in space.jobs
            ):
                deployment.start(space, int(sites), [UPLOADED], {})
                st.rerun()
        with st.expander("Advanced", icon=":material/tune:"):
            strategies = st.multiselect(
                "Strategies", possible, possible, format_func=strategy_name, **kept("deploy strategies")
            )
            one, two, three = st.columns(3)
            quantile = one.slider(
                "Plan for demand up to (quantile)", 0.5, 1.0, 0.9, 0.01, **kept("deploy quantile")
            )
            area_tiles = two.number_input(
                "Area side (tiles)", 1, 64, 1, help="Proportional strategies share sites out over areas first.",
                **kept("deploy area tiles"),
            )  # fmt: skip
            judged = three.toggle(
                "Compare with your own sites", True, disabled=own is None, **kept("deploy judged")
            )
        if sites > MAX_SITES:
            action.caption(f"Beyond {formats.number(MAX_SITES)} sites the optimised strategy is left out.")
        siting = None
        with (
            st.expander("Optimised strategy", icon=":material/target:"),
            errors_shown("reading the settings"),
        ):
            siting = siting_settings(space, region_of(space))
        disabled = deployment.JOB in space.jobs or not strategies or siting is None
        if start_button(action, "Deploy", ":material/cell_tower:", primary, disabled):
            options = {"quantile": quantile, "area_tiles": int(area_tiles), "siting": siting}
            if sites > MAX_SITES and strategies != [OPTIMISED]:
                strategies = [s for s in strategies if s != OPTIMISED]  # the rest can still be compared
            if own is not None:
                strategies = [*strategies, UPLOADED]
            deployment.start(space, int(sites), strategies, options, judged)
            st.rerun()


def _sites_now(space: Workspace) -> int:
    """Sites of the network that is planned with, 0 without one that fits: the page then shows one number of sites."""
    made = space.network
    return 0 if made is None or space.outdated(made) else len(made.value.plan.network.sites)


def _result(space: Workspace) -> None:
    assert space.deployments is not None
    top = st.container()  # a place of its own: what is said there follows from the choice below
    _comparison(space.deployments.value)
    _plan(space)
    table = space.deployments.value.table
    chosen = "" if space.network is None else space.network.value.plan.strategy
    if chosen in table["strategy"].tolist():
        with top:
            verdict_line(of_networks(table, chosen), ":material/cell_tower:")


def _comparison(comparison: Comparison[Deployed]) -> None:
    table = comparison.table
    shown = {
        "Strategy": table["strategy"].map(strategy_name),
        "Sites in the area": table["sites"],
        "Tiles with a site": table["tiles"],
        "Overloaded sites": table["overloaded"],
    }
    percents = []
    for name, label in RADIO_COLUMNS.items():
        if name in table:
            shown[label] = 100 * table[name]
            percents.append(label)
    show_table(pd.DataFrame(shown), percents=percents)
    st.caption(
        "Active users covered, traffic and users served in the busy hour: by the radio model, with the cells as they "
        "are. " + _judged_on(table)
    )
    if len(table) > 1:
        _research(table)


def _research(table: pd.DataFrame) -> None:
    """The figures of the paper: likeness of sites and traffic, and users covered while they move."""
    with st.expander("Research measures: likeness to traffic, users on the move", icon=":material/science:"):
        st.markdown(
            "- **Distance to traffic (JSD)**: Jensen-Shannon distance between sites per tile and traffic, 0 (alike) to "
            "1.\n- **Cosine**: cosine similarity of the same two, 1 is alike.\n- **Users covered**: 3,000 users "
            "per site, before and after users move between tiles by the gravity model, 1 % of a tile's users a move "
            "(assumed).\n- **Active users covered**, above, is another figure: by the radio model, in the busy hour."
        )
        names = {
            "jsd_traffic": "Distance to traffic (JSD)", "cosine_traffic": "Cosine to traffic",
            "jsd_real": "Distance to your sites (JSD)", "cosine_real": "Cosine to your sites",
        }  # fmt: skip
        shown = {"Strategy": table["strategy"].map(strategy_name)}
        shown |= {label: table[name].round(3) for name, label in names.items() if name in table}
        for name in table.columns:
            if name.startswith("covered_"):
                moves = name.removeprefix("covered_")
                label = "Users covered (%)" if moves == "0" else f"Users covered after {moves} moves (%)"
                shown[label] = (100 * table[name]).round(1)
        show_table(pd.DataFrame(shown))
        left, right = st.columns(2)
        match = deployment_charts.placement_match(table, strategy_name)
        accessible.chart(match, "Likeness of sites and traffic", "placement match", left)
        covered = deployment_charts.users_covered(table, strategy_name)
        accessible.chart(covered, "Users covered", "users covered", right)


def _judged_on(table: pd.DataFrame) -> str:
    held_out = int(table["held_out"].iloc[0]) if "held_out" in table and len(table) else 0
    if held_out:
        return f"Validated on {formats.counted(held_out, 'samples')} of the traffic that no strategy was planned on."
    return "Validated on the traffic that it was planned on."


def _plan(space: Workspace) -> None:
    made, region = space.deployments, region_of(space)
    assert made is not None
    present = space.network.value.plan.strategy if space.network else ""
    strategy = choice(
        "network choice", "Network to plan with", list(made.value.plans), present, strategy_name
    )
    deployed = made.value.plans[strategy]
    plan = deployed.plan
    network = network_of(made, strategy)
    if space.network is None or space.network.identity != network.identity:
        space.network = network
    left, right = st.columns([3, 2], gap="medium")
    with left:
        if region is not None:
            _map(space, region, made, deployed, network)
    with right:
        one, two = st.columns(2)
        one.metric("Sites", formats.number(len(plan.network.sites)))
        two.metric("Cells", formats.number(len(plan.network.cells)))
        st.markdown(told(plan.sentence))
        st.caption(SUM_OF_MEDIANS)
        st.caption(told(deployed.demand.scale.sentence))
    if "deployment_curve" in plan.tables:
        _optimised(plan)
    cells_table(plan.network)


def _optimised(plan: "DeploymentPlan") -> None:
    """What the sites of the optimised plan bring, one by one."""
    curve, ranked, samples = (plan.tables[f"deployment_{name}"] for name in ("curve", "ranking", "samples"))
    one, two, three, four = st.columns(4)
    served = plan.served_mbps
    one.metric("Within reach and capacity (Mbit/s)", "–" if served is None else formats.number(served))
    gap = plan.solve.gap if plan.solve is not None else None
    two.metric("Gap of the covering program", "–" if gap is None else formats.percent(gap, 2))
    three.metric("Served, mean of samples (Mbit/s)", formats.number(samples["served_mbps"].mean()))
    four.metric("Served in 9 of 10 samples (Mbit/s)", formats.number(samples["served_mbps"].quantile(0.1)))
    left, right = st.columns(2)
    accessible.chart(
        deployment_charts.served_by_sites(curve), "Served traffic by number of sites", "served by sites", left
    )
    shown = ranked.rename(
        columns={
            "rank": "Rank", "site": "Site", "origin": "Origin", "cost": "Cost", "gain_mbps": "Gain (Mbit/s)",
            "loss_if_left_out_mbps": "Loss if left out (Mbit/s)", "load_mbps": "Load (Mbit/s)",
            "capacity_mbps": "Capacity (Mbit/s)",
        }
    ).drop(columns="served_mbps")  # fmt: skip
    shown = shown.round(dict.fromkeys((c for c in shown if c.endswith("(Mbit/s)")), 1))
    right.dataframe(shown, hide_index=True, width="stretch", height=340)
    right.caption(
        "Each site's gain beside those ranked before it; its loss if it alone were left out. Both are within reach and "
        "capacity, without interference; the gap is the covering program's, before sites moved by the radio model."
    )


def _map(space: Workspace, region: Region, made: Made, deployed: Deployed, network: Made) -> None:
    sites = deployed.plan.network.sites
    origin = dict.fromkeys(sites["site"], "new")
    if "deployment_ranking" in deployed.plan.tables:
        ranked = deployed.plan.tables["deployment_ranking"]
        origin |= dict(zip(ranked["site"], ranked["origin"], strict=True))
    dots = Dots(
        sites["lon"].to_numpy(),
        sites["lat"].to_numpy(),
        [ORIGINS[origin[s]] for s in sites["site"]],
        [s if origin[s] == "new" else f"{s} ({origin[s]})" for s in sites["site"]],
    )
    picture, top = demand_picture(space, deployed.demand, None)
    legend = ramp_legend("Mean demand of a tile over the week (Mbit/s); dots: base stations", top)
    signal = signal_layer(space, network)
    if signal is None:
        st.caption("Compute the coverage of this network on the next page to see its signal level here, too.")
    elif choice(LAYER, "Map", list(LAYERS), "demand", LAYERS.__getitem__) == "signal":
        picture, legend = signal
    clicked = map_of_places(
        space,
        f"deployment {made.identity}",
        region,
        deployed.demand,
        {"Base stations": dots},
        "as deployed",
        [picture],
        height=460,
        clicks=True,
    )
    st.html(legend)
    opacity_control()
    site = site_at(clicked, sites)
    if site is None:
        st.caption("Click a site to see its cells.")
    else:
        st.markdown(f"**Cells of {plain(site)}**")
        cells_of_site(deployed.plan.network, site)
    if len(set(origin.values())) > 1:
        st.html(swatch_legend(list(ORIGINS.items())))
