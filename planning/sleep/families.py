"""What the parts of each sector can do, and what that means for its own traffic; alike sectors side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from planning.energy import CellGroups, listed_rows_of_each, rows_of_each
from planning.sleep.problem import SleepProblem
from planning.sleep.settings import SleepSettings
from planning.sleep.states import states_of

_NONE = np.zeros(0, int)


@dataclass(frozen=True)
class Family:
    """Sectors whose free groups have the same numbers of parts. A state is a count of awake parts of each free group.

    Attributes
    ----------
    rows : (sectors,) int
    members : (sectors, groups) int
        Groups of each sector, fewest watts per Mbit/s first.
    free : (sectors, free groups) int
    grid : how many counts each free group may have.
    states : (states, free groups) int
        Counts beyond the lowest.
    counts : (sectors, states, groups) int
        Awake parts of `members` in each state.
    wake_w : (sectors, states) W of awake parts, hubs of the sector alone included.
    shared_w : (sectors, states) W of hubs that other sectors share, in equal parts.
    banned : (sectors, hours or 1, states) bool
        By what groups require of each other and by the hours in which they may sleep.
    room : (sectors, states, groups) float
        Mbit/s up to the load limit, added up over `members` in their order.
    slope : (sectors, groups) float
        W per Mbit/s with cooling.
    wake_wh : (sectors, free groups) float
    classes : (sectors, places) int
        Classes of each sector in their order, padded with the number of classes.
    """

    rows: np.ndarray
    members: np.ndarray
    free: np.ndarray
    grid: tuple[int, ...]
    states: np.ndarray
    counts: np.ndarray
    wake_w: np.ndarray
    shared_w: np.ndarray
    banned: np.ndarray
    room: np.ndarray
    slope: np.ndarray
    wake_wh: np.ndarray
    classes: np.ndarray

    def split(self, pieces: int) -> list[Family]:
        """The same sectors as several families."""
        names = (
            "rows", "members", "free", "counts", "wake_w", "shared_w", "banned", "room", "slope", "wake_wh", "classes",
        )  # fmt: skip
        parts = np.array_split(np.arange(len(self.rows)), min(pieces, len(self.rows)))
        return [replace(self, **{name: getattr(self, name)[part] for name in names}) for part in parts]

    def state_of(self, counts: np.ndarray, lowest: np.ndarray) -> np.ndarray:
        """(sectors, hours) state numbers of awake counts (groups, hours)."""
        if not self.grid:
            return np.zeros((len(self.rows), counts.shape[1]), int)
        beyond = np.maximum(counts[self.free] - lowest[self.free][:, :, None], 0)
        return np.ravel_multi_index(tuple(beyond.transpose(1, 0, 2)), self.grid, mode="clip")


@dataclass(frozen=True)
class FamilyTraffic:
    """A family's own traffic in each hour and state: carried at home first.

    Attributes
    ----------
    home_w : (sectors, hours, states) W of carrying what fits at home.
    left : (sectors, places, hours, states) Mbit/s of each class that does not fit.
    spare : (sectors, hours, states, groups) Mbit/s of room beside it, added up over the members.
    """

    home_w: np.ndarray
    left: np.ndarray
    spare: np.ndarray


def number_of_states(groups: CellGroups) -> np.ndarray:
    """(sectors,) number of different awake counts."""
    states = np.ones(groups.sectors)
    np.multiply.at(states, groups.sector, groups.count - groups.lowest + 1)
    return states


def traffic_of(family: Family, demand: np.ndarray) -> FamilyTraffic:
    """What a family does with demand (classes, hours)."""
    padded = np.concatenate([demand, np.zeros((1, demand.shape[1]))])
    own = padded[family.classes]  # (sectors, places, hours)
    most = family.room[:, None, :, -1]  # (sectors, 1, states)
    total = own.sum(axis=1)
    home = np.minimum(total[:, :, None], most)  # (sectors, hours, states)
    start = np.cumsum(own, axis=1) - own
    carried = np.clip(most[:, None] - start[:, :, :, None], 0.0, own[:, :, :, None])
    left = own[:, :, :, None] - carried
    before = np.minimum(home[:, :, :, None], family.room[:, None, :, :])
    steps = np.diff(before, axis=3, prepend=0.0)
    home_w = (steps * family.slope[:, None, None, :]).sum(axis=3)
    spare = np.maximum(family.room[:, None, :, :] - home[:, :, :, None], 0.0)
    return FamilyTraffic(home_w, left, spare)


def families(problem: SleepProblem, settings: SleepSettings) -> list[Family]:
    """Every sector in one family."""
    groups, graph = problem.groups, problem.graph
    cost = groups.factor * groups.slope
    keys: dict[tuple[int, ...], list[int]] = {}
    classes = rows_of_each(graph.class_sector, graph.sectors)
    order = np.lexsort((np.arange(len(cost)), cost, groups.sector))
    listed = [order[rows] for rows in rows_of_each(groups.sector[order], groups.sectors)]
    free = groups.free
    beyond = (groups.count - groups.lowest)[free].tolist()
    places = listed_rows_of_each(groups.sector[free], groups.sectors)
    free_of = [free[rows] if rows else _NONE for rows in places]
    for sector, (mine, rows) in enumerate(zip(listed, places, strict=True)):
        keys.setdefault((len(mine), *(beyond[row] for row in rows)), []).append(sector)
    hubs, require = _hub_parts(groups), _requirements(problem)
    wake_wh = problem.wake_wh(settings)
    return [
        _family(problem, settings, key[1:], np.array(rows), listed, free_of, hubs, require, wake_wh, classes)
        for key, rows in keys.items()
    ]


def _hub_parts(groups: CellGroups) -> list[list[tuple[float, bool, np.ndarray]]]:
    """Of each sector: (W, whether other sectors share the hub, groups of the sector in it)."""
    out: list[list[tuple[float, bool, np.ndarray]]] = [[] for _ in range(groups.sectors)]
    for hub, members in enumerate(rows_of_each(groups.hub, len(groups.hub_w))):
        mine = groups.hub_group[members]
        sectors = np.unique(groups.sector[mine])
        for s in sectors:
            watts = groups.hub_w[hub] / len(sectors)
            out[s].append((float(watts), len(sectors) > 1, mine[groups.sector[mine] == s]))
    return out


def _requirements(problem: SleepProblem) -> list[list[tuple[int, int]]]:
    out: list[list[tuple[int, int]]] = [[] for _ in range(problem.groups.sectors)]
    for a, b in problem.pairs.tolist():
        out[problem.groups.sector[a]].append((a, b))
    return out


def _family(
    problem: SleepProblem,
    settings: SleepSettings,
    most: tuple[int, ...],
    rows: np.ndarray,
    listed: list[np.ndarray],
    free_of: list[np.ndarray],
    hubs: list[list[tuple[float, bool, np.ndarray]]],
    require: list[list[tuple[int, int]]],
    wake_wh: np.ndarray,
    classes_of: list[np.ndarray],
) -> Family:
    groups = problem.groups
    grid = tuple(m + 1 for m in most)
    states = states_of(grid)
    members = np.array([listed[s] for s in rows], int)
    free = np.array([free_of[s] for s in rows], int).reshape(len(rows), len(grid))
    counts = np.repeat(groups.lowest[members][:, None, :], len(states), axis=1)
    for column in range(free.shape[1]):
        at = members == free[:, [column]]  # (sectors, groups)
        counts += at[:, None, :] * states[None, :, column, None]
    wake = (groups.wake_w[members][:, None, :] * counts).sum(axis=2)
    shared = np.zeros_like(wake)
    banned = np.zeros(wake.shape, bool)
    for i, s in enumerate(rows.tolist()):
        for a, b in require[s]:
            of_a, of_b = counts[i][:, members[i] == a][:, 0], counts[i][:, members[i] == b][:, 0]
            banned[i] |= of_a > of_b
        for watts, others, mine in hubs[s]:
            on = (counts[i][:, np.isin(members[i], mine)] > 0).any(axis=1)
            (shared if others else wake)[i] += watts * on
    forbidden = banned[:, None, :]
    if problem.may_sleep is not None:
        low = problem.least()[members].transpose(0, 2, 1)  # (sectors, hours, groups)
        forbidden = forbidden | (counts[:, None, :, :] < low[:, :, None, :]).any(axis=3)
    places = max(len(classes_of[s]) for s in rows)
    classes = np.full((len(rows), places), problem.graph.classes)
    for i, s in enumerate(rows.tolist()):
        classes[i, : len(classes_of[s])] = classes_of[s]
    room = np.cumsum(settings.max_load * groups.capacity[members][:, None, :] * counts, axis=2)
    return Family(
        rows, members, free, grid, states, counts, wake, shared, forbidden, room,
        (groups.factor * groups.slope)[members], wake_wh[free].reshape(free.shape), classes,
    )  # fmt: skip


def covers_of(family: Family, sets: sparse.csr_array) -> sparse.csr_array:
    """(sectors * states, rows of `sets`) 0/1: which rows a sector's awake parts cover in each state."""
    sectors, states, _ = family.counts.shape
    by_group = sets.tocsc()
    rows, columns = [], []
    for place in range(family.members.shape[1]):
        for i, g in enumerate(family.members[:, place].tolist()):
            covered = by_group.indices[by_group.indptr[g] : by_group.indptr[g + 1]]
            if len(covered):
                on = np.flatnonzero(family.counts[i, :, place] > 0)
                rows.append(np.repeat(i * states + on, len(covered)))
                columns.append(np.tile(covered, len(on)))
    shape = (sectors * states, sets.shape[0])
    if not rows:
        return sparse.csr_array(shape)
    ends = (np.concatenate(rows), np.concatenate(columns))
    out = sparse.coo_array((np.ones(len(ends[0])), ends), shape).tocsr()
    out.data[:] = 1.0
    return out
