"""What a spectrum plan is made for and obeys, as controls."""

from typing import Any

import streamlit as st

from app.state.controls import kept
from app.widgets.layout import time_limit

FAIRNESS = {"rate": "total rate", "proportional": "fairness (proportional fair)"}
MODES = {
    "default": "several PRBs a user",
    "paper": "one PRB a user (paper)",
    "literal": "eq. 15 to the letter (paper, uplink)",
}
STATIONS = {
    "cells": "cells of one carrier, by the radio model",
    "sites": "sites, each one omnidirectional station",
}
RATES = {
    "cqi-256qam": "CQI table, 256QAM (TS 38.214)",
    "cqi-64qam": "CQI table, 64QAM (TS 38.214)",
    "shannon": "log2(1 + SINR), as in eq. 15",
}


def spectrum_settings() -> tuple[int, dict[str, Any], dict[str, Any], str]:
    """(users drawn, arguments of Radio, arguments of PrbSettings, one of RATES) as chosen."""
    st.markdown("**Users and objective**")
    users, settings = _objective()
    st.markdown("**Radio** · TR 38.901")
    stations = st.selectbox(
        "Stations", list(STATIONS), format_func=STATIONS.__getitem__, disabled=settings["mode"] != "default",
        help="Cells have the antennas, powers, carrier, layers and rates of the radio model.", **kept("prb stations"),
    )  # fmt: skip
    if stations == "cells" and settings["mode"] == "default":
        return users, _cells(), settings, "shannon"  # the cells bring their own rates
    radio = _radio()
    rates = st.selectbox("Rates", list(RATES), format_func=RATES.__getitem__, **kept("prb rates"))
    if settings["mode"] == "literal":
        radio["link"], rates = "uplink", "shannon"
    return users, radio, settings, rates


def _objective() -> tuple[int, dict[str, Any]]:
    one, two, three, four = st.columns(4)
    users = one.number_input(
        "Users drawn", 1, 500, 60, help="Active users drawn from the demand of the hour.", **kept("prb users")
    )
    settings: dict[str, Any] = {
        "mode": two.selectbox("Allocation", list(MODES), format_func=MODES.__getitem__, **kept("prb mode")),
        "tau_mbps": three.number_input(
            "Penalty per PRB used (Mbit/s)",
            0.0,
            10.0,
            0.05,
            0.01,
            help="τ of eq. 15: a PRB is used only where it brings more than this.",
            **kept("prb tau"),
        ),
        "fairness": four.selectbox(
            "Optimise for", list(FAIRNESS), format_func=FAIRNESS.__getitem__, **kept("prb fairness")
        ),
    }
    cap = one.number_input(
        "Rate counts up to (× demand)",
        0.1,
        100.0,
        1.0,
        0.5,
        placeholder="no limit",
        help="Rate beyond it adds nothing to the objective. Empty: all of it counts.",
        **kept("prb cap"),
    )
    least = two.number_input(
        "Minimum rate (Mbit/s)",
        0.01,
        1000.0,
        None,
        0.1,
        placeholder="automatic (the whole demand)",
        help="Of each user. Automatic: the whole demand.",
        **kept("prb minimum"),
    )
    seconds = time_limit(three, "prb time limit", 15)
    seed = four.number_input("Seed", 0, 2**31 - 1, 0, **kept("prb seed"))
    settings |= {"cap": cap or None, "min_mbps": least or None}
    return int(users), settings | {"time_limit": seconds, "seed": int(seed)}


def _cells() -> dict[str, Any]:
    one, two, three, four = st.columns(4)
    return {
        "stations": "cells",
        "link": one.selectbox("Link", ["downlink", "uplink"], **kept("prb link")),
        "cell_carrier": two.text_input(
            "Carrier",
            "",
            help="A band of the network, such as n41; empty: the widest.",
            **kept("prb cell carrier"),
        ).strip(),
        "environment": three.selectbox("Environment", ["UMa", "UMi"], **kept("prb environment")),
        "user_dbm": four.number_input("User power (dBm)", -40.0, 40.0, 23.0, 1.0, **kept("prb user power")),
    }


def _radio() -> dict[str, Any]:
    one, two, three, four = st.columns(4)
    return {
        "link": one.selectbox("Link", ["downlink", "uplink"], **kept("prb link")),
        "carrier_ghz": two.number_input("Carrier (GHz)", 0.5, 100.0, 2.6, 0.1, **kept("prb carrier")),
        "bandwidth_mhz": three.selectbox(
            "Bandwidth (MHz)", [5, 10, 15, 20, 40, 50, 80, 100], 7, **kept("prb bandwidth")
        ),
        "environment": four.selectbox("Environment", ["UMa", "UMi"], **kept("prb environment")),
        "condition": one.selectbox("Propagation", ["NLOS", "LOS", "drawn"], **kept("prb condition")),
        "user_dbm": two.number_input("User power (dBm)", -40.0, 40.0, 23.0, 1.0, **kept("prb user power")),
        "station_dbm": three.number_input(
            "Station power (dBm)", 0.0, 80.0, 53.0, 1.0, **kept("prb station power")
        ),
        "station_gain_dbi": four.number_input("Antenna gain (dBi)", 0.0, 40.0, 12.0, 1.0, **kept("prb gain")),
        "shadowing": one.toggle("Shadowing", False, help="Lognormal, seeded.", **kept("prb shadowing")),
    }
