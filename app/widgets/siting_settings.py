"""Controls of the optimised strategy, and the places that are drawn for it."""

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.background import deployment
from app.colours import MUTED, ramp_legend, swatch_legend
from app.map.dots import Dots
from app.map.region import Region
from app.map.view import map_view
from app.messages import errors_shown
from app.state.controls import kept
from app.state.slots import Slot
from app.state.workspace import Workspace
from app.widgets.file_choices import file_choices
from app.widgets.file_report import file_report
from app.widgets.layout import demand_picture, time_limit
from app.widgets.own_sites import MAX_MB, TYPES
from app.widgets.uploads import upload
from plannerbase import formats

if TYPE_CHECKING:
    from planning.deployment.places import Places
    from planning.deployment.siting import SitingSettings

REACH: Slot[float] = Slot()
PLACES: "Slot[Places]" = Slot()  # a part a file
SEED: Slot[list[Any]] = Slot()
ROBUST = {
    "quantile": "the demand quantile",
    "mean": "the mean of all samples",
    "p10": "the 10th percentile of all samples",
}
HOURS = {"busy": "the busy hour", "all": "all hours"}
BANDS = ("B3", "B1", "B8", "B20", "B28", "B41", "n28", "n1", "n41", "n78")
EXISTING = {"none": "not considered", "keep": "all stay", "move": "may be given up"}


def siting_settings(space: Workspace, region: Region | None) -> "SitingSettings":
    """The settings as chosen. Raises PlanningError for files that cannot be read."""
    from planning.coverage import RadioSettings
    from planning.deployment.siting import SitingSettings
    from planning.network import SiteDesign
    from planning.propagation import ENVIRONMENTS

    one, two, three, four = st.columns(4)
    objective = one.selectbox("Cover most", ["traffic", "people"], **kept("siting objective"))
    environment = two.selectbox("Environment", ENVIRONMENTS, **kept("siting environment"))
    height = three.number_input("Antenna height (m)", 2.0, 300.0, 25.0, 1.0, **kept("siting height"))
    band = four.selectbox("Coverage band", BANDS, **kept("siting band"))
    level = one.number_input(
        "Level to cover (dBm)", -150, -1, None, 1, placeholder=_automatic("threshold of the band, indoors"),
        help="Lowest RSRP outdoors. Automatic: the threshold and margin of the band, indoors.", **kept("siting level"),
    )  # fmt: skip
    reach_m = _reach_m(space, environment, height, band, float(level or 0) or None)
    given = two.number_input(
        "Reach of a site (m)", 1, 50_000, None, 100, placeholder=_automatic(f"{formats.number(reach_m)} m"),
        help="Automatic: where its level is received indoors, by the radio model.", **kept("siting radius"),
    )  # fmt: skip
    apart = three.number_input("Minimum inter-site distance (m)", 0, 20_000, 0, 50, **kept("siting distance"))
    capacity = four.number_input(
        "Capacity of a site (Mbit/s)", 1, 1_000_000, None, 100, placeholder=_automatic("the largest site"),
        help="Automatic: that of a site of the largest size.", **kept("siting capacity"),
    )  # fmt: skip
    budget = one.number_input(
        "Budget", 1.0, 1e12, None, placeholder="no limit",
        help="In your currency; the number of sites is then the most.", **kept("siting budget"),
    )  # fmt: skip
    cost = two.number_input("Cost of a site", 0.0, 1e9, 1.0, **kept("siting cost"))
    robust = three.selectbox(
        "Optimise for", list(ROBUST), format_func=ROBUST.__getitem__, **kept("siting robust")
    )
    hours = four.selectbox(
        "Traffic served in", list(HOURS), format_func=HOURS.__getitem__, **kept("siting hours")
    )
    spacing = one.number_input(
        "Spacing of candidates (m)", 1, 5_000, None, 50, placeholder=_automatic("four candidates a site"),
        help="Automatic: four candidates a site, within the reach of each other.", **kept("siting spacing"),
    )  # fmt: skip
    seconds = time_limit(two, "siting time limit", 30)
    existing, move = None, False
    if space.own_sites is not None:
        rule = three.selectbox(
            "Your sites", list(EXISTING), format_func=EXISTING.__getitem__, **kept("siting existing")
        )
        if rule != "none":
            existing, move = deployment.existing_places(space), rule == "move"
    candidates, forced, forbidden = _places(space, region)
    return SitingSettings(
        objective=objective, radius_m=float(given or 0) or None, level_dbm=float(level or 0) or None,
        radio=RadioSettings(environment=environment, pixel_m=100.0),
        design=SiteDesign(height_m=height, coverage_band=band), site_capacity_mbps=float(capacity or 0) or None,
        budget=budget or None, site_cost=cost, min_distance_m=float(apart), candidates=candidates,
        spacing_m=float(spacing or 0) or None, existing=existing, move_existing=move,
        forced=forced, forbidden=forbidden, robust=robust, hours=hours, time_limit=seconds,
    )  # fmt: skip


