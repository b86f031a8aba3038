"""What is made in a session, each result together with what it was made from."""

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import pandas as pd

    from planning.coverage import Coverage, RadioSettings
    from planning.demand import Demand
    from planning.deployment import DeploymentPlan
    from planning.prb import NetworkUtilisation
    from planning.prices import Prices

T = TypeVar("T")


@dataclass(frozen=True)
class Made(Generic[T]):
    """A result and what it was made from: input name to the identity that input had then."""

    value: T
    basis: dict[str, str]
    identity: str = field(default_factory=lambda: secrets.token_hex(6))


@dataclass(frozen=True)
class Deployed:
    """A deployment, with the demand and the area that it was made for: together they stay exportable for good."""

    plan: "DeploymentPlan"
    demand: "Demand"
    area_name: str


@dataclass(frozen=True)
class Covered:
    """The coverage of a network, and the deployment that it is of. notes: what was read beside the network.

    coverage, demand: where traffic stands, and how much of it, as counters say where there are any; radio: the same
    coverage without counters, traffic even in its tile. asked: the settings of the radio model that were asked for,
    before any tuning.
    """

    coverage: "Coverage"
    network: Deployed
    demand: "Demand"
    radio: "Coverage"
    notes: tuple[str, ...] = ()
    asked: "RadioSettings | None" = None


@dataclass(frozen=True)
class Comparison(Generic[T]):
    """Strategies side by side: plan by strategy, a table with one row of figures each, and the network they are for."""

    plans: dict[str, T]
    table: "pd.DataFrame"
    network: Deployed | None = None
    judged_on: str = ""  # what the replay_ columns of the table are on
    risk: "pd.DataFrame | None" = None  # see planning.sleep.risk_curve
    ranges: "pd.DataFrame | None" = None  # see planning.sleep.ranges.ensemble_figures
    prices: "Prices | None" = None  # of the ranges
    notes: tuple[str, ...] = ()  # what counters said of the cells


@dataclass(frozen=True)
class NetworkUse:
    """PRB utilisation of a network, its hot spots and what would relieve each of the first ones."""

    found: "NetworkUtilisation"
    hot_spots: "pd.DataFrame"
    relief: "pd.DataFrame"
    notes: tuple[str, ...] = ()  # what counters said of the cells


def network_of(deployments: Made[Comparison[Deployed]], strategy: str) -> Made[Deployed]:
    """The deployment of a strategy as the network that sleep and spectrum plans are made for.

    Its identity is the same each time, so that plans fit again when the user comes back to a strategy.
    """
    identity = network_identity(deployments, strategy)
    return Made(deployments.value.plans[strategy], deployments.basis, identity)


def network_identity(deployments: Made[Comparison[Deployed]], strategy: str) -> str:
    """What `network_of` names the network by."""
    return f"{deployments.identity} {strategy}"
