"""One adapter between the planners' models and PuLP 3.3 or 4.x with HiGHS or CBC.

A model is written with index arrays (`Model.variables`, `Model.rows`), becomes a `pulp.LpProblem` when it is
solved, and comes back as a `SolveResult` whose status is what the solver proved: a time-out is "feasible" or
"no solution", never "optimal" (PuLP 3.3 with HiGHS reports "Optimal" there).
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import re
import sys
import tempfile
import threading
import time
import warnings
from dataclasses import dataclass

import numpy as np
import pulp

from .errors import InputError, SolverError

SOLVERS = ("auto", "highs", "cbc")
PULP_MAJOR = int(pulp.__version__.split(".")[0])
INF = float("inf")

try:
    import highspy
except ImportError:  # CBC alone is enough to run
    highspy = None


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
    if highspy is not None:
        found.append("highs")
    if _cbc_class() is not None:
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

    def variables(self, name: str, shape, lower=0.0, upper=INF, integer: bool = False) -> np.ndarray:
        """New variables with bounds broadcast to `shape`; returns their numbers in that shape."""
        shape = (shape,) if np.isscalar(shape) else tuple(shape)
        count = int(np.prod(shape))
        self._lower.append(np.broadcast_to(np.asarray(lower, float), shape).ravel())
        self._upper.append(np.broadcast_to(np.asarray(upper, float), shape).ravel())
        self._integer.append(np.full(count, integer))
        self._names.append((name, count))
        numbers = np.arange(self._columns, self._columns + count).reshape(shape)
        self._columns += count
        return numbers

    def cost(self, columns, values) -> None:
        """Add terms to the objective; `values` is broadcast to `columns`."""
        columns = np.asarray(columns)
        self._cost.append(
            (columns.ravel(), np.broadcast_to(np.asarray(values, float), columns.shape).ravel())
        )

    def rows(self, row, column, value, lower=-INF, upper=INF, count: int | None = None) -> None:
        """New constraints lower <= A v <= upper, with A given as triples.

        row: 0-based within this call; column: variable numbers; value: coefficients (broadcast). lower, upper:
        (count,) or scalar. Terms of equal row and column are added up.
        """
        column = np.asarray(column)
        row = np.broadcast_to(np.asarray(row), column.shape).ravel()
        value = np.broadcast_to(np.asarray(value, float), column.shape).ravel()
        column = column.ravel()
        if count is None:
            count = int(row.max()) + 1 if row.size else 0
        lower = np.broadcast_to(np.asarray(lower, float), (count,))
        upper = np.broadcast_to(np.asarray(upper, float), (count,))
        self._blocks.append((row, column, value, lower, upper))
        self._rows += count

    def start(self, columns, values) -> None:
        """A first solution (or part of one) to begin from, where the solver takes it."""
        columns = np.asarray(columns).ravel()
        values = np.broadcast_to(np.asarray(values, float), columns.shape).ravel()
        if self._start is not None:
            columns = np.concatenate([self._start[0], columns])
            values = np.concatenate([self._start[1], values])
        self._start = (columns, values)

    def problem(self, with_constant: bool = True) -> tuple[pulp.LpProblem, list]:
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
        variables = []
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
        if warm:
            for i, value in zip(*(a.tolist() for a in self._start), strict=True):
                variables[i].setInitialValue(value, check=False)
        run = _run_highs if name == "HiGHS" else _run_cbc
        status, objective, bound, seconds, started = run(
            problem, variables, time_limit, gap, threads, seed, warm
        )
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


def _add_rows(problem, variables, row, column, value, lower, upper) -> None:
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


_busy = threading.Condition()
_running = 0
_threads: int | None = None


@contextlib.contextmanager
def _scheduler(threads: int | None):
    """Let HiGHS runs overlap while they want the same number of threads.

    HiGHS keeps one pool of threads a process and refuses another count until the pool is reset, which must not
    happen under a running solve (the app serves several people from one process).
    """
    global _running, _threads
    with _busy:
        if threads is not None and threads != _threads:
            _busy.wait_for(lambda: _running == 0)
            highspy.Highs.resetGlobalScheduler(True)
            _threads = threads
        _running += 1
    try:
        yield
    finally:
        with _busy:
            _running -= 1
            _busy.notify_all()


_greeted = False


def _swallow_banner() -> None:
    """HiGHS prints two lines on the process's first instance, before any option can forbid it; keep stdout clean."""
    global _greeted
    with _busy:
        if _greeted:
            return
        _greeted = True
        try:
            sys.stdout.flush()
            kept = os.dup(1)
        except (OSError, ValueError):
            return
        try:
            with open(os.devnull, "w") as nothing:
                os.dup2(nothing.fileno(), 1)
                highspy.Highs()
                with contextlib.suppress(OSError, AttributeError, TypeError):
                    ctypes.CDLL(None).fflush(None)  # the lines wait in C's own buffer where stdout is a file
        finally:
            os.dup2(kept, 1)
            os.close(kept)


