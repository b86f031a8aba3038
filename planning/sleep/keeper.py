"""The limits on switching and on what may sleep when, kept by staying awake longer."""

from __future__ import annotations

import numpy as np

from planning.energy import CellGroups, rows_of_each
from planning.sleep.problem import SleepProblem
from planning.sleep.schedule import fill_gaps, hold, limit_wakes, woken
from planning.sleep.settings import SleepSettings


class Keeper:
    """Turns any schedule into one that obeys the limits, by awake hours added alone: what was served and covered stays
    so.

    The limits are: parts that must be awake, parts that need others, minimum on-time after a wake-up, minimum
    off-time and most wake-ups a day. Muting is quick: the last three are of cells, not of boosts.
    """

    def __init__(self, problem: SleepProblem, settings: SleepSettings):
        groups = problem.groups
        self.problem, self.settings = problem, settings
        self.must = groups.place_of_part[:, None] < problem.least()[groups.group_of_part]
        self.needs = needed_parts(groups, problem.pairs)
        self.limited = groups.boost_of[groups.group_of_part] < 0
        sector = groups.sector[groups.group_of_part]
        self.parts_of = rows_of_each(sector, groups.sectors)
        self.needs_of = rows_of_each(sector[self.needs[:, 0]], groups.sectors)

    def keep(self, awake: np.ndarray) -> np.ndarray:
        """(parts, hours) of all parts."""
        return self._kept(awake, np.arange(len(awake)), self.needs)

    def keep_sector(self, awake: np.ndarray, sector: int) -> np.ndarray:
        """As `keep` for the parts of a sector alone, `parts_of[sector]`."""
        mine = self.parts_of[sector]
        needs = self.needs[self.needs_of[sector]]
        return self._kept(awake, mine, np.searchsorted(mine, needs) if len(needs) else needs)

    def _kept(self, awake: np.ndarray, rows: np.ndarray, needs: np.ndarray) -> np.ndarray:
        settings, problem = self.settings, self.problem
        out = awake | self.must[rows]
        limited = self.limited[rows]
        before = None if problem.before is None else problem.before[rows][limited]
        after = None if problem.after is None else problem.after[rows][limited]
        while True:
            old = out.copy()
            for a, b in needs.tolist():
                out[b] |= out[a]
            cells = out[limited]
            cells = fill_gaps(cells, settings.min_off, before, after)
            cells = hold(cells, settings.min_up, before)
            if settings.max_wakes is not None:
                cells = limit_wakes(cells, settings.max_wakes, before, after)
            out[limited] = cells
            if (out == old).all():
                return out

    def broken(self, awake: np.ndarray) -> list[str]:
        """Which limits a schedule (parts, hours) breaks, in words."""
        settings, problem = self.settings, self.problem
        found = []
        if (self.must & ~awake).any():
            found.append("cells that must be awake")
        if any((awake[a] & ~awake[b]).any() for a, b in self.needs.tolist()):
            found.append("order of bands or muting")
        cells = awake[self.limited]
        before = None if problem.before is None else problem.before[self.limited]
        after = None if problem.after is None else problem.after[self.limited]
        if (fill_gaps(cells, settings.min_off, before, after) != cells).any():
            found.append("minimum off-time")
        if (hold(cells, settings.min_up, before) != cells).any():
            found.append("minimum on-time")
        if settings.max_wakes is not None:
            count = woken(cells, before, after)
            days = [count[:, d : d + 24].sum(axis=1) for d in range(0, count.shape[1], 24)]
            if (np.stack(days) > settings.max_wakes).any():
                found.append("wake-ups a day")
        return found


def needed_parts(groups: CellGroups, pairs: np.ndarray) -> np.ndarray:
    """(n, 2) parts of which the first is awake only while the second is, from pairs of groups."""
    out = []
    for a, b in pairs.tolist():
        first, second = groups.parts[a], groups.parts[b]
        if groups.boost_of[a] == b:  # part by part
            out.append(np.stack([first, second], axis=1))
        else:
            out.append(np.stack([np.repeat(first, len(second)), np.tile(second, len(first))], axis=1))
    return np.concatenate(out) if out else np.zeros((0, 2), int)
