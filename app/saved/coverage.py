"""Coverage in saved work: its settings and what it is of. Its levels follow from them and are computed anew."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from app.state.workspace import Workspace

if TYPE_CHECKING:
    from planning.coverage import RadioSettings

TERRAIN, LEVELS = "coverage terrain", "coverage levels"  # keys of the uploads


def record(space: Workspace) -> dict[str, Any] | None:
    """What is saved of the coverage, as JSON holds it: its settings, and what it is of."""
    made = space.coverage
    if made is None or made.value.asked is None:
        return space.coverage_saved
    uploads = [key for key in (TERRAIN, LEVELS) if key in space.uploads]
    return {"settings": asdict(made.value.asked), "basis": made.basis, "uploads": uploads}


def settings_of(told: dict[str, Any]) -> "RadioSettings":
    """The settings that `dataclasses.asdict` has made plain. Raises PlanningError, or TypeError for other fields."""
    from planning.coverage import RadioSettings, RateMapping

    rates = {name: RateMapping(**told[name]) for name in ("rates", "lte_rates")}
    return RadioSettings(**told | rates | {"thresholds_dbm": tuple(told["thresholds_dbm"]), "tuning": {}})
