"""Population: exact sums, nothing lost, and the model's scale."""

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import Resampling
from rasterio.transform import from_origin
from rasterio.warp import calculate_default_transform, reproject

from opendiff.area import tile_frame
from opendiff.area.tile_grid import tile_at, tile_bounds
from opendiff.errors import SourceError
from opendiff.live.population import check_country, strip_population
from opendiff.live.providers import WORLDPOP
from opendiff.live.store import PackStore
from opendiff.open_data.features import tile_features, with_halo
from opendiff.open_data.sources import PEOPLE_PER_RELATIVE_UNIT, PackSource

WEST, NORTH, CELL = 2.0, 49.0, 1 / 1200
ROWS, COLUMNS = 120, 150


@pytest.fixture(scope="module")
def people():
    return np.random.default_rng(0).gamma(0.5, 10, (ROWS, COLUMNS)).astype(np.float32)


def write(path, people, crs="EPSG:4326", transform=None, nodata=-99999.0):
    with rasterio.open(
        path, "w", driver="GTiff", width=people.shape[1], height=people.shape[0], count=1, dtype="float32",
        crs=crs, transform=transform or from_origin(WEST, NORTH, CELL, CELL), nodata=nodata,
    ) as raster:  # fmt: skip
        raster.write(people, 1)
    return path


def inner_tiles():
    """Tiles that lie on the raster whole."""
    x, y = tile_at([WEST, WEST + COLUMNS * CELL], [NORTH, NORTH - ROWS * CELL])
    xs, ys = np.meshgrid(np.arange(x[0] + 1, x[1]), np.arange(y[0] + 1, y[1]), indexing="ij")
    return tile_frame(xs.ravel(), ys.ravel())


def brute_force(people, x, y):
    """The same sums cell by cell."""
    sums = np.zeros(12)
    west, _, east, _ = tile_bounds(x, y)
    for strip in range(12):
        north, south = tile_bounds(0, y + strip / 12)[3], tile_bounds(0, y + (strip + 1) / 12)[3]
        for row in range(ROWS):
            top = NORTH - row * CELL
            high = max(0, min(top, north) - max(top - CELL, south)) / CELL
            for column in range(COLUMNS) if high else ():
                left = WEST + column * CELL
                sums[strip] += (
                    people[row, column] * high * max(0, min(left + CELL, east) - max(left, west)) / CELL
                )
    return sums


def test_two_matrix_products_equal_the_sum_cell_by_cell(people, tmp_path):
    tiles = inner_tiles()
    sums, known = strip_population(write(tmp_path / "p.tif", people), tiles)
    assert known.all() and len(tiles) > 60
    for row in (0, 17, len(tiles) - 1):
        assert sums[row] == pytest.approx(brute_force(people, tiles["x"][row], tiles["y"][row]), rel=1e-6)


def test_nobody_is_lost_or_counted_twice(people, tmp_path):
    x, y = tile_at([WEST, WEST + COLUMNS * CELL], [NORTH, NORTH - ROWS * CELL])
    xs, ys = np.meshgrid(np.arange(x[0], x[1] + 1), np.arange(y[0], y[1] + 1), indexing="ij")
    raster = people.copy()
    raster[:20], raster[-20:], raster[:, :20], raster[:, -20:] = 0, 0, 0, 0  # nobody on tiles that are cut
    sums, known = strip_population(write(tmp_path / "p.tif", raster), tile_frame(xs.ravel(), ys.ravel()))
    assert sums.sum() == pytest.approx(raster.sum(dtype=float), rel=1e-6) and not known.all()


def test_cells_without_a_value_are_uninhabited(people, tmp_path):
    holes = people.copy()
    holes[::3], holes[1::3] = -99999, np.nan
    sums, known = strip_population(write(tmp_path / "p.tif", holes), inner_tiles())
    plain, _ = strip_population(
        write(tmp_path / "q.tif", np.where(np.arange(ROWS)[:, None] % 3 == 2, people, 0)), inner_tiles()
    )
    assert known.all() and sums == pytest.approx(plain)


def test_another_reference_system_keeps_the_people(people, tmp_path):
    source = from_origin(WEST, NORTH, CELL, CELL)
    bounds = (WEST, NORTH - ROWS * CELL, WEST + COLUMNS * CELL, NORTH)
    transform, width, height = calculate_default_transform("EPSG:4326", "EPSG:32631", COLUMNS, ROWS, *bounds)
    projected = np.full((height, width), -99999, np.float32)
    reproject(
        people, projected, src_transform=source, src_crs="EPSG:4326", dst_transform=transform, dst_crs="EPSG:32631",
        resampling=Resampling.sum, dst_nodata=-99999,
    )  # fmt: skip
    path = write(tmp_path / "utm.tif", projected, "EPSG:32631", transform)
    there, known = strip_population(path, inner_tiles())
    here, _ = strip_population(write(tmp_path / "p.tif", people), inner_tiles())
    assert known.all() and there.sum() == pytest.approx(here.sum(), rel=2e-3)


