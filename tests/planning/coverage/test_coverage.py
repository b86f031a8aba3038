"""Coverage of small networks against the same model a link at a time."""

import numpy as np
import pytest

from planning.coverage import Coverage, PixelGrid, RadioSettings
from planning.errors import InputError
from planning.network import Network
from tests.planning.coverage import reference
from tests.planning.coverage.making import LAT, LON, network_at, three_sectors, tiles_around

WIDE = RadioSettings(pixel_m=200, reach_m=20_000, strongest=64, floor_dbm=-160)


@pytest.fixture(scope="module")
def small():
    """(coverage, [pixel, cell] dBm by brute force) of six sites with sectors, tilts and two carriers."""
    network = three_sectors(6, seed=3)
    x, y, _ = tiles_around(2)
    coverage = Coverage.of(network, x, y, WIDE)
    return coverage, np.array(reference.table(network, coverage.grid.lon, coverage.grid.lat))


def dense(coverage):
    """(pixels, cells) dBm, -inf where nothing is kept."""
    out = np.full((len(coverage.grid), len(coverage.cells)), -np.inf)
    out[coverage.levels.pixel, coverage.levels.cell] = coverage.levels.rsrp_dbm
    return out


def test_levels_are_those_of_every_single_link(small):
    coverage, levels = small
    assert np.isfinite(dense(coverage)).all()
    np.testing.assert_allclose(dense(coverage), levels, atol=0.02)


def test_levels_fall_within_a_pixel(small):
    levels = small[0].levels
    same = levels.pixel[1:] == levels.pixel[:-1]
    assert (np.diff(levels.rsrp_dbm)[same] <= 0).all()


def test_best_server_and_level(small):
    coverage, levels = small
    awake = np.random.default_rng(0).random(len(coverage.cells)) < 0.6
    for up in (None, awake):
        shown = levels if up is None else np.where(up, levels, -np.inf)
        best = coverage.best_server(up)
        clear = np.diff(np.sort(shown, axis=1)[:, -2:], axis=1)[:, 0] > 0.05
        np.testing.assert_array_equal(best[clear], shown.argmax(axis=1)[clear])
        np.testing.assert_array_equal(coverage.levels.best_server(up), best)
        np.testing.assert_allclose(coverage.rsrp_dbm(up), shown.max(axis=1), atol=0.02)


def test_sinr_against_brute_force(small):
    coverage, levels = small
    rng = np.random.default_rng(1)
    load, awake = rng.uniform(0, 1.3, len(coverage.cells)), rng.random(len(coverage.cells)) < 0.8
    carrier = coverage.cells.carrier
    for number in range(coverage.cells.carriers):
        server = coverage.best_server(awake, carrier=number)
        found = coverage.sinr_db(load, awake, carrier=number)
        expected = [
            reference.sinr(row, carrier, load * awake, coverage.cells.noise_dbm[number], cell)
            for row, cell in zip(levels, server, strict=True)
        ]
        np.testing.assert_allclose(found, 10 * np.log10(expected), atol=0.05)


def test_noise_and_power_of_a_resource_element_by_hand():
    coverage = Coverage.of(network_at(0, 0), *tiles_around()[:2], RadioSettings(pixel_m=200))
    # -174 + 10 log10(30e3) + 9; 53 - 10 log10(12 x 273) + 12
    assert coverage.cells.noise_dbm[0] == pytest.approx(-120.2288, abs=1e-4)
    assert coverage.cells.eirp_dbm[0] == pytest.approx(29.8466, abs=1e-4)
    # 12 x 30 kHz x 273 x (1 - 0.14) x 0.75: what of the carrier carries downlink data
    assert coverage.cells.bandwidth_hz[0] == pytest.approx(63_390_600)


