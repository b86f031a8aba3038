"""Spectral efficiency: the tables as TS 38.214 prints them, and what is made of them."""

import numpy as np
import pytest

from planning.coverage.rates import (
    CQI_64QAM,
    CQI_256QAM,
    MCS_64QAM,
    MCS_256QAM,
    TABLES,
    RateMapping,
    efficiencies,
    efficiency_at,
    efficiency_table,
)
from planning.errors import InputError

# the column "efficiency" or "spectral efficiency" of the tables, as printed
PRINTED = {
    CQI_64QAM: "0.1523 0.2344 0.3770 0.6016 0.8770 1.1758 1.4766 1.9141 2.4063 2.7305 3.3223 3.9023 4.5234 5.1152 "
    "5.5547",
    CQI_256QAM: "0.1523 0.3770 0.8770 1.4766 1.9141 2.4063 2.7305 3.3223 3.9023 4.5234 5.1152 5.5547 6.2266 "
    "6.9141 7.4063",
    MCS_64QAM: "0.2344 0.3066 0.3770 0.4902 0.6016 0.7402 0.8770 1.0273 1.1758 1.3262 1.3281 1.4766 1.6953 1.9141 "
    "2.1602 2.4063 2.5703 2.5664 2.7305 3.0293 3.3223 3.6094 3.9023 4.2129 4.5234 4.8164 5.1152 5.3320 5.5547",
    MCS_256QAM: "0.2344 0.3770 0.6016 0.8770 1.1758 1.4766 1.6953 1.9141 2.1602 2.4063 2.5703 2.7305 3.0293 3.3223 "
    "3.6094 3.9023 4.2129 4.5234 4.8164 5.1152 5.3320 5.5547 5.8906 6.2266 6.5703 6.9141 7.1602 7.4063",
}  # fmt: skip
# SINR in dB at 10 % block errors of CQI 1 to 15, as the Vienna LTE link simulator gives them
VIENNA = [
    -6.936,
    -5.147,
    -3.18,
    -1.253,
    0.761,
    2.699,
    4.694,
    6.525,
    8.573,
    10.366,
    12.289,
    14.173,
    15.888,
    17.814,
    19.829,
]


@pytest.mark.parametrize(("table", "printed"), PRINTED.items())
def test_tables_are_those_of_the_standard(table, printed):
    np.testing.assert_allclose(efficiencies(table), [float(v) for v in printed.split()], atol=6e-5)


def test_an_index_is_used_from_the_sinr_that_a_link_simulator_gives():
    thresholds = RateMapping("cqi-64qam").thresholds_db
    assert np.abs(thresholds - VIENNA).max() < 0.9
    assert (np.diff(thresholds) > 0).all()


def test_efficiency_steps_at_the_thresholds():
    mapping = RateMapping()
    low, high = mapping.thresholds_db[[0, -1]]
    assert mapping.layer_efficiency([low, high - 0.01, high, 99.0]) == pytest.approx(
        [156 / 1024, 7080 / 1024, 7584 / 1024, 7584 / 1024]
    )


def test_below_the_lowest_index_blocks_are_repeated_until_nothing_is_carried():
    mapping = RateMapping()
    low = mapping.thresholds_db[0]
    assert mapping.layer_efficiency([low - 1, -10.0, -10.01]) == pytest.approx(
        [156 / 1024 * 10**-0.1, 156 / 1024 * 10 ** (-(low + 10) / 10), 0]
    )


def test_attenuated_truncated_shannon_by_hand():
    mapping = RateMapping("shannon")
    # 0.6 log2(1 + 10) = 2.07566 bit/s/Hz at 10 dB; nothing below -10 dB; 4.4 at most
    assert mapping.layer_efficiency([-10.1, 10.0, 40.0]) == pytest.approx([0, 2.07566, 4.4], abs=1e-5)


def test_layers_share_the_power_and_only_good_places_use_many():
    mapping = RateMapping()
    edge, middle = mapping.thresholds_db[0], 12.0
    assert mapping.efficiency(edge, 4) == mapping.layer_efficiency(edge)
    by_count = [k * mapping.layer_efficiency(middle - 10 * np.log10(k)) for k in (1, 2, 3, 4)]
    assert mapping.efficiency(middle, 4) == max(by_count)
    assert mapping.efficiency(60.0, 4) == pytest.approx(4 * 7584 / 1024)


@pytest.mark.parametrize("layers", [1, 4])
def test_the_table_is_the_function_to_a_step(layers):
    mapping = RateMapping()
    sinr_db = np.random.default_rng(0).uniform(-25, 65, 5000)
    found = efficiency_at(efficiency_table(mapping, layers), (10 ** (sinr_db / 10)).astype(np.float32))
    assert found.dtype == np.float32
    assert (found <= mapping.efficiency(sinr_db + 1e-3, layers) + 1e-5).all()
    assert (found >= mapping.efficiency(sinr_db - 0.03, layers) - 1e-5).all()
    assert efficiency_at(efficiency_table(mapping, layers), np.zeros(1, np.float32)) == 0


def test_wrong_settings_are_refused():
    with pytest.raises(InputError, match="Unknown rate mapping"):
        RateMapping("qam")
    with pytest.raises(InputError, match="gap of 0 to 20 dB"):
        RateMapping(gap_db=-1)


@pytest.mark.parametrize("kind", ["cqi-256qam", "mcs-64qam", "shannon"])
@pytest.mark.parametrize("lowest_db", [-10.0, -4.0, 0.0])
def test_layers_are_the_best_of_every_number_of_equal_ones(kind, lowest_db):
    mapping = RateMapping(kind, min_sinr_db=lowest_db)
    sinr = 10 ** (np.linspace(-20, 45, 1301) / 10)

    def one(share: np.ndarray) -> np.ndarray:
        """Of a layer, written out: repeated below the first index, nothing below the lowest SINR."""
        if kind == "shannon":
            rate = np.minimum(mapping.attenuation * np.log2(1 + share), mapping.max_efficiency)
        else:
            bits = np.array([order * code / 1024 for order, code in TABLES[kind]])
            needed = 10 ** (mapping.gap_db / 10) * (2**bits - 1)
            rate = np.max(np.where(share[:, None] >= needed * (1 - 1e-12), bits, 0.0), axis=1)
            rate = np.where(share < needed[0], bits[0] * share / needed[0], rate)
        return np.where(share < 10 ** (lowest_db / 10) * (1 - 1e-12), 0.0, rate)

    expected = np.max([k * one(sinr / k) for k in (1, 2, 3, 4)], axis=0)
    found = mapping.efficiency_of(sinr, 4)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert (np.diff(found) >= -1e-12).all()
