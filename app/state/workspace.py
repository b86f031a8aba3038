"""What one user has made so far: one `Workspace` in the session, which no page change, error or new area empties.

Every result is kept as `Made`: the value together with what it was made from. When the area, the traffic, the scale or
the network changes afterwards, the result stays and `Workspace.outdated` says in one sentence what it no longer fits.
"""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import streamlit as st

from app.server.jobs import Job

if TYPE_CHECKING:
    import pandas as pd

    from app.widgets.own_sites import OwnSites
    from app.widgets.uploads import Upload
    from opendiff.area import Area, Tiles
    from opendiff.traffic_table import TrafficEnsemble
    from planning.demand import Demand, Scale
    from planning.deployment import DeploymentPlan
    from planning.prb import PrbPlan
    from planning.prb.hours import PrbHours
    from planning.sleep import SleepPlan

T = TypeVar("T")

DEMO = "demo"
WEEK = 168
SCALE_KINDS = ("subscribers", "daily total", "busy hour")
OF_THE_SESSION = (
    "jobs",
    "page",
    "work",
    "map_version",
    "deployment_rounds",
    "saved_versions",
)  # of a workspace, not of the work in it


@dataclass(frozen=True)
class Made(Generic[T]):
    """A result and what it was made from: input name to the identity that input had then."""

    value: T
    basis: dict[str, str]
    identity: str = field(default_factory=lambda: secrets.token_hex(6))


@dataclass(frozen=True)
class ScaleChoice:
    """The one stated assumption that turns relative traffic into Mbit/s."""

    kind: str = "subscribers"  # or "daily total", "busy hour"
    per_km2: float = 5000.0
    gb_per_month: float = 20.0
    gb_per_day: float = 50_000.0
    busy_mbps: float = 10_000.0

    def checked(self) -> "ScaleChoice":
        """Itself. Raises ValueError for a kind that there is none of, or a figure that is no positive number."""
        figures = (self.per_km2, self.gb_per_month, self.gb_per_day, self.busy_mbps)
        if self.kind not in SCALE_KINDS or not all(0 < float(figure) < 1e15 for figure in figures):
            raise ValueError("its scale is none")
        return self


@dataclass(frozen=True)
class Deployed:
    """A deployment, with the demand and the area that it was made for: together they stay exportable for good."""

    plan: "DeploymentPlan"
    demand: "Demand"
    area_name: str


@dataclass(frozen=True)
class Comparison(Generic[T]):
    """Strategies side by side: plan by strategy, a table with one row of figures each, and the network they are for."""

    plans: dict[str, T]
    table: "pd.DataFrame"
    network: Deployed | None = None
    judged_on: str = ""  # what the replay_ columns of the table are on
    risk: "pd.DataFrame | None" = None  # see planning.sleep.risk_curve