def test_cells_beyond_the_strongest_interfere_all_the_same(small):
    coverage, _ = small
    few = Coverage.on(
        coverage.network, coverage.grid, RadioSettings(pixel_m=200, reach_m=20_000, strongest=2)
    )
    assert len(few.levels.cell) == 2 * 2 * len(few.grid)
    np.testing.assert_array_equal(few.rsrp_dbm(), coverage.rsrp_dbm())
    np.testing.assert_allclose(few.sinr_db(), coverage.sinr_db(), atol=0.01)


def test_sampling_far_cells_changes_next_to_nothing():
    network = three_sectors(60, seed=5, spread_m=9000)
    x, y, _ = tiles_around(3)
    sampled = Coverage.of(network, x, y, RadioSettings(pixel_m=100, strongest=6))
    exact = Coverage.of(network, x, y, RadioSettings(pixel_m=100, strongest=64))
    np.testing.assert_array_equal(sampled.best_server(), exact.best_server())
    np.testing.assert_allclose(sampled.rsrp_dbm(), exact.rsrp_dbm(), atol=1e-3)
    total = [
        np.column_stack([np.asarray(m.power_mw.sum(axis=1)).ravel() for m in c.carriers]) + c.rest_mw
        for c in (sampled, exact)
    ]
    np.testing.assert_allclose(*total, rtol=0.05)
    assert total[0].mean() == pytest.approx(total[1].mean(), rel=1e-3)
    off = np.abs(sampled.sinr_db() - exact.sinr_db())
    assert off.max() < 0.3 and off.mean() < 0.03


def test_pixels_do_not_depend_on_the_area_around_them():
    network = three_sectors(30, seed=2, spread_m=4000)
    whole = Coverage.of(network, *tiles_around(3)[:2], RadioSettings(pixel_m=100, los="drawn", strongest=64))
    middle = slice(40, 400)
    lon, lat = whole.grid.lon[middle], whole.grid.lat[middle]
    box = PixelGrid.of_box((lon.min() - 0.003, lon.max() + 0.003), (lat.min() - 0.003, lat.max() + 0.003), 20)
    part = Coverage.on(network, box, RadioSettings(pixel_m=20, los="drawn", strongest=64))
    near = part.grid.pixel_at(lon, lat)
    same = (part.best_server()[near] == whole.best_server()[middle]).mean()
    assert same > 0.9  # places are up to 14 m apart


def test_sites_outside_the_area_serve_it():
    x, y, (lon, _lat) = tiles_around()
    network = network_at(*np.array([[2500.0], [0.0]]))
    coverage = Coverage.of(network, x, y, RadioSettings(pixel_m=100))
    assert not (
        (coverage.network.sites["lon"].to_numpy() >= lon - 0.01) & (network.sites["lon"] <= lon + 0.01)
    ).any()
    assert (coverage.best_server() == 0).all()


def test_a_site_beyond_the_reach_neither_serves_nor_interferes():
    near, far = network_at([0.0, 8000.0], [0.0, 0.0]), network_at([0.0], [0.0])
    x, y, _ = tiles_around()
    both, alone = (Coverage.of(n, x, y, RadioSettings(pixel_m=100, reach_m=3000)) for n in (near, far))
    np.testing.assert_allclose(both.sinr_db(np.ones(2)), alone.sinr_db(np.ones(1)), atol=1e-4)


def test_carriers_interfere_only_where_they_overlap():
    def sinr(frequency, bandwidth):
        first = network_at([0.0, 600.0], [0.0, 0.0])
        cells = first.cells.copy()
        cells.loc[1, ["frequency_mhz", "bandwidth_mhz"]] = frequency, bandwidth
        network = Network.from_tables(first.sites, cells)
        coverage = Coverage.of(network, *tiles_around()[:2], RadioSettings(pixel_m=200))
        carrier = int(coverage.cells.carrier[0])
        nearest = coverage.best_server(carrier=carrier) == 0
        return np.where(nearest, coverage.sinr_db(np.ones(2), carrier=carrier), np.nan)

    alone = sinr(2900.0, 100.0)
    half, full = sinr(2650.0, 100.0), sinr(2600.0, 100.0)
    noise, middle, all_of_it = (10 ** (-v[np.isfinite(full)] / 10) for v in (alone, half, full))
    assert len(noise) > 5
    weaker = (2600 / 2650) ** 2  # the other carrier's path loss
    np.testing.assert_allclose(middle - noise, weaker * (all_of_it - noise) / 2, rtol=0.005)


