"""Deployment: where base stations go."""

import numpy as np
import pandas as pd
import streamlit as st

from app import plans
from app.colours import ACCENT, ramp_legend
from app.layout import choice, demand_picture, header, kept, need_traffic, note, outdated, region_of
from app.map_view import Dots, map_view
from app.messages import errors_shown
from app.region import Region
from app.state import Deployed, Made, Workspace, workspace


def page() -> None:
    space = workspace()
    made = space.deployments
    header(
        "Deployment",
        "Where base stations go, by several strategies. Sleep and spectrum plan with the network chosen here.",
        ("Sleep", "Next: plan sleep") if made else None,
    )
    note(space, plans.DEPLOYMENT)
    if not need_traffic(space):
        return
    # one strategy alone is the default that another page has deployed: the comparison is still to be made
    first = made is None or outdated(space, made) or len(made.value.plans) == 1
    if first:
        _controls(space, primary=True)
    if made is None:
        return
    _comparison(made.value)
    _plan(space)
    if not first:
        with st.expander("Deploy again with other settings", icon=":material/tune:"):
            _controls(space, primary=False)


def _controls(space: Workspace, primary: bool) -> None:
    from planning.deployment import STRATEGIES, available

    with errors_shown("preparing the demand"), st.container(border=primary):
        demand = space.demand()
        possible = [s for s in STRATEGIES if s in available(demand)]
        number, action = st.columns([3, 1], vertical_alignment="bottom")
        sites = number.number_input(
            "Base stations",
            1,
            20_000,
            plans.default_sites(space),
            key=f"sites {space.area_identity}",
            help=f"Preset: {plans.SITES_A_KM2:g} a km² of the area (assumed), and enough for the busy hour.",
        )
        with st.expander("Advanced", icon=":material/tune:"):
            strategies = st.multiselect(
                "Strategies", possible, possible, format_func=plans.strategy_name, **kept("deploy strategies")
            )
            one, two, three = st.columns(3)
            quantile = one.slider("Demand quantile", 0.5, 1.0, 0.9, 0.01, **kept("deploy quantile"))
            radius = two.number_input("Reach of a site (m)", 100, 20_000, 1500, 100, **kept("deploy radius"))
            time_limit = three.number_input("Solver time limit (s)", 1, 3600, 20, **kept("deploy time limit"))
            real = _real_sites()
        if action.button(
            "Deploy",
            type="primary" if primary else "secondary",
            icon=":material/cell_tower:",
            disabled=plans.DEPLOYMENT in space.jobs or not strategies,
            width="stretch",
        ):
            options = {"quantile": quantile, "radius_m": float(radius), "time_limit": float(time_limit)}
            plans.start_deployments(space, int(sites), strategies, options, real)
            st.rerun()


def _real_sites() -> tuple[np.ndarray, np.ndarray] | None:
    """Real sites to compare with, from a CSV with columns lon and lat."""
    file = st.file_uploader("Compare with real sites (CSV with columns lon, lat)", type=["csv"])
    if file is None:
        return None
    from planning.network import Network

    with errors_shown("reading the sites"):
        from planning.tables import read_table

        table = read_table(file.getvalue(), file.name, "lon and lat")
        if "site" not in table:
            table = table.assign(site=[f"site {i + 1}" for i in range(len(table))])
        sites = Network.from_tables(table).sites
        return sites["lon"].to_numpy(), sites["lat"].to_numpy()
    return None


def _comparison(comparison) -> None:
    table = comparison.table
    shown = {
        "Strategy": table["strategy"].map(plans.strategy_name),
        "Sites": table["sites"],
        "Tiles with a site": table["tiles"],
        "JSD to traffic": table["jsd_traffic"],
        "Cosine to traffic": table["cosine_traffic"],
        "Overloaded sites": table["overloaded"],
    }
    if "jsd_real" in table:
        shown |= {"JSD to real sites": table["jsd_real"], "Cosine to real sites": table["cosine_real"]}
    columns = {}
    for name in table.columns:
        if name.startswith("covered_"):
            step = name.removeprefix("covered_")
            label = "Users covered" if step == "0" else f"after {step} moves"
            shown[label] = 100 * table[name]
            columns[label] = st.column_config.NumberColumn(format="%.1f %%")
    for label in shown:
        if label.startswith(("JSD", "Cosine")):
            columns[label] = st.column_config.NumberColumn(format="%.3f")
    st.dataframe(pd.DataFrame(shown), hide_index=True, column_config=columns, width="stretch")
    st.caption(
        "JSD: Jensen-Shannon distance between sites per tile and traffic, 0 is equal. Users covered: 3,000 a site, at "
        "the start and after moves under the gravity model (assumed)."
    )


def _plan(space: Workspace) -> None:
    made, region = space.deployments, region_of(space)
    assert made is not None
    present = space.network.value.plan.strategy if space.network else ""
    strategy = choice(
        "network choice", "Network to plan with", list(made.value.plans), present, plans.strategy_name
    )
    deployed = made.value.plans[strategy]
    plan = deployed.plan
    network = plans.network_of(made, strategy)
    if space.network is None or space.network.identity != network.identity:
        space.network = network
    left, right = st.columns([3, 2], gap="medium")
    with left:
        if region is not None:
            _map(space, region, made, deployed)
    with right:
        one, two = st.columns(2)
        one.metric("Sites", f"{int(plan.counts.sum())}")
        two.metric("Cells", f"{len(plan.network.cells)}")
        st.markdown(plan.sentence)
        st.caption(deployed.demand.scale.sentence)


def _map(space: Workspace, region: Region, made: Made, deployed: Deployed) -> None:
    sites = deployed.plan.network.sites
    dots = Dots(
        sites["lon"].to_numpy(), sites["lat"].to_numpy(), [ACCENT] * len(sites), sites["site"].tolist()
    )
    picture, top = demand_picture(space, deployed.demand, None)
    map_view(
        f"deployment {made.identity}",
        region,
        outline=space.outline_of(deployed.demand.metadata),
        pictures=[picture],
        dots=[dots],
        height=460,
    )
    st.html(ramp_legend("Mean demand of a tile over the week (Mbit/s); dots: base stations", top))