# --- HiGHS -----------------------------------------------------------------------------------------------------


def _run_highs(problem, variables, time_limit, gap, threads, seed, warm):
    options = {"random_seed": int(seed), "output_flag": False, "log_to_console": False}
    if PULP_MAJOR >= 4:
        options["warmStart"] = warm
        solver_class = pulp.HiGHS
    else:
        solver_class = _batch_highs()
    solver = solver_class(msg=False, timeLimit=time_limit, gapRel=gap, threads=threads, **options)
    solver.start_values = warm
    _swallow_banner()
    begun = time.perf_counter()
    try:
        with _scheduler(threads):
            problem.solve(solver)
    except (pulp.PulpError, RuntimeError, OSError, MemoryError) as error:
        raise SolverError(f"HiGHS broke off ({error or type(error).__name__}); try --solver cbc.") from error
    engine = problem.solverModel
    status, objective, bound = _highs_outcome(engine)
    if status == "unclear":
        # "unbounded or infeasible" comes from presolve; without it the solver can tell them apart
        engine.setOptionValue("presolve", "off")
        engine.run()
        status, objective, bound = _highs_outcome(engine)
    if status in ("unclear", "error"):
        raise SolverError(f"HiGHS stopped with '{engine.modelStatusToString(engine.getModelStatus())}'.")
    seconds = engine.getRunTime()
    return status, objective, bound, seconds, max(begun, time.perf_counter() - seconds)


def _highs_outcome(engine) -> tuple[str, float | None, float | None]:
    """(status, objective, bound) as HiGHS itself knows them, whatever PuLP made of it."""
    kinds = highspy.HighsModelStatus
    model_status = engine.getModelStatus()
    info = engine.getInfo()
    feasible = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    objective = (
        info.objective_function_value if feasible and math.isfinite(info.objective_function_value) else None
    )
    is_mip = any(kind != highspy.HighsVarType.kContinuous for kind in engine.getLp().integrality_)
    bound = info.mip_dual_bound if is_mip else None
    if bound is not None and not (math.isfinite(bound) and abs(bound) < 1e300):
        bound = None
    if model_status == kinds.kOptimal:
        return "optimal", objective, objective if bound is None else bound
    if model_status == kinds.kModelEmpty:
        return "optimal", 0.0, 0.0
    if model_status == kinds.kInfeasible:
        return "infeasible", None, None
    if model_status == kinds.kUnbounded:
        return "unbounded", None, None
    if model_status == kinds.kUnboundedOrInfeasible:
        return "unclear", None, None
    early = {
        kinds.kTimeLimit,
        kinds.kIterationLimit,
        kinds.kSolutionLimit,
        kinds.kInterrupt,
        kinds.kObjectiveBound,
        kinds.kObjectiveTarget,
        kinds.kMemoryLimit,
        kinds.kUnknown,
        kinds.kNotset,  # a time limit of next to nothing
    }
    if model_status in early:
        return ("feasible" if objective is not None else "no solution"), objective, bound
    return "error", None, None


