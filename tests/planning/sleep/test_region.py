"""A plan for part of the bundled region, replayed sector by sector by code of its own."""

import numpy as np
import pytest

from benchmarks.sector_replay import lost_to_sleep, unserved_by_hour
from planning.coverage import Coverage, RadioSettings
from planning.demand import Demand, Scale
from planning.deployment import deploy
from planning.sleep import SleepProblem, SleepSettings, plan_sleep
from planning.traffic import TrafficTable

pytestmark = pytest.mark.slow
TILES, SAMPLES, SITES = 48, 8, 60
QUANTILE = 0.9


@pytest.fixture(scope="module")
def demand() -> Demand:
    """Generated weeks of tiles in the middle of the region."""
    from opendiff.demo import DemoSource
    from opendiff.generator import TrafficGenerator

    source = DemoSource()
    tiles = source.covered_tiles()
    apart = np.hypot(tiles["x"] - tiles["x"].median(), tiles["y"] - tiles["y"].median())
    tiles = tiles.iloc[np.sort(np.argsort(apart.to_numpy(), kind="stable")[:TILES])].reset_index(drop=True)
    generator = TrafficGenerator.load("default", "cpu")
    made = generator.generate(generator.conditions(source, tiles), SAMPLES, 0)
    x, y = made.tiles["x"].to_numpy(), made.tiles["y"].to_numpy()
    table = TrafficTable.from_arrays(x, y, made.traffic, made.users)
    return Demand.build(table, Scale.subscribers(table))


@pytest.fixture(scope="module")
def problem(demand) -> SleepProblem:
    network = deploy(demand, SITES, "traffic").network
    coverage = Coverage.of(network, demand.x, demand.y, RadioSettings(pixel_m=100.0))
    return SleepProblem.build(network, demand, quantile=QUANTILE, coverage=coverage)


@pytest.mark.parametrize("strategy", ["threshold", "greedy", "milp"])
def test_sleep_loses_no_traffic_but_what_exceeds_the_reserve(demand, problem, strategy):
    settings = SleepSettings(allow_unserved=True, time_limit=10, gap=0.02)
    plan = plan_sleep(problem, strategy, settings)
    assert (~plan.awake).any()
    # the plan promises to serve what fits under the load limit with every cell awake
    every = problem.all_awake()
    promised = problem.demand - problem.serve(settings, every).unserved
    assert promised.sum() > 0.95 * problem.demand.sum()
    assert unserved_by_hour(plan, promised).max() < 1e-4
    total = lost = above = 0.0
    for sample in range(0, demand.samples, 4):
        week = problem.laid(demand, sample)
        by_hour = lost_to_sleep(plan, week)
        excess = np.maximum(week - np.tile(promised, 7), 0.0)
        assert (by_hour <= excess.sum(axis=0) + 1e-6).all()
        lost, above, total = lost + by_hour.sum(), above + excess.sum(), total + week.sum()
    assert lost <= 0.5 * above and lost / total < 1 - QUANTILE
