"""Where base stations go, and how good that is."""

from planning.deployment.deployment import (
    PROPORTIONAL,
    STRATEGIES,
    UPLOADED,
    DeploymentPlan,
    area_blocks,
    available,
    density,
    deploy,
    largest_remainder,
    proportional,
    uploaded,
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