def _batch_highs():
    """PuLP 3.3's HiGHS with the model handed over in one call and a start solution, as PuLP 4 does."""

    class BatchHiGHS(pulp.HiGHS):
        def buildSolverModel(self, lp):
            inf = highspy.kHighsInf
            variables = lp.variables()
            count = len(variables)
            number = {id(v): i for i, v in enumerate(variables)}
            cost = np.zeros(count)
            for variable, coefficient in lp.objective.items():
                cost[number[id(variable)]] = coefficient
            lower = np.array([-inf if v.lowBound is None else v.lowBound for v in variables], float)
            upper = np.array([inf if v.upBound is None else v.upBound for v in variables], float)
            empty = np.zeros(0, np.int32)
            engine = lp.solverModel
            engine.changeObjectiveOffset(lp.objective.constant)
            engine.addCols(count, cost, lower, upper, 0, empty, empty, np.zeros(0))
            whole = np.array([i for i, v in enumerate(variables) if v.cat == pulp.LpInteger], np.int32)
            if self.mip and len(whole):
                engine.changeColsIntegrality(
                    len(whole), whole, np.full(len(whole), highspy.HighsVarType.kInteger)
                )
            for i, variable in enumerate(variables):
                variable.index = i
            starts, index, value, low, high = [], [], [], [], []
            for i, constraint in enumerate(lp._constraints.values()):
                constraint.index = i
                starts.append(len(index))
                for variable, coefficient in constraint.items():
                    index.append(variable.index)
                    value.append(coefficient)
                bound = -constraint.constant
                low.append(-inf if constraint.sense == pulp.LpConstraintLE else bound)
                high.append(inf if constraint.sense == pulp.LpConstraintGE else bound)
            engine.addRows(
                len(starts),
                np.array(low, float),
                np.array(high, float),
                len(index),
                np.array(starts, np.int32),
                np.array(index, np.int32),
                np.array(value, float),
            )
            if self.start_values:
                known = [(i, v.varValue) for i, v in enumerate(variables) if v.varValue is not None]
                columns, values = zip(*known, strict=True)
                engine.setSolution(len(known), np.array(columns, np.int32), np.array(values, float))

    return BatchHiGHS


# --- CBC -------------------------------------------------------------------------------------------------------


def _cbc_class():
    """A ready constructor for CBC: `cbc` on the path or the cbcbox wheel, else PuLP 3's bundled binary."""
    if pulp.COIN_CMD(msg=False).available():
        return pulp.COIN_CMD
    bundled = getattr(pulp, "PULP_CBC_CMD", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PuLP 3.3 announces that the bundled binary goes away with 4.0
        if bundled is not None and bundled(msg=False).available():
            return bundled
    return None


def _run_cbc(problem, variables, time_limit, gap, threads, seed, warm):
    handle, log = tempfile.mkstemp(prefix="cbc-", suffix=".log")
    os.close(handle)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            solver = _cbc_class()(
                msg=False,
                timeLimit=time_limit,
                gapRel=gap,
                threads=threads,
                warmStart=warm,
                logPath=log,
                options=[f"randomSeed {int(seed) + 1}"],
            )
            begun = time.perf_counter()
            try:
                problem.solve(solver)
            except (pulp.PulpError, RuntimeError, OSError, MemoryError) as error:
                raise SolverError(
                    f"CBC broke off ({error or type(error).__name__}); try --solver highs."
                ) from error
            seconds = time.perf_counter() - begun
        with open(log, errors="replace") as file:
            text = file.read()
    finally:
        if os.path.exists(log):
            os.unlink(log)
    status, bound = _cbc_outcome(problem, text)
    objective = None
    if status in ("optimal", "feasible"):
        objective = float(sum(c * (v.varValue or 0.0) for v, c in problem.objective.items()))
        if status == "optimal" and bound is None:
            bound = objective
    return status, objective, bound, seconds, begun


def _cbc_outcome(problem, text: str) -> tuple[str, float | None]:
    """(status, bound) from CBC's log, which says more than the solution file PuLP reads."""
    bound = _number(r"Lower bound:\s*(\S+)", text)
    lower = text.lower()
    result = re.search(r"result - (.*)", lower)
    verdict = result.group(1) if result else ""
    if "infeasible" in verdict or re.search(
        r"problem (is|proven) infeasible|^infeasible", lower, re.MULTILINE
    ):
        return "infeasible", None
    if "unbounded" in verdict or re.search(
        r"(problem is|primal|dual) unbounded|^unbounded", lower, re.MULTILINE
    ):
        return "unbounded", None
    if "optimal solution found" in verdict:
        return "optimal", bound
    if verdict:
        has_solution = "no feasible solution" not in lower and "Objective value:" in text
        return ("feasible" if has_solution else "no solution"), bound
    # a pure LP closes without a "Result" line
    if re.search(r"^optimal (- )?objective", lower, re.MULTILINE) or "optimal objective" in lower:
        return "optimal", None
    known = getattr(problem, "sol_status", None)
    if known is not None:
        return {1: "optimal", 2: "feasible", -1: "infeasible", -2: "unbounded"}.get(
            known, "no solution"
        ), bound
    return "no solution", bound


def _number(pattern: str, text: str) -> float | None:
    found = re.findall(pattern, text)
    try:
        value = float(found[-1]) if found else None
    except ValueError:
        return None
    return value if value is not None and math.isfinite(value) and abs(value) < 1e49 else None
