"""CBC behind PuLP 3.3 or 4.x: one run, and what CBC's log says of it."""

from __future__ import annotations

import math
import os
import re
import tempfile
import time
import warnings

import pulp

from planning.errors import SolverError
from planning.solver.answer import Answer

_SOL_STATUS = {1: "optimal", 2: "feasible", -1: "infeasible", -2: "unbounded"}  # of PuLP 3.3


def cbc_class() -> type[pulp.LpSolver] | None:
    """A ready constructor for CBC: `cbc` on the path or the cbcbox wheel, else PuLP 3's bundled binary."""
    if pulp.COIN_CMD(msg=False).available():
        return pulp.COIN_CMD
    bundled = getattr(pulp, "PULP_CBC_CMD", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PuLP 3.3 announces that the bundled binary goes away with 4.0
        if bundled is not None and bundled(msg=False).available():
            return bundled
    return None


def run_cbc(
    problem: pulp.LpProblem, time_limit: float | None, gap: float, threads: int | None, seed: int, warm: bool
) -> Answer:
    """Solve a minimisation; warm: its variables hold values to begin from. Raises SolverError."""
    made = cbc_class()
    if made is None:
        raise SolverError("The solver CBC is not installed; run: pip install 'pulp[cbc]'.")
    handle, log = tempfile.mkstemp(prefix="cbc-", suffix=".log")
    os.close(handle)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            solver = made(
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
                    f"CBC failed ({error or type(error).__name__}); try --solver highs."
                ) from error
            seconds = time.perf_counter() - begun
        with open(log, errors="replace") as file:
            text = file.read()
    finally:
        if os.path.exists(log):
            os.unlink(log)
    status, bound = _outcome(problem, text)
    objective = None
    if status in ("optimal", "feasible"):
        objective = float(sum(c * (v.varValue or 0.0) for v, c in problem.objective.items()))
        if status == "optimal" and bound is None:
            bound = objective
    return Answer(status, objective, bound, seconds, begun)


def _outcome(problem: pulp.LpProblem, text: str) -> tuple[str, float | None]:
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
        return _SOL_STATUS.get(known, "no solution"), bound
    return "no solution", bound


def _number(pattern: str, text: str) -> float | None:
    """The last match as a number; CBC writes about 1e50 for infinity."""
    found = re.findall(pattern, text)
    try:
        value = float(found[-1]) if found else None
    except ValueError:
        return None
    return value if value is not None and math.isfinite(value) and abs(value) < 1e49 else None
