"""One adapter between the planners' models and PuLP with HiGHS or CBC."""

from planning.solver.choice import SOLVERS, available_solvers
from planning.solver.model import Model
from planning.solver.result import SolveResult, relative_gap

__all__ = ["SOLVERS", "Model", "SolveResult", "available_solvers", "relative_gap"]
