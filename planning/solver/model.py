"""One adapter between the planners' models and PuLP 3.3 or 4.x with HiGHS or CBC.

A model is written with index arrays (`Model.variables`, `Model.rows`), becomes a `pulp.LpProblem` when it is
solved, and comes back as a `SolveResult` whose status is what the solver proved: a time-out is "feasible" or
"no solution", never "optimal" (PuLP 3.3 with HiGHS reports "Optimal" there).
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence

import numpy as np
import pulp
from numpy.typing import ArrayLike

from planning.errors import InputError
from planning.solver.answer import Answer
from planning.solver.cbc import run_cbc
from planning.solver.choice import allowed_seconds, chosen_solver
from planning.solver.highs import run_highs
from planning.solver.pulp_rows import add_rows, expression
from planning.solver.result import SolveResult, relative_gap

INF = float("inf")


class Model:
    """A mixed-integer linear model by columns and rows, turned into PuLP when solved.

    Variables are numbered from 0; `variables` returns their numbers as an integer array, and constraints are given
    as coordinate triples, so that a model with a million terms is built without a million Python sums.
    """

    def __init__(self, name: str, maximise: bool = False):
        self.name = name
        self.maximise = maximise
        self.constant = 0.0  # of the objective
        self._created = time.perf_counter()
        self._lower: list[np.ndarray] = []
        self._upper: list[np.ndarray] = []
        self._integer: list[np.ndarray] = []
        self._names: list[tuple[str, int]] = []
        self._columns = 0
        self._cost: list[tuple[np.ndarray, np.ndarray]] = []
        self._blocks: list[tuple[np.ndarray, ...]] = []
        self._rows = 0
        self._start: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(variables, constraints) so far."""
        return self._columns, self._rows

    def variables(
        self,
        name: str,
        shape: int | Sequence[int],
        lower: ArrayLike = 0.0,
        upper: ArrayLike = INF,
        integer: bool = False,
    ) -> np.ndarray:
        """New variables with bounds broadcast to `shape`; returns their numbers in that shape."""
        shape = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
        count = int(np.prod(shape))
        self._lower.append(np.broadcast_to(np.asarray(lower, float), shape).ravel())
        self._upper.append(np.broadcast_to(np.asarray(upper, float), shape).ravel())
        self._integer.append(np.full(count, integer))
        self._names.append((name, count))
        numbers = np.arange(self._columns, self._columns + count).reshape(shape)
        self._columns += count
        return numbers

    def cost(self, columns: ArrayLike, values: ArrayLike) -> None:
        """Add terms to the objective; `values` is broadcast to `columns`."""
        numbers = np.asarray(columns)
        self._cost.append(
            (numbers.ravel(), np.broadcast_to(np.asarray(values, float), numbers.shape).ravel())
        )

    def rows(
        self,
        row: ArrayLike,
        column: ArrayLike,
        value: ArrayLike,
        lower: ArrayLike = -INF,
        upper: ArrayLike = INF,
        count: int | None = None,
    ) -> None:
        """New constraints lower <= A v <= upper, with A given as triples.

        row: 0-based within this call; column: variable numbers; value: coefficients (broadcast). lower, upper:
        (count,) or scalar. Terms of equal row and column are added up.
        """
        columns = np.asarray(column)
        places = np.broadcast_to(np.asarray(row), columns.shape).ravel()
        values = np.broadcast_to(np.asarray(value, float), columns.shape).ravel()
        if count is None:
            count = int(places.max()) + 1 if places.size else 0
        low, high = (np.broadcast_to(np.asarray(side, float), (count,)) for side in (lower, upper))
        self._blocks.append((places, columns.ravel(), values, low, high))
        self._rows += count

    def start(self, columns: ArrayLike, values: ArrayLike) -> None:
        """A first solution (or part of one) to begin from, where the solver takes it."""
        numbers = np.asarray(columns).ravel()
        known = np.broadcast_to(np.asarray(values, float), numbers.shape).ravel()
        if self._start is not None:
            numbers, known = (
                np.concatenate(pair) for pair in zip(self._start, (numbers, known), strict=True)
            )
        self._start = (numbers, known)

    def problem(self, with_constant: bool = True) -> tuple[pulp.LpProblem, list[pulp.LpVariable]]:
        """The model as a PuLP problem, always a minimisation, and its variables by number."""
        problem = pulp.LpProblem(re.sub(r"\W", "_", self.name), pulp.LpMinimize)
        lower = np.concatenate(self._lower) if self._lower else np.zeros(0)
        upper = np.concatenate(self._upper) if self._upper else np.zeros(0)
        bad = lower > upper
        if bad.any():
            raise InputError(
                f"Model {self.name}: {int(bad.sum())} variables have a lower bound above their upper."
            )
        low = [None if not math.isfinite(b) else b for b in lower.tolist()]
        high = [None if not math.isfinite(b) else b for b in upper.tolist()]
        integer = np.concatenate(self._integer).tolist() if self._integer else []
        variables: list[pulp.LpVariable] = []
        add = problem.add_variable
        for name, count in self._names:
            for index in range(count):
                i = len(variables)
                kind = pulp.LpInteger if integer[i] else pulp.LpContinuous
                variables.append(add(f"{name}_{index}", low[i], high[i], kind))
        sign = -1.0 if self.maximise else 1.0
        cost = np.zeros(self._columns)
        for columns, values in self._cost:
            np.add.at(cost, columns, values)
        terms = np.flatnonzero(cost)
        pairs = list(zip([variables[i] for i in terms], (sign * cost[terms]).tolist(), strict=True))
        objective = expression(pairs)
        if with_constant:  # so that the relative gap is that of the whole objective
            objective.constant = sign * self.constant
        problem += objective
        for block in self._blocks:
            add_rows(problem, variables, *block)
        return problem, variables

    def solve(
        self,
        solver: str = "auto",
        time_limit: float | None = 60.0,
        gap: float = 1e-4,
        threads: int | None = None,
        seed: int = 0,
    ) -> SolveResult:
        """Solve within `time_limit` seconds to a relative `gap`; the result tells what was really reached.

        Raises SolverError where the solver is missing or breaks, InputError for a setting that makes no sense.
        """
        if time_limit is not None and not time_limit > 0:
            raise InputError(f"The time limit must be above 0 seconds, not {time_limit}.")
        time_limit = allowed_seconds(time_limit)
        if not 0 <= gap < 1:
            raise InputError(f"The relative gap must be between 0 and 1, not {gap}.")
        name = chosen_solver(solver)
        # CBC's log leaves the constant out of its bound, so CBC is not told of it at all
        problem, variables = self.problem(with_constant=name != "CBC")
        if not variables:
            return SolveResult("optimal", self.constant, self.constant, 0.0, 0.0, 0.0, name, np.zeros(0))
        warm = self._start is not None
        if self._start is not None:
            for i, value in zip(*(a.tolist() for a in self._start), strict=True):
                variables[i].setInitialValue(value, check=False)
        run = run_highs if name == "HiGHS" else run_cbc
        answer = run(problem, time_limit, gap, threads, seed, warm)
        return self._judged(answer, variables, gap, name)

    def _judged(self, answer: Answer, variables: list[pulp.LpVariable], gap: float, name: str) -> SolveResult:
        """The answer to the minimisation as one to this model, its objective and status checked by the values."""
        status, objective, bound = (
            answer.status,
            self._own(answer.objective, name),
            self._own(answer.bound, name),
        )
        values = None
        if objective is not None:
            values = np.array([v.varValue if v.varValue is not None else 0.0 for v in variables])
            is_integer = np.concatenate(self._integer)
            values[is_integer] = np.round(values[is_integer])
            worth = self._value(values)
            if abs(worth - objective) > 1e-5 * (1 + abs(objective)):  # HiGHS 1.16 does so after some starts
                objective = worth
                off = relative_gap(objective, bound)
                if status == "optimal" and (off is None or off > gap):
                    status = "feasible"
        elif status == "no solution" and (values := self._feasible_start()) is not None:
            # the time was over before the solver looked at what it was given
            status, objective = "feasible", self._value(values)
        return SolveResult(
            status,
            objective,
            bound,
            relative_gap(objective, bound),
            answer.seconds,
            answer.started - self._created,
            name,
            values,
        )

    def _own(self, value: float | None, name: str) -> float | None:
        """A value of the minimisation that a solver saw, in this model's sense, constant included."""
        if value is None:
            return None
        sign = -1.0 if self.maximise else 1.0
        return sign * value + (self.constant if name == "CBC" else 0.0)

    def _value(self, values: np.ndarray) -> float:
        """The objective of a solution, constant included."""
        return self.constant + sum(float(cost @ values[columns]) for columns, cost in self._cost)

    def _feasible_start(self, tolerance: float = 1e-6) -> np.ndarray | None:
        """The values to begin from where they are a whole solution, else None."""
        if self._start is None:
            return None
        values = np.full(self._columns, np.nan)
        values[self._start[0]] = self._start[1]
        lower, upper, integer = (np.concatenate(part) for part in (self._lower, self._upper, self._integer))
        if not ((values >= lower - tolerance) & (values <= upper + tolerance)).all():  # NaN is neither
            return None
        if (np.abs(values[integer] - np.round(values[integer])) > tolerance).any():
            return None
        for row, column, value, low, high in self._blocks:
            total = np.bincount(row, value * values[column], len(low))
            slack = tolerance * (1 + np.abs(total))
            if not ((total >= low - slack) & (total <= high + slack)).all():
                return None
        return values
