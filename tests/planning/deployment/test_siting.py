"""The optimised strategy: its places keep every limit, what it says it serves is served, files of places, reach."""

import json
from dataclasses import replace

import numpy as np
import pytest
import shapely
from scipy.optimize import linprog

from planning.coverage import Coverage, PixelGrid, RadioSettings
from planning.demand import Demand, Scale
from planning.deployment import deploy
from planning.deployment.places import Places, grid, read_places
from planning.deployment.reach import Reach
from planning.deployment.siting import SitingSettings, site_optimally
from planning.errors import InfeasibleError, InputError
from planning.geometry import centre_of, distances_m, local_metres, tile_position
from planning.network import Network, SiteDesign
from planning.scenario import Scenario
from planning.shared_work import SharedWork
from tests.planning.conftest import X0, Y0, make_table

BASE = {"radius_m": 900.0, "site_capacity_mbps": 400.0, "spacing_m": 600.0, "time_limit": 3.0}


def siting(demand, sites=5, quantile=0.9, **kwargs):
    return site_optimally(demand, sites, SitingSettings(**(BASE | kwargs)), quantile)


def apart_m(made) -> np.ndarray:
    points = local_metres(made.lon, made.lat, centre_of(made.lon, made.lat))
    return distances_m(points, points)[np.triu_indices(len(points), 1)]


def test_what_the_plan_says_it_serves_is_a_linear_programme_over_its_places(demand):
    made = siting(demand)
    lon, lat, tile = grid(demand, 2)  # 1.07 km tiles, 900 m reach
    origin = centre_of(lon, lat)
    points, sites = local_metres(lon, lat, origin), local_metres(made.lon, made.lat, origin)
    profile = demand.profile(24, 0.9)
    need = profile[tile, profile.sum(axis=0).argmax()] / 4
    point, site = np.nonzero(distances_m(points, sites) <= 900)
    rows = np.zeros((len(need) + 5, len(point)))
    rows[point, np.arange(len(point))] = 1
    rows[len(need) + site, np.arange(len(point))] = 1
    best = -linprog(-np.ones(len(point)), rows, np.concatenate([need, np.full(5, 400.0)])).fun
    assert made.plan.served_mbps == pytest.approx(best, rel=1e-6)
    assert made.ranked["served_mbps"].iloc[-1] == pytest.approx(best, rel=1e-6)
    assert made.curve["served_mbps"].is_monotonic_increasing and len(made.ranked) == 5
    assert made.ranked["load_mbps"].sum() == pytest.approx(best, rel=1e-6)
    np.testing.assert_allclose(
        made.ensemble["demand_mbps"].mean(), demand.mbps.sum(axis=0).mean(axis=0).max()
    )
    assert (made.ensemble["served_mbps"] <= made.ensemble["demand_mbps"] + 1e-6).all()


def test_a_large_area_is_sited_in_areas_where_work_is_shared(demand, monkeypatch):
    alone = siting(demand)
    monkeypatch.setattr("planning.deployment.siting.LARGE", 10)
    made = site_optimally(demand, 5, SitingSettings(**BASE), 0.9, work=SharedWork())
    assert "areas" in made.plan.solve.solver and len(made.lon) == 5
    assert made.plan.served_mbps <= min(alone.plan.solve.bound, made.plan.solve.bound) * (1 + 1e-6)
    assert made.plan.served_mbps >= 0.9 * alone.plan.served_mbps


