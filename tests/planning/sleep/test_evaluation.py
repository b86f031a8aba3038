"""Figures of an evaluation against their definitions, coverage against areas, and dispatch against a maximum flow."""

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import linprog

from planning.energy import CellGroups
from planning.network import Network
from planning.sleep import SleepSettings
from planning.sleep.cover import Cover
from planning.sleep.dispatch import served_above
from planning.sleep.evaluation import evaluate
from planning.sleep.offload import OffloadGraph
from planning.sleep.states import _after_switch, states_of
from tests.planning.sleep.making import line_network, some_problem


def test_totals_follow_from_the_hours_they_are_of():
    """Two sites of alike cells, asked for more than fits under the limit, with and without the capacity cells."""
    network = line_network(2, 3)
    capacity = ~network.cells["is_coverage"].to_numpy(bool)
    one = network.cells[capacity].iloc[0]
    alike = {c: np.where(capacity, one[c], network.cells[c]) for c in ("frequency_mhz", "band")}
    network = Network(network.sites, network.cells.assign(**alike))
    problem = some_problem(1, network, hours=24, busy=0.5)
    settings, groups, graph = SleepSettings(max_load=0.6), problem.groups, problem.graph
    room = groups.capacity_of(groups.count[:, None])[:, 0]
    usual = problem.demand[:, 12]
    share = usual / np.bincount(graph.class_sector, usual)[graph.class_sector]
    demand = np.repeat((0.85 * room[graph.class_sector] * share)[:, None], 24, axis=1)
    every = np.ones((groups.number_of_parts, 24), bool)
    all_on = evaluate(problem, settings, every, demand)
    assert all_on.saving == 0 and all_on.unserved_by_sleep == 0 and all_on.switches == 0
    above = 0
    for sector in range(groups.sectors):  # beyond the limit the cells with the fewest watts come first
        mine = np.flatnonzero(groups.sector == sector)
        beyond = 0.25 * room[sector]
        for g in mine[np.argsort((groups.factor * groups.slope)[mine], kind="stable")]:
            above += groups.count[g] * (beyond > 1e-9)
            beyond -= 0.4 * groups.capacity[g] * groups.count[g]
    assert groups.count.max() > 1 and (all_on.above_limit == above).all()

    demand[:, 7] *= 1.3  # more than all cells awake can carry
    asleep = every.copy()
    free = ~problem.network.cells["is_coverage"].to_numpy(bool)
    asleep[free, 2:5] = False
    found = evaluate(problem, settings, asleep, np.tile(demand, 2))
    lost = found.unserved - found.always_on_unserved
    assert found.always_on_unserved[7] > 0 and lost[[2, 3, 4, 26, 27, 28]].min() > 0
    assert found.unserved_by_sleep == pytest.approx(lost.sum() / found.demand.sum())
    assert found.switches == 2 * free.sum() and found.asleep_cells.sum() == 2 * 3 * free.sum()
    joule, mbit = 3.6e6 * found.energy.sum(), 3600 * found.served.sum()
    assert found.mbit_per_j == pytest.approx(mbit / joule)
    assert found.kwh_per_gb == pytest.approx(found.energy.sum() / (mbit / 8 / 1000))
    assert found.saving == pytest.approx(1 - found.energy.sum() / found.always_on.sum())


def test_holes_are_kept_within_the_share_of_the_ground_and_no_further():
    area = np.array([1.0, 2.0, 3.0])
    groups = CellGroups.of(line_network(3, 1, seed=0))
    sets = sparse.csr_array((np.ones(3), (np.arange(3), [1, 3, 5])), (3, len(groups.site)))
    cover = Cover(sets, area, area / 10, 10.0, np.arange(3), max_hole_share=0.3)
    counts = np.ones((len(groups.site), 4), int)
    counts[1, 1] = counts[[1, 3], 2] = counts[[1, 5], 3] = 0
    np.testing.assert_allclose(cover.hole_km2(counts), [0, 1, 3, 4])
    assert cover.kept(counts).tolist() == [True, True, True, False]
    mended = cover.repaired(groups, counts)
    np.testing.assert_array_equal(mended[:, :3], counts[:, :3])
    assert mended[5, 3] == 1 and mended[1, 3] == 0 and cover.kept(mended).all()


@pytest.mark.parametrize("seed", range(8))
def test_what_does_not_fit_at_home_is_sent_away_as_far_as_a_maximum_flow_goes(seed):
    rng = np.random.default_rng(seed)
    sectors = 6
    others = [rng.choice([t for t in range(sectors) if t != s], 3, replace=False) for s in range(sectors)]
    graph = OffloadGraph.of_classes(
        np.arange(sectors), [o[: s % 4].tolist() for s, o in enumerate(others)], sectors
    )
    demand, most = rng.gamma(0.5, 60.0, (sectors, 1)), rng.uniform(10.0, 60.0, (sectors, 1))
    found = served_above(demand, 0.7 * most, most, graph)
    assert (found.load <= most + 1e-6).all()
    first = served_above(demand, most, most, graph)
    left, room = (np.maximum(v, 0.0)[:, 0] for v in (demand - most, most - demand))
    arcs = np.arange(len(graph.arc_class))
    limit = np.zeros((2 * sectors, len(arcs)))
    limit[graph.arc_class, arcs] = limit[sectors + graph.arc_target, arcs] = 1.0
    flow = -linprog(-np.ones(len(arcs)), limit, np.concatenate([left, room])).fun
    assert first.unserved.sum() == pytest.approx(left.sum() - flow, abs=1e-4)
    assert (first.load <= most + 1e-6).all()
    assert found.load.sum() + found.unserved.sum() == pytest.approx(demand.sum())


@pytest.mark.parametrize(("shared", "small"), [(1, 2), (2, 1)])
def test_a_chain_carries_no_more_than_its_end_has_room_for(shared, small):
    """Sector 3 may use one sector alone, which carries 5 of sector 0; of these, another has room for 3."""
    graph = OffloadGraph.of_classes(np.array([0, 1, 2, 3]), [[1, 2], [], [], [shared]], 4)
    demand, capacity = np.array([[10.0], [0.0], [0.0], [10.0]]), np.full((4, 1), 5.0)
    capacity[small] = 3
    found = served_above(demand, capacity, capacity, graph)
    np.testing.assert_allclose(found.load, capacity, atol=1e-5)
    assert (found.moved >= -1e-9).all() and found.unserved.sum() == pytest.approx(2, abs=1e-5)


@pytest.mark.parametrize("grid", [(2,), (5,), (3, 1, 4)])
def test_the_cheapest_state_before_is_found_group_by_group(grid):
    """Against all pairs of states: what is woken has its price, what goes to sleep none."""
    rng = np.random.default_rng(0)
    states, wake = states_of(grid), rng.integers(1, 9, (2, len(grid))).astype(float)
    value = rng.integers(0, 30, (len(states), 3, 2)).astype(float)
    price = np.maximum(states[None, :] - states[:, None], 0) @ wake.T  # (before, after, sectors)
    expected = (value[:, None] + price[:, :, None]).min(axis=0)
    np.testing.assert_allclose(_after_switch(value, grid, wake), expected)