def _automatic(value: str) -> str:
    """What an empty control shows: that the figure follows by itself, and which it is."""
    return f"automatic ({value})"


def _reach_m(
    space: Workspace, environment: str, height_m: float, band: str, level_dbm: float | None
) -> float:
    """Metres that a site of this design reaches by the radio model."""
    from planning.coverage import RadioSettings
    from planning.deployment.reach import Reach
    from planning.network import SiteDesign

    demand = space.demand()
    middle = (float(demand.lon.mean()), float(demand.lat.mean()))
    design = SiteDesign(height_m=height_m, coverage_band=band)
    reach = Reach(RadioSettings(environment=environment, pixel_m=100.0), level_dbm)
    key = (environment, height_m, band, level_dbm, middle)
    return space.cached(REACH, key, lambda: reach.radius_m(middle, design))


def _places(space: Workspace, region: Region | None) -> "tuple[Places | None, Places | None, Places | None]":
    """(candidates, forced, forbidden): from files, and drawn on the map."""
    drawn = _drawn(space, region)
    columns = st.columns(3)
    files = [
        _file(space, column, label, key)
        for column, label, key in zip(
            columns,
            ("Candidate sites (file)", "Mandatory sites (file)", "Exclusion zones (file)"),
            ("candidates file", "forced file", "forbidden file"),
            strict=True,
        )
    ]
    return files[0], _joined(files[1], drawn, areas=False), _joined(files[2], drawn, areas=True)


def _file(space: Workspace, column: Any, label: str, key: str) -> "Places | None":
    from planning.deployment.places import read_places

    file = upload(space, key, label, TYPES, MAX_MB, where=column)
    if file is None:
        return None
    areas = key == "forbidden file"
    choice = file_choices(space, file, key, column)
    places = space.cached(
        PLACES.part(key),
        (file.identity, choice.layer, choice.crs),
        lambda: read_places(file.data, file.name, areas=areas, choice=choice),
    )
    with column:
        file_report(places.report, file.name)
    return places


def _drawn(space: Workspace, region: Region | None) -> "Places":
    """What is drawn: circles are mandatory sites, areas are exclusion zones."""
    from planning.deployment.places import Places

    # off again with each deployment: these controls are folded then, and a map cannot be laid out where nothing shows
    if region is not None and st.toggle(
        "Draw places on the map",
        key=f"draw places {space.deployment_rounds}",
        on_change=space.mount_anew,  # with what is drawn so far in it
    ):
        key = f"places {space.map_version} {space.area_identity}"
        seed = space.cached(SEED, key, lambda: list(space.drawn_places))
        st.caption("A small circle: a mandatory site. A polygon or box: an exclusion zone without sites.")
        outline = space.area.geometry if space.area else None
        picture, top = demand_picture(space, space.demand(), None)
        present = _present_sites(space)
        events = map_view(
            key, region, outline=outline, places=seed, pictures=[picture], dots=[present], height=420
        )
        st.html(ramp_legend("Mean demand of a tile over the week (Mbit/s)", top))
        st.html(swatch_legend([("present sites", MUTED)]))
        if events.drawings is not None:
            space.drawn_places = events.drawings
    points = sum(feature["geometry"]["type"] == "Point" for feature in space.drawn_places)
    if space.drawn_places:
        st.caption(f"Drawn: mandatory sites {points}, exclusion zones {len(space.drawn_places) - points}.")
    drawn = Places.of([], [])
    with errors_shown("reading what is drawn"):
        drawn = Places.from_features(space.drawn_places)
    return drawn


def _present_sites(space: Workspace) -> Dots:
    """Your own sites, or else those of the present network."""
    network = (
        space.own_sites.network if space.own_sites else space.network and space.network.value.plan.network
    )
    if not network:
        return Dots(np.empty(0), np.empty(0), [], [])
    sites = network.sites
    return Dots(
        sites["lon"].to_numpy(),
        sites["lat"].to_numpy(),
        [MUTED] * len(sites),
        sites["site"].astype(str).tolist(),
    )


def _joined(file: "Places | None", drawn: "Places", areas: bool) -> "Places | None":
    """A file's places together with those drawn: its points, or its areas."""
    from planning.deployment.places import Places, joined

    if areas:
        extra = Places.of([], [], [], drawn.areas) if drawn.areas else None
    else:
        extra = Places.of(drawn.lon, drawn.lat) if len(drawn) else None
    return joined(file, extra)
