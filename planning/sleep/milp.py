"""Sleep as mixed-integer programs: the whole plan, or one hour of it between two others.

Per sector s, hour h, state q of the sector's parts (n_gq of group g awake): what the sector's own traffic costs at home
in the state (own_qh), what of class k does not fit (left_kqh) and how much room of group g, fewest watts per Mbit/s
first, is left for others (spare_gqh, added up) are numbers, so that traffic at home first needs no constraint. With
arcs a = (class, sector that may carry it), coverage rows r, hubs j (radio units of several carriers, sites):

    min  sum_h [ sum_sq own_qh x_sqh + sum_g slope_g i_gh + price * sum_a f_ah + sum_j hub_j z_jh + sum_g wake_g u_gh ]
    s.t. sum_q x_sqh = 1, x binary                                               one state
         sum_{a of k} f_ah = sum_q left_kqh x_sqh                                what does not fit is sent
         sum_{a into s} f_ah = sum_{g in s} i_gh                                 and carried
         sum_{g' up to g} i_g'h <= sum_q spare_gqh x_sqh                         in the room that is left
         sum of x over states that cover r + y_rh >= 1 ; sum_r area_r y_rh <= holes    coverage
         z_jh >= sum of x_s over states with a part of j awake, for each sector of j    hubs
         n_gh = sum_q n_gq x_sqh
         u_gh >= n_gh - n_g,h-1 ;  sum_{k < min_up} u_g,h-k <= n_gh              minimum on-time
         sum_{k < min_off} u_g,h-k <= N_g - n_g,h-min_off                        minimum off-time
         sum_{h in day} u_gh <= max_wakes N_g                                    wake-ups a day

Muting (boosts) has no u. Hubs of one sector are in own_qh.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from planning.energy import CellGroups, rows_of_each
from planning.sleep.families import Family, covers_of, families, traffic_of
from planning.sleep.problem import UNSERVED_MBPS, SleepProblem
from planning.sleep.settings import SleepSettings
from planning.solver import Model

_INFINITE = float("inf")


@dataclass(frozen=True)
class _Columns:
    """The states that sectors may have, by hour: one column each.

    column: variable; sector, hour; family, row (in the family) and state. n: (free groups, hours) variables.
    """

    model: Model
    problem: SleepProblem
    settings: SleepSettings
    families: list[Family]
    column: np.ndarray
    sector: np.ndarray
    hour: np.ndarray
    family: np.ndarray
    row: np.ndarray
    state: np.ndarray
    n: np.ndarray

    @property
    def groups(self) -> CellGroups:
        return self.problem.groups

    @property
    def hours(self) -> int:
        return self.problem.hours

    def of(self, number: int) -> np.ndarray:
        """Places of the columns of a family."""
        return np.flatnonzero(self.family == number)


def ring_model(
    problem: SleepProblem,
    settings: SleepSettings,
    start: np.ndarray | None = None,
    low: np.ndarray | None = None,
    high: np.ndarray | None = None,
    switched: bool = True,
) -> tuple[Model, np.ndarray]:
    """The model and the numbers of its count variables (free groups, hours).

    start: (groups, hours) awake counts to begin from. low, high: (groups, hours) limits tighter than the groups'.
    switched: whether hours follow one another; without, each stands alone.
    """
    groups = problem.groups
    model = Model("sleep")
    low = problem.least() if low is None else np.maximum(low, problem.least())
    high = problem.all_awake() if high is None else np.maximum(high, low)
    every = families(problem, settings)
    columns = _states(model, problem, settings, every, low, high)
    asleep = np.zeros((len(groups.site), 1))
    model.constant = float(groups.power_w(asleep, asleep).sum()) * problem.hours
    _traffic(columns)
    _cover(columns)
    _hubs(columns, start)
    _counts(columns)
    if switched and (problem.hours > 1 or not problem.cyclic):
        _switching(columns, start)
    if start is not None:
        _start(columns, start)
    return model, columns.n


def ring_model_size(problem: SleepProblem) -> int:
    """About the number of variables of the whole model."""
    groups = problem.groups
    states = np.ones(groups.sectors)
    np.multiply.at(states, groups.sector, groups.count - groups.lowest + 1)
    return int(
        (states.sum() + 2 * len(groups.free) + len(groups.site) + len(problem.graph.arc_class))
        * problem.hours
    )


def hour_model(
    problem: SleepProblem,
    settings: SleepSettings,
    hour: int,
    low: np.ndarray,
    high: np.ndarray,
    around: np.ndarray,
    start: np.ndarray | None = None,
) -> tuple[Model, np.ndarray]:
    """One hour among others whose counts are known: its own energy, and the parts woken into it and out of it.

    Parameters
    ----------
    problem : with the demand of this hour alone, but the states before and after of the whole plan.
    low, high : (groups,) counts.
    around : (free groups, hours) counts; those of this hour are not looked at.
    start : (groups,) counts to begin from.

    Returns the model and the numbers of its count variables (free groups,).

    To the model of the hour are added, for each group whose count is open (low < high), variables that are at least 0:

        into   >= n - n_before     at the price of a wake-up
        out_of >= n_after - n      likewise, for the parts that the next hour then wakes
        short  >= n - lasting      at (min_up - 1) hours of an idle part, lasting as in `_lasting`
    """
    groups, free = problem.groups, problem.groups.free
    model, n = ring_model(
        replace(problem, before=None, after=None), settings, None if start is None else start[:, None],
        low[:, None], high[:, None], switched=False,
    )  # fmt: skip
    open_ = np.flatnonzero((low[free] < high[free]) & (groups.boost_of[free] < 0))
    wake_wh = problem.wake_wh(settings)[free][open_]
    mine, hours = around[open_], around.shape[1]
    before, after = mine[:, hour - 1], mine[:, (hour + 1) % hours]
    if problem.before is not None and hour == 0:
        before = _of_groups(problem, problem.before)[free][open_]
    if problem.after is not None and hour == hours - 1:
        after = _of_groups(problem, problem.after)[free][open_]
    lasting = _lasting(mine, hour, settings.min_up)
    dear = np.maximum(groups.wake_w[free][open_], 0.0) * (min(settings.min_up, hours) - 1)
    # each: at least sign * n + offset, and its price
    extra = (
        ("into", 1.0, -before, wake_wh),
        ("out_of", -1.0, after, wake_wh),
        ("short", 1.0, -lasting, dear),
    )
    row = np.arange(len(open_))
    for name, sign, offset, price in extra:
        woken = model.variables(name, len(open_), 0, _INFINITE)
        model.cost(woken, price)
        model.rows(
            np.tile(row, 2),
            np.concatenate([woken, n[open_, 0]]),
            np.repeat([1.0, -sign], len(open_)),
            lower=offset,
            count=len(open_),
        )
        if start is not None:
            model.start(woken, np.maximum(sign * start[free][open_] + offset, 0))
    return model, n[:, 0]


def _of_groups(problem: SleepProblem, parts: np.ndarray) -> np.ndarray:
    """(groups,) awake parts of (parts,) bool, also of a problem that has some of the groups."""
    return np.array([int(parts[rows].sum()) for rows in problem.groups.parts])


def _lasting(counts: np.ndarray, hour: int, min_up: int) -> np.ndarray:
    """(groups,) most parts awake in the hour as part of min_up hours in a row, by the other hours' counts."""
    hours = counts.shape[1]
    if min_up <= 1 or hours < min_up:
        return counts.max(axis=1) if min_up > 1 else np.full(len(counts), np.iinfo(np.int32).max)
    windows = []
    for first in range(hour - min_up + 1, hour + 1):
        others = [h % hours for h in range(first, first + min_up) if h != hour]
        windows.append(counts[:, others].min(axis=1))
    return np.max(windows, axis=0)


