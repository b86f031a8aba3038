"""What a user gives the app: the source of open data, the scale, and files."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from plannerbase.report import Report

if TYPE_CHECKING:
    from planning.network import Network

DEMO = "demo"  # the first bundled region; `demo:NAME` is another, any other source the path of a pack


def is_bundled(source: str) -> bool:
    """Whether a source is a bundled region."""
    return source.partition(":")[0] == DEMO


SCALE_KINDS = ("subscribers", "daily total", "busy hour")


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
            raise ValueError("invalid traffic scale")
        return self


@dataclass(frozen=True)
class Upload:
    """A file as it came: its name on the user's machine, and its bytes."""

    name: str
    data: bytes

    @cached_property
    def identity(self) -> str:
        return hashlib.sha256(self.name.encode() + b"\0" + self.data).hexdigest()[:16]


@dataclass(frozen=True)
class OwnSites:
    """A file of sites as it was read. report: what was taken, what was left out, what was assumed."""

    name: str
    network: "Network"
    report: Report
    identity: tuple
