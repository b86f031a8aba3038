"""The optimised strategy: sites where they serve the most traffic, by capacitated maximal covering.

Demand stands at k x k places of a tile, so close that a site's reach spans at least one step; candidates stand on a
grid of their own or come from a file. Sites that exist or are forced are candidates at their own places. Where the
radio model says what a site reaches, sites then move until they serve the most by that model (`radio_search`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from plannerbase.counting import counted
from plannerbase.progress import Progress, silent
from planning.demand import Demand
from planning.deployment.candidates import HOURS, ROBUST, Candidates, SitingSettings, candidates_of
from planning.deployment.covering import CoveringProblem
from planning.deployment.covering_areas import LARGE, cover_in_areas
from planning.deployment.covering_plan import CoveringPlan, solve_covering
from planning.deployment.covering_ranking import add_idle, losses, rollout
from planning.deployment.placement import place
from planning.deployment.places import Places, grid
from planning.deployment.radio_search import Moved, Replay, serving_more
from planning.deployment.reach import Reach
from planning.deployment.strategies import PROPORTIONAL, available, density, largest_remainder
from planning.distinct import distinct
from planning.errors import InfeasibleError, InputError
from planning.geometry import centre_of, distances_m, local_metres, mean_tile_side_m
from planning.network import SiteDesign
from planning.shared_work import SharedWork

__all__ = ["HOURS", "ROBUST", "Siting", "SitingSettings", "site_optimally"]

BASES = (0.5, 0.75, 0.9)  # quantiles that a robust plan is sought on, beside the mean
MAX_SITES = 2000
MIN_BEYOND = 5  # further sites that the curve of served traffic goes on with; else a quarter of the plan's
USUAL_SECONDS = 60.0  # of a time limit, with which the usual number of moves is tried
_SAME_DIGITS = 7  # of degrees (1 cm), to which places are the same
MAX_POINTS_PER_SIDE, MAX_POINTS = 8, 100_000  # places of demand: along the side of a tile, and in all


@dataclass(frozen=True)
class Siting:
    """The sites of an optimised deployment, and what each of them is worth."""

    lon: np.ndarray  # (sites,) degrees
    lat: np.ndarray
    names: tuple[str, ...]
    origin: np.ndarray  # (sites,) "existing", "forced" or "new"
    design: SiteDesign  # heights and bands of the sites
    plan: CoveringPlan  # over all candidates
    ranked: pd.DataFrame  # a row a site, by marginal gain
    curve: pd.DataFrame  # served traffic by number of sites
    ensemble: pd.DataFrame  # served traffic by sample
    moved: Moved | None  # by the radio model
    sentence: str  # what was done, in words

    def tables(self) -> dict[str, pd.DataFrame]:
        """Under the names that a scenario has them by."""
        return {
            "deployment_ranking": self.ranked,
            "deployment_curve": self.curve,
            "deployment_samples": self.ensemble,
        }


@dataclass(frozen=True)
class _Tried:
    """A plan made on one basis."""

    score: float  # what the ensemble is worth by `SitingSettings.robust`
    label: str  # of the basis
    problem: CoveringProblem
    plan: CoveringPlan
    chosen: np.ndarray  # (candidates,) bool, idle ones for headroom included
    ensemble: pd.DataFrame  # what they serve of every sample
    moved: Moved | None = None  # by the radio model


def site_optimally(
    demand: Demand,
    sites: int | None,
    settings: SitingSettings | None = None,
    quantile: float = 0.9,
    largest_mbps: float = 1000.0,
    progress: Progress | None = None,
    work: SharedWork | None = None,
    replay: Replay | None = None,
) -> Siting:
    """Choose sites: `sites` in all (existing and forced ones among them), or as many as the budget pays.

    quantile: of the demand that is planned for. largest_mbps: capacity of a site where none is given. work: seeks the
    sites of more than `covering_areas.LARGE` candidates area by area, by several processes. replay: by which sites move
    in the end, unless a radius or a level says what they cover. Raises InputError, InfeasibleError, ClusterError.
    """
    settings = settings or SitingSettings()
    settings.validate()
    tell = progress or silent
    if sites is not None and not 1 <= sites <= MAX_SITES:
        raise InputError(
            f"The optimised strategy places 1 to {MAX_SITES:,} sites, not {sites:,}; choose a proportional one."
        )
    reach = Reach(settings.radio, settings.level_dbm)
    middle = (float(demand.lon.mean()), float(demand.lat.mean()))
    radius = settings.radius_m
    if radius is None:
        radius = reach.radius_m(middle, settings.design)
    capacity = settings.site_capacity_mbps or largest_mbps
    lon, lat, tile = grid(demand, _points_a_side(demand, radius))
    found = candidates_of(demand, settings, sites, radius, capacity)
    origin = centre_of(lon, lat)
    near = None
    if settings.radius_m is None:
        tell(0, 1, "levels of the candidates")
        planned = found.design(slice(None), settings.design)
        near = reach.places_of((lon, lat), (found.lon, found.lat), planned)
    # of each place in its tile's demand
    share = 1.0 / np.bincount(tile, minlength=demand.tiles)[tile]
    points = local_metres(lon, lat, origin)

    def covering(found: Candidates, near: list[np.ndarray] | None, need: np.ndarray) -> CoveringProblem:
        return CoveringProblem.build(
            points=points,
            need=need,
            candidates=local_metres(found.lon, found.lat, origin),
            radius_m=radius,
            capacity=found.capacity,
            sites=sites,
            cost=found.cost,
            budget=settings.budget,
            forced=found.forced,
            forbidden=found.forbidden,
            min_distance_m=settings.min_distance_m,
            near=near,
        )

    problem = covering(found, near, np.zeros(len(lon)))  # the need is that of each basis below
    places = local_metres(found.lon, found.lat, origin)
    bases = _bases(demand, settings, quantile)
    samples = _samples(demand, settings)
    tried: list[_Tried] = []

    def at(done: int) -> Progress:
        return lambda _, __, what: tell(done, len(bases) + 1, what)

    for done, (label, level) in enumerate(bases):
        of_basis = replace(problem, need=level[tile] * share)
        tell(done, len(bases) + 1, f"sites for the {label}")
        if work is not None and problem.candidates > LARGE:
            plan = cover_in_areas(of_basis, places, work, settings.gap, settings.seed, at(done))
        else:
            plan = solve_covering(
                of_basis,
                settings.solver,
                settings.time_limit / len(bases),
                settings.gap,
                settings.threads,
                settings.seed,
                progress=partial(tell, done, len(bases) + 1),
            )
        chosen = add_idle(of_basis, plan.chosen)
        tell(done, len(bases) + 1, "serving every sample")
        ensemble = _over(of_basis, chosen, samples, tile, share)
        served = ensemble["served_mbps"]
        score = float(served.mean() if settings.robust == "mean" else np.percentile(served, 10))
        tried.append(_Tried(score, label, of_basis, plan, chosen, ensemble))
    best = max(tried, key=lambda made: made.score)
    if not best.chosen.any():
        raise InfeasibleError(
            "No site is possible within the limits; raise the budget, forbid less or give more candidates."
        )
    if replay is not None and near is not None and settings.level_dbm is None:
        further = Places.of([], [])
        strategies: dict[str, np.ndarray] = {}
        if settings.candidates is None:
            further, strategies = _proportional(demand, int(best.chosen.sum()), found)
        count = len(found.lon)
        found = candidates_of(demand, settings, sites, radius, capacity, further)
        if len(further):
            design = found.design(slice(count, None), settings.design)
            near += reach.places_of((lon, lat), (further.lon, further.lat), design)
        problem = covering(found, near, best.problem.need)
        moved = serving_more(
            problem,
            _starts(problem, best.chosen, strategies, local_metres(found.lon, found.lat, origin)),
            found,
            settings.design,
            replay,
            settings.time_limit / USUAL_SECONDS,
            lambda done, total, what: tell(len(bases) * total + done, (len(bases) + 1) * total, what),
        )
        ensemble = _over(problem, moved.chosen, samples, tile, share)
        best = replace(best, problem=problem, chosen=moved.chosen, ensemble=ensemble, moved=moved)
    tell(1, 1, "ranking sites")
    return _report(best, found, radius, sites, settings, len(bases))


def _proportional(demand: Demand, sites: int, found: Candidates) -> tuple[Places, dict[str, np.ndarray]]:
    """Where the proportional strategies put as many sites.

    Returns
    -------
    further : those of their places that are not among the candidates.
    strategies : name -> (sites,) numbers of its places, `further` counted after the candidates.
    """
    weights = {name: density(demand, name) for name in PROPORTIONAL if name in available(demand)}
    at = {
        name: place(demand.x, demand.y, largest_remainder(weight, sites), demand.metadata.get("area"))
        for name, weight in weights.items()
        if weight.sum() > 0
    }
    count = len(found.lon)
    lon, lat = (
        np.concatenate([known, *(places[axis] for places in at.values())])
        for axis, known in enumerate((found.lon, found.lat))
    )
    first, group = distinct(np.round(lon, _SAME_DIGITS), np.round(lat, _SAME_DIGITS))
    new = np.sort(first[first >= count])
    number = np.arange(len(lon))
    number[new] = count + np.arange(len(new))
    rows = number[first[group[count:]]]
    strategies = dict(zip(at, np.split(rows, len(at)), strict=True))
    return Places.of(lon[new], lat[new]), strategies


def _starts(
    problem: CoveringProblem, chosen: np.ndarray, strategies: dict[str, np.ndarray], at: np.ndarray
) -> dict[str, np.ndarray]:
    """Plans that sites may move from: that of the program and, as far as the limits allow, the proportional ones.

    A forced site replaces the nearest of their sites.

    Parameters
    ----------
    chosen : (the program's candidates,) bool.
    strategies : name -> (sites,) numbers of candidates.
    at : (candidates, 2) m.
    """
    starts = {"the program": np.pad(chosen, (0, problem.candidates - len(chosen)))}
    for name, mine in strategies.items():
        for kept in np.flatnonzero(problem.forced):
            if len(mine):
                mine = np.delete(mine, distances_m(at[mine], at[[kept]]).argmin())
        start = problem.forced.copy()
        start[mine] = True
        if problem.allows(start):
            starts[f"the strategy {name}"] = start
    return starts


def _points_a_side(demand: Demand, radius: float) -> int:
    """Places of demand a side of a tile: a step no longer than the radius, as far as memory goes."""
    side = mean_tile_side_m(demand.x, demand.y)
    wanted = int(np.clip(np.ceil(side / max(radius, 1.0)), 1, MAX_POINTS_PER_SIDE))
    return max(1, min(wanted, int((MAX_POINTS / demand.tiles) ** 0.5)))


def _bases(demand: Demand, settings: SitingSettings, quantile: float) -> list[tuple[str, np.ndarray]]:
    """(name, (tiles,) Mbit/s) of what plans are made on."""

    def level(q: float) -> np.ndarray:
        profile = demand.profile(24, q)
        if settings.objective == "people":
            profile = profile.sum(axis=0) * _people(demand)[:, None]
        return profile[:, profile.sum(axis=0).argmax()] if settings.hours == "busy" else profile.mean(axis=1)

    if settings.robust == "quantile":
        return [(f"{100 * quantile:g} % quantile", level(quantile))]
    samples = _samples(demand, settings)
    levels = [("mean of the samples", np.mean([s for s, _ in samples], axis=0))]
    return levels + [(f"{100 * q:g} % quantile", level(q)) for q in BASES]


def _samples(demand: Demand, settings: SitingSettings) -> list[tuple[np.ndarray, int]]:
    """((tiles,) Mbit/s, sample) of every sample: in the busiest hour of the week's mean, or of each hour."""
    total = demand.mbps.sum(axis=0, dtype=float)
    chosen = [int(total.mean(axis=0).argmax())] if settings.hours == "busy" else range(demand.hours)
    pairs = [(s, h) for s in range(demand.samples) for h in chosen]
    if settings.objective == "people":
        people = _people(demand)
        return [(total[s, h] * people, s) for s, h in pairs]
    return [(demand.mbps[:, s, h].astype(float), s) for s, h in pairs]


def _people(demand: Demand) -> np.ndarray:
    """(tiles,) share of the area's users, who then count alike wherever they are. Raises InputError for none."""
    users = demand.users.mean(axis=(1, 2), dtype=float)
    if not users.sum() > 0:
        raise InputError("The traffic tells no users; choose traffic as what the sites are to cover.")
    return users / users.sum()


def _over(
    problem: CoveringProblem,
    chosen: np.ndarray,
    samples: list[tuple[np.ndarray, int]],
    tile: np.ndarray,
    share: np.ndarray,
) -> pd.DataFrame:
    """Demand and served Mbit/s of each sample, the mean over its hours.

    tile, share: (points,) tile of each place of demand, and its share of the tile's.
    """
    open_ = chosen[problem.candidate]
    small = replace(problem, point=problem.point[open_], candidate=problem.candidate[open_])
    rows = []
    for level, sample in samples:
        served = replace(small, need=level[tile] * share).serve(chosen)[0] if level.sum() > 0 else 0.0
        rows.append((sample, float(level.sum()), served))
    table = pd.DataFrame(rows, columns=["sample", "demand_mbps", "served_mbps"])
    return table.groupby("sample", as_index=False).mean()


def _report(
    best: _Tried, found: Candidates, radius: float, sites: int | None, settings: SitingSettings, bases: int
) -> Siting:
    problem, chosen = best.problem, best.chosen
    served, flow = problem.serve(chosen)
    beyond = max(MIN_BEYOND, int(chosen.sum()) // 4)
    order, gained = rollout(problem, chosen, beyond)
    inside = chosen[order]
    steps = np.diff(np.concatenate([[0.0], gained]))
    total = problem.need.sum()
    curve = pd.DataFrame(
        {
            "sites": np.arange(1, len(order) + 1),
            "served_mbps": gained,
            "served_share": gained / total if total > 0 else 1.0,
            "gain_mbps": steps,
            "in_plan": inside,
        }
    )
    rows = order[inside]
    names = _names([found.names[j] for j in rows])
    load = np.bincount(problem.candidate, flow, problem.candidates)[rows]
    ranked = pd.DataFrame(
        {
            "rank": np.arange(1, len(rows) + 1),
            "site": names,
            "lon": found.lon[rows],
            "lat": found.lat[rows],
            "origin": found.origin[rows],
            "cost": found.cost[rows],
            "gain_mbps": steps[inside],
            "served_mbps": gained[inside],
            "loss_if_left_out_mbps": losses(problem, chosen)[rows],
            "load_mbps": load,
            "capacity_mbps": found.capacity[rows],
        }
    )
    sentence = _sentence(best, found, radius, sites, settings, bases)
    return Siting(
        found.lon[rows],
        found.lat[rows],
        tuple(names),
        found.origin[rows],
        found.design(rows, settings.design),
        replace(best.plan, chosen=chosen, served_mbps=served, flow=flow),
        ranked,
        curve,
        best.ensemble,
        best.moved,
        sentence,
    )


def _names(given: list[str]) -> list[str]:
    """Names that are given, made unique, and S001 ... for the rest, in the order of the ranking."""
    width = max(3, len(str(len(given))))
    used: set[str] = set()
    names = []
    for number, name in enumerate(given):
        name = name or f"S{number + 1:0{width}d}"
        while name in used:
            name += "'"
        used.add(name)
        names.append(name)
    return names


def _sentence(
    best: _Tried, found: Candidates, radius: float, sites: int | None, settings: SitingSettings, bases: int
) -> str:
    problem, plan, chosen = best.problem, best.plan, best.chosen
    count, total = int(chosen.sum()), problem.need.sum()
    capacity = np.unique(found.capacity[chosen])
    each = f"{capacity[0]:,.0f}" if len(capacity) == 1 else f"{capacity[0]:,.0f} to {capacity[-1]:,.0f}"
    where = f"within {radius:,.0f} m"
    if settings.radius_m is None:
        least = "its band's threshold" if settings.level_dbm is None else f"{settings.level_dbm:g} dBm"
        where = (
            f"where a site reaches {least} ({settings.radio.environment}, about {radius:,.0f} m around one of usual "
            "height)"
        )
    what = "traffic" if settings.objective == "traffic" else "people, each with the area's mean demand,"
    when = "busy hour" if settings.hours == "busy" else "mean hour"
    text = (
        f"{counted(count, 'sites')} of {len(plan.chosen):,} candidates, chosen to serve the most {what} of the "
        f"{when} "
        f"({best.label}) {where} and {each} Mbit/s a site: {plan.solve.reached:,.1f} "
        f"of {total:,.1f} Mbit/s ({plan.solve.sentence})."
    )
    if bases > 1:
        text += f" Best of {bases} plans by the {'mean' if settings.robust == 'mean' else '10th percentile'}."
    if best.moved is not None:
        text += f" {_moved_sentence(best.moved, settings.objective)}"
    elif settings.radius_m is not None or settings.level_dbm is not None:
        text += " With a stated radius or level, sites are not moved to serve more by the radio model."
    served = best.ensemble["served_mbps"]
    text += (
        f" Over {len(served)} sample{'s' * (len(served) > 1)} they serve {served.mean():,.1f} Mbit/s on average "
        f"and {np.percentile(served, 10):,.1f} at the 10th percentile."
    )
    if settings.existing is not None and len(settings.existing):
        stay = int((chosen & (found.origin == "existing")).sum())
        text += f" {stay} of {len(settings.existing)} existing sites stay."
    if settings.budget is not None:
        text += f" They cost {found.cost[chosen].sum():,.6g} of a budget of {settings.budget:,.6g}."
    if sites is not None and count < sites:
        text += f" Only {counted(count, f'of {sites} sites find')} a place among the candidates within all limits."
    return text


def _moved_sentence(moved: Moved, objective: str) -> str:
    before, after = (
        (f"{found.served_mbps:,.0f}", f"{found.served_mbps:,.0f} of {found.demand_mbps:,.0f} Mbit/s")
        if objective == "traffic"
        else (f"{found.users_served:,.0f}", f"{found.users_served:,.0f} of {found.users:,.0f} active users")
        for found in (moved.before, moved.after)
    )
    return (
        f"By the radio model these sites serve {before[0]} in the median busy hour. The plan takes the sites of "
        f"{moved.start}, moves {moved.sites or 'none'} of them and serves {after[1]}. The gap is that of the covering "
        "program; no bound is proven for what the radio model serves."
    )
