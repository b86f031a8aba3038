"""One adapter between the planners' models and PuLP 3.3 or 4.x with HiGHS or CBC.

A model is written with index arrays (`Model.variables`, `Model.rows`), becomes a `pulp.LpProblem` when it is
solved, and comes back as a `SolveResult` whose status is what the solver proved: a time-out is "feasible" or
"no solution", never "optimal" (PuLP 3.3 with HiGHS reports "Optimal" there).
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pulp
from numpy.typing import ArrayLike

from planning.errors import InputError, SolverError
from planning.solver.answer import PULP_MAJOR
from planning.solver.cbc import cbc_class, run_cbc
from planning.solver.highs import highs_available, run_highs

SOLVERS = ("auto", "highs", "cbc")
INF = float("inf")


@dataclass(frozen=True)
class SolveResult:
    """What a solver answered.

    status: "optimal" (within the asked gap), "feasible" (stopped early, solution at hand), "infeasible",
    "unbounded" or "no solution" (stopped early with nothing). objective, bound: in the model's own sense and unit,
    None where unknown. gap: |objective - bound| / |objective|. seconds: in the solver; build_seconds: from the
    creation of the model to the start of the solver. values: one number a variable, None without a solution.
    """

    status: str
    objective: float | None
    bound: float | None
    gap: float | None
    seconds: float
    build_seconds: float
    solver: str
    values: np.ndarray | None = None

    @property
    def has_solution(self) -> bool:
        return self.values is not None

    @property
    def reached(self) -> float:
        """The objective of the solution. Raises SolverError where there is none."""
        if self.objective is None:
            raise self._nothing()
        return self.objective

    def of(self, variables: np.ndarray) -> np.ndarray:
        """The values of some variables, in their shape. Raises SolverError where there is no solution."""
        if self.values is None:
            raise self._nothing()
        return self.values[variables]

    def _nothing(self) -> SolverError:
        return SolverError(f"{self.solver} found no solution ({self.status}); give it more time.")

    @property
    def sentence(self) -> str:
        if self.gap is None:
            how_good = "gap unknown"
        elif self.gap < 1e-9:
            how_good = "gap 0 %"
        else:
            how_good = f"within {100 * self.gap:.2g} % of the bound"
        found = f", {how_good}" if self.has_solution else ""
        return f"{self.solver}: {self.status}{found}, {self.seconds:.1f} s"

    def record(self) -> dict:
        """The outcome without the values, for provenance."""
        return {
            "solver": self.solver,
            "status": self.status,
            "objective": self.objective,
            "bound": self.bound,
            "gap": self.gap,
            "seconds": round(self.seconds, 3),
            "build_seconds": round(self.build_seconds, 3),
        }


def available_solvers() -> tuple[str, ...]:
    """The solvers that can run here, best first."""
    found = []
    if highs_available():
        found.append("highs")
    if cbc_class() is not None:
        found.append("cbc")
    return tuple(found)


class Model:
    """A mixed-integer linear model by columns and rows, turned into PuLP when solved.

    Variables are numbered from 0; `variables` returns their numbers as an integer array, and constraints are given
    as coordinate triples, so that a model with a million terms is built without a million Python sums.
    """

    def __init__(self, name: str, maximise: bool = False):
        self.name = name
        self.maximise = maximise
        self.constant = 0.0
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
        objective = _expression(pairs)
        if with_constant:  # so that the relative gap is that of the whole objective
            objective.constant = sign * self.constant
        problem += objective
        for block in self._blocks:
            _add_rows(problem, variables, *block)
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
        time_limit = _allowed(time_limit)
        if not 0 <= gap < 1:
            raise InputError(f"The relative gap must be between 0 and 1, not {gap}.")
        name = _pick(solver)
        # CBC's log leaves the constant out of its bound, so CBC is not told of it at all
        outside = self.constant if name == "CBC" else 0.0
        problem, variables = self.problem(with_constant=name != "CBC")
        if not variables:
            return SolveResult("optimal", self.constant, self.constant, 0.0, 0.0, 0.0, name, np.zeros(0))
        warm = self._start is not None
        if self._start is not None:
            for i, value in zip(*(a.tolist() for a in self._start), strict=True):
                variables[i].setInitialValue(value, check=False)
        run = run_highs if name == "HiGHS" else run_cbc
        status, objective, bound, seconds, started = run(problem, time_limit, gap, threads, seed, warm)
        values = None
        sign = -1.0 if self.maximise else 1.0
        if objective is not None:
            values = np.array([v.varValue if v.varValue is not None else 0.0 for v in variables])
            is_integer = np.concatenate(self._integer)
            values[is_integer] = np.round(values[is_integer])
            objective = sign * objective + outside
            worth = self._value(values)
            if abs(worth - objective) > 1e-5 * (1 + abs(objective)):  # HiGHS 1.16 does so after some starts
                objective = worth
                off = relative_gap(objective, None if bound is None else sign * bound + outside)
                if status == "optimal" and (off is None or off > gap):
                    status = "feasible"
        elif status == "no solution" and (values := self._feasible_start()) is not None:
            # the time was over before the solver looked at what it was given
            status, objective = "feasible", self._value(values)
        bound = None if bound is None else sign * bound + outside
        return SolveResult(
            status,
            objective,
            bound,
            relative_gap(objective, bound),
            seconds,
            started - self._created,
            name,
            values,
        )

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


def _allowed(seconds: float | None) -> float | None:
    """No more than OPENDIFF_MAX_SOLVER_SECONDS, by which a server keeps one user from taking all of it."""
    most = os.environ.get("OPENDIFF_MAX_SOLVER_SECONDS", "")
    if not most.isdigit():
        return seconds
    return float(most) if seconds is None else min(seconds, float(most))


def relative_gap(objective: float | None, bound: float | None) -> float | None:
    """|objective - bound| / |objective|; None where either is unknown."""
    if objective is None or bound is None:
        return None
    difference = abs(objective - bound)
    if difference <= 1e-9 * max(1.0, abs(objective)):
        return 0.0
    return difference / abs(objective) if objective else INF


def _expression(pairs: list) -> pulp.LpAffineExpression:
    """A linear expression from (variable, coefficient) pairs, by the fast way of either PuLP."""
    if PULP_MAJOR >= 4:
        return pulp.LpAffineExpression.from_list(pairs)
    return pulp.LpAffineExpression(pairs)


def _add_rows(
    problem: pulp.LpProblem,
    variables: list[pulp.LpVariable],
    row: np.ndarray,
    column: np.ndarray,
    value: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
) -> None:
    """Append constraints from triples, summing doubled entries."""
    count = len(lower)
    key = row.astype(np.int64) * len(variables) + column
    unique, inverse = np.unique(key, return_inverse=True)
    coefficient = np.bincount(inverse, weights=value, minlength=len(unique))
    columns = (unique % len(variables)).tolist()
    ends = np.searchsorted(unique, np.arange(1, count + 1) * len(variables)).tolist()
    coefficients = coefficient.tolist()
    lower, upper = lower.tolist(), upper.tolist()
    begin = 0
    for i in range(count):
        end = ends[i]
        pairs = [(variables[c], a) for c, a in zip(columns[begin:end], coefficients[begin:end], strict=True)]
        begin = end
        if lower[i] == upper[i]:
            problem += _expression(pairs) == lower[i]
            continue
        if math.isfinite(lower[i]):
            problem += _expression(pairs) >= lower[i]
        if math.isfinite(upper[i]):
            problem += _expression(pairs) <= upper[i]


def _pick(solver: str) -> str:
    if solver not in SOLVERS:
        raise InputError(f"Unknown solver {solver!r}; choose one of {', '.join(SOLVERS)}.")
    found = available_solvers()
    wanted = found[0] if solver == "auto" and found else solver
    if wanted not in found:
        install = "pip install highspy" if wanted in ("auto", "highs") else "pip install 'pulp[cbc]'"
        raise SolverError(
            f"The solver {'HiGHS' if wanted != 'cbc' else 'CBC'} is not installed; run: {install}."
        )
    return {"highs": "HiGHS", "cbc": "CBC"}[wanted]
