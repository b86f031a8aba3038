"""The cells of a network as a table, with what is assumed of each."""

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from app.widgets.tables import show_table
from plannerbase import formats

if TYPE_CHECKING:
    from planning.network import Network

COLUMNS = {  # of the cells -> label, and digits behind the decimal separator
    "cell": ("Cell", None),
    "site": ("Site", None),
    "sector": ("Sector", None),
    "azimuth": ("Azimuth (°)", 0),
    "technology": ("Technology", None),
    "band": ("Band", None),
    "frequency_mhz": ("Frequency (MHz)", 1),
    "bandwidth_mhz": ("Bandwidth (MHz)", 0),
    "prbs": ("PRBs", 0),
    "layers": ("Layers", 0),
    "height_m": ("Height (m)", 0),
    "tilt_deg": ("Downtilt (°)", 1),
    "beamwidth_deg": ("Beam width (°)", 0),
    "vertical_beamwidth_deg": ("Vertical beam width (°)", 0),
    "power_dbm": ("Power (dBm)", 1),
    "gain_dbi": ("Antenna gain (dBi)", 1),
    "capacity_mbps": ("Capacity (Mbit/s)", 0),
    "is_coverage": ("Coverage cell", None),
    "radio_unit": ("Radio unit", None),
}
MAX_ROWS = 5000


def cells_table(network: "Network") -> None:
    """An expander with a row a cell; the last column names what no file stated."""
    with st.expander("Cells and what is assumed of them", icon=":material/cell_tower:"):
        cells = network.cells.head(MAX_ROWS)
        labels = {name: label for name, (label, _) in COLUMNS.items()}
        shown = cells[list(COLUMNS)].rename(columns=labels)
        texts = {text: _in_words(text) for text in set(cells["assumed"])}
        shown["Assumed"] = cells["assumed"].map(texts)
        digits = {label: behind for label, behind in COLUMNS.values() if behind is not None}
        show_table(pd.DataFrame(shown), digits, height=320)
        if len(network.cells) > MAX_ROWS:
            st.caption(
                f"The first {formats.number(MAX_ROWS)} of {formats.number(len(network.cells))} cells; exports "
                "have them all."
            )


def cells_of_site(network: "Network", site: str) -> None:
    """The cells of one site in short."""
    cells = network.cells[network.cells["site"] == site]
    names = (
        "cell",
        "azimuth",
        "technology",
        "band",
        "bandwidth_mhz",
        "height_m",
        "power_dbm",
        "capacity_mbps",
    )
    shown = cells[list(names)].round(1).rename(columns={name: COLUMNS[name][0] for name in names})
    show_table(shown)


def _in_words(assumed: str) -> str:
    names = [name for name in assumed.split(",") if name]
    return ", ".join(COLUMNS[n][0].split(" (")[0].lower() if n in COLUMNS else n for n in names) or "nothing"
