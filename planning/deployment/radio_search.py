"""Sites moved so that the radio model serves more: what a covering plan leaves out is interference and best servers.

The covering program lets any open site serve a place within reach. By the radio model the best server serves it, at a
rate that depends on the loads of all others. So plans are judged by the radio model here: the program's and the
proportional ones, and then the best of them while one site after the other moves to a better place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from plannerbase.progress import Progress, silent
from planning.coverage import PixelGrid, RadioSettings
from planning.demand import Demand
from planning.deployment.candidate_coverage import Asked, SizedCandidates, State
from planning.deployment.candidates import Candidates
from planning.deployment.covering import CoveringProblem
from planning.deployment.serving import Served, served
from planning.deployment.sizing import PIXEL_M, size_network
from planning.geometry import cut_in_halves
from planning.network import Network, SiteDesign
from planning.shared_work import SharedWork

_SECTORS = 3  # of a site that is planned
_SITES, _MIN_SITES = 60, 8  # of a window: the sites that move while all others stay
_WINDOWS = 4  # in which sites move, those with the most traffic
_LEVELS = 60_000_000  # of a window, cells x pixels in memory (0.25 GB)
_WORK = 3.2e8  # awake cells x pixels of all moves tried in a window, in some 12 s of a usual processor
_NEAR = 6  # places that a site may move to: the nearest free ones ...
_MISSING = 8  # ... and those where the most is not served
_EXACT = 2  # of them, those that look best are worked out with all loads
_STARTS_PERCENT = 25  # of the progress, in which the starts are judged
_GAIN = 1e-5  # of what is served; less is no gain
_HALO = 2.0  # distances between sites around a window, within which others interfere and its pixels lie


@dataclass(frozen=True)
class Replay:
    """How a deployment is sized and judged: as `planning.deployment.deploy` does, in the demand's busiest hour.

    objective : "traffic", or "people" for the users served. The others as in `deploy`.
    """

    demand: Demand
    quantile: float = 0.9
    headroom: float = 0.2
    max_layers: int = 4
    radio: RadioSettings | None = None
    objective: str = "traffic"
    work: SharedWork | None = None

    def served(
        self, lon: np.ndarray, lat: np.ndarray, design: SiteDesign, progress: Progress | None = None
    ) -> Served:
        """What sites serve."""
        sizing = size_network(
            Network.from_sites(lon, lat), self.demand, quantile=self.quantile, headroom=self.headroom,
            max_layers=self.max_layers, radio=self.radio, design=design, work=self.work, progress=progress,
        )  # fmt: skip
        return served(sizing.network, self.demand, radio=self.radio, coverage=sizing.coverage)

    def value(self, found: Served) -> float:
        """Mbit/s or users."""
        return found.served_mbps if self.objective == "traffic" else found.users_served

    def asked(self) -> Asked:
        """The same for a search."""
        hour = self.demand.busy_hour()
        level = self.demand.profile(None, 0.5)[:, hour]
        worth = np.ones(len(level))
        if self.objective != "traffic":
            users = self.demand.profile(None, 0.5, "users")[:, hour]
            worth = np.divide(users, level, out=np.zeros(len(level)), where=level > 0)
        return Asked(
            level, worth, self.demand.profile(24, self.quantile), self.demand.mean_mbps(), self.headroom,
            self.max_layers,
        )  # fmt: skip


@dataclass(frozen=True)
class Moved:
    """The best plan. chosen: (candidates,) bool. before, after: what the first start and the plan serve. start: name
    of the one that sites were moved from. sites: how many stand elsewhere than there."""

    chosen: np.ndarray
    before: Served
    after: Served
    start: str
    sites: int


def serving_more(
    problem: CoveringProblem,
    starts: dict[str, np.ndarray],
    found: Candidates,
    planned: SiteDesign,
    replay: Replay,
    effort: float = 1.0,
    progress: Progress | None = None,
) -> Moved:
    """The best of some plans by the radio model, with its sites moved to where they serve more.

    Parameters
    ----------
    problem : whose limits (number, budget, distances, forced sites) every move keeps.
    starts : name -> (candidates,) bool. The plan is never worse than any of them.
    found : the problem's candidates.
    planned : heights and bands of sites of which `found` says nothing.
    replay : by which plans are judged.
    effort : of the usual number of moves tried. That number ends the search, not a time, so the plan does not depend on
        the machine's speed or its number of processors.
    progress : callable (done, total, what), optional
    """
    tell = progress or silent

    def judged(chosen: np.ndarray, percent: float, what: str) -> Served:
        tell(int(percent), 100, what)
        rows = np.flatnonzero(chosen)
        return replay.served(
            found.lon[rows], found.lat[rows], found.design(rows, planned),
            lambda *_: tell(int(percent), 100, what),
        )  # fmt: skip

    served_by: dict[str, Served] = {}
    for number, (name, chosen) in enumerate(starts.items()):
        served_by[name] = judged(chosen, _STARTS_PERCENT * number / len(starts), f"radio model of {name}")
    start = max(served_by, key=lambda name: replay.value(served_by[name]))
    best, after = starts[start], served_by[start]
    radio = replay.radio or RadioSettings(pixel_m=PIXEL_M)
    grid = PixelGrid.of_tiles(replay.demand.x, replay.demand.y, radio.pixel_m)
    at = np.column_stack(grid.metres(found.lon, found.lat))
    asked = replay.asked()
    windows = _windows(best, at, grid, asked)
    percent = (100 - _STARTS_PERCENT) / max(1, len(windows))
    for number, window in enumerate(windows):
        rows, pixels = window.candidates(best), window.pixels
        if not len(rows):
            continue
        part = replace(grid.kept(pixels, grid.tile, grid.tiles), weight=grid.weight[pixels])
        begun = _STARTS_PERCENT + percent * number
        tell(int(begun), 100, "levels of the candidates")
        sized = SizedCandidates(
            found.lon[rows], found.lat[rows], found.design(rows, planned), part, radio, asked
        )

        def of_window(done: int, total: int, what: str, begun: float = begun) -> None:
            tell(int(begun + percent * done / total), 100, what)

        trial = _moved(problem, best, window, rows, at, sized, effort, of_window)
        value = judged(trial, begun + percent, "radio model of the moved sites")
        if replay.value(value) > replay.value(after):
            best, after = trial, value
    return Moved(best, next(iter(served_by.values())), after, start, int((best & ~starts[start]).sum()))


@dataclass(frozen=True)
class _Window:
    """Where sites move while the others stay.

    movable, around : (candidates,) bool: of the window, and within which open sites interfere. pixels : (pixels,) bool.
    spacing_m : distance between two sites, about. room : candidates whose levels memory allows.
    """

    movable: np.ndarray
    around: np.ndarray
    pixels: np.ndarray
    spacing_m: float
    room: int

    def candidates(self, chosen: np.ndarray) -> np.ndarray:
        """Numbers, ascending: the open sites in and around the window, and its free places, every so many where they
        are more than there is room for. None where there is no room for any."""
        stay, free = np.flatnonzero(self.around & chosen), np.flatnonzero(self.movable & ~chosen)
        room = self.room - len(stay)
        if room < 1 or not len(free):
            return np.zeros(0, int)
        if room < len(free):
            free = free[np.linspace(0, len(free) - 1, room).astype(int)]
        return np.sort(np.concatenate([stay, free]))


def _windows(chosen: np.ndarray, at: np.ndarray, grid: PixelGrid, asked: Asked) -> list[_Window]:
    """Groups of neighbouring sites that memory allows; at most _WINDOWS, those with the most traffic first.

    at : (candidates, 2) m.
    """
    sites = np.flatnonzero(chosen)
    spacing = float(np.sqrt(grid.area_km2 * 1e6 / len(sites)))
    cells = _SECTORS * (1 + asked.max_layers)  # of a candidate
    levels_per_site = cells * len(at) / len(sites) * len(grid) / len(sites)
    most = min(_SITES, int(np.sqrt(_LEVELS / levels_per_site)))
    if most < len(sites):
        most //= 2  # the surroundings take as much again
    group = cut_in_halves(at[sites], max(most, _MIN_SITES))
    pixel_at = np.column_stack([grid.east_m, grid.north_m])
    all_sites = cKDTree(at[sites])
    of_pixel, of_candidate = (group[all_sites.query(points)[1]] for points in (pixel_at, at))
    mbps = np.bincount(of_pixel, asked.level_mbps[grid.tile] * grid.weight, int(group.max()) + 1)
    windows = []
    for number in np.argsort(-mbps, kind="stable")[:_WINDOWS].tolist():
        core = cKDTree(at[sites[group == number]])
        near, around = (core.query(points)[0] <= _HALO * spacing for points in (pixel_at, at))
        mine, pixels = of_candidate == number, near | (of_pixel == number)
        windows.append(_Window(mine, mine | around, pixels, spacing, int(_LEVELS / (cells * pixels.sum()))))
    return windows


def _moved(
    problem: CoveringProblem,
    chosen: np.ndarray,
    window: _Window,
    rows: np.ndarray,
    at: np.ndarray,
    sized: SizedCandidates,
    effort: float,
    tell: Progress,
) -> np.ndarray:
    """(candidates,) bool: the plan with sites of the window moved, one after the other, that which carries least first.

    A site that finds no better place is tried again once a site near it has moved. rows : the window's candidates,
    those of `sized`. at : (candidates, 2) m.
    """
    at, movable = at[rows], window.movable[rows]
    neighbours = problem.neighbours()
    state = sized.state(chosen[rows])
    grid = sized.coverage.grid
    pixel_at = np.column_stack([grid.east_m, grid.north_m])
    weight = np.exp(-((cdist(at, pixel_at) / (window.spacing_m / 2)) ** 2) / 2)
    visits = int(effort * _WORK / max(1, len(grid) * int((state.load > 0).sum())))
    fixed = problem.forced[rows] | ~movable
    waiting = state.chosen & ~fixed
    first = state.value
    for visit in range(visits):
        if not waiting.any():
            break
        gain = 100 * (state.value / first - 1) if first > 0 else 0.0
        tell(visit, visits, f"moving sites by the radio model: {gain:+.2f} %")
        out = int(np.where(waiting, state.carried_mbps, np.inf).argmin())
        waiting[out] = False
        rest = chosen.copy()
        rest[rows[out]] = False
        free = problem.affordable(rest) & (neighbours @ rest.astype(float) == 0)
        free[rows[out]] = False
        into = _places(state, out, free[rows] & movable, at, weight, sized, window.spacing_m)
        better = _better(sized, state, out, into)
        if better is None:
            continue
        new, state = better
        chosen = rest
        chosen[rows[new]] = True
        near = np.hypot(*(at - at[out]).T) <= _HALO * window.spacing_m
        near |= np.hypot(*(at - at[new]).T) <= _HALO * window.spacing_m
        waiting = (waiting | near) & state.chosen & ~fixed
    return chosen


def _places(
    state: State,
    out: int,
    free: np.ndarray,
    at: np.ndarray,
    weight: np.ndarray,
    sized: SizedCandidates,
    spacing_m: float,
) -> np.ndarray:
    """Where a site may move to: the nearest free places, and apart from each other those where the most is not served.

    weight : (candidates, pixels) of traffic that is not served.
    """
    distance = np.where(free, np.hypot(*(at - at[out]).T), np.inf)
    nearest = np.argsort(distance, kind="stable")[: min(_NEAR, int(free.sum()))]
    lost = sized.coverage.pixel_values(state.missing_mbps * sized.asked.worth)
    missing = np.einsum("ij,j->i", weight, lost)  # not BLAS, as in `candidate_coverage`
    missing = np.where(free, missing, 0.0)
    missing[nearest] = 0.0
    found = nearest.tolist()
    for _ in range(_MISSING):
        best = int(missing.argmax())
        if not missing[best] > 0:
            break
        found.append(best)
        missing[np.hypot(*(at - at[best]).T) < spacing_m / 2] = 0.0
    return np.array(found, int)


def _better(sized: SizedCandidates, state: State, out: int, into: np.ndarray) -> tuple[int, State] | None:
    """The best place that a site may move to, and the state then; None where none serves more."""
    looks = sized.estimates(state, out, np.append(into, out))
    promising = [j for j in np.argsort(-looks[:-1], kind="stable")[:_EXACT] if looks[j] > looks[-1]]
    best: tuple[int, State] | None = None
    for j in promising:
        trial = state.chosen
        trial[out], trial[into[j]] = False, True
        made = sized.state(trial, state)
        if made.value > (state if best is None else best[1]).value * (1 + _GAIN):
            best = int(into[j]), made
    return best