def test_every_limit_is_kept(demand):
    lon, lat, _ = grid(demand, 1)
    existing = Places.of(lon[:2], lat[:2], ["old A", "old B"])
    forced = Places.of([lon[5] + 0.001], [lat[5]], ["town hall"])
    forbidden = Places.from_features(
        [
            {"type": "Feature", "geometry": {"type": "Point", "coordinates": [lon[7], lat[7]]}},
            {
                "type": "Feature",
                "geometry": {
                    "type": "Polygon",
                    "coordinates": [
                        [[lon[11] - 0.01, lat[11] - 0.01], [lon[11] + 0.01, lat[11] - 0.01],
                         [lon[11] + 0.01, lat[11] + 0.01], [lon[11] - 0.01, lat[11] - 0.01]]
                    ],
                },
            },
        ]
    )  # fmt: skip
    made = siting(
        demand, 7, existing=existing, forced=forced, forbidden=forbidden, forbidden_m=700, min_distance_m=800
    )
    assert {"old A", "old B", "town hall"} <= set(made.names)
    assert sorted(made.origin)[:3] == ["existing", "existing", "forced"]
    assert apart_m(made).min() >= 800 * (1 - 1e-6)
    new = made.origin == "new"
    origin = centre_of(made.lon, made.lat)
    at = local_metres(lon[7:8], lat[7:8], origin)
    assert (distances_m(local_metres(made.lon[new], made.lat[new], origin), at) > 700).all()
    assert not shapely.contains_xy(forbidden.areas[0], made.lon[new], made.lat[new]).any()
    assert "2 of 2 existing sites stay" in made.sentence
    moved = siting(demand, 7, existing=existing, move_existing=True)
    assert moved.plan.served_mbps >= made.plan.served_mbps * (1 - 1e-3)


def test_a_budget_pays_what_it_says(demand):
    lon, lat, _ = grid(demand, 1)
    table = Places.of(lon, lat)
    costly = Places(lon, lat, table.names, np.where(np.arange(12) % 2, 3.0, 1.0), np.full(12, 300.0))
    made = siting(demand, None, candidates=costly, budget=6.0)
    assert made.ranked["cost"].sum() <= 6 and "of a budget of 6" in made.sentence
    with pytest.raises(InfeasibleError, match="cost 12, more than the budget"):
        siting(demand, None, forced=Places.of(lon, lat), budget=11.0)
    plan = deploy(demand, None, "optimised", siting=SitingSettings(**BASE, budget=4.0, site_cost=1.0))
    assert len(plan.network.sites) <= 4
    with pytest.raises(InputError, match="number of sites"):
        deploy(demand, None, "optimised", siting=SitingSettings(**BASE))


def test_existing_sites_keep_their_own_capacity(demand):
    lon, lat, _ = grid(demand, 1)
    network = Network.from_sites(lon[:3], lat[:3], ["a", "b", "c"], capacity_layers=[1, 2, 3])
    made = siting(demand, 5, existing=Places.of_network(network))
    table = made.ranked.set_index("site")
    assert table.loc[["a", "b", "c"], "capacity_mbps"].tolist() == network.capacity_mbps.tolist()
    assert (table.loc[["a", "b", "c"], "cost"] == 0).all()


@pytest.mark.slow
def test_robust_plans_are_judged_over_the_samples():
    table = make_table(samples=8, seed=4)
    demand = Demand.build(table, Scale.subscribers(table))
    plain = siting(demand, 4, quantile=0.5, gap=0.0)
    for robust, score in (("mean", lambda e: e.mean()), ("p10", lambda e: np.percentile(e, 10))):
        made = siting(demand, 4, robust=robust, gap=0.0)
        assert score(made.ensemble["served_mbps"]) >= score(plain.ensemble["served_mbps"]) - 1e-6
        assert "Best of 4 plans" in made.sentence
    whole = siting(demand, 4, hours="all")
    assert len(whole.ensemble) == 8
    np.testing.assert_allclose(whole.ensemble["demand_mbps"], demand.mbps.sum(axis=0).mean(axis=1), rtol=1e-5)


def test_the_plan_and_its_settings_travel_with_the_scenario(demand, tmp_path):
    plan = deploy(demand, 4, "optimised", siting=SitingSettings(**BASE))
    back = Scenario.read(Scenario.from_deployment(plan, demand).save(tmp_path / "s.gpkg"))
    assert {"deployment_ranking", "deployment_curve", "deployment_samples"} <= set(back.tables)
    record = back.provenance["deployment"]
    assert record["strategy"] == "optimised" and record["settings"]["radius_m"] == 900.0
    assert record["solve"]["status"] == "optimal" and record["served_mbps"] == pytest.approx(plan.served_mbps)
    assert back.tables["deployment_ranking"]["site"].tolist() == plan.network.sites["site"].tolist()


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"robust": "worst"}, "Robust is one of"),
        ({"min_distance_m": -1.0}, "at least 0"),
        ({"spacing_m": 0.0}, "spacing"),
        ({"forced": Places.of([], [], [], [shapely.box(0, 0, 1, 1)])}, "points"),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_told(demand, settings, words):
    with pytest.raises(InputError, match=words):
        siting(demand, **settings)


