"""What can go wrong in planning: one family of errors, each message one clear sentence."""

from __future__ import annotations

from dataclasses import dataclass

from plannerbase.errors import Told


@dataclass(frozen=True)
class Shortfall:
    """Traffic that does not fit: which site or cell, in which hour, and how much is missing."""

    name: str
    hour: int
    missing_mbps: float


class PlanningError(Told):
    """Anything `planning` refuses; `str(error)` is one sentence that names the cause and the remedy."""


class InputError(PlanningError):
    """A file, table or setting that cannot be used as it is."""


class InfeasibleError(PlanningError):
    """No plan satisfies the constraints; `shortfalls` says where it fails, worst first."""

    def __init__(self, message: str, shortfalls: tuple[Shortfall, ...] = ()):
        super().__init__(message)
        self.shortfalls = tuple(sorted(shortfalls, key=lambda s: -s.missing_mbps))


class CapacityError(InfeasibleError):
    """The demand exceeds what the network can carry even with every cell awake."""


class ClusterError(PlanningError):
    """The processes or machines that were to share the work cannot."""


class SolverError(PlanningError):
    """No usable solver, or a solver that stopped without an answer."""


def capacity_error(shortfalls: list[Shortfall], remedy: str) -> CapacityError:
    """One sentence from many shortfalls: the worst, how many more, the total and the remedy."""
    ordered = sorted(shortfalls, key=lambda s: -s.missing_mbps)
    worst = ordered[0]
    names = {s.name for s in ordered}
    hours = {s.hour for s in ordered}
    total = sum(s.missing_mbps for s in ordered)
    return CapacityError(
        f"The demand exceeds the capacity with every cell awake at {len(names)} "
        f"sector{'s' if len(names) > 1 else ''} in {len(hours)} hour{'s' if len(hours) > 1 else ''} "
        f"({total:,.1f} Mbit/s-hours in all; worst: {worst.name} at hour {worst.hour}, short by "
        f"{worst.missing_mbps:,.1f} Mbit/s); {remedy}.",
        tuple(ordered),
    )
