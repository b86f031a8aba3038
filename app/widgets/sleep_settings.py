"""What a sleep plan is made for and obeys, as controls: labels, units and reasons are the planner's own."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.background.sleep import SleepRequest
from app.map.view import map_view
from app.messages import errors_shown, plain
from app.state.controls import kept
from app.state.slots import Slot
from app.state.workspace import Workspace
from app.strategies import strategy_name
from app.widgets.equipment import equipment_editor
from app.widgets.layout import region_of, time_limit
from app.widgets.uploads import upload
from plannerbase import formats

if TYPE_CHECKING:
    import shapely

NEVER_AREAS: Slot[tuple[Any, ...]] = Slot()
SEED: Slot[list[Any]] = Slot()
HOURS = {24: "a typical day", "weekday/weekend": "a weekday and a weekend day", 168: "the whole week"}
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
BOUNDARIES = {"cyclic": "the plan repeats", "awake": "every cell on before and after"}
QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
MAX_MEASURED_MB = 200
AREA_TYPES, MAX_AREAS_MB = ["geojson", "json", "kml", "kmz", "gpkg", "zip"], 20


def sleep_settings(space: Workspace) -> SleepRequest:
    """The settings as chosen."""
    from planning.prices import CO2_KG_PER_KWH, Prices
    from planning.sleep import STRATEGIES, SleepSettings, compared

    strategies = st.multiselect(
        "Strategies",
        list(STRATEGIES),
        list(compared()),
        format_func=strategy_name,
        **kept("sleep strategies"),
    )
    columns = st.columns(4)
    asked = _demand(columns)
    st.markdown("**Limits of operation**")
    columns = st.columns(4)
    settings = _limits(columns)
    asked["rules"], asked["never"] = _rules(space)
    asked["never_areas"] = _never_areas(space)
    with st.expander("Rules of thumb, solver and check", icon=":material/rule:"):
        columns = st.columns(4)
        settings |= _thumb(columns) | _solver(columns)
        asked["held_out"] = columns[2].toggle(
            "Check on held-out traffic", True, **kept("sleep held out"),
            help="The last sample is left out of planning; every plan is replayed on it.",
        )  # fmt: skip
        measured = upload(
            space, "sleep measured", "Validate plans against measured traffic", ["parquet", "csv"], MAX_MEASURED_MB,
            "A traffic table: columns x, y, hour, traffic. Every plan is replayed on it.",
        )  # fmt: skip
    one, two, three, four = st.columns(4)
    tariff = one.number_input(
        "Electricity price (per kWh)", 0.0, 1000.0, None, 0.05, placeholder="not given", **kept("tariff"),
        help="Without it no cost is shown, as no default would be right.",
    )  # fmt: skip
    by_hour = two.text_input(
        "Other prices by hour", "", max_chars=500, placeholder="22-6 0.35, 10-15 1.10", **kept("tariff by hour"),
        help="First hour, last hour (excluded) and price, with commas between; other hours cost the price beside. "
        "Or 24 prices from midnight on.",
    )  # fmt: skip
    currency = three.text_input("Currency", "", max_chars=8, placeholder="CNY", **kept("currency"))
    kg_per_kwh = four.number_input(
        "CO₂ (kg a kWh)", 0.0, 5.0, CO2_KG_PER_KWH, 0.01, format="%.4f", **kept("co2"),
        help="Of your grid. The default is China's grid mean of 2023.",
    )  # fmt: skip
    equipment = equipment_editor(space)
    return SleepRequest(
        strategies, SleepSettings(**settings), measured=measured, equipment=equipment,
        prices=Prices(_tariff(by_hour, tariff), kg_per_kwh, currency), **asked,
    )  # fmt: skip


def _tariff(by_hour: str, base: float | None) -> float | tuple[float, ...] | None:
    """The tariff of both controls; one that makes no sense is told below them, and no cost is shown then."""
    from planning.prices import tariff_of

    tariff = None
    with errors_shown("reading the prices by hour"):
        tariff = tariff_of(by_hour, base)
    return tariff


def _label(name: str) -> tuple[str, str]:
    """(label with unit, reason) of a setting."""
    from planning.sleep import LABELS

    return LABELS[name].title, f"{LABELS[name].reason[:1].upper()}{LABELS[name].reason[1:]}."


def _demand(columns: Sequence[DeltaGenerator]) -> dict[str, Any]:
    """What is planned for: fields of `SleepRequest`."""
    from planning.demand import RATE_FLOOR_MBPS
    from planning.sleep import QUANTILE

    one, two, three, four = columns
    hours = one.selectbox("Plan for", list(HOURS), format_func=HOURS.__getitem__, **kept("sleep hours"))
    label, reason = _label("quantile")
    floor, why = _label("rate_floor")
    asked = {
        "hours": hours,
        "quantile": two.select_slider(
            label,
            QUANTILES,
            QUANTILE,
            format_func=lambda q: f"P{formats.general(100 * q)}",
            help=reason,
            **kept("sleep reserve"),
        ),
        "rate_floor": three.number_input(
            floor, 0.0, 1000.0, RATE_FLOOR_MBPS, 0.05, help=why, **kept("sleep rate floor")
        ),
    }
    if hours == "weekday/weekend":
        name = lambda day: formats.long_weekday(DAYS.index(day))  # noqa: E731
        chosen = four.selectbox("Hour 0 is on a", DAYS, format_func=name, **kept("sleep first day"))
        asked["first_day"] = DAYS.index(chosen)
    return asked


def _limits(columns: Sequence[DeltaGenerator]) -> dict[str, Any]:
    """Fields of `SleepSettings` that every strategy obeys."""
    from planning.sleep import SleepSettings

    default = SleepSettings()
    controls = {
        "max_load": (0.05, 1.0, 0.05), "min_up": (1, 24, 1), "min_off": (1, 24, 1), "max_wakes": (0, 24, 1),
        "switch_wh": (0.0, 10_000.0, 10.0), "wake_delay_min": (0.0, 60.0, 1.0),
    }  # fmt: skip
    found: dict[str, Any] = {}
    for number, (name, (low, high, step)) in enumerate(controls.items()):
        label, reason = _label(name)
        found[name] = columns[number % len(columns)].number_input(
            label, low, high, getattr(default, name), step, help=reason, **kept(f"sleep {name}")
        )
    label, reason = _label("allow_unserved")
    found["allow_unserved"] = columns[2].toggle(label, False, help=reason, **kept("sleep unserved"))
    return found


def _rules(space: Workspace) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Fields of `Operation`, and the names of the cells and sites that never sleep."""
    rules: dict[str, Any] = {}
    one, two, three, four = st.columns(4)
    for column, name in ((one, "whole_site"), (two, "muting")):
        label, reason = _label(name)
        rules[name] = column.toggle(label, False, help=reason, **kept(f"sleep {name.replace('_', ' ')}"))
    label, reason = _label("max_hole_share")
    rules["max_hole_share"] = (
        three.number_input(
            "Ground that may lose coverage (%)", 0.0, 100.0, 0.0, 0.1, help=reason, **kept("sleep holes")
        )
        / 100
    )
    label, reason = _label("boundary")
    rules["boundary"] = four.selectbox(
        label, list(BOUNDARIES), format_func=BOUNDARIES.__getitem__, help=reason, **kept("sleep boundary")
    )
    label, reason = _label("window")
    first, last = one.slider(label, 0, 24, (0, 24), format="%d:00", help=reason, **kept("sleep window"))
    rules["window"] = None if (first, last) == (0, 24) or first == last else (first, last)
    label, reason = _label("band_order")
    order = two.text_input(
        label, "", placeholder="n78, n41, B3", help=f"First to sleep first. {reason}", **kept("sleep bands")
    )
    rules["band_order"] = tuple(part.strip() for part in order.split(",") if part.strip())
    label, reason = _label("never")
    text = three.text_area(
        label, "", height=68, help="Names with commas or line breaks between.", **kept("sleep never")
    )
    listed = upload(
        space, "sleep never file", "The same as a file", ["csv"], 5, "A CSV with a column cell or site.", four
    )
    names = [part.strip() for part in text.replace("\n", ",").split(",") if part.strip()]
    return rules, (*names, *(_names_of(listed.data, listed.name) if listed else ()))


