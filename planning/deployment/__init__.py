"""Where base stations go, and how good that is."""

from planning.deployment.plan import UPLOADED, DeploymentPlan, deploy, uploaded
from planning.deployment.strategies import (
    PROPORTIONAL,
    STRATEGIES,
    area_blocks,
    available,
    density,
    largest_remainder,
    proportional,
)

__all__ = [
    "PROPORTIONAL",
    "STRATEGIES",
    "UPLOADED",
    "DeploymentPlan",
    "area_blocks",
    "available",
    "density",
    "deploy",
    "largest_remainder",
    "proportional",
    "uploaded",
]
