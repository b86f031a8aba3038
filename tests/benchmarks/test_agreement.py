"""Sleep, spectrum and deployment call the same traffic served."""

import pytest

from benchmarks.agreement import BUSY_MBPS, _demand, agreement, disagreement, served_by_page
from benchmarks.coverage import made_network


@pytest.mark.slow
def test_the_pages_agree_within_five_percent_on_a_small_network():
    network, x, y = made_network(24, (3, 3), 1)
    text, figures = agreement(network, x, y, 1)
    assert figures["sleep_spectrum_disagreement"] <= 0.05
    assert figures["deployment_spectrum_disagreement"] <= 0.01
    assert "250 Mbit/s a site" in text


def test_nobody_counts_as_served_where_nothing_covers():
    network, x, y = made_network(3, (3, 3), 1)
    table = served_by_page(network, _demand(x, y, 3 * BUSY_MBPS / 10, 1))
    assert (table["spectrum_mbps"] < 0.9 * table["demand_mbps"]).all()  # three sites on 8 km2
    assert disagreement(table, "sleep") <= 0.05