# --- parts of the model ------------------------------------------------------------------------------------------


def _states(
    model: Model,
    problem: SleepProblem,
    settings: SleepSettings,
    every: list[Family],
    low: np.ndarray,
    high: np.ndarray,
) -> _Columns:
    """x: a column a sector, hour and state within low and high (groups, hours); one of them is 1."""
    hours = problem.hours
    found: list[tuple[np.ndarray, ...]] = []
    for number, one in enumerate(every):
        least, most = (limit[one.members].transpose(0, 2, 1)[:, :, None, :] for limit in (low, high))
        counts = one.counts[:, None]  # (sectors, 1, states, groups)
        fits = ((counts >= least) & (counts <= most)).all(axis=3) & ~one.banned
        i, h, q = np.nonzero(fits)
        watts = one.wake_w[i, q] + traffic_of(one, problem.demand).home_w[i, h, q]
        found.append((np.full(len(i), number), one.rows[i], i, h, q, watts))
    family, sector, row, hour, state, cost = (np.concatenate(v) for v in zip(*found, strict=True))
    x = model.variables("x", len(sector), 0, 1, integer=True)
    model.cost(x, cost)
    model.rows(sector * hours + hour, x, 1.0, lower=1.0, upper=1.0, count=problem.groups.sectors * hours)
    free = problem.groups.free
    n = model.variables("n", (len(free), hours), low[free], high[free])
    return _Columns(model, problem, settings, every, x, sector, hour, family, row, state, n)


