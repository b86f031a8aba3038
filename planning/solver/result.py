"""What a solver proved, in the model's own sense and unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from planning.errors import SolverError


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
        """Whether there are values, proven best or not."""
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
        """Solver, status, gap and seconds in words."""
        if self.gap is None:
            how_good = "gap unknown"
        elif self.gap < 1e-9:
            how_good = "gap 0 %"
        else:
            how_good = f"within {100 * self.gap:.2g} % of the bound"
        found = f", {how_good}" if self.has_solution else ""
        return f"{self.solver}: {self.status}{found}, {self.seconds:.1f} s"

    def record(self) -> dict[str, Any]:
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


def relative_gap(objective: float | None, bound: float | None) -> float | None:
    """|objective - bound| / |objective|; None where either is unknown."""
    if objective is None or bound is None:
        return None
    difference = abs(objective - bound)
    if difference <= 1e-9 * max(1.0, abs(objective)):
        return 0.0
    return difference / abs(objective) if objective else float("inf")
