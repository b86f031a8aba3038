"""PRB utilisation of the network by hour: its map, hot spots, and what would relieve them."""

import numpy as np
import pandas as pd
import streamlit as st

from app import colours
from app.charts import spectrum as spectrum_charts
from app.map.dots import Dots
from app.map.region import Region
from app.map.view import map_view
from app.messages import told
from app.state.results import Made, NetworkUse
from app.state.workspace import Workspace
from app.widgets import accessible
from app.widgets.clock import hour_label
from app.widgets.layout import region_of
from app.widgets.tables import show_table
from plannerbase import formats

_FULL = 1.0  # load at which the colour scale ends
_APART_M = 90.0  # between a site and the mark of a sector
_METRES_PER_DEGREE = 111_320.0


def network_use(space: Workspace, made: Made[NetworkUse], hour: int) -> tuple[float, float] | None:
    """Show it at the hour of its day that is nearest to `hour`; returns the place clicked on the map (lon, lat)."""
    use = made.value
    at = int(np.abs(np.array(use.found.hours) - hour).argmin())
    shown = use.found.hours[at]
    table = use.found.by_hour()
    row = table.iloc[at]
    _figures(row, shown)
    region, clicked = region_of(space), None
    left, right = st.columns([3, 2], gap="medium")
    with left:
        if region is not None:
            clicked = _map(space, made, region, at)
    with right:
        accessible.chart(
            spectrum_charts.prb_served(table, shown), "Downlink demand served by hour", "network served"
        )
        accessible.chart(spectrum_charts.busy_cells(table, shown), "Busy cells by hour", "network busy")
    _hot_spots(use)
    st.caption("  \n".join(map(told, (use.found.sentence_of_all, *use.notes))))
    for text in use.found.coverage.notes[:3]:
        st.caption(f":material/info: {told(text)}")
    with st.expander("Hours", icon=":material/table:"):
        show_table(table.round(3))
    with st.expander(f"Cells at {hour_label(shown)}", icon=":material/table:"):
        cells = use.found.cells()
        show_table(cells[cells["hour"] == shown].round(3))
    return clicked


def _figures(row: pd.Series, hour: int) -> None:
    one, two, three, four, five = st.columns(5)
    one.metric("Hour", hour_label(hour))
    two.metric("Downlink served", formats.percent(row["served_share"], 1))
    three.metric("Missing", f"{formats.number(row['missing_mbps'], 1)} Mbit/s")
    four.metric("PRBs used, mean of cells", formats.percent(row["utilisation"]))
    five.metric("Overloaded cells", formats.number(int(row["overloaded_cells"])))


def _map(space: Workspace, made: Made[NetworkUse], region: Region, at: int) -> tuple[float, float] | None:
    found = made.value.found
    sectors, load, missing = found.sectors, found.sector_load[:, at], found.sector_missing_mbps[:, at]
    turn = np.radians(sectors["azimuth"].to_numpy(float))
    apart = _APART_M / _METRES_PER_DEGREE
    lat = sectors["lat"].to_numpy(float)
    dots = Dots(
        sectors["lon"].to_numpy(float) + apart * np.sin(turn) / np.cos(np.radians(lat)),
        lat + apart * np.cos(turn),
        [f"#{r:02x}{g:02x}{b:02x}" for r, g, b, _ in colours.ramp(load, _FULL)],
        [
            f"{name}: load {formats.percent(share)}"
            + (f", {formats.number(lost, 1)} Mbit/s missing" if lost > 0 else "")
            for name, share, lost in zip(sectors["sector"], load, missing, strict=True)
        ],
    )
    shown = hour_label(found.hours[at])
    accessible.site_map("PRB utilisation of sectors", shown, dots)
    metadata = space.demand().metadata
    events = map_view(
        f"utilisation {made.identity}",
        region,
        outline=space.outline_of(metadata),
        dots=[dots],
        clicks=True,
        height=520,
    )
    st.html(colours.ramp_legend("Load of a sector's fullest cell (1: all PRBs)", _FULL))
    return events.clicked


def _hot_spots(use: NetworkUse) -> None:
    st.markdown("**Hot spots**")
    hot, relief = use.hot_spots, use.relief
    if not len(hot):
        st.caption("No sector has a load above 70 % in any hour.")
        return
    from planning.prb.relief import MEASURES

    table = pd.DataFrame(
        {
            "Sector": hot["sector"],
            "Missing, mean of the day (Mbit/s)": hot["missing_mbps"].round(1),
            "Worst hour": hot["worst_hour"].map(hour_label),
            "Load then": hot["worst_load"].map(formats.percent),
            "Missing then (Mbit/s)": hot["worst_missing_mbps"].round(1),
            "Hours above 70 %": hot["busy_hours"],
            "Hours overloaded": hot["overloaded_hours"],
        }
    )
    gained = relief.pivot(index="sector", columns="measure", values="gained_mbps") if len(relief) else relief
    for measure, name in MEASURES.items():
        if measure in gained:
            table[f"{name[0].upper()}{name[1:]}: served more (Mbit/s)"] = (
                hot["sector"].map(gained[measure]).round(1)
            )
    if len(relief):
        best = relief[relief["best"].astype(bool)].set_index("sector")
        table["Best relief"] = hot["sector"].map(best["measure"].map(MEASURES) + " (" + best["detail"] + ")")
    show_table(table)
    st.caption(
        "Sectors that miss most traffic first, then the fullest. Each measure is tried in the radio model on the sites "
        "within 3 km at the sector's worst hour; what it serves more counts all sectors around."
    )
