"""The pattern of TR 38.901 table 7.3-1, worked by hand."""

import numpy as np
import pytest

from planning.coverage.antenna import attenuation_db

PANEL = {"azimuth_deg": 30.0, "tilt_deg": 6.0, "beamwidth_deg": 65.0, "vertical_beamwidth_deg": 10.0}


@pytest.mark.parametrize(
    ("bearing", "depression", "loss"),
    [
        (30, 6, 0),  # along the main direction
        (62.5, 6, 3),  # half a beam width aside
        (357.5, 6, 3),  # the other way, across north
        (30, 11, 3),  # half a beam width below
        (30, 1, 3),  # and above
        (95, 6, 12),  # a whole beam width: 12 dB
        (62.5, 11, 6),  # both add up
        (210, 6, 30),  # behind
        (30, 90, 30),  # below the mast
        (95, 21, 30),  # 12 + 27 dB, held at 30
    ],
)
def test_attenuation_by_hand(bearing, depression, loss):
    assert attenuation_db(float(bearing), float(depression), **PANEL) == pytest.approx(loss, abs=1e-9)


def test_an_omnidirectional_antenna_has_no_horizontal_pattern():
    bearing = np.arange(0.0, 360.0, 30.0)
    omni = PANEL | {"beamwidth_deg": 360.0}
    assert attenuation_db(bearing, np.full(12, 6.0), **omni) == pytest.approx(np.zeros(12))
    assert attenuation_db(bearing, np.full(12, 11.0), **omni) == pytest.approx(np.full(12, 3.0))


def test_cells_are_rows_and_places_columns():
    found = attenuation_db(
        np.array([[0.0, 90.0]]),
        np.zeros((1, 2)),
        azimuth_deg=np.array([[0.0], [90.0]]),
        tilt_deg=0.0,
        beamwidth_deg=np.array([[60.0], [90.0]]),
        vertical_beamwidth_deg=65.0,
    )
    np.testing.assert_allclose(found, [[0, 27], [12, 0]])
