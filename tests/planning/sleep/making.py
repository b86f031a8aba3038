"""Small sleep problems, and other ways to what they come to: a replay in plain loops, brute force over schedules."""

import itertools

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import linprog

from planning.network import Network
from planning.sleep import Operation, SleepProblem, SleepSettings
from planning.sleep.cover import Cover, presolved
from planning.sleep.offload import OffloadGraph
from planning.sleep.schedule import group_counts


def line_network(sites=2, layers=1, sectors=1, seed=None, units=False) -> Network:
    """Sites on an east-west line; `units`: the capacity cells of a sector share one radio unit."""
    lon = 115.86 + np.arange(sites) * 500 / 97_800
    network = Network.from_sites(lon, np.full(sites, 28.68), sectors=sectors, capacity_layers=layers)
    cells = network.cells
    if seed is not None:  # cells that all differ, so that nothing is aggregated
        rng = np.random.default_rng(seed)
        cells = cells.assign(
            capacity_mbps=cells["capacity_mbps"] * rng.uniform(0.5, 1.5, len(cells)),
            idle_w=cells["idle_w"] * rng.uniform(0.9, 1.3, len(cells)),
        )
    if units:
        capacity = ~cells["is_coverage"].to_numpy(bool)
        cells = cells.assign(
            radio_unit=np.where(capacity, cells["sector"].astype(str) + " RU", cells["cell"])
        )
    return Network(network.sites, cells)


def some_problem(
    seed, network=None, hours=24, cover_rows=0, single=False, busy=0.7, **operation
) -> SleepProblem:
    """Sectors whose traffic others can partly carry; `single`: each class by one other sector alone."""
    rng = np.random.default_rng(seed)
    network = network or line_network(3, 2, 2)
    operation = Operation(**operation)
    groups = operation.groups(network)
    sectors = groups.sectors
    home, others, parts = [], [], []
    for s in range(sectors):
        rest = [t for t in range(sectors) if t != s]
        few = min(len(rest), int(rng.integers(0, 3)))
        near = rng.choice(rest, few, replace=False).tolist() if few else []
        sets = [[]] + ([[t] for t in near] if single else [near[: i + 1] for i in range(few)])
        weight = rng.dirichlet(np.ones(len(sets)))
        for ends, w in zip(sets, weight, strict=True):
            home.append(s)
            others.append(ends)
            parts.append(w)
    graph = OffloadGraph.of_classes(np.array(home), others, sectors)
    day = 0.5 + 0.5 * np.sin((np.arange(hours) % 24 - 9) / 24 * 2 * np.pi)
    capacity = groups.capacity_of(groups.count[:, None])[:, 0]
    level = capacity * rng.uniform(0.02, busy, sectors)
    load = level[:, None] * day * rng.uniform(0.7, 1.1, (sectors, hours))
    demand = np.array(parts)[:, None] * load[graph.class_sector]
    cover = Cover.none(len(groups.site))
    if cover_rows:
        member = rng.random((cover_rows, len(groups.site))) < 0.4
        member[np.arange(cover_rows), rng.integers(0, len(groups.site), cover_rows)] = True
        area = rng.uniform(0.1, 1.0, cover_rows)
        cover = Cover(
            sparse.csr_array(member.astype(float)), area, area / area.sum(), float(area.sum()), np.arange(cover_rows),
            operation.max_hole_share,
        )  # fmt: skip
        cover, groups = presolved(cover, groups)
    return SleepProblem.of_classes(network, demand, graph, cover, operation, groups)


