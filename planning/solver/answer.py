"""What one run of a solver answers, before `planning.solver` judges it."""

from __future__ import annotations

from typing import NamedTuple


class Answer(NamedTuple):
    """status: as in `planning.solver.SolveResult`. objective, bound: of the minimised problem, None where unknown.
    seconds: in the solver, which began at `started` (`time.perf_counter`)."""

    status: str
    objective: float | None
    bound: float | None
    seconds: float
    started: float
