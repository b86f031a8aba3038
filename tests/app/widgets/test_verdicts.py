"""The one sentence on top of each page: what it takes from the figures, and when it warns."""

import numpy as np
import pandas as pd
import pytest

from app.widgets.verdicts import of_cases, of_coverage, of_network_use, of_networks, of_spectrum


def networks(**columns):
    rows = {"strategy": ["traffic", "optimised"], "sites": [40, 40], "tiles": [30, 35], "overloaded": [0, 0]}
    return pd.DataFrame(rows | columns)


def test_of_networks_the_best_is_named():
    table = networks(served_share=[0.9, 0.97], people_covered=[0.98, 0.99])
    found = of_networks(table, "optimised")
    assert found.good and found.sentence == (
        "Optimised: 40 sites serve 97.0% of the busy hour's traffic and cover 99.0% of the active users, the most "
        "of 2 strategies."
    )
    other = of_networks(table, "traffic")
    assert (
        not other.good
        and other.sentence.startswith("The strategy Optimised would serve 97.0%")
        and "90.0%" in other.sentence
    )
    over = of_networks(networks(served_share=[0.9, 0.9], people_covered=1.0, overloaded=[2, 0]), "traffic")
    assert not over.good and over.sentence.endswith("; 2 of these sites are overloaded.")
    one = of_networks(networks(served_share=[0.9, 0.9], people_covered=1.0, overloaded=[1, 0]), "traffic")
    assert one.sentence.endswith("; 1 of these sites is overloaded.")
    poor = of_networks(networks(served_share=[0.04, 0.03], people_covered=1.0)[:1], "traffic")
    assert not poor.good and "serve 4.0% of" in poor.sentence
    assert "on 30 tiles" in of_networks(networks(), "traffic").sentence


class Cover:
    """A stand-in for the radio model: cell 0 covers all, cell 1 a tenth of what it covers indoors."""

    def covered_share(self, awake, values):
        assert values is None or len(values) == 2
        return float(awake[0]), 0.5 * awake[0] + 0.1 * awake[1], 0.0


@pytest.mark.parametrize(
    ("after", "good", "said"),
    [
        (None, True, "With everything on, 100.0% of the people are covered outdoors and 60.0% indoors."),
        ([True, True], True, "The plan keeps coverage on Tue 03:00: 100.0% of the people outdoors"),
        (
            [True, False],
            False,
            "costs coverage on Tue 03:00: 0.0 points of the people outdoors and 10.0 points",
        ),
    ],
)
def test_of_coverage_what_a_plan_costs(after, good, said):
    awake = None if after is None else np.array(after)
    found = of_coverage(Cover(), np.ones(2), np.ones(2, bool), awake, "Tue 03:00")
    assert found.good is good and said in found.sentence


def test_of_coverage_without_people_the_ground_counts():
    found = of_coverage(Cover(), None, np.ones(2, bool), None, "Tue 03:00")
    assert "100.0% of the ground is covered" in found.sentence


def by_hour(served):
    return pd.DataFrame(
        {"hour": [24, 44], "served_share": [1.0, served], "missing_mbps": [0.0, 100 * (1 - served)],
         "utilisation": [0.1, 0.6], "busy_cells": [0, 7], "overloaded_cells": [0, 3]}
    )  # fmt: skip


def test_of_network_use_the_worst_hour_and_the_best_measure():
    hot = pd.DataFrame({"sector": ["A", "B"]})
    relief = pd.DataFrame(
        {
            "sector": ["A", "B"],
            "measure": ["split", "carrier"],
            "best": [True, True],
            "gained_mbps": [3.0, 9.0],
        }
    )
    bad = of_network_use(by_hour(0.8), hot, relief)
    assert (
        not bad.good and "On Tue 20:00 20.0% of the downlink demand goes unserved (20 Mbit/s)" in bad.sentence
    )
    assert bad.sentence.endswith("most is won at B by another carrier.")
    good = of_network_use(by_hour(1.0), hot[:0], relief[:0])
    assert good.good and "fullest hour, Tue 20:00, cells use 60% of their PRBs" in good.sentence
    little = of_network_use(
        by_hour(0.95), hot, relief
    )  # enough for sites, not for a day without a bottleneck
    assert not little.good and "5.0% of the downlink demand goes unserved" in little.sentence


@pytest.mark.parametrize(("met", "said"), [(9, "2 fewer"), (7, "as many"), (6, "1 more")])
def test_of_spectrum_against_the_best_rule(met, said):
    table = pd.DataFrame(
        {"strategy": ["optimised", "round-robin", "best-sinr"], "met": [met, 7, 5], "users": 9,
         "missing_mbps": [0.0 if met == 9 else 4.0, 9, 9], "used_prbs": [50, 60, 70]}
    )  # fmt: skip
    found = of_spectrum(table, 20)
    assert f"meets {met} of 9 demands on Mon 20:00 with 50 PRBs; the best rule" in found.sentence
    assert f"(Nearest, round robin) meets {said} with 60 PRBs" in found.sentence
    assert found.good == (met == 9) == ("missing" not in found.sentence)


def test_of_cases_the_least_energy():
    figures = {"base": {"kwh_a_day": 200.0, "unserved": 0.0}, "other": {"kwh_a_day": 150.0, "unserved": 0.05}}
    found = of_cases(figures | {"no plan": {"sites": 3.0}})
    assert found.good and found.sentence == (
        "Least energy: other with 150 kWh per day, 25.0% less than base; 0.05% of the traffic stays unserved."
    )
    figures["other"]["unserved"] = 5.0
    assert not of_cases(figures).good
    assert of_cases({"base": figures["base"]}) is None
