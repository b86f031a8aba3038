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
    "always-on": "Always on",
    "night": "Night window",
    "threshold": "Load threshold",
    "greedy": "Greedy",
    "milp": "Optimised (MILP)",
    "paper": "Paper (eq. 14)",
    "round-robin": "Nearest, round robin",
    "best-sinr": "Best SINR first",
    "proportional-fair": "Proportional fair",
}


def strategy_name(name: str) -> str:
    return STRATEGY_NAMES.get(name) or plain(name.capitalize())
