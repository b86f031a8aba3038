"""Which solver runs, and for how long."""

from __future__ import annotations

import os

from planning.errors import InputError, SolverError
from planning.solver.cbc import cbc_class
from planning.solver.highs import highs_available

SOLVERS = ("auto", "highs", "cbc")


def available_solvers() -> tuple[str, ...]:
    """The solvers that can run here, best first."""
    found = []
    if highs_available():
        found.append("highs")
    if cbc_class() is not None:
        found.append("cbc")
    return tuple(found)


def chosen_solver(solver: str) -> str:
    """ "HiGHS" or "CBC", for one of SOLVERS. Raises InputError for another, SolverError where it is not installed."""
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


def allowed_seconds(seconds: float | None) -> float | None:
    """No more than OPENDIFF_MAX_SOLVER_SECONDS, by which a server keeps one user from taking all of it."""
    most = os.environ.get("OPENDIFF_MAX_SOLVER_SECONDS", "")
    if not most.isdigit():
        return seconds
    return float(most) if seconds is None else min(seconds, float(most))
