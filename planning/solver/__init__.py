"""One adapter between the planners' models and PuLP with HiGHS or CBC.

Solvers are loaded with the first name that is asked for: who only stops one (`interruption`) needs none.
"""

from typing import TYPE_CHECKING

from plannerbase.lazy import lazy_names

if TYPE_CHECKING:
    from planning.solver.choice import SOLVERS, available_solvers
    from planning.solver.model import Model
    from planning.solver.result import SolveResult, relative_gap
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "SOLVERS": "planning.solver.choice",
            "Model": "planning.solver.model",
            "SolveResult": "planning.solver.result",
            "available_solvers": "planning.solver.choice",
            "relative_gap": "planning.solver.result",
        },
    )

__all__ = ["SOLVERS", "Model", "SolveResult", "available_solvers", "relative_gap"]
