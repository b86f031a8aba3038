"""What the optimised strategy is asked: its settings, and the candidates that they leave."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields

import numpy as np

from planning.demand import Demand
from planning.deployment.places import Places, grid, in_areas
from planning.errors import InputError
from planning.geometry import metres_per_degree, tile_area_km2
from planning.radio import Radio
from planning.reach import EDGE_MBPS

ROBUST = ("quantile", "mean", "p10")
HOURS = ("busy", "all")


@dataclass(frozen=True)
class SitingSettings:
    """radius_m: None for that of `radio` at `edge_mbps` (planning.reach). site_capacity_mbps: None for the largest site
    that the deployment allows. budget, site_cost: in any one currency; a cost or capacity that a file gives counts.
    min_distance_m: between any two sites, existing or forced pairs apart. candidates: None for a grid of about
    `spacing_m` (None: at least four candidates a site, no farther apart than the radius). existing: sites that count as
    built and cost nothing where they stand; they stay, or with move_existing only where that serves more. forbidden:
    areas, and `forbidden_m` around points.

    robust: "quantile" plans for the demand's quantile; "mean" and "p10" make plans on the mean and on several
    quantiles and take the one that serves the most over the samples, on average or at the 10th percentile. hours:
    "busy", or "all" for the mean over the day. The rest: see `covering_plan.solve_covering`.
    """

    radius_m: float | None = None
    radio: Radio = field(default_factory=Radio)
    edge_mbps: float = EDGE_MBPS
    site_capacity_mbps: float | None = None
    budget: float | None = None
    site_cost: float = 1.0
    min_distance_m: float = 0.0
    candidates: Places | None = None
    spacing_m: float | None = None
    existing: Places | None = None
    move_existing: bool = False
    forced: Places | None = None
    forbidden: Places | None = None
    forbidden_m: float = 100.0
    robust: str = "quantile"
    hours: str = "busy"
    solver: str = "auto"
    time_limit: float = 60.0
    gap: float = 1e-3
    threads: int = 1
    seed: int = 0

    def record(self) -> dict:
        """As plain values for provenance; of places their number."""
        known = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            k: len(v) + len(v.areas) if isinstance(v, Places) else asdict(v) if isinstance(v, Radio) else v
            for k, v in known.items()
            if v is not None
        }

    def validate(self) -> None:
        """Raises InputError for a setting outside its range."""
        if self.robust not in ROBUST or self.hours not in HOURS:
            raise InputError(
                f"Robust is one of {', '.join(ROBUST)} and hours one of {', '.join(HOURS)}, not {self.robust!r} and "
                f"{self.hours!r}."
            )
        if not (self.min_distance_m >= 0 and self.forbidden_m >= 0 and self.site_cost >= 0):
            raise InputError("The minimum distance, the forbidden distance and the cost must be at least 0.")
        if self.spacing_m is not None and not self.spacing_m > 0:
            raise InputError("The spacing of candidates must be above 0 m.")
        if self.forced is not None and self.forced.areas:
            raise InputError("Forced places are points; an area can only be forbidden.")


@dataclass(frozen=True)
class Candidates:
    """Places where a site may stand. lon, lat: (candidates,) degrees; origin: "existing", "forced" or "new"; cost: in
    the settings' currency; capacity: Mbit/s; forced, forbidden: bool."""

    lon: np.ndarray
    lat: np.ndarray
    names: list[str]
    origin: np.ndarray
    cost: np.ndarray
    capacity: np.ndarray
    forced: np.ndarray
    forbidden: np.ndarray


def candidates_of(
    demand: Demand, settings: SitingSettings, sites: int | None, radius: float, capacity: float
) -> Candidates:
    """Existing and forced sites, and those of a file or a grid. radius: m; capacity: Mbit/s where a file gives none.
    Raises InputError where there is none."""
    if settings.candidates is not None:
        new = settings.candidates
    else:
        side = 1000 * float(np.sqrt(tile_area_km2(demand.x, demand.y).mean()))
        if settings.spacing_m is not None:
            a_side = max(1, round(side / settings.spacing_m))
        else:
            a_side = max(
                1,
                int(np.ceil(side / max(radius, side / 8))),
                int(np.ceil((4 * (sites or 1) / demand.tiles) ** 0.5)),
            )
        new = Places.of(*grid(demand, a_side)[:2])
    given = (("existing", settings.existing), ("forced", settings.forced), ("new", new))
    parts = [(kind, places) for kind, places in given if places is not None and len(places)]
    if not parts:
        raise InputError("There is no candidate site; give candidates or leave them to the grid.")
    kinds = np.repeat([kind for kind, _ in parts], [len(p) for _, p in parts])
    joined = {
        name: np.concatenate([getattr(p, name) for _, p in parts])
        for name in ("lon", "lat", "cost", "capacity_mbps")
    }
    cost = np.where(np.isnan(joined["cost"]), settings.site_cost, joined["cost"])
    own = joined["capacity_mbps"]
    lon, lat = joined["lon"], joined["lat"]
    return Candidates(
        lon, lat, [n for _, p in parts for n in p.names], kinds, np.where(kinds == "existing", 0.0, cost),
        np.where(np.isnan(own), capacity, own),
        (kinds == "forced") | ((kinds == "existing") & (not settings.move_existing)), _forbidden(lon, lat, settings),
    )  # fmt: skip


def _forbidden(lon: np.ndarray, lat: np.ndarray, settings: SitingSettings) -> np.ndarray:
    places = settings.forbidden
    if places is None:
        return np.zeros(len(lon), bool)
    closed = in_areas(lon, lat, places.areas)
    east, north = metres_per_degree(lat)
    for at_lon, at_lat in zip(places.lon, places.lat, strict=True):
        closed |= np.hypot((lon - at_lon) * east, (lat - at_lat) * north) <= settings.forbidden_m
    return closed
