"""Where base stations go, and how good that is."""

from typing import TYPE_CHECKING

from plannerbase.lazy import lazy_names

if TYPE_CHECKING:
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
else:
    _PLAN = ("UPLOADED", "DeploymentPlan", "deploy", "uploaded")
    _STRATEGIES = (
        "PROPORTIONAL", "STRATEGIES", "area_blocks", "available", "density", "largest_remainder", "proportional",
    )  # fmt: skip
    __getattr__, __dir__ = lazy_names(
        __name__,
        dict.fromkeys(_PLAN, "planning.deployment.plan")
        | dict.fromkeys(_STRATEGIES, "planning.deployment.strategies"),
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