def test_too_many_sites_for_the_distance_are_fewer_and_said(demand):
    made = siting(demand, 12, min_distance_m=2500)
    assert len(made.lon) < 12 and "Only" in made.sentence and apart_m(made).min() >= 2500 * (1 - 1e-6)


# --- files of places ------------------------------------------------------------------------------------------------


def test_places_are_read_from_files(tmp_path):
    path = tmp_path / "candidates.csv"
    path.write_text(
        "name,Longitude,Latitude,Cost,capacity\nroof,115.8,28.6,120,900\nmast,115.9,28.7,80,\nbad,x,y,1,1\n"
    )
    places = read_places(path)
    assert places.names == ("roof", "mast") and places.cost.tolist() == [120, 80]
    assert places.capacity_mbps[0] == 900 and np.isnan(places.capacity_mbps[1])
    assert any("1 row left out" in line for line in places.report)
    square = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    document = {
        "type": "FeatureCollection",
        "features": [{"type": "Feature", "properties": {}, "geometry": square}],
    }
    areas = read_places(json.dumps(document).encode(), "no-go.geojson")
    assert len(areas) == 0 and areas.areas[0].area == pytest.approx(0.5)
    with pytest.raises(InputError, match="not LineString"):
        Places.from_features([{"geometry": {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}}])
    with pytest.raises(InputError, match="not readable GeoJSON"):
        read_places(b"{", "x.geojson")


def test_of_an_openstreetmap_extract_only_masts_are_sites(tmp_path):
    def feature(lon, **tags):
        return {
            "type": "Feature",
            "properties": {"osm_id": str(lon), **tags},
            "geometry": {"type": "Point", "coordinates": [lon, 28.6]},
        }

    features = [
        feature(115.1, man_made="mast"),
        feature(115.2, man_made="tower", **{"tower:type": "communication"}),
        feature(115.3, man_made="tower", **{"tower:type": "bell_tower"}),
        feature(115.4, man_made="water_tower"),
    ]
    document = json.dumps({"type": "FeatureCollection", "features": features}).encode()
    places = read_places(document, "osm.geojson")
    assert places.lon.tolist() == [115.1, 115.2]
    assert any("2 masts" in line for line in places.report)
    with pytest.raises(InputError, match="no communication mast"):
        read_places(json.dumps({"features": features[3:]}).encode(), "osm.geojson")


def test_opencellid_cells_are_sites_by_clusters():
    rows = ["LTE,460,0,1,1,0,115.80000,28.6,1000,1,1,0,0,0", "LTE,460,0,1,2,0,115.80001,28.6,1000,1,1,0,0,0",
            "NR,460,0,1,3,0,115.90000,28.6,1000,1,1,0,0,0"]  # fmt: skip
    places = read_places("\n".join(rows).encode(), "460.csv")
    assert len(places) == 2


# --- reach ----------------------------------------------------------------------------------------------------------


