"""The rule of dispatch by its quick ways against plain ones."""

import numpy as np
import pytest
from scipy.optimize import linprog

from planning.sleep.dispatch import dispatch, served_above
from planning.sleep.offload import OffloadGraph
from planning.sleep.states import best_schedule, states_of


def _some_graph(rng, sectors):
    others = [[] for _ in range(sectors)]  # a class a sector that no other reaches, and one or two more
    home = list(range(sectors))
    for s in range(sectors):
        for _ in range(int(rng.integers(0, 3))):
            home.append(s)
            away = [t for t in range(sectors) if t != s]
            others.append(rng.choice(away, int(rng.integers(1, 4)), replace=False).tolist())
    order = sorted(range(len(home)), key=lambda k: (home[k], len(others[k])))
    return OffloadGraph.of_classes(np.array([home[k] for k in order]), [others[k] for k in order], sectors)


@pytest.mark.parametrize("seed", range(6))
def test_hours_and_parts_of_a_network_are_dispatched_alike(seed):
    """Each hour alone, on all of the graph, gives what all hours together give."""
    rng = np.random.default_rng(seed)
    graph = _some_graph(rng, 12)
    demand = rng.gamma(0.4, 60.0, (graph.classes, 9)) * (rng.random((graph.classes, 1)) < 0.6)
    most = rng.uniform(10.0, 90.0, (graph.sectors, 9))
    tiers = [0.4 * most]
    together = served_above(demand, 0.8 * most, most, graph, tiers)
    for hour in range(9):
        column = slice(hour, hour + 1)
        alone = served_above(
            demand[:, column], 0.8 * most[:, column], most[:, column], graph, [t[:, column] for t in tiers]
        )
        for name in ("load", "home", "moved", "unserved"):
            np.testing.assert_allclose(
                getattr(together, name)[:, column], getattr(alone, name), atol=1e-5, err_msg=name
            )
    np.testing.assert_allclose(
        graph.by_sector @ together.home + graph.arcs_at(graph.arc_target, graph.sectors) @ together.moved,
        together.load,
        atol=1e-6,
    )


def test_traffic_moves_on_to_make_room():
    """Traffic of sector 0 finds room in 2 alone by sending on what 1 carries for 3."""
    graph = OffloadGraph.of_classes(np.array([0, 1, 2, 3]), [[1], [], [], [1, 2]], 4)
    demand = np.array([[10.0], [0.0], [0.0], [10.0]])
    capacity = np.array([[5.0], [5.0], [5.0], [5.0]])
    served = dispatch(demand, capacity, graph)
    assert served.unserved.sum() == pytest.approx(0.0, abs=1e-6)
    np.testing.assert_allclose(served.load[:, 0], 5.0)


@pytest.mark.parametrize("seed", range(12))
def test_no_way_of_moving_traffic_serves_more(seed):
    """What stays at home apart, by SciPy's maximum flow; small whole numbers, so that room and traffic often meet."""
    rng = np.random.default_rng(seed)
    graph = _some_graph(rng, 8)
    demand = rng.integers(0, 9, (graph.classes, 6)).astype(float)
    capacity = rng.integers(0, 16, (graph.sectors, 6)).astype(float)
    served = dispatch(demand, capacity, graph)
    of_class = graph.arcs_at(graph.arc_class, graph.classes)
    into = graph.arcs_at(graph.arc_target, graph.sectors)
    np.testing.assert_allclose(served.home + of_class @ served.moved + served.unserved, demand, atol=1e-6)
    np.testing.assert_allclose(graph.by_sector @ served.home + into @ served.moved, served.load, atol=1e-6)
    assert (served.load <= capacity + 1e-6).all() and min(served.moved.min(), served.unserved.min()) >= -1e-9
    limits = np.concatenate([of_class.toarray(), into.toarray()])
    for hour in range(6):
        left, room = demand - served.home, capacity - graph.by_sector @ served.home
        most = linprog(-np.ones(len(graph.arc_class)), limits, np.concatenate([left[:, hour], room[:, hour]]))
        assert served.moved[:, hour].sum() == pytest.approx(-most.fun, abs=1e-6)


@pytest.mark.parametrize("grid", [(2,), (4,), (2, 2)])
def test_one_sector_alone_is_planned_as_beside_others(grid):
    rng = np.random.default_rng(3)
    states = states_of(grid)
    for _ in range(20):
        cost = rng.integers(0, 30, (2, 24, len(states))).astype(float)
        cost[rng.random(cost.shape) < 0.1] = np.inf
        wake = rng.integers(0, 9, (2, len(grid))).astype(float)
        value, chosen = best_schedule(cost, grid, states, wake)
        for sector in range(2):
            alone = best_schedule(cost[[sector]], grid, states, wake[[sector]])
            assert alone[0][0] == value[sector]
            if np.isfinite(value[sector]):
                np.testing.assert_array_equal(alone[1][0], chosen[sector])
