"""PRB allocation (eq. 15): which station and which PRBs serve which user."""

from planning.prb.allocation import solve_prb
from planning.prb.baselines import BASELINES, baseline
from planning.prb.plan import PrbPlan, compared
from planning.prb.problem import PrbProblem, PrbSettings
from planning.prb.users import Users, draw_users

__all__ = [
    "BASELINES",
    "PrbPlan",
    "PrbProblem",
    "PrbSettings",
    "Users",
    "baseline",
    "compared",
    "draw_users",
    "solve_prb",
]
