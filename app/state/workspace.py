"""What one user has made so far: one `Workspace` in the session, which no page change, error or new area empties.

Every result is kept as `Made`: the value together with what it was made from. When the area, the traffic, the scale or
the network changes afterwards, the result stays and `Workspace.outdated` says in one sentence what it no longer fits.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

import streamlit as st

from app.server.jobs import Job
from app.state.inputs import DEMO, OwnSites, ScaleChoice, Upload
from app.state.results import Comparison, Covered, Deployed, Made, NetworkUse
from app.state.slots import Slot
from plannerbase.report import Report

if TYPE_CHECKING:
    from opendiff.area import Area, Tiles
    from opendiff.traffic_table import TrafficEnsemble
    from planning.demand import Demand, Scale
    from planning.prb import PrbPlan
    from planning.prb.hours import PrbHours
    from planning.sleep import SleepPlan
    from planning.traffic import TrafficTable

WEEK = 168
T = TypeVar("T")
OUTLINE: Slot[Any] = Slot()
TABLE: "Slot[TrafficTable]" = Slot()
SCALE: "Slot[Scale]" = Slot()
DEMAND: "Slot[Demand]" = Slot()
# fields of a workspace that opening other work leaves as they are
OF_THE_SESSION = (
    "jobs",
    "page",
    "work",
    "map_version",
    "deployment_rounds",
    "saved_versions",
    "not_kept",
    "revision",
    "read_only",
)


@dataclass
class Workspace:
    """Everything that one user of the app has chosen and made.

    hour: 0..167, local time of the area, Monday 00:00 first: the one hour of all maps and charts. uploads: by the key
    of the control that took the file; own_sites: the file of sites among them, as it was read. edited_equipment:
    equipment to figure to value. drawn_places: GeoJSON features, for the optimised strategy; never_areas: likewise, of
    sites that never sleep. sleep_choice,
    spectrum_choice: the strategies that are shown and exported; spectrum_hour: 0..167, that of the spectrum plan, and
    spectrum_cluster: lon, lat and number of the sites that it is for, None for all. utilisation: is computed anew where
    the work is opened again.

    coverage_saved: what saved work says of its coverage, which is computed anew when it is needed.

    scenario: of the library, that the work was saved to or opened from. opened_scenarios: by identity, those opened to
    be compared, with the time of their file in seconds since the epoch; asked_scenarios: those whose opening was tried.

    work: the number that the open work is kept under and its address holds; saved_versions: part to the version that
    was kept last; not_kept: why that failed; revision: of the kept work as this session knows it, so that a change by
    another one is seen; read_only: opened by a link, not kept. jobs: running, by name; notes: errors and notices,
    reports: of files, by the place that shows them. map_version: another number mounts the drawing map anew, with the
    saved outline in it.
    deployment_rounds: how often deployment has begun.
    """

    source: str = DEMO
    area: "Area | None" = None
    tiles: "Tiles | None" = None
    tiles_with_data: int = 0
    scale: ScaleChoice = field(default_factory=ScaleChoice)
    hour: int = 20
    uploads: dict[str, Upload] = field(default_factory=dict)
    own_sites: OwnSites | None = None
    edited_equipment: dict[str, dict[str, float]] = field(default_factory=dict)
    drawn_places: list[dict[str, Any]] = field(default_factory=list)
    never_areas: list[dict[str, Any]] = field(default_factory=list)

    traffic: "Made[TrafficEnsemble] | None" = None
    network: Made[Deployed] | None = None
    deployments: Made[Comparison[Deployed]] | None = None
    coverage: Made[Covered] | None = None
    coverage_saved: dict[str, Any] | None = None
    sleep: "Made[Comparison[SleepPlan]] | None" = None
    utilisation: Made[NetworkUse] | None = None
    spectrum: "Made[Comparison[PrbPlan]] | None" = None
    spectrum_hours: "Made[PrbHours] | None" = None
    report: Made[bytes] | None = None
    sleep_choice: str = "milp"
    spectrum_choice: str = "optimised"
    spectrum_hour: int = 0
    spectrum_cluster: tuple[float, float, int] | None = None

    scenario: str = ""
    opened_scenarios: "dict[str, tuple[float, Workspace]]" = field(default_factory=dict)
    asked_scenarios: set[str] = field(default_factory=set)

    work: str = ""
    saved_versions: dict[str, str] = field(default_factory=dict)
    not_kept: str = ""
    revision: str = ""
    read_only: bool = False
    page: str = ""
    jobs: dict[str, Job] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    reports: dict[str, Report] = field(default_factory=dict)
    map_version: int = 0
    deployment_rounds: int = 0
    _cache: dict[Slot[Any], tuple[Any, Any]] = field(default_factory=dict)

    @property
    def area_identity(self) -> str:
        """Changes with the outline and with the source of its open data; empty without an area."""
        if self.area is None:
            return ""
        return hashlib.sha256(self.area.geometry.wkb + self.source.encode()).hexdigest()[:12]

    @property
    def scale_identity(self) -> str:
        """Changes with the figures that the chosen kind of scale rests on."""
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
        return self.cached(OUTLINE, repr(document), build)

    def cached(self, slot: Slot[T], key: Any, build: Callable[[], T]) -> T:
        """`build()`, kept in its slot until `key` changes: for values that follow from the workspace."""
        kept = self._cache.get(slot)
        if kept is None or kept[0] != key:
            kept = self._cache[slot] = (key, build())
        return kept[1]

    def last_cached(self, slot: Slot[T]) -> T | None:
        """What `cached` built last for this slot, None where that is nothing yet."""
        kept = self._cache.get(slot)
        return None if kept is None else kept[1]

    def traffic_table(self) -> "TrafficTable":
        """The traffic as the planners take it. Call only when there is traffic."""
        from planning.traffic import TrafficTable

        assert self.traffic is not None
        made = self.traffic
        return self.cached(TABLE, made.identity, lambda: TrafficTable.of(made.value))

    @property
    def is_measured(self) -> bool:
        """Whether the present traffic is in Mbit/s by measurements, so that no scale has to be chosen."""
        return self.traffic is not None and self.traffic.value.metadata.get("unit") == "Mbit/s"

    def stated_scale(self) -> "Scale":
        """The scale chosen, for the present traffic. Raises PlanningError on an impossible figure."""
        assert self.traffic is not None
        return self.cached(SCALE, (self.traffic.identity, self.scale), self._scale)

    def _scale(self) -> "Scale":
        from planning.demand import Scale

        table, choice = self.traffic_table(), self.scale
        if self.is_measured:
            return Scale.measured(table)
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
            DEMAND,
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