def _never_areas(space: Workspace) -> "tuple[shapely.Geometry, ...]":
    """Areas whose sites never sleep: of a file, and drawn on the map."""
    from planning.deployment.places import Places, read_places

    one, two = st.columns([1, 3], vertical_alignment="bottom")
    with two:
        file = upload(
            space, "sleep never areas", "Areas whose sites never sleep (file)", AREA_TYPES, MAX_AREAS_MB,
            "Polygons: hospitals, stations, venues. GeoJSON, KML, KMZ, FlatGeobuf, GeoPackage or zipped Shapefile.",
        )  # fmt: skip
    areas: list[Any] = []
    with errors_shown("reading the areas"):
        if file is not None:
            given: tuple[Any, ...] = space.cached(
                NEVER_AREAS,
                file.identity,
                lambda: tuple(read_places(file.data, file.name, areas=True).areas),
            )
            areas += given
            if not areas:
                st.warning(plain(f"{file.name} holds no area."), icon=":material/warning:")
    # off again with each plan: these controls are folded then, and a map cannot be laid out where nothing shows
    drawing = one.toggle(
        "Draw such areas", key=f"draw never areas {space.sleep.identity if space.sleep else ''}",
        on_change=space.mount_anew,
    )  # fmt: skip
    if drawing and (region := region_of(space)) is not None:
        key = f"never areas {space.map_version} {space.area_identity}"
        seed = space.cached(SEED, key, lambda: list(space.never_areas))
        outline = space.area.geometry if space.area else None
        events = map_view(key, region, outline=outline, places=seed, points=False, height=420)
        if events.drawings is not None:
            space.never_areas = events.drawings
    if space.never_areas:
        one.caption(f"{len(space.never_areas)} drawn")
    with errors_shown("reading what is drawn"):
        areas += Places.from_features(space.never_areas).areas
    return tuple(areas)


def _names_of(data: bytes, name: str) -> list[str]:
    from planning.csv_table import read_table
    from planning.errors import InputError

    table = read_table(data, name, "cell or site")
    columns = [c for c in ("cell", "site") if c in table]
    if not columns:
        raise InputError(f"{name} needs a column cell or site, with the names of those that never sleep.")
    return [str(v) for c in columns for v in table[c].dropna()]


def _thumb(columns: Sequence[DeltaGenerator]) -> dict[str, Any]:
    """What single strategies obey: fields of `SleepSettings`."""
    night = columns[0].slider("Night window", 0, 24, (0, 6), format="%d:00", **kept("sleep night"))
    below, above = columns[1].slider(
        "Load threshold: sleep below, wake above", 0.0, 1.0, (0.5, 0.7), 0.05, **kept("sleep threshold")
    )
    return {"night": night, "sleep_below": below, "wake_above": above}


def _solver(columns: Sequence[DeltaGenerator]) -> dict[str, Any]:
    """How long and how well the optimised plan is sought: fields of `SleepSettings`."""
    seconds = time_limit(columns[2], "sleep time limit", 20)
    percent = columns[3].number_input(
        "Optimality gap at which to stop (%)", 0.0, 50.0, 1.0, 0.1, **kept("sleep gap")
    )
    return {"time_limit": seconds, "gap": percent / 100}
