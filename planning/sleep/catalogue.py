"""The sleep strategies: how each is made and what it is called. Page, command, benchmarks and tests have them from it.

A further strategy is a line of `STRATEGIES`: a rule as in `rules`, by `rule`, or a maker of its own. The app, the
command line, the benchmarks and the tests of every strategy take it from there (tests/planning/sleep/test_catalogue.py
registers one).

What a strategy promises, whatever it looks at:

- It returns awake parts (parts, hours) bool, in the order of `CellGroups`, the same for the same problem and settings.
- It obeys the limits on switching and the rules of operation: `min_up`, `min_off`, `max_wakes`, the parts that
  must be awake and those that need others. `Keeper.keep` adds the awake hours that a schedule lacks.
- It keeps the coverage but for `max_hole_share` of the ground (`Cover`). `rules.allowed` adds both to counts.
- It is given a demand that can all be served, and serves it: `repair.served` wakes what is missing. A strategy that is
  `blind` to traffic cannot promise that, and one that is not `advised` need not; the evaluation says what is unserved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from plannerbase.progress import Progress
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

    Attributes
    ----------
    label : str
        What it is called where people read it.
    make : Maker
        Its maker, which keeps the promises above.
    compared : bool
        Among those that the app and the benchmarks compare unless others are asked for.
    advised : bool
        A verdict may recommend it.
    blind : bool
        Looks at no traffic.
    """

    label: str
    make: Maker
    compared: bool = False
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
    "always-on": Strategy("Always on", rule(always_on), compared=True, advised=False, blind=True),
    "night": Strategy("Night window", rule(night), compared=True, blind=True),
    "threshold": Strategy("Load threshold", rule(threshold), compared=True),
    "greedy": Strategy("Greedy", rule(greedy), compared=True),
    "milp": Strategy("Optimised (MILP)", optimise, compared=True),
    "paper": Strategy("Paper (eq. 14)", _paper, advised=False),
}


def compared() -> tuple[str, ...]:
    """The strategies that are compared unless others are asked for."""
    return tuple(name for name, of in STRATEGIES.items() if of.compared)


def strategy_label(name: str) -> str:
    """What a strategy is called; its name where it is none of STRATEGIES."""
    return STRATEGIES[name].label if name in STRATEGIES else name
