"""The sleep strategies: how each is made and what it is called. Page, command, benchmarks and tests have them from it.

A further strategy is a line of `STRATEGIES`: a rule as in `rules`, by `rule`, or a maker of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from planning.progress import Progress
from planning.sleep.optimise import optimise
from planning.sleep.paper import paper_plan
from planning.sleep.problem import SleepProblem
from planning.sleep.rules import always_on, greedy, night, threshold
from planning.sleep.settings import SleepSettings
from planning.solver import SolveResult

# awake parts (parts, hours) bool, the outcome of a solver if there was one, notes
Awake: TypeAlias = tuple[np.ndarray, SolveResult | None, tuple[str, ...]]
# problem whose demand can all be served, settings, progress, awake parts of an earlier plan or None
Maker: TypeAlias = Callable[[SleepProblem, SleepSettings, Progress | None, np.ndarray | None], Awake]


class Strategy(NamedTuple):
    """How a plan is made.

    label: what it is called where people read it. make: its maker; the plan must obey `Keeper` and `Cover`. compared:
    among those that are compared unless others are asked for. advised: a verdict may recommend it. blind: looks at no
    traffic.
    """

    label: str
    make: Maker
    compared: bool = True
    advised: bool = True
    blind: bool = False


def rule(awake: Callable[[SleepProblem, SleepSettings], np.ndarray]) -> Maker:
    """The maker of a strategy that needs no solver."""

    def make(
        problem: SleepProblem, settings: SleepSettings, progress: Progress | None, earlier: np.ndarray | None
    ) -> Awake:
        return awake(problem, settings), None, ()

    return make


def _paper(
    problem: SleepProblem, settings: SleepSettings, progress: Progress | None, earlier: np.ndarray | None
) -> Awake:
    return paper_plan(problem, settings)


STRATEGIES: dict[str, Strategy] = {
    "always-on": Strategy("Always on", rule(always_on), advised=False, blind=True),
    "night": Strategy("Night window", rule(night), blind=True),
    "threshold": Strategy("Load threshold", rule(threshold)),
    "greedy": Strategy("Greedy", rule(greedy)),
    "milp": Strategy("Optimised (MILP)", optimise),
    "paper": Strategy("Paper (eq. 14)", _paper, compared=False, advised=False),
}
COMPARED = tuple(name for name, of in STRATEGIES.items() if of.compared)


def strategy_label(name: str) -> str:
    """What a strategy is called; its name where it is none of STRATEGIES."""
    return STRATEGIES[name].label if name in STRATEGIES else name