def _traffic(columns: _Columns) -> None:
    """What does not fit at home is sent along arcs f and carried as i in the room that others have."""
    problem, model, hours = columns.problem, columns.model, columns.hours
    groups, graph = problem.groups, problem.graph
    left = np.zeros((graph.classes + 1, hours))  # most that a class may have to send
    sends: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # (class * hours + hour, column, Mbit/s)
    spare: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # (group * hours + hour, column, Mbit/s)
    for number, one in enumerate(columns.families):
        own = traffic_of(one, problem.demand)
        at = columns.of(number)
        row, hour, state = columns.row[at], columns.hour[at], columns.state[at]
        for j in range(one.classes.shape[1]):
            amount, k = own.left[row, j, hour, state], one.classes[row, j]
            some = amount > 0
            sends.append((k[some] * hours + hour[some], columns.column[at][some], amount[some]))
            np.maximum.at(left, (k, hour), amount)
        for m in range(one.members.shape[1]):
            amount = own.spare[row, hour, state, m]
            some = amount > 0
            spare.append(
                (one.members[row, m][some] * hours + hour[some], columns.column[at][some], amount[some])
            )
    key, column, amount = (np.concatenate(v) for v in zip(*sends, strict=True))
    most = left[graph.arc_class]
    arcs, arc_hour = np.nonzero(most > 0)
    f = model.variables("f", len(arcs), 0, most[arcs, arc_hour])
    model.cost(f, columns.settings.offload_w_per_mbps)
    # classes with something to send
    used = np.unique(key)
    model.rows(
        np.concatenate(
            [np.searchsorted(used, graph.arc_class[arcs] * hours + arc_hour), np.searchsorted(used, key)]
        ),
        np.concatenate([f, column]),
        np.concatenate([np.ones(len(f)), -amount]),
        lower=0.0,
        upper=0.0,
        count=len(used),
    )
    into = graph.arc_target[arcs] * hours + arc_hour
    asked = np.unique(into)
    receiver = np.zeros((graph.sectors, hours), bool)
    receiver.ravel()[asked] = True
    g, group_hour = np.nonzero(receiver[groups.sector])
    i = model.variables("i", len(g), 0, _INFINITE)
    model.cost(i, (groups.factor * groups.slope)[g])
    model.rows(
        np.concatenate(
            [np.searchsorted(asked, into), np.searchsorted(asked, groups.sector[g] * hours + group_hour)]
        ),
        np.concatenate([f, i]),
        np.concatenate([np.ones(len(f)), -np.ones(len(i))]),
        lower=0.0,
        upper=0.0,
        count=len(asked),
    )
    _limit_room(columns, spare, i, g, group_hour)
    _open_arcs(columns, spare, f, arcs, arc_hour, most[arcs, arc_hour])


def _limit_room(
    columns: _Columns,
    spare: list[tuple[np.ndarray, np.ndarray, np.ndarray]],
    i: np.ndarray,
    group: np.ndarray,
    hour: np.ndarray,
) -> None:
    """Of each receiving group and those before it in the merit order."""
    hours, groups = columns.hours, columns.groups
    number = np.full(len(groups.site) * hours, -1)
    number[group * hours + hour] = np.arange(len(group))
    key, column, amount = (np.concatenate(v) for v in zip(*spare, strict=True))
    rows, variables, values = [number[key]], [column], [-amount]
    for one in columns.families:
        for m in range(one.members.shape[1]):
            for before in range(m + 1):
                pair = one.members[:, [before, m]]
                carried = number[pair[:, 0, None] * hours + np.arange(hours)]
                limited = number[pair[:, 1, None] * hours + np.arange(hours)]
                some = carried >= 0
                rows.append(limited[some])
                variables.append(i[carried[some]])
                values.append(np.ones(int(some.sum())))
    row, variable, value = np.concatenate(rows), np.concatenate(variables), np.concatenate(values)
    some = row >= 0
    columns.model.rows(row[some], variable[some], value[some], upper=0.0, count=len(group))


