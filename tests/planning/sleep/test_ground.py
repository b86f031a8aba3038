"""Classes of traffic and rows of coverage from random levels, against plain loops over pixels."""

import numpy as np
import pytest

from planning.coverage import Coverage
from planning.coverage.levels import Levels
from planning.coverage.pixels import PixelGrid
from planning.deployment import deploy
from planning.power_states import MUTED_LOSS_DB
from planning.sleep import (
    Operation,
    SleepProblem,
    SleepSettings,
    evaluate,
    plan_sleep,
    problem,
    replay,
    risk_curve,
)
from planning.sleep.cover import ALWAYS, NEVER, cover_of
from planning.sleep.offload import OFFLOAD_DB, offload_graph
from tests.planning.sleep.making import line_network, some_problem


def some_levels(seed, network, pixels):
    """Random levels of every cell on every pixel, strongest first; 15 dB and more reach."""
    rng = np.random.default_rng(seed)
    sector = network.sector_of_cell
    level = rng.normal(12, 8, (pixels, int(sector.max()) + 1))[:, sector] + rng.normal(
        0, 2, (pixels, len(sector))
    )
    order = np.argsort(-level, axis=1)
    cells = len(sector)
    return level, Levels(
        np.arange(pixels + 1) * cells, order.ravel().astype(np.int32),
        np.take_along_axis(level, order, 1).ravel().astype(np.float32), cells,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_classes_promise_no_more_than_their_pixels_allow(seed):
    network = line_network(3, 1, 2)
    grid = PixelGrid.of_tiles([26921, 26922], [13650, 13650], 100.0)
    level, levels = some_levels(seed, network, len(grid))
    tile_mbps = np.array([3.0, 1.0])
    sector = network.sector_of_cell
    graph, shares, pixel_class = offload_graph(
        levels.above(15.0), levels.best_server(), grid, sector, tile_mbps, max_neighbours=3, max_classes=3
    )
    best = level.argmax(axis=1)
    others = [set() for _ in range(graph.classes)]
    for k, t in zip(graph.arc_class, graph.arc_target, strict=True):
        others[k].add(int(t))
    for p, k in enumerate(pixel_class):
        assert graph.class_sector[k] == sector[best[p]]
        for t in others[k]:
            of_t = level[p, sector == t]
            assert of_t.min() >= 15 - 1e-4 and of_t.max() >= level[p].max() - OFFLOAD_DB - 1e-4
    assert max(np.bincount(graph.class_sector)) <= 4 and max(map(len, others)) <= 3
    laid = shares.apply(tile_mbps[:, None])[:, 0]
    by_hand = np.bincount(pixel_class, grid.weight * tile_mbps[grid.tile], graph.classes)
    np.testing.assert_allclose(laid, by_hand)
    assert laid.sum() == pytest.approx(4.0)
    assert any(others)


@pytest.mark.parametrize("muting", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_holes_are_those_of_the_pixels(seed, muting):
    network = line_network(2, 2, seed=seed)
    grid = PixelGrid.of_tiles([26921], [13650], 100.0)
    level, levels = some_levels(seed, network, len(grid))
    reach = levels.above(15.0)
    rule = Operation(whole_site=True, muting=muting, max_hole_share=0.5)
    groups = rule.groups(network)
    cover, groups = cover_of(reach, reach.rsrp_dbm - 15.0, grid, groups, np.ones(1), 0.5)
    rng = np.random.default_rng(seed)
    for _ in range(20):
        parts = rng.random((groups.number_of_parts, 1)) < 0.4
        cells = groups.cells
        boost = np.zeros(cells, bool)
        boost[groups.cell_of_part[cells:]] = parts[cells:, 0]
        parts[:cells, 0] |= boost  # a boost needs its cell
        need = np.where(boost | (not muting), 15.0, 15.0 + MUTED_LOSS_DB)
        covered = ((level >= need) & parts[:cells, 0]).any(axis=1)
        holes = (level >= 15).any(axis=1) & ~covered
        counts = np.array([[parts[rows].sum()] for rows in groups.parts])
        assert cover.hole_km2(counts)[0] == pytest.approx(holes.sum() * 0.01)
    assert (cover.pixel_row == NEVER).sum() == (level < 15).all(axis=1).sum()
    assert not (cover.pixel_row == ALWAYS).any()
    strict, locked = cover_of(reach, reach.rsrp_dbm - 15.0, grid, rule.groups(network), np.ones(1))
    # what the binding rows keep, all rows keep
    for _ in range(20):
        counts = np.maximum((rng.random((len(groups.site), 1)) < 0.5).astype(int), locked.lowest[:, None])
        if ((strict.bound_sets() @ counts) > 0).all():
            assert strict.hole_km2(counts)[0] == 0


def test_a_curve_of_risk_is_that_of_problems_made_one_by_one(demand):
    network = deploy(demand, sites=4, strategy="traffic").network
    coverage = Coverage.of(network, demand.x, demand.y)
    last, settings, quantiles = (
        demand.sample(demand.samples - 1),
        SleepSettings(allow_unserved=True),
        (0.5, 0.9),
    )
    plans = {
        q: plan_sleep(
            SleepProblem.build(network, demand, quantile=q, coverage=coverage, max_neighbours=3),
            "greedy",
            settings,
        )
        for q in quantiles
    }
    wanted = [replay(plan, last).record() for plan in plans.values()]
    for made in (None, {0.9: plans[0.9]}):
        curve = risk_curve(
            network,
            demand,
            last,
            quantiles,
            "greedy",
            settings,
            made=made,
            coverage=coverage,
            max_neighbours=3,
        )
        for name in ("saving", "unserved_share", "overload_hours"):
            assert curve[name].tolist() == [one[name] for one in wanted]


def test_weeks_are_judged_alike_however_many_hours_at_once(monkeypatch):
    problem_ = some_problem(5, line_network(6, 2, 2), busy=1.2)
    settings = SleepSettings(allow_unserved=True)
    parts = plan_sleep(problem_, "greedy", settings).parts
    week = np.tile(problem_.demand, 7) * np.repeat(np.linspace(0.3, 1.5, 7), 24)
    found = []
    for most in (0, 2 * 24 * len(problem_.groups.site), 10**9):  # a day, two days, all at once
        monkeypatch.setattr(problem, "_MAX_AT_ONCE", most)
        found.append(evaluate(problem_, settings, parts, week))
    for other in found[1:]:
        assert other.record() == found[0].record()
        np.testing.assert_array_equal(other.energy, found[0].energy)