def test_indoors_noise_counts_more_and_thresholds_are_higher():
    x, y, _ = tiles_around(2)
    coverage = Coverage.of(network_at(0, 0, power_dbm=43.0), x, y, RadioSettings(pixel_m=100))
    outside, inside = coverage.sinr_db(np.zeros(1)), coverage.sinr_db(np.zeros(1), indoors=True)
    heard = np.isfinite(outside)
    np.testing.assert_allclose(outside[heard] - inside[heard], coverage.cells.indoor_db[0], atol=1e-3)
    settings = coverage.settings
    limit = settings.thresholds_of(2600) + settings.margin_db
    np.testing.assert_array_equal(coverage.covered(), coverage.rsrp_dbm() >= limit)
    np.testing.assert_array_equal(
        coverage.covered(indoors=True), coverage.rsrp_dbm() >= limit + coverage.cells.indoor_db[0]
    )
    out, indoor, users = coverage.covered_share()
    assert 0 < indoor < out <= 1
    assert users == pytest.approx(0.2 * out + 0.8 * indoor)


def test_shares_of_tiles_are_those_of_their_covered_pixels():
    network = three_sectors(5, seed=9)
    x, y, _ = tiles_around(2)
    rng = np.random.default_rng(0)
    coverage = Coverage.of(network, x, y, RadioSettings(pixel_m=100, thresholds_dbm=(-80,) * 4))
    coverage = coverage.with_weights(rng.random(len(coverage.grid)))
    for shares, of_cell in (
        (coverage.cell_shares(), np.arange(len(network.cells))),
        (coverage.sector_shares(), network.sector_of_cell),
    ):
        expected = np.zeros((len(x), shares.servers))
        best, covered = coverage.best_server(), coverage.covered()
        for pixel in range(len(coverage.grid)):
            if covered[pixel]:
                expected[coverage.grid.tile[pixel], of_cell[best[pixel]]] += coverage.grid.weight[pixel]
        found = shares.apply(np.eye(len(x)))
        np.testing.assert_allclose(found, expected.T)
        assert 0 < expected.sum() < len(x)


def test_capacity_is_traffic_by_the_time_that_it_takes():
    settings = RadioSettings(pixel_m=200, indoor_share=0.0)
    coverage = Coverage.of(network_at([0.0, 900.0], [0.0, 0.0]), *tiles_around()[:2], settings)
    rate, server, covered = coverage.rate_mbps(), coverage.best_server(), coverage.covered()
    for cell in (0, 1):
        mine = (server == cell) & covered & (rate > 0)
        harmonic = mine.sum() / (1 / rate[mine]).sum()
        assert coverage.capacity_mbps(allowed_load=0.8)[cell] == pytest.approx(0.8 * harmonic, rel=1e-4)


def test_a_rate_is_the_sum_of_carriers_or_the_best():
    network, (x, y, _) = three_sectors(3, seed=1), tiles_around()
    summed = Coverage.of(network, x, y, RadioSettings(pixel_m=200))
    best = Coverage.on(network, summed.grid, RadioSettings(pixel_m=200, carriers="best"))
    each = np.stack([summed.rate_mbps(carrier=c) for c in range(2)])
    np.testing.assert_allclose(summed.rate_mbps(), each.sum(axis=0), rtol=1e-5)
    np.testing.assert_allclose(best.rate_mbps(), each.max(axis=0), rtol=1e-5)