def replayed(
    problem: SleepProblem, settings: SleepSettings, parts: np.ndarray
) -> dict[str, np.ndarray | float]:
    """Energy in Wh (wake-ups apart) and unserved Mbit/s by hour, holes in km2, in plain loops from the network's
    table; cells alone, without muting."""
    network, graph = problem.network, problem.graph
    cells, sites = network.cells, network.sites
    sector_of = network.sector_of_cell
    hours = problem.hours
    energy, unserved = np.zeros(hours), np.zeros(hours)
    unit = (cells["site"] + cells["radio_unit"]).tolist()
    counts = group_counts(problem.groups, parts)
    usual = problem.serve(settings, counts)
    both = problem.serve(settings, counts, beyond=True)
    flows = (usual.moved, both.moved - usual.moved)
    slopes = [sorted(set(cells["slope_w_per_mbps"][sector_of == s])) for s in range(graph.sectors)]
    for h in range(hours):
        awake = parts[: len(cells), h]
        load = np.zeros(len(cells))
        left = problem.demand[:, h].copy()
        for share, moved in zip((settings.max_load, 1.0), flows, strict=True):
            room = share * np.bincount(sector_of, cells["capacity_mbps"] * awake, graph.sectors)
            room = room - np.bincount(sector_of, load, graph.sectors)
            carried = np.zeros(graph.sectors)
            for k in range(graph.classes):  # classes come by sector, those with the fewest others first
                s = graph.class_sector[k]
                step = min(left[k], room[s])
                left[k] -= step
                room[s] -= step
                carried[s] += step
            tiers = []  # of the usual capacity: what the carriers with the fewest watts have, with the next ones, ...
            if share == settings.max_load:
                for place in range(max(len(s) for s in slopes)):
                    dearest = np.array([slopes[s][: place + 1][-1] for s in sector_of])
                    on = cells["slope_w_per_mbps"].to_numpy() <= dearest
                    tiers.append(
                        share * np.bincount(sector_of, cells["capacity_mbps"] * awake * on, graph.sectors)
                    )
            carried += elsewhere(graph, left, room, moved[:, h], tiers, carried.copy())
            for s in range(graph.sectors):
                mine = [c for c in np.flatnonzero(sector_of == s) if awake[c]]
                for c in sorted(mine, key=lambda c: (cells["slope_w_per_mbps"].iloc[c], c)):
                    step = min(carried[s], share * cells["capacity_mbps"].iloc[c] - load[c])
                    load[c] += step
                    carried[s] -= step
            if left.sum() < 1e-9:
                break
        unserved[h] = left.sum()
        for m, site in enumerate(sites.itertuples()):
            mine = np.flatnonzero(network.site_of_cell == m)
            if problem.operation.whole_site and not awake[mine].any():
                energy[h] += (1 + site.ac_slope) * cells["sleep_w"].to_numpy()[mine].sum()
                continue
            watts = site.bbu_w
            for c in mine:
                row = cells.iloc[c]
                if awake[c]:
                    watts += row.idle_w + row.slope_w_per_mbps * load[c]
                elif unit.count(unit[c]) > 1 and any(awake[j] for j in mine if unit[j] == unit[c]):
                    watts += max(row.sleep_w, 0.35 * row.idle_w)
                else:
                    watts += row.sleep_w
            energy[h] += (1 + site.ac_slope) * watts + site.ac_bias_w
    return {"energy_wh": energy, "unserved": unserved, "hole_km2": holes_of(problem, parts)}


def elsewhere(
    graph: OffloadGraph,
    left: np.ndarray,
    room: np.ndarray,
    moved: np.ndarray,
    tiers: list[np.ndarray],
    home: np.ndarray,
) -> np.ndarray:
    """(sectors,) what others carry, asked in the order of the arcs; left and room are changed.

    Where that leaves some although SciPy's maximum flow finds room, the flows `moved` of the product are taken, once it
    is clear that they are possible and that no others carry more.
    """
    flow = np.zeros(len(graph.arc_class))
    rest, space = left.copy(), np.maximum(room, 0)
    into = np.zeros(graph.sectors)
    for tier in [*tiers, None]:
        for a, (k, t) in enumerate(zip(graph.arc_class, graph.arc_target, strict=True)):
            free = space[t] if tier is None else min(space[t], max(tier[t] - home[t], 0) - into[t])
            step = max(min(rest[k], free), 0)
            flow[a] += step
            rest[k] -= step
            space[t] -= step
            into[t] += step
    if rest.sum() > 1e-7 and space.sum() > 1e-7 and len(flow):
        limit = np.zeros((graph.classes + graph.sectors, len(flow)))
        limit[graph.arc_class, np.arange(len(flow))] = 1
        limit[graph.classes + graph.arc_target, np.arange(len(flow))] = 1
        have = np.concatenate([left, np.maximum(room, 0)])
        most = linprog(-np.ones(len(flow)), limit, have)
        if -most.fun > flow.sum() + 1e-6:
            assert (moved >= -1e-9).all() and (limit @ moved <= have + 1e-6).all()
            assert moved.sum() == pytest.approx(-most.fun, abs=1e-5)
            flow = moved
    np.subtract.at(left, graph.arc_class, flow)
    np.subtract.at(room, graph.arc_target, flow)
    np.maximum(left, 0, out=left)
    return np.bincount(graph.arc_target, flow, graph.sectors)


