"""The radio against published and hand-worked values."""

import numpy as np
import pytest

from planning.bands import prb_count
from planning.errors import InputError
from planning.radio import PRESETS, Radio, dbm_to_w, los_probability, path_loss_db


def test_path_loss_at_hand_worked_points():
    # UMa LOS, 100 m, 3.5 GHz, 25 m and 1.5 m: d3D = sqrt(100^2 + 23.5^2) = 102.724; before the breakpoint (560 m)
    d3 = np.sqrt(100**2 + 23.5**2)
    assert path_loss_db(100, 3.5, "UMa", "LOS") == pytest.approx(28 + 22 * np.log10(d3) + 20 * np.log10(3.5))
    assert path_loss_db(100, 3.5, "UMa", "LOS") == pytest.approx(83.14, abs=0.01)
    assert path_loss_db(100, 3.5, "UMa", "NLOS") == pytest.approx(
        13.54 + 39.08 * np.log10(d3) + 10.881, abs=1e-3
    )
    # past the breakpoint: 4 x 24 x 0.5 x 3.5e9 / 3e8 = 560 m
    far = np.hypot(2000, 23.5)
    by_hand = 28 + 40 * np.log10(far) + 10.881 - 9 * np.log10(560**2 + 23.5**2)
    assert path_loss_db(2000, 3.5, "UMa", "LOS") == pytest.approx(by_hand, abs=1e-3)
    d3 = np.hypot(50, 8.5)
    assert path_loss_db(50, 28, "UMi", "LOS", 10) == pytest.approx(
        32.4 + 21 * np.log10(d3) + 28.943, abs=1e-3
    )
    assert path_loss_db(50, 28, "UMi", "NLOS", 10) == pytest.approx(
        22.4 + 35.3 * np.log10(d3) + 21.3 * np.log10(28), abs=1e-3
    )


def test_path_loss_equals_the_test_vectors_of_ns_3():
    """UMa at 5 GHz, 25 m and 1.5 m: three-gpp-propagation-loss-model-test-suite of ns-3."""
    ground = [10, 100, 1000, 5000]
    los = [72.938, 86.2362, 109.7252, 137.6794]
    nlos = [82.5131, 106.1356, 144.7641, 172.0753]
    np.testing.assert_allclose(path_loss_db(ground, 5.0, "UMa", "LOS"), los, atol=6e-3)
    np.testing.assert_allclose(path_loss_db(ground, 5.0, "UMa", "NLOS"), nlos, atol=1e-3)


def test_line_of_sight_probabilities_are_those_of_tr_38_901():
    assert los_probability(40, "UMa") == pytest.approx(0.74, abs=5e-3)
    np.testing.assert_allclose(los_probability([40, 60, 80], "UMi"), [0.631, 0.432, 0.309], atol=1e-3)
    assert (los_probability([0, 10, 18], "UMa") == 1).all()


@pytest.mark.parametrize("environment", ["UMa", "UMi"])
def test_path_loss_is_continuous_at_the_breakpoint_and_grows(environment):
    height = 25 if environment == "UMa" else 10
    point = 4 * (height - 1) * 0.5 * 2.6e9 / 3e8
    near, far = path_loss_db([point - 1e-6, point + 1e-6], 2.6, environment, "LOS", height)
    assert far - near == pytest.approx(0, abs=0.2)
    metres = np.geomspace(10, 5000, 400)
    for condition in ("LOS", "NLOS"):
        assert (np.diff(path_loss_db(metres, 2.6, environment, condition, height)) > -1e-9).all()
    los = path_loss_db(metres, 2.6, environment, "LOS", height)
    assert (path_loss_db(metres, 2.6, environment, "NLOS", height) >= los).all()
    chance = los_probability(metres, environment)
    assert chance[0] == 1 and (np.diff(chance) <= 0).all() and chance[-1] > 0


def test_prb_counts_noise_and_power_are_those_of_the_tables():
    assert [prb_count(b, 30) for b in (5, 20, 50, 100)] == [11, 51, 133, 273]
    assert [prb_count(b, 60) for b in (10, 50, 100)] == [11, 65, 135]
    for preset in PRESETS.values():
        preset.validate()
    assert [prb_count(b, 15) for b in (5, 10, 20, 50)] == [25, 52, 106, 270]
    radio = Radio(link="downlink")
    # -174 dBm/Hz over 360 kHz with 9 dB
    assert 10 * np.log10(radio.noise_w) + 30 == pytest.approx(-174 + 55.563 + 9, abs=1e-3)
    assert dbm_to_w(23) == pytest.approx(0.19953, abs=1e-5) and dbm_to_w(30) == 1
    for change, message in [
        ({"carrier_ghz": 0}, "carrier"),
        ({"link": "sidelink"}, "link"),
        ({"environment": "Mars"}, "environment"),
        ({"bandwidth_mhz": 7}, "bandwidth"),
        ({"scs_khz": 45}, "subcarrier"),
        ({"user_height_m": 40}, "user's height"),
        ({"user_height_m": 1}, "user's height"),
        ({"station_height_m": 1.5}, "station's height"),
        ({"user_dbm": float("nan")}, "user_dbm"),
        ({"noise_figure_db": -1}, "noise figure"),
        ({"traffic_share": 0}, "share"),
        ({"condition": "fog"}, "condition"),
    ]:
        with pytest.raises(InputError, match=message):
            Radio(**change).validate()


def test_shadowing_is_seeded_and_has_its_spread():
    metres = np.full((400, 30), 500.0)
    plain = Radio().gains(metres)
    drawn = Radio(shadowing=True, seed=3).gains(metres)
    np.testing.assert_array_equal(drawn, Radio(shadowing=True, seed=3).gains(metres))
    db = 10 * np.log10(drawn / plain)
    assert db.std() == pytest.approx(6.0, rel=0.05) and db.mean() == pytest.approx(0, abs=0.2)
    mixed = Radio(condition="drawn", seed=1).gains(metres)
    assert (mixed > plain).mean() == pytest.approx(los_probability(500, "UMa"), abs=0.02)