@dataclass
class Workspace:
    """Everything that one user of the app has chosen and made."""

    source: str = DEMO
    area: "Area | None" = None
    tiles: "Tiles | None" = None
    tiles_with_data: int = 0
    scale: ScaleChoice = ScaleChoice()
    hour: int = 20
    uploads: "dict[str, Upload]" = field(default_factory=dict)  # by the key of the control that took the file
    own_sites: "OwnSites | None" = None  # the file of sites that was uploaded, as it was read
    equipment: dict[str, dict[str, float]] = field(
        default_factory=dict
    )  # figures that were edited, by equipment
    deployment_rounds: int = 0  # how often deployment was started
    places: list[dict[str, Any]] = field(
        default_factory=list
    )  # drawn for the optimised strategy, GeoJSON features
    traffic: "Made[TrafficEnsemble] | None" = None
    network: Made[Deployed] | None = None
    deployments: Made[Comparison[Deployed]] | None = None
    sleep: "Made[Comparison[SleepPlan]] | None" = None
    spectrum: "Made[Comparison[PrbPlan]] | None" = None
    spectrum_hours: "Made[PrbHours] | None" = None  # the day of the spectrum plan
    sleep_choice: str = "milp"  # the strategies that are shown and exported
    spectrum_choice: str = "optimised"
    spectrum_hour: int = 0  # that the spectrum plan was made for
    compared: "dict[str, tuple[float, Workspace]]" = field(
        default_factory=dict
    )  # scenarios opened to be compared
    tried: set[str] = field(default_factory=set)  # of these, those that were asked for
    report: Made[bytes] | None = None  # the last one that was made
    jobs: dict[str, Job] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)  # errors and notices by the place that shows them
    map_version: int = 0  # a new number mounts the drawing map anew, with the saved outline in it
    page: str = ""
    work: str = ""  # under which the open work is kept, and found again by its address
    opened: str = ""  # the scenario of the library that the work was saved to or opened from
    saved_versions: dict[str, str] = field(default_factory=dict)
    _cache: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    @property
    def area_identity(self) -> str:
        if self.area is None:
            return ""
        return hashlib.sha256(self.area.geometry.wkb + self.source.encode()).hexdigest()[:12]

    @property
    def scale_identity(self) -> str:
        choice = self.scale
        figures = {
            "subscribers": (choice.per_km2, choice.gb_per_month),
            "daily total": (choice.gb_per_day,),
            "busy hour": (choice.busy_mbps,),
        }[choice.kind]
        return f"{choice.kind} {figures}"

    def basis(self, *names: str) -> dict[str, str]:
        """The present identities of the named inputs, to be kept in what is made from them now."""
        return {name: self._identity(name) for name in names}

    def _identity(self, name: str) -> str:
        if name == "area":
            return self.area_identity
        if name == "scale":
            return self.scale_identity
        made = getattr(self, name)
        return made.identity if made else ""

    def outdated(self, made: Made[Any]) -> str | None:
        """One sentence on what has changed since `made` was made, or None while it fits."""
        for name, kept in made.basis.items():
            if self._identity(name) != kept:
                return CHANGED[name]
        if "traffic" in made.basis and self.traffic and (reason := self.outdated(self.traffic)):
            return reason
        return None

    def set_area(self, area: "Area", tiles: "Tiles", tiles_with_data: int) -> None:
        self.area, self.tiles, self.tiles_with_data = area, tiles, tiles_with_data

    def mount_anew(self) -> None:
        """The drawing map is mounted anew in the next run, with what the workspace holds in it."""
        self.map_version += 1

    def take(self, other: "Workspace") -> None:
        """Everything that was made in `other` becomes this one's; what belongs to the session stays."""
        for part in fields(self):
            if part.name not in OF_THE_SESSION:
                setattr(self, part.name, getattr(other, part.name))
        self.mount_anew()

    def rename_area(self, name: str) -> None:
        if self.area is not None:
            self.area = replace(self.area, name=name)

    def clear_area(self) -> None:
        self.area, self.tiles, self.tiles_with_data = None, None, 0

    def outline_of(self, metadata: dict[str, Any]) -> Any:
        """The outline that traffic or demand with this metadata is for, which need not be the one drawn now."""
        from opendiff.area import Area

        document = metadata.get("area")
        build = lambda: Area.from_geojson(document).geometry if document else None  # noqa: E731
        return self.cached("outline", repr(document), build)

    def cached(self, name: str, key: Any, build: Callable[[], Any]) -> Any:
        """`build()`, kept until `key` changes: for values that follow from the workspace, one of each name."""
        kept = self._cache.get(name)
        if kept is None or kept[0] != key:
            kept = self._cache[name] = (key, build())
        return kept[1]

    def traffic_table(self) -> Any:
        """The traffic as the planners take it. Call only when there is traffic."""
        from planning.traffic import TrafficTable

        assert self.traffic is not None
        made = self.traffic
        ensemble = made.value
        return self.cached(
            "table",
            made.identity,
            lambda: TrafficTable.from_arrays(
                ensemble.tiles["x"].to_numpy(),
                ensemble.tiles["y"].to_numpy(),
                ensemble.traffic,
                ensemble.users if ensemble.has_users else None,
                ensemble.tiles["covered_share"].to_numpy(),
                ensemble.intensities,
                ensemble.metadata,
            ),
        )

    def stated_scale(self) -> "Scale":
        """The scale chosen, for the present traffic. Raises PlanningError on an impossible figure."""
        from planning.demand import Scale

        table, choice = self.traffic_table(), self.scale
        if choice.kind == "daily total":
            return Scale.daily_total(table, choice.gb_per_day)
        if choice.kind == "busy hour":
            return Scale.busy_hour(table, choice.busy_mbps)
        default = (
            ScaleChoice()
        )  # a figure left as it was is called assumed, one that was changed is called given
        return Scale.subscribers(
            table,
            None if choice.per_km2 == default.per_km2 else choice.per_km2,
            None if choice.gb_per_month == default.gb_per_month else choice.gb_per_month,
        )

    def demand(self) -> "Demand":
        """The demand in Mbit/s of the present traffic under the chosen scale. Raises PlanningError."""
        from planning.demand import Demand

        assert self.traffic is not None
        return self.cached(
            "demand",
            (self.traffic.identity, self.scale),
            lambda: Demand.build(self.traffic_table(), self.stated_scale()),
        )


CHANGED = {
    "area": "The area or its data source has changed since this was made; make it again for the area drawn now.",
    "traffic": "Other traffic has been generated since this was made; make it again.",
    "scale": "The scale has been changed since this was made; make it again.",
    "network": "The network has changed since this was made; make it again.",
}


def workspace() -> Workspace:
    """The workspace of this session, made at its first call."""
    if "workspace" not in st.session_state:
        st.session_state["workspace"] = Workspace()
    return st.session_state["workspace"]
