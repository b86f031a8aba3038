"""Coverage: levels, servers, SINR and rates on the ground, with everything on, under a plan, and the difference."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from app.background import coverage
from app.charts import coverage as coverage_charts
from app.colours import swatch_legend
from app.files import coverage as files
from app.files.scenario import file_stem
from app.map import raster
from app.map.dots import Dots
from app.map.raster import Classes
from app.map.region import Picture, Region
from app.map.view import map_view
from app.map.wipe import Wipe
from app.messages import errors_shown, told
from app.state.controls import kept
from app.state.slots import Slot
from app.state.workspace import Workspace, workspace
from app.strategies import strategy_name
from app.widgets import accessible
from app.widgets.clock import hour_control, hour_label
from app.widgets.coverage_layer import pixel_picture
from app.widgets.coverage_settings import coverage_settings
from app.widgets.file_button import file_button
from app.widgets.layout import MEDIAN_DEMAND, area_profile, header, region_of
from app.widgets.plan_page import places_of_controls, plan_page, start_button
from app.widgets.scale import SUM_OF_MEDIANS
from app.widgets.tables import show_table
from app.widgets.verdicts import of_coverage, verdict_line
from plannerbase import formats

if TYPE_CHECKING:
    from planning.coverage import Coverage
    from planning.coverage.loads import NetworkLoads

BEFORE, AFTER, DIFFERENCE, BOTH = "Everything on", "With the plan", "Difference", "Slider"
SHORT = {BEFORE: "All on", AFTER: "Plan"}  # heads of narrow tables
RSRP, SERVER, SINR, RATE, SERVED = "Signal level", "Best server", "SINR", "Rate", "Covered"
LAYERS = (RSRP, SERVER, SINR, RATE, SERVED)
MAP_NAMES = {RSRP: "rsrp", SERVER: "server", SINR: "sinr", RATE: "rate", SERVED: "covered"}
CLASSES = {RSRP: raster.RSRP, SINR: raster.SINR, RATE: raster.RATE}
CHANGES = {RSRP: raster.CHANGE_DB, SINR: raster.CHANGE_DB, RATE: raster.CHANGE_MBPS}
AXES = {
    RSRP: "RSRP outdoors (dBm)",
    SINR: "SINR at the hour's loads (dB)",
    RATE: "rate of a user alone (Mbit/s)",
}
NO_PLAN = "none"
LOADS: "Slot[NetworkLoads]" = Slot()
HIGH_LOAD = 0.8  # of the PRBs: the share that sleep plans keep to by default
SITE_ON, SITE_PARTLY = "#22303a", "#d7dde2"
ATTRIBUTES = {
    "frequency_mhz": "frequency", "bandwidth_mhz": "bandwidth", "prbs": "PRBs", "beamwidth_deg": "horizontal beamwidth",
    "vertical_beamwidth_deg": "vertical beamwidth", "height_m": "antenna height", "tilt_deg": "downtilt",
    "power_dbm": "transmit power", "gain_dbi": "antenna gain", "radio_unit": "radio unit",
    "capacity_mbps": "nominal capacity", "idle_w": "idle power", "sleep_w": "sleep power",
    "slope_w_per_mbps": "power per Mbit/s",
}  # fmt: skip


@dataclass(frozen=True)
class State:
    """The network in one hour, and what it is called. awake: (cells,) bool."""

    awake: np.ndarray
    name: str


def page() -> None:
    """Controls, the map of one quantity, its spread and shares beside the baseline, and the files."""
    space = workspace()
    with errors_shown("computing the saved coverage"):
        _compute_saved(space)
    made = space.coverage
    header(
        "Coverage",
        "Signal level, best server, SINR and rate on the ground, with every cell on and under a sleep plan.",
        ("Sleep", "Next: sleep") if made else None,
    )
    plan_page(
        space,
        made,
        coverage.JOB,
        "Change settings and compute again",
        lambda primary: _controls(space, primary),
        lambda: _result(space),
    )


def _compute_saved(space: Workspace) -> None:
    """Coverage that was saved with the work is computed anew when its page is opened."""
    if space.coverage is not None or space.coverage_saved is None or coverage.JOB in space.jobs:
        return
    asked = coverage.saved_request(space)
    space.coverage_saved = space.coverage_saved if asked is None else None  # tried once
    if asked is not None:
        coverage.start(space, asked)
        st.rerun()


def _controls(space: Workspace, primary: bool) -> None:
    with st.container(border=primary):
        button, advanced = places_of_controls(space, primary)
        asked = None
        with advanced, errors_shown("reading the settings"):
            asked = coverage_settings(space)
        busy = coverage.JOB in space.jobs or asked is None
        if start_button(button, "Compute coverage", ":material/network_cell:", primary, busy, primary):
            with errors_shown("starting"):
                assert asked is not None
                coverage.start(space, asked)
                st.rerun()


def _result(space: Workspace) -> None:
    assert space.coverage is not None
    covered = space.coverage.value
    cover = covered.coverage
    top = st.container()  # a place of its own: what is said there follows from the choices below
    hour = hour_control(space, area_profile(space))
    before = State(np.ones(len(cover.cells), bool), BEFORE)
    after = _after(space, cover, hour)
    with top:
        people = covered.network.demand.intensities.get("population")
        awake = None if after is None else after.awake
        found = of_coverage(covered.radio, people, before.awake, awake, hour_label(hour))
        verdict_line(found, ":material/network_cell:")
    layer, view = _choices(after is not None)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        region = region_of(space)
        if region is not None:
            _map(space, region, cover, before, after, layer, view, hour)
    with right:
        _shares(space, cover, before, after)
        _loads(space, cover, before, after, hour)
    _spread(space, cover, before, after, layer, hour)
    _files(space, cover, after if after is not None and view != BEFORE else before, layer, hour)
    notes = (*covered.notes, *cover.notes, *_assumptions(cover))
    st.caption("  \n".join(map(told, notes)))


def _choices(compared: bool) -> tuple[str, str]:
    """(layer, state) that the map shows."""
    one, two = st.columns(2)
    layer = one.segmented_control(
        "Map", LAYERS, default=RSRP, required=True, wrap=True, **kept("coverage layer")
    )
    views = [BEFORE, AFTER, DIFFERENCE, BOTH] if compared else [BEFORE]
    if st.session_state.get("coverage view") not in views:
        st.session_state["coverage view"] = AFTER if compared else BEFORE
    view = two.segmented_control(
        "Network", views, required=True, key="coverage view", wrap=True,
        help="Slider: everything on left of a line on the map, the plan right of it; move the line to compare.",
    )  # fmt: skip
    return layer or RSRP, view or BEFORE


# --- the network before and after -------------------------------------------------------------------------------


def _after(space: Workspace, cover: "Coverage", hour: int) -> State | None:
    """The network under the chosen plan and without the sites switched off; None where nothing differs."""
    names = space.sleep.value.plans if space.sleep else {}
    fitting = {
        name: plan for name, plan in names.items() if _same_cells(plan.network.cells, cover.network.cells)
    }
    sites = cover.network.sites["site"].tolist()
    one, two = st.columns([1, 2])
    options = [NO_PLAN, *fitting]
    key = "coverage plan"
    if st.session_state.get(key) not in options:
        st.session_state[key] = space.sleep_choice if space.sleep_choice in fitting else NO_PLAN
    chosen = one.selectbox(
        "Sleep plan",
        options,
        format_func=lambda name: "None" if name == NO_PLAN else strategy_name(name),
        key=key,
        help="Plans that were made on the Sleep page for this network.",
    )
    off = two.multiselect(
        "Sites switched off", sites, placeholder="None: choose sites to see what their outage does",
        max_selections=50, key="coverage sites off",
    )  # fmt: skip
    if space.sleep and not fitting:
        one.caption("The sleep plans are for another network.")
    awake = np.ones(len(cover.cells), bool)
    if chosen != NO_PLAN:
        plan = fitting[chosen]
        awake &= plan.awake[:, hour % plan.awake.shape[1]]
    awake &= ~cover.network.cells["site"].isin(off).to_numpy()
    if awake.all() and chosen == NO_PLAN:
        return None
    return State(awake, AFTER)


def _same_cells(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    return len(one) == len(other) and bool((one["cell"].to_numpy() == other["cell"].to_numpy()).all())


def _loads_of(space: Workspace, cover: "Coverage", state: State, hour: int) -> "NetworkLoads":
    """The coupled loads of an hour at the median demand, kept until hour, plan or coverage changes."""
    from planning.coverage import coupled_loads

    assert space.coverage is not None
    key = (space.coverage.identity, hour, state.awake.tobytes())
    demand = space.coverage.value.demand
    build = lambda: coupled_loads(cover, _median(space, demand)[:, [hour]], state.awake[:, None])  # noqa: E731
    return space.cached(LOADS.part(state.name), key, build)


def _median(space: Workspace, demand: Any) -> np.ndarray:
    return space.cached(MEDIAN_DEMAND, id(demand), lambda: (demand, demand.quantile(0.5)))[1]


# --- the map ----------------------------------------------------------------------------------------------------


def _values(space: Workspace, cover: "Coverage", state: State, layer: str, hour: int) -> np.ndarray:
    """(pixels,) of the layer; NaN or -inf where no cell is in reach."""
    if layer == RSRP:
        return cover.rsrp_dbm(state.awake)
    if layer == SERVER:
        return cover.best_server(state.awake)
    if layer == SERVED:
        return cover.covered(state.awake)
    load = np.clip(_loads_of(space, cover, state, hour).load[:, 0], 0, 1)
    return cover.sinr_db(load, state.awake) if layer == SINR else cover.rate_mbps(load, state.awake)


def _map(
    space: Workspace,
    region: Region,
    cover: "Coverage",
    before: State,
    after: State | None,
    layer: str,
    view: str,
    hour: int,
) -> None:
    made = space.coverage
    assert made is not None
    frame = pixel_picture(space)
    shown = after if view in (AFTER, BOTH) and after is not None else before
    if view == DIFFERENCE and after is not None:
        rgba, legend = _difference(space, cover, before, after, layer, hour)
    else:
        rgba, legend = _colours(_values(space, cover, shown, layer, hour), cover, layer)
    pictures: list[Picture] = [frame.picture(rgba)]
    wiped: Wipe | None = None
    if view == BOTH and after is not None:
        was, _ = _colours(_values(space, cover, before, layer, hour), cover, layer)
        wiped = Wipe(frame.picture(was), pictures.pop(), (BEFORE, AFTER))
    sites = cover.network.sites
    site = cover.network.site_of_cell
    up = np.bincount(site, shown.awake, len(sites)).astype(int)
    total = np.bincount(site, minlength=len(sites))
    dots = Dots(
        sites["lon"].to_numpy(),
        sites["lat"].to_numpy(),
        [SITE_ON if some == every else SITE_PARTLY for some, every in zip(up, total, strict=True)],
        [f"{n}: {some} of {every} cells on" for n, some, every in zip(sites["site"], up, total, strict=True)],
        4,
    )
    demand = made.value.demand
    accessible.site_map("Sites and their cells that are on", hour_label(hour), dots)
    accessible.tell(
        f"Map. {layer}, {view.lower()}, {hour_label(hour)}; shares of the ground stand beside it."
    )
    accessible.offer_table(f"{layer}, {view.lower()}", lambda: _table(space, cover, shown, layer, hour))
    events = map_view(
        f"coverage {made.identity}",
        region,
        outline=space.outline_of(demand.metadata),
        pictures=pictures,
        dots=[dots],
        wiped=wiped,
        clicks=True,
        height=460,
    )
    of_sites = swatch_legend([("all cells on", SITE_ON), ("some or all off", SITE_PARTLY)], "Sites")
    st.html(legend + of_sites)
    _servers(cover, shown, events.clicked)


def _table(space: Workspace, cover: "Coverage", state: State, layer: str, hour: int) -> pd.DataFrame:
    values = _values(space, cover, state, layer, hour)
    return pd.DataFrame({"lon": cover.grid.lon, "lat": cover.grid.lat, layer: values})


def _colours(values: np.ndarray, cover: "Coverage", layer: str) -> tuple[np.ndarray, str]:
    """Colours (pixels, 4) uint8 and their legend."""
    if layer == SERVER:
        colour = raster.server_colours(values, len(cover.cells))
        rgba = np.zeros((len(values), 4), np.uint8)
        known = values >= 0
        rgba[known, :3], rgba[known, 3] = colour[values[known]], 190
        return rgba, swatch_legend([], "Best server: a colour for each cell; without colour: none in reach")
    if layer == SERVED:
        pair = Classes((0.5,), (raster.HOLE, raster.COVERED), "")
        entries = [("covered", raster.COVERED), ("not covered", raster.HOLE)]
        return pair.rgba(values.astype(float)), swatch_legend(
            entries, "Outdoors, above the threshold of the band"
        )
    classes = CLASSES[layer]
    title = {RSRP: "RSRP outdoors", SINR: "SINR outdoors at the hour's loads", RATE: "Rate of a user alone"}
    return classes.rgba(np.where(np.isfinite(values), values, np.nan)), classes.legend(title[layer])


def _difference(
    space: Workspace, cover: "Coverage", before: State, after: State, layer: str, hour: int
) -> tuple[np.ndarray, str]:
    """Colours (pixels, 4) uint8 of what the plan changes, and their legend."""
    was, now = (_values(space, cover, state, layer, hour) for state in (before, after))
    if layer == SERVED:
        kind = np.where(was & ~now, 0, np.where(~was, 1, 2)).astype(float)
        trio = Classes((0.5, 1.5), (raster.NEW_HOLE, raster.HOLE, "#d9dee2"), "")
        entries = [
            ("no longer covered", raster.NEW_HOLE),
            ("never covered", raster.HOLE),
            ("covered", "#d9dee2"),
        ]
        return trio.rgba(kind), swatch_legend(entries, "What the plan uncovers")
    if layer == SERVER:
        pair = Classes((0.5,), ("#d9dee2", raster.NEW_HOLE), "")
        entries = [("another server than before", raster.NEW_HOLE), ("the same", "#d9dee2")]
        return pair.rgba((was != now).astype(float)), swatch_legend(entries, "Best server")
    lost = np.isfinite(was) & ~np.isfinite(now)
    with np.errstate(invalid="ignore"):
        change = np.where(lost, -1e9, np.asarray(now, float) - was)
    classes = CHANGES[layer]
    return classes.rgba(change), classes.legend(f"Change of {AXES[layer].split(' (')[0]}")


def _servers(cover: "Coverage", state: State, place: tuple[float, float] | None) -> None:
    """The cells in reach of the clicked place with their levels."""
    if place is None:
        st.caption("Click a place to see the cells that reach it.")
        return
    if int(cover.grid.pixel_at(*place)[0]) < 0:
        st.caption("The clicked place lies outside the area.")
        return
    cell, level = cover.servers_at(*place, awake=state.awake)
    table = cover.network.cells.iloc[cell]
    threshold = cover.cells.threshold_dbm[cell]
    frame = pd.DataFrame(
        {
            "Cell": table["cell"].to_numpy(),
            "Band": table["band"].to_numpy(),
            "RSRP (dBm)": level.round(1),
            "Needed (dBm)": threshold.round(1),
            "Covers": np.where(level >= threshold, "yes", "no"),
        }
    )
    st.markdown(
        f"**Servers at {formats.coordinate(place[1], 5)}, {formats.coordinate(place[0], 5)}** · outdoors, "
        f"{state.name.lower()}"
    )
    if len(frame):
        show_table(frame.head(12))
    else:
        st.caption("No cell that is on reaches this place.")


# --- figures ----------------------------------------------------------------------------------------------------


def _shares(space: Workspace, cover: "Coverage", before: State, after: State | None) -> None:
    """Covered shares of ground, traffic and people, beside the baseline."""
    made = space.coverage
    assert made is not None
    demand, radio = made.value.demand, made.value.radio
    counted: dict[str, np.ndarray | None] = {"Ground": None, "Traffic": demand.mean_mbps()}
    if "population" in demand.intensities:
        counted["People"] = demand.intensities["population"]
    rows = []
    for name, values in counted.items():
        on = cover if name == "Traffic" else radio  # people are not where traffic is
        was = on.covered_share(before.awake, values)
        now = None if after is None else on.covered_share(after.awake, values)
        for index, where in enumerate(("outdoors", "indoors")):
            row = {"Of": f"{name}, {where}", SHORT[BEFORE]: 100 * was[index]}
            if now is not None:
                row |= {SHORT[AFTER]: 100 * now[index], "Change": 100 * (now[index] - was[index])}
            rows.append(row)
    st.markdown("**Covered share (%)**" + ("" if after is None else " · change in percentage points"))
    frame = pd.DataFrame(rows)
    show_table(frame, dict.fromkeys(frame.columns[1:], 1))
    if after is not None:
        lost = cover.covered(before.awake) & ~cover.covered(after.awake)
        km2 = lost.sum() * cover.grid.pixel_m**2 / 1e6
        st.caption(
            f"The plan uncovers {formats.number(km2, 2)} km² of ground outdoors that every cell together covers."
        )


def _loads(space: Workspace, cover: "Coverage", before: State, after: State | None, hour: int) -> None:
    """Coupled loads of the hour, beside the baseline."""
    figures: dict[str, list[str]] = {}
    for state in (before, *([after] if after is not None else [])):
        with st.spinner("Computing loads of cells"):
            found = _loads_of(space, cover, state, hour)
        load, on = found.load[:, 0], state.awake
        served, unserved = float(found.served_mbps.sum()), float(found.unserved_mbps.sum())
        figures[state.name] = [
            formats.number(int(on.sum())),
            formats.percent(float(np.minimum(load[on], 1).mean()), 1) if on.any() else "–",
            formats.number(int((load[on] > HIGH_LOAD).sum())),
            formats.number(served),
            formats.percent(unserved / (served + unserved), 2) if served + unserved else "–",
        ]
    rows = (
        "Cells on",
        "PRBs in use",
        f"Cells above {formats.percent(HIGH_LOAD)} of PRBs",
        "Served (Mbit/s)",
        "Unserved",
    )
    st.markdown(f"**Loads of cells, {hour_label(hour)}**")
    show_table(pd.DataFrame({"": rows} | {SHORT[name]: figures[name] for name in figures}))
    st.caption(SUM_OF_MEDIANS)


def _spread(
    space: Workspace, cover: "Coverage", before: State, after: State | None, layer: str, hour: int
) -> None:
    shown = layer if layer in CLASSES else RSRP
    values = [_values(space, cover, s, shown, hour) for s in (before, after) if s is not None]
    weight = np.ones(len(cover.grid))
    figure = coverage_charts.spread(values[0], values[1] if len(values) > 1 else None, weight, AXES[shown])
    st.markdown(f"**{shown} over the ground**")
    accessible.chart(figure, f"{shown} over the ground", "coverage spread", told=False)


def _assumptions(cover: "Coverage") -> tuple[str, ...]:
    """What the levels rest on, in sentences."""
    settings = cover.settings
    assumed = cover.network.cells["assumed"].astype(str)
    names = sorted({name for text in assumed for name in text.split(",") if name})
    sentences: tuple[str, ...] = (
        f"Levels are outdoors at {formats.general(settings.user_height_m)} m by TR 38.901 "
        f"({settings.environment}, line of sight "
        f"{settings.los}), on pixels of {formats.general(settings.pixel_m)} m; "
        f"{formats.percent(settings.indoor_share)} of users are indoors.",
        f"A place counts as covered above the threshold of the band plus {formats.general(settings.margin_db)} "
        "dB for shadowing.",
    )
    if names:
        words = ", ".join(ATTRIBUTES.get(name, name.replace("_", " ")) for name in names)
        sentences += (f"Assumed for some or all cells, because no file states it: {words}.",)
    return sentences


# --- files ------------------------------------------------------------------------------------------------------


def _files(space: Workspace, cover: "Coverage", state: State, layer: str, hour: int) -> None:
    """The maps of the network that is shown, as files."""
    load = np.clip(_loads_of(space, cover, state, hour).load[:, 0], 0, 1)
    with formats.using(formats.STYLES[formats.DEFAULT]):  # files say the same wherever they are made
        about = {"network_state": state.name, "hour": hour_label(hour)}
    stem, name = f"{file_stem(space)}-coverage", MAP_NAMES[layer]
    extent = f"{formats.number(len(cover.grid))} pixels of {formats.general(cover.grid.pixel_m)} m"
    st.markdown(f"**Files** · {state.name.lower()}, {hour_label(hour)}")
    one, two, three = st.columns(3)
    make_tif = partial(files.geotiff, cover, load, state.awake, about)
    file_button(one, "All maps (GeoTIFF)", make_tif, f"{stem}.tif", files.GEOTIFF, extent)
    make_kmz = partial(files.overlay, cover, name, load, state.awake, about)
    file_button(two, f"{layer} (KMZ)", make_kmz, f"{stem}-{name}.kmz", files.KMZ, extent)
    make_contours = partial(files.level_contours, cover, load, state.awake)
    label = "Contours of the signal level (GeoPackage)"
    file_button(three, label, make_contours, f"{stem}-contours.gpkg", files.GEOPACKAGE, extent)
