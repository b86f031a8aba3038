"""HiGHS behind PuLP 3.3 or 4.x: one run, and what HiGHS itself says of it."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import sys
import threading
import time
from typing import Any

import numpy as np
import pulp

from planning.errors import SolverError
from planning.solver.answer import Answer
from planning.solver.interruption import stop_asked
from planning.solver.pulp_rows import PULP_MAJOR

try:
    import highspy
except ImportError:  # CBC alone is enough to run
    highspy = None  # type: ignore[assignment]  # asked for by `highs_available` before any use

_pool = threading.local()  # .threads: what the calling thread's pool of HiGHS workers was made with
_greeting = threading.Lock()
_greeted = False  # whether HiGHS has printed its banner


def highs_available() -> bool:
    """Whether highspy is installed."""
    return highspy is not None


def run_highs(
    problem: pulp.LpProblem, time_limit: float | None, gap: float, threads: int | None, seed: int, warm: bool
) -> Answer:
    """Solve a minimisation; warm: its variables hold values to begin from. Raises SolverError."""
    options: dict[str, Any] = {"random_seed": int(seed), "output_flag": False, "log_to_console": False}
    if PULP_MAJOR >= 4:
        options["warmStart"] = warm
    solver = _HiGHS(msg=False, timeLimit=time_limit, gapRel=gap, threads=threads, **options)
    solver.start_values = warm
    _swallow_banner()
    begun = time.perf_counter()
    try:
        _fit_pool(threads)
        problem.solve(solver)
    except (pulp.PulpError, RuntimeError, OSError, MemoryError) as error:
        raise SolverError(f"HiGHS failed ({error or type(error).__name__}); try --solver cbc.") from error
    if stop_asked()():
        raise SolverError("The solver was stopped before its end; start it again for a plan.")
    engine = problem.solverModel
    status, objective, bound = _outcome(engine)
    if status == "unclear":
        # "unbounded or infeasible" comes from presolve; without it the solver can tell them apart
        engine.setOptionValue("presolve", "off")
        engine.run()
        status, objective, bound = _outcome(engine)
    if status in ("unclear", "error"):
        raise SolverError(f"HiGHS stopped with '{engine.modelStatusToString(engine.getModelStatus())}'.")
    seconds = engine.getRunTime()
    return Answer(status, objective, bound, seconds, max(begun, time.perf_counter() - seconds))


def _outcome(engine: highspy.Highs) -> tuple[str, float | None, float | None]:
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


class _InterruptibleHiGHS(pulp.HiGHS):
    """PuLP's HiGHS, which can be stopped in the middle of a call."""

    def callSolver(self, lp: pulp.LpProblem) -> None:
        engine, asked = lp.solverModel, stop_asked()

        def answer(event: Any) -> None:
            event.data_in.user_interrupt = asked()

        for moment in (engine.cbMipInterrupt, engine.cbSimplexInterrupt, engine.cbIpmInterrupt):
            moment.subscribe(answer)
        engine.run()


class _BatchHiGHS(_InterruptibleHiGHS):
    """PuLP 3.3's HiGHS with the model handed over in one call and a start solution, as PuLP 4 does."""

    start_values = False  # whether the variables hold values to begin from

    def buildSolverModel(self, lp: pulp.LpProblem) -> None:
        variables = lp.variables()
        _add_columns(lp, variables, self.mip)
        _add_rows(lp)
        if self.start_values:
            known = [(i, v.varValue) for i, v in enumerate(variables) if v.varValue is not None]
            columns, values = zip(*known, strict=True)
            lp.solverModel.setSolution(len(known), np.array(columns, np.int32), np.array(values, float))


def _add_columns(lp: pulp.LpProblem, variables: list[pulp.LpVariable], mip: bool) -> None:
    """The variables with their costs; each learns its number."""
    engine, inf, count = lp.solverModel, highspy.kHighsInf, len(variables)
    for i, variable in enumerate(variables):
        variable.index = i
    cost = np.zeros(count)
    for variable, coefficient in lp.objective.items():
        cost[variable.index] = coefficient
    lower = np.array([-inf if v.lowBound is None else v.lowBound for v in variables], float)
    upper = np.array([inf if v.upBound is None else v.upBound for v in variables], float)
    empty = np.zeros(0, np.int32)
    engine.changeObjectiveOffset(lp.objective.constant)
    engine.addCols(count, cost, lower, upper, 0, empty, empty, np.zeros(0))
    whole = np.array([i for i, v in enumerate(variables) if v.cat == pulp.LpInteger], np.int32)
    if mip and len(whole):
        engine.changeColsIntegrality(len(whole), whole, np.full(len(whole), highspy.HighsVarType.kInteger))


def _add_rows(lp: pulp.LpProblem) -> None:
    """The constraints, whose variables know their numbers."""
    inf = highspy.kHighsInf
    starts: list[int] = []
    index: list[int] = []
    value: list[float] = []
    low: list[float] = []
    high: list[float] = []
    for i, constraint in enumerate(lp._constraints.values()):
        constraint.index = i
        starts.append(len(index))
        for variable, coefficient in constraint.items():
            index.append(variable.index)
            value.append(coefficient)
        bound = -constraint.constant
        low.append(-inf if constraint.sense == pulp.LpConstraintLE else bound)
        high.append(inf if constraint.sense == pulp.LpConstraintGE else bound)
    lp.solverModel.addRows(
        len(starts),
        np.array(low, float),
        np.array(high, float),
        len(index),
        np.array(starts, np.int32),
        np.array(index, np.int32),
        np.array(value, float),
    )


_HiGHS = _InterruptibleHiGHS if PULP_MAJOR >= 4 else _BatchHiGHS


def _fit_pool(threads: int | None) -> None:
    """HiGHS keeps a pool of workers for each thread that calls it and refuses another number of them until it is
    reset, which touches no other thread's pool."""
    if threads is not None and threads != getattr(_pool, "threads", None):
        highspy.Highs.resetGlobalScheduler(True)
        _pool.threads = threads


def _swallow_banner() -> None:
    """HiGHS prints two lines on the process's first instance, before any option can forbid it; keep stdout clean."""
    global _greeted
    with _greeting:
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
