"""Settings of the radio model, as controls."""

from typing import Any

import streamlit as st

from app.background.coverage import CoverageRequest
from app.saved.coverage import LEVELS, TERRAIN
from app.state.controls import kept
from app.state.workspace import Workspace
from app.widgets.uploads import upload

ENVIRONMENTS = {
    "UMa": "Urban macro (UMa)",
    "UMi": "Urban micro (UMi)",
    "RMa": "Rural macro (RMa)",
    "auto": "By antenna height",
}
LOS = {"expected": "Expected", "drawn": "Drawn by place", "LOS": "Always in sight", "NLOS": "Never in sight"}
BUILDINGS = {"low": "Low loss (older buildings)", "high": "High loss (coated glass)"}
CARRIERS = {"aggregated": "All carriers together", "best": "The best carrier alone"}
MAX_MB = 200


def coverage_settings(space: Workspace) -> CoverageRequest:
    """What is asked of the radio model, as chosen. Raises PlanningError for a setting outside its range."""
    from planning.coverage import RadioSettings
    from planning.coverage.settings import BAND_CLASSES_MHZ

    default = RadioSettings()
    chosen: dict[str, Any] = {}
    st.markdown("**Propagation** · TR 38.901")
    one, two, three, four = st.columns(4)
    chosen["environment"] = one.selectbox(
        "Environment",
        list(ENVIRONMENTS),
        format_func=ENVIRONMENTS.__getitem__,
        help="Sets the path loss model. By antenna height: urban micro for antennas below 15 m, else urban macro.",
        **kept("coverage environment"),
    )
    chosen["los"] = two.selectbox(
        "Line of sight",
        list(LOS),
        format_func=LOS.__getitem__,
        help="Expected: the mean loss in dB over the probability of line of sight at that distance.",
        **kept("coverage los"),
    )
    chosen["pixel_m"] = float(
        three.number_input("Pixel size (m)", 20, 200, int(default.pixel_m), 10, **kept("coverage pixel"))
    )
    chosen["carriers"] = four.selectbox(
        "Carriers of a user", list(CARRIERS), format_func=CARRIERS.__getitem__, **kept("coverage carriers")
    )
    st.markdown("**Users**")
    one, two, three, four = st.columns(4)
    indoors = one.number_input(
        "Users indoors (%)", 0, 100, round(100 * default.indoor_share), 5,
        help="80 % as in TR 38.901 table 7.2-1.", **kept("coverage indoors"),
    )  # fmt: skip
    chosen["indoor_share"] = indoors / 100
    chosen["building"] = two.selectbox(
        "Building entry loss", list(BUILDINGS), format_func=BUILDINGS.__getitem__, help="TR 38.901 table 7.4.3-2.",
        **kept("coverage building"),
    )  # fmt: skip
    chosen["user_height_m"] = float(
        three.number_input(
            "User height (m)", 1.5, 13.0, default.user_height_m, 0.5, **kept("coverage user height")
        )
    )
    chosen["margin_db"] = float(
        four.number_input(
            "Shadowing margin (dB)", 0.0, 30.0, default.margin_db, 1.0,
            help="Added to the threshold. 5 dB covers 80 % of places at a deviation of 6 dB (UMa, no line of sight).",
            **kept("coverage margin"),
        )
    )  # fmt: skip
    st.markdown("**Lowest RSRP with service (dBm)** · by carrier frequency, assumed")
    columns = st.columns(len(BAND_CLASSES_MHZ))
    chosen["thresholds_dbm"] = tuple(
        float(
            column.number_input(
                f"{name[0].upper()}{name[1:]}", -150.0, -40.0, value, 1.0, **kept(f"coverage {name}")
            )
        )
        for column, name, value in zip(columns, BAND_CLASSES_MHZ, default.thresholds_dbm, strict=True)
    )
    st.markdown("**Your data** · optional")
    one, two = st.columns(2)
    elevation = upload(
        space, TERRAIN, "Terrain or surface model (GeoTIFF, metres)", ["tif", "tiff"], MAX_MB,
        "Adds diffraction over terrain by ITU-R P.526 (Bullington). Any CRS.", one,
    )  # fmt: skip
    levels = upload(
        space, LEVELS, "Measured levels (CSV: lon, lat, cell, dbm)", ["csv", "txt"], MAX_MB,
        "Fits an offset and a slope of the path loss for each band and shows the error before and after.", two,
    )  # fmt: skip
    return CoverageRequest(RadioSettings(**chosen), elevation, levels)
