"""Which of the strategies side by side the other pages plan with."""

import numpy as np
import pandas as pd
import pytest

from app.background.deployment import _to_plan_with
from app.state.results import Comparison
from app.widgets.verdicts import of_networks


@pytest.mark.parametrize(
    ("served", "expected"),
    [
        ({"optimised": 0.84, "traffic": 0.93, "uniform": 0.85}, "traffic"),
        ({"optimised": 0.93, "traffic": 0.9301}, "optimised"),  # as much: the first
        ({"optimised": 0.9296, "traffic": 0.9304}, "traffic"),  # what the page would call more
        ({"optimised": np.nan, "traffic": np.nan}, "optimised"),
        ({"uploaded": 0.5, "optimised": 0.9}, "uploaded"),  # the user's own sites, asked for first
        ({"poi": 0.4, "optimised": 0.45, "uploaded": 0.9}, "optimised"),  # ... or there to be compared with
    ],
)
def test_the_network_to_plan_with_is_that_which_serves_the_most(served, expected):
    table = pd.DataFrame({"strategy": list(served), "served_share": list(served.values())})
    assert _to_plan_with(Comparison(dict.fromkeys(served), table)) == expected


def test_the_page_does_not_call_another_strategy_better_than_the_one_that_is_planned_with():
    served = {"optimised": 0.9296, "traffic": 0.9304, "uniform": 0.9300}
    table = pd.DataFrame(
        {"strategy": list(served), "served_share": list(served.values()), "people_covered": 0.9}
    )
    table[["sites", "tiles"]] = 3, 2
    chosen = _to_plan_with(Comparison(dict.fromkeys(served), table))
    assert of_networks(table, chosen).good and not of_networks(table, "optimised").good
