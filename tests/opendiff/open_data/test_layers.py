"""Further layers of a pack: as columns, from files, and packs that have few columns."""

import numpy as np
import pandas as pd
import pytest
import rasterio
from rasterio.transform import from_origin

from opendiff.area.tile_grid import tile_bounds, tile_centre
from opendiff.cli import main
from opendiff.conditions import MODALITIES
from opendiff.encoder import Encoder
from opendiff.errors import SourceError
from opendiff.open_data.features import TOTALS, tile_features, with_halo
from opendiff.open_data.layers import SHOWN_LAYERS, ShownLayer, layer_columns, reliability
from opendiff.open_data.sources import POI_COLUMNS, POPULATION_COLUMNS, PackSource

X, Y = (axis.reshape(-1) for axis in np.meshgrid(np.arange(6) + 18640, np.arange(6) + 9460, indexing="ij"))


@pytest.fixture
def pack(tmp_path):
    """A pack without POI and imagery that states residents and layers, as a statistics office would."""
    rng = np.random.default_rng(0)
    residents = rng.lognormal(6, 1, 36)
    table = pd.DataFrame({"x": X, "y": Y, "residents": residents, "viirs_2024": residents / 100})
    table["jobs"] = np.where(X < 18643, residents / 2, np.nan)
    table.to_parquet(tmp_path / "tiles.parquet")
    pd.DataFrame({"x": X[:30], "y": Y[:30], "viirs_2025": 7.0}).to_parquet(tmp_path / "extra.parquet")
    return PackSource(tmp_path)


def test_residents_and_layers_are_read_and_the_newest_year_counts(pack):
    tiles = pack.all_tiles()
    data = pack.open_data(tiles, imagery=False)
    table = pd.read_parquet(pack.root / "tiles.parquet").sort_values(["x", "y"])
    assert data.has_population.all() and not data.has_poi.any()
    np.testing.assert_allclose(data.population.sum(axis=1) * 20_000, table["residents"], rtol=1e-5)
    assert set(data.layers) == {"lights", "jobs"}
    assert np.isnan(data.layers["lights"]).sum() == 6 and np.nanmax(data.layers["lights"]) == 7
    assert np.isnan(data.layers["jobs"]).sum() == 18
    assert len(pack.covered_tiles()) == 36


def test_layers_become_tokens_and_absent_ones_say_so(pack):
    tiles = pack.all_tiles()
    features = tile_features(tiles, pack.open_data(with_halo(tiles), imagery=False), "WGS-84")
    conditions = Encoder().tokens(features, np.zeros((36, 16), np.float32), np.zeros(36, bool))
    known = dict(zip(MODALITIES, conditions.present.sum(axis=0), strict=True))
    some = {"population": 36, "lights": 30, "jobs": 18}
    assert known == {name: some.get(name, 0) for name in MODALITIES}
    own = features.totals[:, TOTALS.index("lights"), 0]
    assert np.nanmax(np.abs(own - np.log1p(7))) < 1e-6


def test_windows_are_means_of_densities(pack):
    """Of a tile inside the pack: its 3 x 3 window, by hand."""
    tiles = pack.all_tiles()
    features = tile_features(tiles, pack.open_data(with_halo(tiles), imagery=False), "WGS-84")
    row = int(np.flatnonzero((tiles["x"] == 18642) & (tiles["y"] == 9463))[0])
    table = pd.read_parquet(pack.root / "tiles.parquet").set_index(["x", "y"])["residents"]
    edge = [tile_bounds(18642, y) for y in (9462, 9463, 9464)]
    area = [(111.32 * (e[2] - e[0]) * np.cos(np.radians(e[1]))) * (111.32 * (e[3] - e[1])) for e in edge]
    density = [table[18641 + i, 9462 + j] / area[j] for i in range(3) for j in range(3)]
    expected = np.log1p(np.mean(density) / 10)
    assert features.totals[row, TOTALS.index("population"), 1] == pytest.approx(expected, abs=0.01)


def test_a_population_is_trusted_as_far_as_other_layers_bear_it_out():
    rng = np.random.default_rng(0)
    residents = rng.lognormal(7, 1, 300)
    assert reliability(residents, {"poi": residents / 50 * rng.lognormal(0, 0.3, 300)}) == 1
    assert reliability(residents, {"poi": rng.lognormal(3, 1, 300)}) < 0.1
    assert reliability(residents, {}) == reliability(residents[:9], {"poi": residents[:9]}) == 0.8
    assert layer_columns(["viirs_2019", "viirs_2025", "jobs", "x"]) == {
        "lights": "viirs_2025",
        "jobs": "jobs",
    }


