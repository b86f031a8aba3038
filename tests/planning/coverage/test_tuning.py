"""Tuning on levels that were made with a known error."""

import numpy as np
import pandas as pd
import pytest

from planning.coverage import BandTuning, Coverage, RadioSettings
from planning.coverage.tuning import tuned
from planning.errors import InputError
from tests.planning.coverage.making import network_at, three_sectors, tiles_around

SETTINGS = RadioSettings(pixel_m=50, floor_dbm=-160)


def drive(network, true, noise_db, places, seed=0):
    """Levels along random places as a network of other settings has them, with independent shadowing."""
    rng = np.random.default_rng(seed)
    coverage = Coverage.of(network, *tiles_around(2)[:2], true)
    entry = rng.choice(len(coverage.levels.cell), places, replace=False)
    pixel = coverage.levels.pixel[entry]
    return pd.DataFrame(
        {
            "lon": coverage.grid.lon[pixel],
            "lat": coverage.grid.lat[pixel],
            "cell": network.cells["cell"].to_numpy(object)[coverage.levels.cell[entry]],
            "dbm": coverage.levels.rsrp_dbm[entry] + rng.normal(0, noise_db, places),
        }
    )


def test_offset_and_slope_of_each_band_are_found_again():
    network = three_sectors(5, seed=1)
    truth = {"B3": BandTuning(-6.0, 0.0), "n41": BandTuning(5.0, 8.0)}
    measured = drive(network, RadioSettings(pixel_m=50, floor_dbm=-160, tuning=truth), 4.0, 6000)
    found = tuned(network, measured, SETTINGS)
    assert [f.band for f in found.fits] == ["B3", "n41"]
    for fit in found.fits:
        assert fit.tuning.offset_db == pytest.approx(truth[fit.band].offset_db, abs=0.5)
        assert fit.tuning.slope_db == pytest.approx(truth[fit.band].slope_db, abs=1.0)
        assert fit.rmse_after_db == pytest.approx(4.0, abs=0.4)
        assert fit.rmse_after_db < fit.rmse_before_db
        assert fit.held_out > 0.1 * fit.points
        assert f"{fit.rmse_before_db:.1f} dB before and" in fit.sentence
    applied = found.settings(SETTINGS)
    assert applied.tuning["n41"] == found.fits[1].tuning
    again = tuned(network, measured, applied)  # the tuning that settings have is left out of a new one
    assert again.fits == found.fits


def test_one_distance_gives_an_offset_alone():
    network = network_at(0, 0)
    measured = drive(network, RadioSettings(pixel_m=50, tuning={"n41": BandTuning(3.0)}), 0.0, 900)
    from tests.planning.coverage.making import LAT, LON

    east = (measured["lon"] - LON) * 97_800
    ring = np.abs(np.hypot(east, (measured["lat"] - LAT) * 110_800) - 600) < 60
    found = tuned(network, measured[ring], SETTINGS).fits[0]
    assert found.tuning.slope_db == 0 and found.tuning.offset_db == pytest.approx(3.0, abs=0.01)
    assert "The slope stays as it is" in found.sentence


def test_what_cannot_be_used_is_said():
    network = three_sectors(3, seed=2)
    measured = drive(network, SETTINGS, 1.0, 400)
    measured["dbm"] = measured["dbm"].astype(object)
    measured.loc[:3, "cell"] = "nobody"
    measured.loc[4:6, "dbm"] = "loud"
    measured.loc[7:8, "lat"] = 99.0
    found = tuned(network, measured, SETTINGS)
    assert "4 measurements name no cell of the network (first: nobody)" in found.left_out[0]
    assert "2 measurements have no place" in found.left_out[1]
    assert "3 measurements have no level" in found.left_out[2]
    assert found.table()["measurements"].sum() + found.table()["held_out"].sum() == 391


def test_too_few_measurements_are_refused():
    network = three_sectors(3, seed=2)
    measured = drive(network, SETTINGS, 1.0, 12)
    with pytest.raises(InputError, match=r"No band can be tuned.*Measure at least 10 places"):
        tuned(network, measured.head(6), SETTINGS)
    with pytest.raises(InputError, match="cell, dbm is missing"):
        tuned(network, measured[["lon", "lat"]], SETTINGS)
    with pytest.raises(InputError, match="No measurement can be used"):
        tuned(network, measured.assign(cell="x"), SETTINGS)


def test_measurements_of_one_spot_hold_nothing_out():
    network = network_at(0, 0)
    measured = drive(network, SETTINGS, 1.0, 40)
    measured[["lon", "lat"]] = measured[["lon", "lat"]].iloc[0].to_numpy()
    fit = tuned(network, measured, SETTINGS).fits[0]
    assert fit.held_out == 0 and "too close together" in fit.sentence
