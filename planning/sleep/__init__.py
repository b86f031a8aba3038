"""Base-station sleep (eq. 14): which cells are awake in which hour, by strategy."""

from planning.sleep.building import DAY_TYPES, QUANTILE
from planning.sleep.catalogue import STRATEGIES, Strategy, compared, rule, strategy_label
from planning.sleep.evaluation import evaluate
from planning.sleep.operation import Operation
from planning.sleep.plan import SleepPlan, replay
from planning.sleep.problem import SleepProblem
from planning.sleep.schedule import group_counts
from planning.sleep.settings import LABELS, SleepSettings
from planning.sleep.strategies import (
    RISK_QUANTILES,
    compare_strategies,
    plan_sleep,
    risk_curve,
)

__all__ = [
    "DAY_TYPES",
    "LABELS",
    "QUANTILE",
    "RISK_QUANTILES",
    "STRATEGIES",
    "Operation",
    "SleepPlan",
    "SleepProblem",
    "SleepSettings",
    "Strategy",
    "compare_strategies",
    "compared",
    "evaluate",
    "group_counts",
    "plan_sleep",
    "replay",
    "risk_curve",
    "rule",
    "strategy_label",
]