def holes_of(problem: SleepProblem, parts: np.ndarray) -> np.ndarray:
    """(hours,) km2 of rows of which no part is awake."""
    cover, groups = problem.cover, problem.groups
    out = np.zeros(problem.hours)
    for r in range(cover.rows):
        members = np.flatnonzero(cover.sets[[r]].toarray()[0])
        rows = np.concatenate([groups.parts[g] for g in members])
        out += cover.area_km2[r] * ~parts[rows].any(axis=0)
    return out


def lawful(problem: SleepProblem, settings: SleepSettings, parts: np.ndarray) -> bool:
    """Whether a schedule keeps the limits, looked at run by run."""
    groups, hours = problem.groups, problem.hours
    for g, rows in enumerate(groups.parts):
        if (parts[rows].sum(axis=0) < groups.lowest[g]).any():
            return False
        if problem.may_sleep is not None and (~parts[rows] & ~problem.may_sleep[g]).any():
            return False
    for a, b in problem.pairs.tolist():
        for i, row in enumerate(groups.parts[a]):
            needed = [groups.parts[b][i]] if groups.boost_of[a] == b else groups.parts[b]
            if any((parts[row] & ~parts[j]).any() for j in needed):
                return False
    for row in parts[: groups.cells]:
        if problem.cyclic:
            line = np.tile(row, 3)
            shown = range(hours, 2 * hours)
        else:
            line = np.concatenate([[True] * 24, row, [True] * 24])
            shown = range(24, 24 + hours + 1)
        if row.all() or not line.any():
            continue
        wakes = [i for i in shown if line[i] and not line[i - 1]]
        for i in wakes:
            up = next((n for n in range(hours) if i + n >= len(line) or not line[i + n]), hours)
            down = next(n for n in range(1, i + 1) if line[i - n - 1] or i - n - 1 < 0)
            if up < settings.min_up and i + up < shown[0] + hours + (
                settings.min_up if problem.cyclic else 0
            ):
                return False
            if down < settings.min_off:
                return False
        if settings.max_wakes is not None:
            days = np.bincount([min(i - shown[0], hours - 1) // 24 for i in wakes], minlength=1)
            if (days > settings.max_wakes).any():
                return False
    return True


def brute_force(problem: SleepProblem, settings: SleepSettings) -> float:
    """Least objective over every schedule of single parts that keeps the limits, serves all and covers all."""
    from planning.sleep.incumbent import objective_of, serves_all

    number, hours = problem.groups.number_of_parts, problem.hours
    least = problem.least()[problem.groups.group_of_part]
    open_ = [
        p for p in range(number) if (least[p] < problem.groups.count[problem.groups.group_of_part[p]]).any()
    ]
    # of each hour alone: what serves all and covers all, while all is awake in the others
    columns: list[list[tuple[bool, ...]]] = [[] for _ in range(hours)]
    for bits in itertools.product([False, True], repeat=len(open_)):
        for hour in range(hours):
            parts = np.ones((number, hours), bool)
            parts[open_, hour] = bits
            if serves_all(problem, settings, parts):
                columns[hour].append(bits)
    best = np.inf
    parts = np.ones((number, hours), bool)
    for chosen in itertools.product(*columns):
        parts[open_] = np.transpose(chosen)
        if lawful(problem, settings, parts):
            best = min(best, objective_of(problem, settings, parts))
    return best
