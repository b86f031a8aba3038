"""How far a site reaches: the distance at which a link of `planning.radio` still carries a rate at the cell's edge."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from planning.errors import InputError
from planning.radio import SHADOW_DB, Radio, dbm_to_w, path_loss_db

EDGE_MBPS = 1.0  # assumed: what a user at the edge gets on this link
EDGE_PROBABILITY = 0.9  # assumed: share of places at the edge that get it, by shadowing
INTERFERENCE_DB = 3.0  # assumed: what other cells raise the noise by
LOWEST_SNR_DB = -6.7  # CQI 1 of TS 38.214: below, a PRB carries nothing
FARTHEST_M = 50_000.0  # beyond, none is looked for


def coverage_radius_m(
    radio: Radio | None = None,
    edge_mbps: float = EDGE_MBPS,
    edge_probability: float = EDGE_PROBABILITY,
    interference_db: float = INTERFERENCE_DB,
) -> float:
    """Ground distance in metres to which a link holds; 0 where not even the nearest place does.

    Uplink: a user's power goes to as few PRBs as the rate needs; downlink: a station's is shared evenly by all PRBs,
    which the one user at the edge gets. Rates are Shannon's, path loss is the median of TR 38.901 ("drawn" counts as
    NLOS) plus the shadowing that `edge_probability` of places do not exceed. Raises InputError.
    """
    radio = radio or Radio()
    radio.validate()
    if not (edge_mbps > 0 and 0 < edge_probability < 1 and interference_db >= 0):
        raise InputError(
            "The edge rate must be above 0 Mbit/s, its probability between 0 and 1, the interference at least 0 dB."
        )
    condition = "LOS" if radio.condition == "LOS" else "NLOS"
    margin = SHADOW_DB[radio.environment][condition] * NormalDist().inv_cdf(edge_probability)
    loss = (
        radio.station_gain_dbi
        + radio.user_gain_dbi
        - 10 * np.log10(_least_gain(radio, edge_mbps, interference_db))
    )
    metres = np.linspace(10.0, FARTHEST_M, 200_001)  # a quarter of a metre apart
    held = loss >= margin + path_loss_db(
        metres, radio.carrier_ghz, radio.environment, condition, radio.height, radio.user_height_m
    )
    return float(metres[held].max()) if held[0] else 0.0


def _least_gain(radio: Radio, edge_mbps: float, interference_db: float) -> float:
    """Linear gain that the rate needs, without antennas' gains."""
    noise = radio.noise_w * 10 ** (interference_db / 10)
    lowest = 10 ** (LOWEST_SNR_DB / 10)
    efficiency = edge_mbps * 1e6 / radio.prb_hz  # bit/s/Hz of one PRB that carried it all
    if radio.link == "downlink":
        snr = max(lowest, 2 ** (efficiency / radio.prbs) - 1)
        return float(snr * noise * radio.prbs / dbm_to_w(radio.station_dbm))
    used = np.arange(1, radio.prbs + 1)
    snr = np.maximum(lowest, 2 ** np.minimum(efficiency / used, 60.0) - 1)
    return float((snr * noise * used).min() / dbm_to_w(radio.user_dbm))