def _open_arcs(
    columns: _Columns,
    spare: list[tuple[np.ndarray, np.ndarray, np.ndarray]],
    f: np.ndarray,
    arcs: np.ndarray,
    hour: np.ndarray,
    most: np.ndarray,
) -> None:
    """What an arc carries needs room at its end: f_ah <= sum_q min(most_ah, room_qh) x_qh, which tightens the
    relaxation. Ends that have the room in every state need no row."""
    hours, graph = columns.hours, columns.problem.graph
    room = np.zeros(int(columns.column.max(initial=-1)) + 1)  # of each column, all of its groups
    for _, column, amount in spare:
        np.maximum.at(room, column, amount)
    least = np.full((graph.sectors, hours), np.inf)
    np.minimum.at(least, (columns.sector, columns.hour), room[columns.column])
    tight = np.flatnonzero(least[graph.arc_target[arcs], hour] < most)
    if not len(tight):
        return
    slot = graph.arc_target[arcs[tight]] * hours + hour[tight]
    order = np.argsort(columns.sector * hours + columns.hour, kind="stable")
    sorted_slot = (columns.sector * hours + columns.hour)[order]
    begin, end = np.searchsorted(sorted_slot, slot), np.searchsorted(sorted_slot, slot, "right")
    length = end - begin
    row = np.repeat(np.arange(len(tight)), length)
    at = order[np.arange(len(row)) - np.repeat(np.cumsum(length) - length, length) + np.repeat(begin, length)]
    columns.model.rows(
        np.concatenate([np.arange(len(tight)), row]),
        np.concatenate([f[tight], columns.column[at]]),
        np.concatenate([np.ones(len(tight)), -np.minimum(most[tight][row], room[columns.column[at]])]),
        upper=0.0,
        count=len(tight),
    )


def _cover(columns: _Columns) -> None:
    problem, hours = columns.problem, columns.hours
    cover = problem.cover
    sets = cover.bound_sets()
    if not sets.shape[0]:
        return
    rows, variables = [], []
    for number, one in enumerate(columns.families):
        at = columns.of(number)
        mine = covers_of(one, sets)[columns.row[at] * len(one.states) + columns.state[at]].tocoo()
        rows.append(mine.col * hours + columns.hour[at][mine.row])
        variables.append(columns.column[at][mine.row])
    if cover.max_hole_share > 0:
        y = columns.model.variables("y", (sets.shape[0], hours), 0, 1, integer=True)
        rows.append(np.arange(y.size))
        variables.append(y.ravel())
        columns.model.rows(
            np.tile(np.arange(hours), len(y)), y.ravel(), np.repeat(cover.area_km2[cover.binding], hours),
            upper=cover.budget_km2, count=hours,
        )  # fmt: skip
    columns.model.rows(
        np.concatenate(rows), np.concatenate(variables), 1.0, lower=1.0, count=sets.shape[0] * hours
    )


def _hubs(columns: _Columns, start: np.ndarray | None) -> None:
    """z: 1 while any part of a hub that several sectors share is awake."""
    groups, hours = columns.groups, columns.hours
    members = rows_of_each(groups.hub, len(groups.hub_w))
    shared = [h for h, m in enumerate(members) if len(np.unique(groups.sector[groups.hub_group[m]])) > 1]
    if not shared:
        return
    z = columns.model.variables("z", (len(shared), hours), 0, 1, integer=True)
    columns.model.cost(z, groups.hub_w[shared, None])
    rank = np.full(len(groups.hub_w), -1)
    rank[shared] = np.arange(len(shared))
    sets = groups.hubs[shared]
    rows, variables, values = [], [], []
    last = 0
    for number, one in enumerate(columns.families):
        on = covers_of(one, sets)  # a state's awake parts "cover" their hubs
        at = columns.of(number)
        mine = on[columns.row[at] * len(one.states) + columns.state[at]].tocoo()
        pair = (mine.col * groups.sectors + columns.sector[at][mine.row]) * hours + columns.hour[at][mine.row]
        used, row = np.unique(pair, return_inverse=True)
        hub, hour = used // hours // groups.sectors, used % hours
        rows += [last + row, last + np.arange(len(used))]
        variables += [columns.column[at][mine.row], z[hub, hour]]
        values += [np.ones(len(row)), -np.ones(len(used))]
        last += len(used)
    columns.model.rows(
        np.concatenate(rows), np.concatenate(variables), np.concatenate(values), upper=0.0, count=last
    )
    if start is not None:
        columns.model.start(z, ((sets @ start) > 0).ravel())


def _counts(columns: _Columns) -> None:
    """n of the free groups from the states."""
    groups, free, hours = columns.groups, columns.groups.free, columns.hours
    place = np.full(len(groups.site), -1)
    place[free] = np.arange(len(free))
    rows, variables, values = [np.arange(columns.n.size)], [columns.n.ravel()], [-np.ones(columns.n.size)]
    for number, one in enumerate(columns.families):
        at = columns.of(number)
        for m in range(one.members.shape[1]):
            g = place[one.members[columns.row[at], m]]
            count = one.counts[columns.row[at], columns.state[at], m]
            some = (g >= 0) & (count > 0)
            rows.append(g[some] * hours + columns.hour[at][some])
            variables.append(columns.column[at][some])
            values.append(count[some].astype(float))
    columns.model.rows(
        np.concatenate(rows),
        np.concatenate(variables),
        np.concatenate(values),
        0.0,
        0.0,
        count=columns.n.size,
    )


