"""What the optimised strategy is asked: its settings, and the candidates that they leave."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np

from planning.coverage import RadioSettings
from planning.demand import Demand
from planning.deployment.places import Places, grid, in_areas
from planning.errors import InputError
from planning.geometry import mean_tile_side_m, metres_per_degree
from planning.network import SiteDesign

ROBUST = ("quantile", "mean", "p10")
HOURS = ("busy", "all")
OBJECTIVES = ("traffic", "people")
CANDIDATES_PER_SITE = 4  # of a grid, at least
MAX_CANDIDATES_PER_SIDE = 8  # of a tile, however small the radius


@dataclass(frozen=True)
class SitingSettings:
    """What sites are sought for, and within which limits. Costs in any one currency.

    robust: "quantile" plans for the demand's quantile; "mean" and "p10" make plans on the mean and on several
    quantiles and take the one that serves the most over the samples, on average or at the 10th percentile.
    """

    objective: str = "traffic"  # that is covered, or "people"
    radius_m: float | None = None  # of coverage; None: places that the site reaches by the radio model
    radio: RadioSettings = field(default_factory=lambda: RadioSettings(pixel_m=100.0))
    level_dbm: float | None = None  # lowest RSRP outdoors; None: threshold and margin of the radio model
    design: SiteDesign = field(default_factory=SiteDesign)  # of sites whose file names no height or band
    site_capacity_mbps: float | None = None  # None: that of the largest site that the deployment allows
    budget: float | None = None
    site_cost: float = 1.0  # of a site whose file names no cost
    min_distance_m: float = 0.0  # between any two sites, pairs of existing or forced ones apart
    candidates: Places | None = None  # None: a grid of about `spacing_m`
    spacing_m: float | None = None  # None: at least four candidates a site, no farther apart than the radius
    existing: Places | None = None  # built: they cost nothing where they stand, and stay
    move_existing: bool = False  # existing sites stay only where that serves more
    forced: Places | None = None
    forbidden: Places | None = None  # areas, and `forbidden_m` around points
    forbidden_m: float = 100.0
    robust: str = "quantile"  # one of ROBUST
    hours: str = "busy"  # or "all": the mean over the day
    solver: str = "auto"
    time_limit: float = 60.0  # seconds
    gap: float = 1e-3  # relative, between plan and bound, at which to stop
    threads: int = 1
    seed: int = 0

    def record(self) -> dict[str, Any]:
        """As plain values for provenance; of places their number."""
        known = {f.name: getattr(self, f.name) for f in fields(self)}
        plain: dict[str, Any] = {}
        for name, value in known.items():
            if isinstance(value, Places):
                plain[name] = len(value) + len(value.areas)
            elif isinstance(value, RadioSettings):
                plain[name] = json.loads(json.dumps(value.record()))
            elif isinstance(value, SiteDesign):
                planned = {k: v for k, v in asdict(value).items() if np.size(v) and v is not None}
                plain[name] = {k: np.asarray(v).tolist() for k, v in planned.items() if np.any(v)}
            elif value is not None:
                plain[name] = value
        return plain

    def validate(self) -> None:
        """Raises InputError for a setting outside its range."""
        if self.robust not in ROBUST or self.hours not in HOURS:
            raise InputError(
                f"Robust is one of {', '.join(ROBUST)} and hours one of {', '.join(HOURS)}, not {self.robust!r} and "
                f"{self.hours!r}."
            )
        if self.objective not in OBJECTIVES:
            raise InputError(f"The objective is one of {', '.join(OBJECTIVES)}, not {self.objective!r}.")
        if self.level_dbm is not None and not -150 <= self.level_dbm <= -40:
            raise InputError(f"The level to cover must lie between -150 and -40 dBm, not {self.level_dbm:g}.")
        self.design.validate()
        if not (self.min_distance_m >= 0 and self.forbidden_m >= 0 and self.site_cost >= 0):
            raise InputError("The minimum distance, the forbidden distance and the cost must be at least 0.")
        if self.spacing_m is not None and not self.spacing_m > 0:
            raise InputError("The spacing of candidates must be above 0 m.")
        if self.forced is not None and self.forced.areas:
            raise InputError("Forced places are points; an area can only be forbidden.")


@dataclass(frozen=True)
class Candidates:
    """Places where a site may stand. lon, lat: (candidates,) degrees; origin: "existing", "forced" or "new"; cost: in
    the settings' currency; capacity: Mbit/s; forced, forbidden: bool. height_m: NaN, band: ""
    where nothing is planned."""

    lon: np.ndarray
    lat: np.ndarray
    names: list[str]
    origin: np.ndarray
    cost: np.ndarray
    capacity: np.ndarray
    forced: np.ndarray
    forbidden: np.ndarray
    height_m: np.ndarray
    band: np.ndarray

    def design(self, rows: np.ndarray | slice, planned: SiteDesign) -> SiteDesign:
        """Of some candidates: what their file says, else what is planned for all."""
        height = self.height_m[rows]
        if planned.height_m is not None:
            height = np.where(np.isnan(height), planned.height_m, height)
        band = np.where(self.band[rows] == "", planned.coverage_band, self.band[rows])
        known = bool(np.isfinite(height).any())
        return replace(planned, height_m=height if known else None, coverage_band=band.astype(object))


def candidates_of(
    demand: Demand,
    settings: SitingSettings,
    sites: int | None,
    radius: float,
    capacity: float,
    further: Places | None = None,
) -> Candidates:
    """Existing and forced sites, those of a file or a grid, and further ones. radius: m; capacity: Mbit/s where a file
    gives none. Raises InputError where there is none."""
    new = settings.candidates
    if new is None:
        new = Places.of(*grid(demand, _candidates_a_side(demand, settings, sites, radius))[:2])
    given = (("existing", settings.existing), ("forced", settings.forced), ("new", new), ("new", further))
    parts = [(kind, places) for kind, places in given if places is not None and len(places)]
    if not parts:
        raise InputError("There is no candidate site; give candidates or leave them to the grid.")
    kinds = np.repeat([kind for kind, _ in parts], [len(p) for _, p in parts])
    joined = {
        name: np.concatenate([getattr(p, name) for _, p in parts])
        for name in ("lon", "lat", "cost", "capacity_mbps", "height_m", "band")
    }
    cost = np.where(np.isnan(joined["cost"]), settings.site_cost, joined["cost"])
    own = joined["capacity_mbps"]
    lon, lat = joined["lon"], joined["lat"]
    stays = (kinds == "existing") & (not settings.move_existing)
    return Candidates(
        lon,
        lat,
        names=[name for _, p in parts for name in p.names],
        origin=kinds,
        cost=np.where(kinds == "existing", 0.0, cost),
        capacity=np.where(np.isnan(own), capacity, own),
        forced=(kinds == "forced") | stays,
        forbidden=_forbidden(lon, lat, settings),
        height_m=joined["height_m"].astype(float),
        band=joined["band"].astype(object),
    )


def _candidates_a_side(demand: Demand, settings: SitingSettings, sites: int | None, radius: float) -> int:
    """Candidates of the grid along the side of a tile."""
    side = mean_tile_side_m(demand.x, demand.y)
    if settings.spacing_m is not None:
        return max(1, round(side / settings.spacing_m))
    by_radius = int(np.ceil(side / max(radius, side / MAX_CANDIDATES_PER_SIDE)))
    by_number = int(np.ceil((CANDIDATES_PER_SITE * (sites or 1) / demand.tiles) ** 0.5))
    return max(1, by_radius, by_number)


def _forbidden(lon: np.ndarray, lat: np.ndarray, settings: SitingSettings) -> np.ndarray:
    places = settings.forbidden
    if places is None:
        return np.zeros(len(lon), bool)
    closed = in_areas(lon, lat, places.areas)
    east, north = metres_per_degree(lat)
    for at_lon, at_lat in zip(places.lon, places.lat, strict=True):
        closed |= np.hypot((lon - at_lon) * east, (lat - at_lat) * north) <= settings.forbidden_m
    return closed
