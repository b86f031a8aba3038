"""One adapter between the planners' models and PuLP with HiGHS or CBC."""

from planning.solver.adapter import SOLVERS, Model, SolveResult, available_solvers, relative_gap

__all__ = ["SOLVERS", "Model", "SolveResult", "available_solvers", "relative_gap"]