@settings(max_examples=20, deadline=None)
@given(st.integers(-20, 40), st.integers(-20, 40))
def test_tiles_off_the_raster_are_unknown(tmp_path_factory, right, down):
    path = tmp_path_factory.getbasetemp() / "ones.tif"
    if not path.exists():
        write(path, np.ones((ROWS, COLUMNS), np.float32))
    x, y = tile_at(WEST, NORTH)
    tiles = tile_frame([x + right], [y + down])
    sums, known = strip_population(path, tiles)
    west, south, east, north = tile_bounds(x + right, y + down)
    whole = west >= WEST and east <= WEST + COLUMNS * CELL and north <= NORTH and south >= NORTH - ROWS * CELL
    assert bool(known[0]) == whole and (sums.sum() > 0) == whole


def test_bad_rasters_and_codes_are_told(tmp_path, people):
    (tmp_path / "no.tif").write_bytes(b"hello")
    with pytest.raises(SourceError, match="cannot be read as GeoTIFF"):
        strip_population(tmp_path / "no.tif", inner_tiles())
    with pytest.raises(SourceError, match="where on earth"):
        strip_population(write(tmp_path / "p.tif", people, crs=None), inner_tiles())
    for code in ("CH", "china", "../", "C1N"):
        with pytest.raises(SourceError, match="country code"):
            check_country(code)
    assert check_country("chn") == "CHN"


def made_city(root, per_km2, km2=1.0):
    """A pack, as fetch makes it, of 9 x 9 tiles with this density in the middle and a tenth of it around."""
    x, y = np.meshgrid(np.arange(16_000, 16_009), np.arange(10_000, 10_009), indexing="ij")
    tiles = tile_frame(x.ravel(), y.ravel())
    core = (np.abs(tiles["x"] - 16_004) <= 1) & (np.abs(tiles["y"] - 10_004) <= 1)
    people = np.repeat(np.where(core, per_km2, per_km2 / 10)[:, None] * km2 / 12, 12, axis=1)
    store = PackStore.at(root)
    store.claim("population", WORLDPOP, "made")
    store.add(tiles, {"population": people})
    return tiles, people


def test_people_become_the_models_unit_by_one_constant_wherever_the_city(tmp_path):
    tiles, people = made_city(tmp_path / "city", 12_000)
    pack = PackSource(tmp_path / "city")
    assert pack.population_unit == "people"
    whole = pack.open_data(tiles, imagery=False).population
    assert whole == pytest.approx(people / PEOPLE_PER_RELATIVE_UNIT, rel=1e-6)
    part = tiles.iloc[:9].reset_index(drop=True)  # a part of the city is not scaled by its own maximum
    assert (pack.open_data(part, imagery=False).population == whole[:9]).all()


def test_a_city_elsewhere_lies_in_the_range_the_model_was_trained_on(tmp_path, nanchang_pack):
    """European to Asian densities, in log people a tile, within what the training tiles span."""
    pack = PackSource(nanchang_pack)
    known = pack.all_tiles()
    trained = tile_features(known, pack.open_data(with_halo(known), imagery=False), pack.poi_datum)
    low, high = np.quantile(trained.population[trained.has_population, 12], [0.05, 0.999])
    for number, per_km2 in enumerate((1_000, 4_000, 12_000, 30_000)):
        tiles, _ = made_city(tmp_path / str(number), per_km2)
        made = PackSource(tmp_path / str(number))
        features = tile_features(tiles, made.open_data(with_halo(tiles), imagery=False), made.poi_datum)
        assert (features.population[:, 12] > low).all() and (features.population[:, 12] < high).all()


def test_the_stated_scale_follows_from_what_is_openly_known(nanchang_pack):
    """1.5 million people on the pack's tiles, to a factor of 1.5; see PEOPLE_PER_RELATIVE_UNIT."""
    pack = PackSource(nanchang_pack)
    total = pack.open_data(pack.all_tiles(), imagery=False).population.sum()
    assert 1.0e6 < total * PEOPLE_PER_RELATIVE_UNIT < 2.25e6


def test_values_stored_with_a_scale_are_brought_to_people(people, tmp_path):
    path = write(tmp_path / "whole.tif", np.round(people, 1))
    stored = tmp_path / "stored.tif"
    with (
        rasterio.open(path) as raster,
        rasterio.open(stored, "w", **raster.profile | {"dtype": "int32"}) as scaled,
    ):
        scaled.write(np.round(10 * (raster.read(1) + 5)).astype("int32"), 1)
        scaled.scales, scaled.offsets = (0.1,), (-5.0,)
    tiles = inner_tiles()
    expected, found = (strip_population(file, tiles)[0] for file in (path, stored))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)
