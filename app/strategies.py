"""What the strategies of the planners are called on pages and in charts."""

from app.messages import plain

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
