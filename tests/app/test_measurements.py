"""The operator's own counters in the app: read with a report, conditioned on, what they are worth, and planned on."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from app.background import coverage, job_panel, spectrum
from app.files.measurements import FILE, NETWORK, cell_counters, read_measured, read_table
from app.state.inputs import Upload
from app.views.traffic import AGAIN
from opendiff.errors import TableError
from planning.coverage import RadioSettings
from planning.prb.utilisation import DOWNLINK_SHARE
from tests.app.making import X0, Y0, until_finished
from tests.app.test_pages import button, drawn, open_page, texts

assert drawn  # a fixture

CASE = Path(__file__).parents[3] / "shared" / "cases" / "22_measured_traffic" / "cells_hourly.csv"


def tiles_csv(cells=((2, 2), (3, 4), (4, 3))):
    hour = np.arange(168)
    day = 1.2 + np.sin((hour % 24 - 9) / 24 * 2 * np.pi)
    rows = [
        {"x": X0 + i, "y": Y0 + j, "hour": h, "traffic (Mbit/s)": 40 * (1 + k) * day[h]}
        for k, (i, j) in enumerate(cells)
        for h in hour
    ]
    return pd.DataFrame(rows).to_csv(index=False).encode()


def open_settings(space):
    """The Traffic page of a space with traffic, with the settings to regenerate it unfolded."""
    test = open_page("traffic", space)
    assert not any(
        b.label == "Generate traffic" for b in test.button
    )  # they are not sent while they are folded
    test.session_state[AGAIN] = True
    return test.run()


@pytest.mark.slow
def test_measurements_set_the_scale_and_condition_the_traffic(drawn, space):
    space.uploads[FILE] = Upload("m.csv", tiles_csv())
    test = open_settings(space)
    assert any("3 measured tiles, in Mbit/s" in text for text in texts(test.success))
    button(test, "Generate traffic").click().run()
    for job in space.jobs.values():
        until_finished(job)
    job_panel.deliver_finished(space)
    test.run()
    assert not test.exception and not test.error
    made = space.traffic.value
    assert made.metadata["unit"] == "Mbit/s" and space.stated_scale().kind == "measured"
    rows = [
        made.tiles.index[(made.tiles["x"] == X0 + i) & (made.tiles["y"] == Y0 + j)][0]
        for i, j in ((2, 2), (3, 4))
    ]
    level = made.traffic[rows].astype(float).mean(axis=(1, 2))
    np.testing.assert_allclose(level, [48, 96], rtol=0.02)
    worth = made.metadata["measured_worth"]
    assert "2 others" in worth["sentence"] and len(worth["next"]) == len(made.tiles) - 3
    assert any("others" in text for text in texts(test.markdown))


def test_an_error_names_the_columns_that_were_found(drawn, space):
    space.uploads[FILE] = Upload("m.csv", b"when,what\n2025-03-01,3\n")
    test = open_settings(space)
    assert any("found: when, what" in text for text in texts(test.error))


@pytest.mark.skipif(not CASE.is_file(), reason="needs the practitioners' files")
def test_case_22_beside_the_generated_week_is_refused_for_its_hours_not_its_columns():
    file = Upload(CASE.name, CASE.read_bytes())
    read = read_measured(file)
    assert read.counters.names == ("A-1",)
    with pytest.raises(TableError, match="found: a, b"):
        read_table(Upload("m.csv", b"a,b\n1,2\n"))


def test_counters_of_cells_are_handed_to_the_plans(space):
    assert cell_counters(space) is None
    lines = [f"a,2025-03-03 {h:02d}:00,5" for h in range(24)]
    space.uploads[FILE] = Upload("c.csv", ("cell,time,volume (MB)\n" + "\n".join(lines)).encode())
    assert cell_counters(space).names == ("a",)
    space.uploads[NETWORK] = Upload("n.csv", b"cell,lon,lat\nb,115.9,28.7\n")
    with pytest.raises(TableError, match=r"No cell of c.csv \(1 cell, first: a\)"):
        read_measured(space.uploads[FILE], space.uploads[NETWORK])


def counters_csv(cells, mbps):
    """A day of hourly counters of cells, each with its rate in Mbit/s in every hour."""
    rows = [
        {"cell": cell, "time": f"2025-03-03 {h:02d}:00", "throughput (Mbit/s)": rate}
        for cell, rate in zip(cells, mbps, strict=True)
        for h in range(24)
    ]
    return pd.DataFrame(rows).to_csv(index=False).encode()


def done(space):
    for job in space.jobs.values():
        until_finished(job)
    job_panel.deliver_finished(space)


@pytest.mark.slow
def test_coverage_and_spectrum_carry_what_the_counters_say(drawn, space):
    coverage.start(space, coverage.CoverageRequest(RadioSettings()))
    done(space)
    plain = space.coverage.value
    assert plain.demand is plain.network.demand and plain.coverage is plain.radio and not plain.notes
    cells, sector = plain.coverage.network.cells, plain.coverage.network.sector_of_cell
    carried = plain.coverage.sector_shares().apply(plain.demand.mbps[:, 0].astype(float)).mean(axis=1)
    busy = int(np.argmax(carried))
    mine = cells["cell"][sector == busy].tolist()
    rate = 3 * carried[busy]
    space.uploads[FILE] = Upload("c.csv", counters_csv(mine, [rate / len(mine)] * len(mine)))

    coverage.start(space, coverage.CoverageRequest(RadioSettings()))
    done(space)
    told = space.coverage.value
    assert any("sectors carry what" in note for note in told.notes)
    np.testing.assert_array_equal(told.radio.levels.rsrp_dbm, plain.radio.levels.rsrp_dbm)
    made = told.coverage.sector_shares().apply(told.demand.mean_mbps()[:, None])[:, 0]
    assert made[busy] == pytest.approx(rate, rel=0.05)
    test = open_page("coverage", space)
    assert not test.exception and not test.error
    assert any("sectors carry what" in text for text in texts(test.caption))

    spectrum.start_utilisation(space, 0)
    done(space)
    use = space.utilisation.value
    offered = use.found.loads.offered_mbps[sector == busy].sum(axis=0).mean()
    assert offered == pytest.approx(DOWNLINK_SHARE * rate, rel=0.05)
    test = open_page("spectrum", space)
    assert not test.exception and not test.error
    assert any("sectors carry what" in text for text in texts(test.caption))


@pytest.mark.slow
def test_counters_of_another_network_leave_the_plan_as_generated_and_say_so(drawn, space):
    space.uploads[FILE] = Upload("c.csv", counters_csv(["elsewhere"], [5.0]))
    spectrum.start_utilisation(space, 0)
    done(space)
    assert any("name no cell of this network" in note for note in space.utilisation.value.notes)
