"""PRBs: utilisation of whole networks, and allocation to users in one hour (eq. 15)."""

from planning.prb.allocation import solve_prb
from planning.prb.baselines import BASELINES, baseline
from planning.prb.cluster import Cluster
from planning.prb.plan import PrbPlan, compared
from planning.prb.problem import PrbProblem, PrbSettings
from planning.prb.relief import relief_of
from planning.prb.users import Users, draw_users
from planning.prb.utilisation import NetworkUtilisation, network_utilisation

__all__ = [
    "BASELINES",
    "Cluster",
    "NetworkUtilisation",
    "PrbPlan",
    "PrbProblem",
    "PrbSettings",
    "Users",
    "baseline",
    "compared",
    "draw_users",
    "network_utilisation",
    "relief_of",
    "solve_prb",
]