def test_tuning_shifts_levels_of_its_band_by_offset_and_slope(small):
    from planning.coverage import BandTuning

    coverage, _levels = small
    tuned = Coverage.on(
        coverage.network,
        coverage.grid,
        RadioSettings(pixel_m=200, reach_m=20_000, strongest=64, floor_dbm=-160, tuning={"n41": BandTuning(4.0, 10.0)}),
    )  # fmt: skip
    east, north = coverage.grid.metres(coverage.cells.lon, coverage.cells.lat)
    ground = np.hypot(
        coverage.grid.east_m[:, None] - east[coverage.cells.site],
        coverage.grid.north_m[:, None] - north[coverage.cells.site],
    )
    far = np.hypot(np.maximum(ground, 10), 25)
    shift = np.where(coverage.cells.band == "n41", 4 + 10 * np.log10(far / 1000), 0)
    found, kept = dense(tuned), dense(tuned) > -160
    assert kept.mean() > 0.9
    np.testing.assert_allclose((dense(coverage) - found)[kept], shift[kept], atol=1e-3)


def test_servers_at_a_place():
    coverage = Coverage.of(
        network_at([0.0, 400.0], [0.0, 0.0]), *tiles_around()[:2], RadioSettings(pixel_m=50)
    )
    cells, levels = coverage.servers_at(LON, LAT)
    assert cells.tolist() == [0, 1]
    assert levels[0] > levels[1]
    assert coverage.servers_at(LON, LAT, np.array([False, True]))[0].tolist() == [1]
    with pytest.raises(InputError, match="outside the area"):
        coverage.servers_at(0.0, 0.0)


def test_what_the_models_are_not_made_for_is_said():
    x, y, _ = tiles_around()
    with pytest.raises(InputError, match=r"1 cell has a carrier outside 0.5-100 GHz"):
        Coverage.of(network_at(0, 0, frequency_mhz=450.0), x, y)
    with pytest.raises(InputError, match=r"outside 0.5-30 GHz.*choose UMa"):
        Coverage.of(network_at(0, 0, frequency_mhz=39_000.0), x, y, RadioSettings(environment="RMa"))
    with pytest.raises(InputError, match="no higher than the user"):
        Coverage.of(network_at(0, 0, height_m=1.5), x, y)
    low = Coverage.of(network_at(0, 0, height_m=8.0), x, y, RadioSettings(environment="RMa", pixel_m=200))
    assert "outside 10-150 m count as at the nearer end" in low.notes[0]
    auto = Coverage.of(network_at(0, 0, height_m=8.0), x, y, RadioSettings(environment="auto", pixel_m=200))
    assert auto.notes == () and auto.cells.environment.tolist() == ["UMi"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"environment": "city"}, "Unknown environment"),
        ({"los": "maybe"}, "Unknown line-of-sight mode"),
        ({"indoor_share": 1.2}, "share of indoor users"),
        ({"pixel_m": 5.0}, "pixel in m"),
        ({"thresholds_dbm": (-100.0,)}, "4 thresholds"),
        ({"seed": -1}, "seed"),
    ],
)
def test_settings_outside_their_range_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        RadioSettings(**wrong)


def test_progress_is_told_and_may_stop_the_work():
    class Stop(Exception):
        pass

    told = []
    network, (x, y, _) = network_at(0, 0), tiles_around(3)
    Coverage.of(network, x, y, RadioSettings(pixel_m=50), progress=lambda *a: told.append(a))
    assert told[-1][0] == told[-1][1] > 1

    def stop(*_):
        raise Stop

    with pytest.raises(Stop):
        Coverage.of(network, x, y, RadioSettings(pixel_m=50), progress=stop)


def test_covered_users_are_those_outdoors_and_indoors(small):
    coverage, _ = small
    tight = Coverage.on(
        coverage.network,
        coverage.grid,
        RadioSettings(pixel_m=200, indoor_share=0.3, thresholds_dbm=(-75,) * 4),
    )
    expected = 0.7 * tight.covered() + 0.3 * tight.covered(indoors=True)
    np.testing.assert_allclose(tight.covered_users(), expected)
    assert 0 < expected.mean() < 1
    assert tight.covered_share()[2] == pytest.approx(expected.mean())
