"""Sites moved by the radio model: judged as plans are, never worse than a start, the best of a few by brute force."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from planning.coverage import Coverage, PixelGrid, RadioSettings, coupled_loads
from planning.demand import Demand, Scale
from planning.deployment import available, deploy
from planning.deployment import radio_search as search
from planning.deployment.candidate_coverage import CandidateCoverage, SizedCandidates
from planning.deployment.candidates import candidates_of
from planning.deployment.places import Places, grid
from planning.deployment.radio_search import Replay
from planning.deployment.serving import served
from planning.deployment.siting import SitingSettings, _proportional, site_optimally
from planning.deployment.sizing import size_network
from planning.errors import InfeasibleError
from planning.geometry import centre_of, distances_m, local_metres
from planning.network import Network, SiteDesign
from tests.planning.conftest import make_table

RADIO = RadioSettings(pixel_m=200.0)


def demand_of(seed):
    """A demand that a few sites cannot serve."""
    table = make_table(samples=4, hours=24, seed=seed)
    return Demand.build(table, Scale.busy_hour(table, 4000.0))


@pytest.fixture(scope="module")
def busy():
    return demand_of(seed=3)


def sited(demand, sites, replay=None, **settings):
    settings = SitingSettings(radio=RADIO, **({"time_limit": 3.0} | settings))
    return site_optimally(demand, sites, settings, 0.9, replay=replay or Replay(demand, radio=RADIO))


def served_by(demand, lon, lat, radio=RADIO):
    """What sites serve, by the functions that size and judge every deployment."""
    sizing = size_network(Network.from_sites(lon, lat), demand, radio=radio)
    return served(sizing.network, demand, radio=radio, coverage=sizing.coverage)


def test_candidates_are_sized_and_judged_as_a_deployment_is(busy):
    lon, lat, _ = grid(busy, 1)
    pixels = PixelGrid.of_tiles(busy.x, busy.y, RADIO.pixel_m)
    sized = SizedCandidates(lon, lat, SiteDesign(), pixels, RADIO, Replay(busy, radio=RADIO).asked())
    rng = np.random.default_rng(0)
    for _ in range(3):
        chosen = np.isin(np.arange(len(lon)), rng.permutation(len(lon))[:4])
        state = sized.state(chosen)
        found = served_by(busy, lon[chosen], lat[chosen])
        assert state.value == pytest.approx(found.served_mbps, rel=0.01)
        assert state.carried_mbps.sum() == pytest.approx(state.value, rel=1e-4)
        assert (state.carried_mbps > 0).sum() <= 4 and (state.layers > 0).tolist() == chosen.tolist()


def test_cells_that_come_awake_are_as_if_they_had_been(busy):
    lon, lat, _ = grid(busy, 1)
    network = Network.from_sites(lon[:6], lat[:6], capacity_layers=2)
    pixels = PixelGrid.of_tiles(busy.x, busy.y, RADIO.pixel_m)
    every = replace(RADIO, strongest=64, floor_dbm=-160.0)  # all levels are kept
    dense, plain = CandidateCoverage.of_cells(network, pixels, every), Coverage.on(network, pixels, every)
    cells = len(dense.cells)
    load = np.random.default_rng(1).uniform(0, 1, cells).astype(np.float32)
    part = dense.cells.site < 4
    made = dense.with_cells(
        dense.serving(part), np.where(dense.cells.site < 5, load, 0), np.flatnonzero(dense.cells.site == 4)
    )
    for awake, serving in ((part, dense.serving(part)), (dense.cells.site < 5, made)):
        right = plain.serving(awake)
        np.testing.assert_array_equal(serving.server, right.server)
        np.testing.assert_array_equal(serving.covered, right.covered)
        np.testing.assert_allclose(serving.sinr(load), right.sinr(load), rtol=1e-3)


def test_loads_are_the_same_from_any_start(busy):
    lon, lat, _ = grid(busy, 1)
    coverage = Coverage.of(Network.from_sites(lon[:5], lat[:5]), busy.x, busy.y, RADIO)
    level = busy.profile(None, 0.5)[:, busy.busy_hour()]
    plain = coupled_loads(coverage, level)
    other = coupled_loads(coverage, level, start=np.full(len(coverage.cells), 3.0))
    np.testing.assert_allclose(np.minimum(other.load, 2), np.minimum(plain.load, 2), atol=0.02)


def test_the_plan_is_the_best_of_all_by_brute_force():
    demand = demand_of(seed=7)
    lon, lat, _ = grid(demand, 1)
    made = sited(demand, 2, candidates=Places.of(lon, lat))
    pairs = [list(pair) for pair in combinations(range(12), 2)]
    best = max(served_by(demand, lon[pair], lat[pair]).served_mbps for pair in pairs)
    assert made.moved.after.served_mbps == pytest.approx(best, rel=1e-6)
    assert made.moved.before.served_mbps < 0.95 * best  # the optimum of the covering program is another


@pytest.mark.parametrize("sites", [3, 6, 9])
def test_no_other_strategy_serves_more(busy, sites):
    settings = SitingSettings(radio=RADIO, time_limit=5.0)
    share = {
        name: deploy(busy, sites, name, siting=settings, radio=RADIO).radio.served_share
        for name in available(busy)
    }
    assert share.pop("optimised") >= max(share.values())


def test_people_may_be_what_is_served(busy):
    by = Replay(busy, radio=RADIO, objective="people")
    made = sited(busy, 4, by, objective="people")
    for name in ("traffic", "population", "uniform"):
        assert made.moved.after.users_served >= deploy(busy, 4, name, radio=RADIO).radio.users_served
    assert "active users" in made.sentence


def test_moves_keep_every_limit(busy):
    lon, lat, _ = grid(busy, 1)
    existing, forbidden = Places.of(lon[:2], lat[:2], ["a", "b"]), Places.of(lon[[7]], lat[[7]])
    made = sited(busy, 6, existing=existing, forbidden=forbidden, forbidden_m=600.0, min_distance_m=500.0)
    assert {"a", "b"} <= set(made.names) and len(made.lon) == 6
    at = local_metres(made.lon, made.lat, centre_of(made.lon, made.lat))
    assert distances_m(at, at)[np.triu_indices(6, 1)].min() >= 500 * (1 - 1e-6)
    new = made.origin == "new"
    away = local_metres(lon[[7]], lat[[7]], centre_of(made.lon, made.lat))
    assert (distances_m(at[new], away) > 600).all()
    assert made.moved.after.served_mbps >= made.moved.before.served_mbps
    paid = sited(busy, None, budget=5.0)
    assert paid.ranked["cost"].sum() <= 5.0 and len(paid.lon) == 5


def test_a_plan_is_the_same_again_and_its_gap_is_that_of_the_program(busy):
    made, again = (sited(busy, 5) for _ in range(2))
    np.testing.assert_array_equal(np.sort(made.lon), np.sort(again.lon))
    assert made.plan.solve.bound >= made.plan.solve.objective
    assert "proven" in made.sentence and made.ensemble["served_mbps"].gt(0).all()


def test_a_stated_radius_or_level_leaves_the_sites_to_the_program(busy):
    assert sited(busy, 3, radius_m=900.0).moved is None
    assert sited(busy, 3, level_dbm=-95.0).moved is None


def test_sites_of_a_large_area_move_in_windows(busy, monkeypatch):
    monkeypatch.setattr(search, "_SITES", 6)
    said = []
    settings = SitingSettings(radio=RADIO, time_limit=10.0)
    made = site_optimally(
        busy, 9, settings, 0.9, progress=lambda *told: said.append(told[2]), replay=Replay(busy, radio=RADIO)
    )
    assert said.count("levels of the candidates") > 2
    starts = [deploy(busy, 9, name, radio=RADIO).radio.served_mbps for name in ("traffic", "uniform")]
    assert made.moved.after.served_mbps >= max(starts) and len(made.lon) == 9


def test_a_search_can_be_cancelled(busy):
    class Stop(Exception):
        pass

    def cancel(done, total, what):
        if what.startswith("moving sites"):
            raise Stop

    with pytest.raises(Stop):
        site_optimally(
            busy, 4, SitingSettings(radio=RADIO), 0.9, progress=cancel, replay=Replay(busy, radio=RADIO)
        )


def test_a_window_keeps_to_its_memory_and_follows_sites_that_moved(busy, monkeypatch):
    lon, lat, _ = grid(busy, 4)
    pixels = PixelGrid.of_tiles(busy.x, busy.y, RADIO.pixel_m)
    at = np.column_stack(pixels.metres(lon, lat))
    west = np.argsort(at[:, 0], kind="stable")
    chosen = np.isin(np.arange(len(lon)), np.r_[west[:20], west[-4:]])  # dense in the west
    asked = Replay(busy, radio=RADIO).asked()
    cells = 3 * (1 + asked.max_layers)
    monkeypatch.setattr(search, "_LEVELS", cells * len(pixels) * 40)
    windows = search._windows(chosen, at, pixels, asked)
    assert len(windows) > 1
    for window in windows:
        rows = window.candidates(chosen)
        assert cells * len(rows) * window.pixels.sum() <= search._LEVELS
        assert not len(rows) or np.isin(np.flatnonzero(window.around & chosen), rows).all()
    window = next(w for w in windows if len(w.candidates(chosen)))
    new = np.flatnonzero(window.around & ~window.movable & ~chosen)[:1]
    elsewhere = chosen.copy()
    elsewhere[new] = True  # a site of another window has moved there
    assert (
        np.isin(new, window.candidates(elsewhere)).all() and not np.isin(new, window.candidates(chosen)).any()
    )


def test_places_that_strategies_share_are_one_candidate(busy):
    lon, lat, _ = grid(busy, 1)
    further, strategies = _proportional(
        busy, 6, candidates_of(busy, SitingSettings(spacing_m=1e4), 6, 500.0, 1.0)
    )
    all_lon, all_lat = np.r_[lon, further.lon], np.r_[lat, further.lat]
    both = np.round(np.column_stack([all_lon, all_lat]), 7)
    assert len(np.unique(both, axis=0)) == len(both)
    for name, rows in strategies.items():
        sites = deploy(busy, 6, name, radio=RADIO).network.sites
        np.testing.assert_allclose(np.sort(all_lon[rows]), np.sort(sites["lon"]), atol=1e-6)
        np.testing.assert_allclose(np.sort(all_lat[rows]), np.sort(sites["lat"]), atol=1e-6)


def test_the_sentence_tells_the_programs_candidates_and_what_was_not_moved(busy):
    assert "3 sites of 12 candidates" in sited(busy, 3, spacing_m=1e4).sentence
    assert "not moved" in sited(busy, 3, radius_m=900.0).sentence


def test_a_budget_that_pays_for_nothing_is_told(busy):
    with pytest.raises(InfeasibleError, match="budget"):
        sited(busy, None, budget=0.0)


def test_progress_moves_on_while_sites_move(busy):
    said = []
    settings = SitingSettings(radio=RADIO, time_limit=3.0)
    site_optimally(
        busy, 4, settings, 0.9, progress=lambda *told: said.append(told), replay=Replay(busy, radio=RADIO)
    )
    shares = [done / total for done, total, _ in said]
    assert shares == sorted(shares) and len({round(share, 3) for share in shares}) > 8


def test_estimates_are_near_what_moves_serve(busy):
    lon, lat, _ = grid(busy, 1)
    pixels = PixelGrid.of_tiles(busy.x, busy.y, RADIO.pixel_m)
    sized = SizedCandidates(lon, lat, SiteDesign(), pixels, RADIO, Replay(busy, radio=RADIO).asked())
    chosen = np.isin(np.arange(len(lon)), [1, 4, 6, 11])
    state = sized.state(chosen)
    into = np.flatnonzero(~chosen)
    looks = sized.estimates(state, 4, np.append(into, 4))
    exact = [sized.state(np.isin(np.arange(len(lon)), [1, 6, 11, j])).value for j in into]
    # a moved site is estimated with the layers that it had
    np.testing.assert_allclose(looks, [*exact, state.value], rtol=0.1)
    assert np.corrcoef(looks[:-1], exact)[0, 1] > 0.9


def test_even_bad_moves_keep_the_limits_and_are_not_deployed(busy, monkeypatch):
    allowed = []

    def worst(sized, state, out, into):
        looks = sized.estimates(state, out, into)
        if not len(into):
            return None
        new = int(into[looks.argmin()])
        moved = state.chosen
        moved[out], moved[new] = False, True
        return new, sized.state(moved)

    def recorded(problem, *rest):
        chosen = search_moved(problem, *rest)
        allowed.append(problem.allows(chosen))
        return chosen

    search_moved = search._moved
    monkeypatch.setattr(search, "_better", worst)
    monkeypatch.setattr(search, "_moved", recorded)
    made = sited(busy, 4, min_distance_m=1200.0)
    assert allowed == [True]
    assert made.moved.sites == 0 and made.moved.after.served_mbps >= made.moved.before.served_mbps


def test_a_start_that_breaks_a_limit_is_none(busy):
    made = sited(busy, 9, min_distance_m=1700.0)
    at = local_metres(made.lon, made.lat, centre_of(made.lon, made.lat))
    assert distances_m(at, at)[np.triu_indices(len(at), 1)].min() >= 1700 * (1 - 1e-6)


def test_plans_are_judged_by_their_objective(busy):
    lon, lat, _ = grid(busy, 1)
    found = served_by(busy, lon[:3], lat[:3])
    assert Replay(busy, objective="people").value(found) == found.users_served
    assert Replay(busy).value(found) == found.served_mbps