def test_a_pack_needs_all_columns_of_a_modality_or_none(tmp_path):
    table = pd.DataFrame({"z": 15, "x": X, "y": Y, POI_COLUMNS[0]: 1})
    table.to_parquet(tmp_path / "tiles.parquet")
    with pytest.raises(SourceError, match=POI_COLUMNS[1]):
        PackSource(tmp_path).all_tiles()
    assert len(POPULATION_COLUMNS) == 12


def test_presence_is_a_week_of_people(tmp_path):
    pd.DataFrame({"x": X, "y": Y, "residents": 1.0}).to_parquet(tmp_path / "tiles.parquet")
    hours = pd.DataFrame({"x": X[0], "y": Y[0], "hour": np.tile(np.arange(168), 2)})
    hours["week"] = np.repeat(["a", "b"], 168)
    hours["people"] = np.arange(336) % 168 + np.repeat([0.0, 2.0], 168)
    hours.to_parquet(tmp_path / "presence.parquet")
    pack = PackSource(tmp_path)
    found = pack.presence(pack.all_tiles())
    np.testing.assert_allclose(found[0], np.arange(168) + 1)
    assert np.isnan(found[1:]).all()
    days = pd.DataFrame({"x": X[0], "y": Y[0], "hour": np.tile(np.arange(24), 3)})
    days["day"] = np.repeat(["workdays", "sat", "sun"], 24)
    days["share"] = np.repeat([1.0, 2.0, 3.0], 24)
    days.to_parquet(tmp_path / "presence.parquet")
    found = pack.presence(pack.all_tiles())[0].reshape(7, 24)
    assert found[:5].tolist() == [[1.0] * 24] * 5 and found[5, 0] == 2 and found[6, 0] == 3


def test_a_layer_comes_from_a_raster_or_a_table(pack, tmp_path, capsys):
    west, _, _, north = (float(edge) for edge in tile_bounds(18640, 9460))
    _, south, east, _ = (float(edge) for edge in tile_bounds(18645, 9465))
    raster, table = tmp_path / "jobs.tif", tmp_path / "activity.csv"
    with rasterio.open(
        raster, "w", driver="GTiff", width=60, height=60, count=1, dtype="float64", crs="EPSG:4326",
        transform=from_origin(west, north, (east - west) / 60, (north - south) / 60),
    ) as file:  # fmt: skip
        file.write(np.full((60, 60), 3.0), 1)
    assert main(["layer", "--data", str(pack.root), "--name", "jobs", "--file", str(raster)]) == 0
    lon, lat = tile_centre(X[7], Y[7])
    table.write_text(
        f"lon,lat,value\n{lon},{lat},4\n{lon},{lat},2.5\n{float(lon) + 0.02},{float(lat) + 0.01},1\n"
    )
    assert main(["layer", "--data", str(pack.root), "--name", "activity", "--file", str(table)]) == 0
    again = PackSource(pack.root)
    data = again.open_data(again.all_tiles(), imagery=False)
    assert data.layers["activity"][7] == 6.5 and np.isfinite(data.layers["jobs"]).all()
    extra = pd.read_parquet(pack.root / "extra.parquet")
    assert extra["jobs"].sum() == pytest.approx(3 * 3600, rel=0.02)
    assert "viirs_2025" in extra
    table.write_text("a,b\n1,2\n")
    assert main(["layer", "--data", str(pack.root), "--name", "activity", "--file", str(table)]) == 2
    assert "a, b" in capsys.readouterr().err


def test_a_layer_that_is_only_shown_is_told_to_no_model(pack, tmp_path, monkeypatch, capsys):
    """Registered as CONTRIBUTING says: one line, and the command, the pack and the known tiles have it."""
    monkeypatch.setitem(SHOWN_LAYERS, "trees", ShownLayer("Trees", "a tile", "tree_count", summed=True))
    before = pack.open_data(pack.all_tiles(), imagery=False)
    lon, lat = tile_centre(X[7], Y[7])
    for name, value in (("building_height", 12.0), ("trees", 5.0)):
        table = tmp_path / f"{name}.csv"
        table.write_text(f"lon,lat,value\n{lon},{lat},{value}\n{lon},{lat},{value + 2}\n")
        assert main(["layer", "--data", str(pack.root), "--name", name, "--file", str(table)]) == 0
    again = PackSource(pack.root)
    shown = again.shown_layers(again.all_tiles())
    assert shown["building_height"][7] == 13 and np.isfinite(shown["building_height"]).sum() == 1
    assert shown["trees"][7] == 12
    after = again.open_data(again.all_tiles(), imagery=False)
    assert set(after.layers) == set(before.layers)
    np.testing.assert_array_equal(after.population, before.population)
    assert not {"building_height", "trees"} & {*after.layers, *TOTALS, *MODALITIES}
    assert main(["layer", "--data", str(pack.root), "--name", "nonsense", "--file", str(table)]) == 2
    assert "building_height" in capsys.readouterr().err
