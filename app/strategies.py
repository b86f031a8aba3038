"""What the strategies of the planners are called on pages and in charts, and which of them serves the most."""

from typing import TYPE_CHECKING

from app.messages import plain

if TYPE_CHECKING:
    import pandas as pd

AS_MUCH = 0.0005  # shares of traffic served that differ by less count as equal

STRATEGY_NAMES = {
    "traffic": "Traffic",
    "poi": "POI",
    "business": "Business POI",
    "population": "Population",
    "uniform": "Uniform",
    "optimised": "Optimised",
    "uploaded": "Your sites",
    "round-robin": "Nearest, round robin",
    "best-sinr": "Best SINR first",
    "proportional-fair": "Proportional fair",
}


def strategy_name(name: str) -> str:
    """Of any planner; those of sleep are called as `planning.sleep.STRATEGIES` says."""
    if name in STRATEGY_NAMES:
        return STRATEGY_NAMES[name]
    from planning.sleep import STRATEGIES

    return STRATEGIES[name].label if name in STRATEGIES else plain(name.capitalize())


def serves_most(served: "pd.Series") -> str:
    """The strategy that serves the largest share of the traffic, the first of those that serve as much.

    served: share by strategy; where it is not known it counts as nothing.
    """
    served = served.astype(float).fillna(0.0)
    return str(served.index[(served > served.max() - AS_MUCH).to_numpy().argmax()])