def _switching(columns: _Columns, start: np.ndarray | None) -> None:
    """Wake-ups u of cells, in the hour into which a part is woken; a last column is the wake-up into `after`."""
    problem, settings, hours, model = columns.problem, columns.settings, columns.hours, columns.model
    groups = problem.groups
    mine = np.flatnonzero(groups.boost_of[groups.free] < 0)
    n, free = columns.n[mine], groups.free[mine]
    ends = problem.before is not None and problem.after is not None
    count = groups.count[free].astype(float)
    size = hours + ends
    u = model.variables("u", (len(mine), size), 0, count[:, None])
    model.cost(u, problem.wake_wh(settings)[free, None])
    before = _of_groups(problem, problem.before)[free] if problem.before is not None else None
    after = _of_groups(problem, problem.after)[free] if problem.after is not None else None

    def rows(
        terms: list[tuple[np.ndarray, float]], lower: np.ndarray | float, upper: np.ndarray | float
    ) -> None:
        number = terms[0][0].size
        model.rows(
            np.tile(np.arange(number), len(terms)),
            np.concatenate([v.ravel() for v, _ in terms]),
            np.concatenate([np.full(number, c) for _, c in terms]),
            lower=lower,
            upper=upper,
            count=number,
        )

    if before is None or after is None:
        rows([(u, 1.0), (n, -1.0), (np.roll(n, 1, axis=1), 1.0)], 0.0, _INFINITE)
        if settings.min_up > 1:
            window = [(np.roll(u, k, axis=1), 1.0) for k in range(min(settings.min_up, hours))]
            rows([*window, (n, -1.0)], -_INFINITE, 0.0)
        if settings.min_off > 1:
            reach = min(settings.min_off, hours)
            window = [(np.roll(u, k, axis=1), 1.0) for k in range(reach)]
            rows([*window, (np.roll(n, reach, axis=1), 1.0)], -_INFINITE, np.repeat(count, hours))
    else:
        rows([(u[:, :1], 1.0), (n[:, :1], -1.0)], -before.astype(float), _INFINITE)
        if hours > 1:
            rows([(u[:, 1:hours], 1.0), (n[:, 1:], -1.0), (n[:, :-1], 1.0)], 0.0, _INFINITE)
        rows([(u[:, hours:], 1.0), (n[:, -1:], 1.0)], after.astype(float), _INFINITE)
        for h in range(1, hours) if settings.min_up > 1 else ():
            window = [(u[:, k], 1.0) for k in range(max(0, h - settings.min_up + 1), h + 1)]
            rows([*window, (n[:, h], -1.0)], -_INFINITE, 0.0)
        for h in range(settings.min_off - 1, size) if settings.min_off > 1 else ():
            window = [(u[:, k], 1.0) for k in range(h - settings.min_off + 1, h + 1)]
            if h == settings.min_off - 1:
                rows(window, -_INFINITE, count - before)
            else:
                rows([*window, (n[:, h - settings.min_off], 1.0)], -_INFINITE, count)
    if settings.max_wakes is not None:
        for day in range(0, hours, 24):
            last = size if day + 24 >= hours else day + 24
            rows([(u[:, h], 1.0) for h in range(day, last)], -_INFINITE, settings.max_wakes * count)
    if start is not None:
        counts = start[free]
        earlier = np.roll(counts, 1, axis=1)
        if before is not None:
            earlier[:, 0] = before
        values = np.maximum(counts - earlier, 0)
        if after is not None and ends:
            values = np.concatenate([values, np.maximum(after - counts[:, -1], 0)[:, None]], axis=1)
        model.start(u, values.ravel())


def _start(columns: _Columns, counts: np.ndarray) -> None:
    """Begin from awake counts (groups, hours), where they serve all demand."""
    problem, model = columns.problem, columns.model
    served = problem.serve(columns.settings, counts)
    if (served.unserved > UNSERVED_MBPS).any():
        return
    chosen = np.zeros(len(columns.column))
    for number, one in enumerate(columns.families):
        at = columns.of(number)
        state = one.state_of(counts, problem.groups.lowest)
        chosen[at] = state[columns.row[at], columns.hour[at]] == columns.state[at]
    model.start(columns.column, chosen)
    model.start(columns.n, counts[problem.groups.free].ravel())
