"""What a network serves in an hour by the radio model: ground, people and traffic covered, Mbit/s and users served."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from plannerbase.formats import hour_in_prose
from planning.coverage import Coverage, RadioSettings, coupled_loads
from planning.demand import Demand
from planning.deployment.sizing import DOWNLINK_SHARE, PIXEL_M
from planning.network import Network


@dataclass(frozen=True)
class Served:
    """A network in one hour of a demand, median of the samples. Traffic is that of both links.

    Attributes
    ----------
    hour : of the demand.
    ground, people, traffic : share of the ground, of the hour's users and of its traffic that is covered, indoors and
        outdoors as the radio settings have it.
    demand_mbps, served_mbps : traffic of the hour, and what of it the cells carry at coupled loads.
    users, users_served : active users of the hour, and those whose traffic is carried: a user in a tile of which a
        share is served counts with that share.
    highest_load : of a cell, share of its PRBs that its traffic asks for.
    """

    hour: int
    ground: float
    people: float
    traffic: float
    demand_mbps: float
    served_mbps: float
    users: float
    users_served: float
    highest_load: float

    @property
    def served_share(self) -> float:
        """Of the traffic."""
        return self.served_mbps / self.demand_mbps if self.demand_mbps > 0 else 1.0

    @property
    def sentence(self) -> str:
        """In words."""
        return (
            f"By the radio model {100 * self.ground:.1f} % of the ground and {100 * self.people:.1f} % of the active "
            f"users are covered; at {hour_in_prose(self.hour)}, {self.served_mbps:,.0f} of {self.demand_mbps:,.0f} "
            f"Mbit/s and {self.users_served:,.0f} of {self.users:,.0f} active users are served."
        )

    def record(self) -> dict[str, float]:
        """As plain values."""
        return asdict(self)


def served(
    network: Network,
    demand: Demand,
    hour: int | None = None,
    radio: RadioSettings | None = None,
    coverage: Coverage | None = None,
) -> Served:
    """What the network serves in an hour, None for the busiest. coverage: of this network, where it is at hand."""
    coverage = coverage or Coverage.of(network, demand.x, demand.y, radio or RadioSettings(pixel_m=PIXEL_M))
    hour = demand.busy_hour() if hour is None else hour
    mbps = demand.profile(None, 0.5)[:, hour]
    users = demand.profile(None, 0.5, "users")[:, hour]
    loads = coupled_loads(coverage, DOWNLINK_SHARE * mbps)
    unserved = loads.unserved_mbps[:, 0] / DOWNLINK_SHARE
    lost = np.divide(unserved, mbps, out=np.zeros_like(mbps), where=mbps > 0)
    return Served(
        hour,
        coverage.covered_share()[2],
        coverage.covered_share(tile_values=users)[2],
        coverage.covered_share(tile_values=mbps)[2],
        float(mbps.sum()),
        float(mbps.sum() - unserved.sum()),
        float(users.sum()),
        float((users * (1 - np.clip(lost, 0, 1))).sum()),
        float(loads.load.max(initial=0.0)),
    )