def test_a_candidate_covers_the_places_that_its_network_covers(demand):
    """Brute force: a network of one candidate alone, on the pixels of its tiles."""
    radio = RadioSettings(pixel_m=200.0)
    lon, lat = demand.lon[[3, 8]] + 0.002, demand.lat[[3, 8]]
    design = SiteDesign(height_m=np.array([20.0, 45.0]), coverage_band=np.array(["B3", "n78"], object))
    grid_ = PixelGrid.of_tiles(demand.x, demand.y, 200.0)
    for level in (None, -100.0):
        found = Reach(radio, level).places_of((grid_.lon, grid_.lat), (lon, lat), design)
        for site, (height, band) in enumerate(((20.0, "B3"), (45.0, "n78"))):
            one = Network.from_sites(
                [lon[site]],
                [lat[site]],
                capacity_layers=0,
                design=SiteDesign(height_m=height, coverage_band=band),
            )
            coverage = Coverage.on(one, grid_, radio)
            expected = coverage.covered(indoors=True) if level is None else coverage.rsrp_dbm() >= level
            missed = np.setxor1d(found[site], np.flatnonzero(expected))
            # two projections of the same places differ by centimetres
            assert len(missed) <= 1 and len(found[site]) > 20


def test_the_radius_is_that_of_a_circle_as_large_as_the_covered_ground():
    reach = Reach(RadioSettings(pixel_m=20.0))
    at = (115.86, 28.68)
    box = PixelGrid.of_box((at[0] - 0.03, at[0] + 0.03), (at[1] - 0.03, at[1] + 0.03), 20.0)
    one = Network.from_sites([at[0]], [at[1]], capacity_layers=0)
    ground = Coverage.on(one, box, reach.radio).covered(indoors=True).sum() * 20.0**2
    assert reach.radius_m(at, SiteDesign()) == pytest.approx((ground / np.pi) ** 0.5, rel=0.02)
    assert reach.radius_m(at, SiteDesign(coverage_band="n28")) > reach.radius_m(at, SiteDesign())


def test_sites_are_chosen_by_level_with_the_heights_and_bands_of_a_file(demand):
    text = "site,lon,lat,Height (ft),Band\n" + "\n".join(
        f"C{i},{demand.lon[i]},{demand.lat[i]},{100 if i % 2 else 60},{'n28' if i % 2 else 'L1800'}"
        for i in range(demand.tiles)
    )
    places = read_places(text.encode(), "c.csv")
    np.testing.assert_allclose(places.height_m[:2], [18.288, 30.48])
    settings = SitingSettings(candidates=places, site_capacity_mbps=400.0, time_limit=2.0)
    plan = deploy(demand, 4, "optimised", siting=settings, max_layers=1, radio=RadioSettings(pixel_m=200.0))
    cells = plan.network.cells
    base = cells[cells["is_coverage"]].groupby("site")[["height_m", "band"]].first()
    for name, row in base.iterrows():
        odd = int(name[1:]) % 2
        assert row["band"] == ("n28" if odd else "B3") and row["height_m"] == pytest.approx(
            30.48 if odd else 18.288
        )
    assert "reaches its band's threshold" in plan.sentence


def test_people_may_be_what_is_covered(demand):
    """Where all users are in one tile and all traffic in another, the objective decides which gets the site."""
    crowd, heavy = 0, demand.tiles - 1
    users, mbps = np.full_like(demand.users, 1e-6), np.full_like(demand.mbps, 1e-6)
    users[crowd], mbps[heavy] = 1000.0, 50.0
    split = replace(demand, users=users, mbps=mbps)
    base = {"radius_m": 400.0, "site_capacity_mbps": 400.0, "time_limit": 2.0}
    for objective, tile in (("traffic", heavy), ("people", crowd)):
        made = site_optimally(split, 1, SitingSettings(objective=objective, **base))
        assert split.count_in_tiles(made.lon, made.lat).argmax() == tile
        assert made.plan.served_mbps > 5


def test_grid_points_lie_in_their_tiles(demand):
    lon, lat, tile = grid(demand, 3)
    x, y = tile_position(lon, lat)
    assert len(lon) == 9 * demand.tiles
    np.testing.assert_array_equal(np.floor(x), demand.x[tile])
    np.testing.assert_array_equal(np.floor(y), demand.y[tile])
    assert (demand.x.min(), demand.y.min()) == (X0, Y0)


def test_nobody_to_serve_is_no_fault():
    table = make_table(samples=1)
    quiet = Demand.build(table, Scale("x", 0.0, 0.0, "x"))
    made = siting(quiet, 3)
    assert len(made.lon) == 3 and made.plan.served_mbps == 0
