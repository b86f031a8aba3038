import numpy as np
import pandas as pd
import pytest
from PIL import Image

from opendiff.area import Area, tile_frame, tiles_covering
from opendiff.errors import SourceError
from opendiff.open_data.sources import (
    POI_COLUMNS,
    POPULATION_COLUMNS,
    POPULATION_STRIPS,
    PackSource,
    read_image,
)
from opendiff.poi.categories import BUSINESS_POI, POI_CATEGORIES

X, Y = np.array([100, 100, 101, 101]), np.array([200, 201, 200, 201])


def table() -> pd.DataFrame:
    """Four tiles; the second has neither POI nor population, the third lacks one POI count."""
    rng = np.random.default_rng(0)
    data = {"z": 15, "x": X, "y": Y}
    data |= {name: pd.array(rng.integers(0, 50, 4), dtype="Int32") for name in POI_COLUMNS}
    data |= {name: rng.random(4).astype(np.float32) for name in POPULATION_COLUMNS}
    frame = pd.DataFrame(data | {"fold": np.array([0, 1, 2, 3], np.int8)})
    frame.loc[1, list(POI_COLUMNS + POPULATION_COLUMNS)] = None
    frame.loc[2, POI_COLUMNS[3]] = None
    return frame


def traffic() -> pd.DataFrame:
    hours = np.tile(np.arange(168), 2)
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "x": np.repeat(X[:2], 168),
            "y": np.repeat(Y[:2], 168),
            "hour": hours,
            "traffic": rng.random(336).astype(np.float32),
            "users": rng.random(336).astype(np.float32),
        }
    )


def write_image(root, x, y, pixels, kind="PNG"):
    path = root / "imagery" / "15" / str(x) / f"{y}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, format=kind)
    return path


PIXELS = np.random.default_rng(2).integers(0, 256, (256, 256, 3), np.uint8)


@pytest.fixture
def root(tmp_path):
    table().to_parquet(tmp_path / "tiles.parquet")
    traffic().sample(frac=1, random_state=0).to_parquet(tmp_path / "traffic.parquet")
    write_image(tmp_path, 101, 201, PIXELS)
    return tmp_path


def asked(x=(99, 100, 100, 101, 101), y=(200, 200, 201, 200, 201)):
    return tile_frame(x, y)


def test_open_data_are_zero_where_their_masks_say_unknown(root):
    tiles = asked()
    data = PackSource(root).open_data(tiles)
    assert data.tiles is tiles
    assert data.has_imagery.tolist() == [False, False, False, False, True]
    assert data.has_poi.tolist() == [False, True, False, False, True]
    assert data.has_population.tolist() == [False, True, False, True, True]
    assert (data.imagery[4] == PIXELS).all() and not data.imagery[:4].any()
    frame = table()
    assert (data.poi[1] == frame.loc[0, list(POI_COLUMNS)].to_numpy(np.float32)).all()
    assert (data.population[3] == frame.loc[2, list(POPULATION_COLUMNS)].to_numpy(np.float32)).all()
    assert not data.poi[[0, 2, 3]].any() and not data.population[[0, 2]].any()
    assert (data.poi.dtype, data.population.dtype, data.imagery.dtype) == (np.float32, np.float32, np.uint8)


def test_imagery_can_be_left_out(root):
    data = PackSource(root).open_data(asked(), imagery=False)
    assert data.imagery.shape == (0, 256, 256, 3) and not data.has_imagery.any() and data.has_poi.any()


def test_only_the_imagery_asked_for_is_read(root):
    (root / "imagery" / "15" / "100").mkdir()
    (root / "imagery" / "15" / "100" / "200.png").write_bytes(b"damaged")
    source = PackSource(root)
    assert source.open_data(tile_frame([101], [201])).has_imagery.all()
    with pytest.raises(SourceError, match="is damaged"):
        source.open_data(asked())


def test_a_pack_tells_its_tiles_and_those_with_open_data(root):
    source = PackSource(root)
    assert source.all_tiles()[["x", "y"]].to_numpy().tolist() == np.column_stack([X, Y]).tolist()
    assert source.covered_tiles()[["x", "y"]].to_numpy().tolist() == [[100, 200], [101, 200], [101, 201]]
    assert (source.name, source.attribution) == (root.name, f"pack {root.name}")
    (root / "ATTRIBUTION.txt").write_text("(c) somebody\n")
    assert source.attribution == "(c) somebody"


def test_folds_and_traffic_are_known_where_the_pack_has_them(root):
    source, tiles = PackSource(root), asked()
    assert source.folds(tiles).tolist() == [-1, 0, 1, 2, 3]
    volume, users, known = source.traffic(tiles)
    assert known.tolist() == [False, True, True, False, False]
    assert (volume[1:3].reshape(-1) == traffic().traffic).all() and (
        users[1:3].reshape(-1) == traffic().users
    ).all()
    assert np.isnan(volume[~known]).all() and np.isnan(users[~known]).all()
    (root / "traffic.parquet").unlink()
    assert not source.traffic(tiles)[2].any()


def test_an_area_outside_names_the_bounds(root):
    with pytest.raises(SourceError, match=r"covers -178\.901,84\.\d+,-178\.879,84\.\d+ \(W,S,E,N\)"):
        PackSource(root).open_data(tile_frame([5], [5]))


def test_a_missing_folder_is_no_pack():
    with pytest.raises(SourceError, match="no pack at nowhere"):
        PackSource("nowhere")


def change(frame, column, value):
    frame[column] = value
    return frame


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.drop(columns="poi_medical"), "lacks the column poi_medical"),
        (lambda t: t.drop(columns="x"), "lacks the column x"),
        (lambda t: change(t, "z", 14), "another zoom"),
        (lambda t: change(t, "x", 40000), "tile numbers"),
        (lambda t: change(t, "poi_company", -1), "negative"),
        (lambda t: change(t, "poi_company", "many"), "not numeric"),
        (lambda t: pd.concat([t, t]), "lists a tile twice"),
        (lambda t: t.iloc[:0], "lists no tile"),
    ],
)
def test_bad_tile_tables_are_named_by_their_fault(root, spoil, message):
    spoil(table()).to_parquet(root / "tiles.parquet")
    with pytest.raises(SourceError, match=message):
        PackSource(root).open_data(asked())


def test_missing_or_damaged_tables_are_named(root):
    table().drop(columns="fold").to_parquet(root / "tiles.parquet")
    with pytest.raises(SourceError, match="no column fold"):
        PackSource(root).folds(asked())
    (root / "tiles.parquet").write_bytes(b"PAR1 nonsense")
    with pytest.raises(SourceError, match="cannot be read"):
        PackSource(root).all_tiles()
    (root / "tiles.parquet").unlink()
    with pytest.raises(SourceError, match="has no"):
        PackSource(root).all_tiles()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.iloc[1:], r"lacks hours of tile 100,200"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "twice"),
        (lambda t: change(t, "hour", t.hour + 1), "outside 0..167"),
        (lambda t: change(t, "traffic", t.traffic - 1), "at least 0"),
        (lambda t: change(t, "users", np.nan), "at least 0"),
        (lambda t: t.drop(columns="users"), "lacks the column users"),
    ],
)
def test_bad_traffic_is_named_by_its_fault(root, spoil, message):
    spoil(traffic()).to_parquet(root / "traffic.parquet")
    with pytest.raises(SourceError, match=message):
        PackSource(root).traffic(asked())


def test_grey_transparent_and_jpeg_images_are_read_as_rgb(tmp_path):
    grey = np.full((256, 256), 77, np.uint8)
    assert (read_image(write_image(tmp_path, 1, 1, grey)) == 77).all()
    alpha = np.dstack([PIXELS, np.full((256, 256), 255, np.uint8)])
    assert (read_image(write_image(tmp_path, 1, 2, alpha)) == PIXELS).all()
    assert read_image(write_image(tmp_path, 1, 3, PIXELS, "JPEG")).shape == (256, 256, 3)
    with pytest.raises(SourceError, match="is damaged"):
        read_image(write_image(tmp_path, 1, 4, PIXELS, "BMP"))


def test_the_size_of_an_image_is_checked_before_it_is_decoded(tmp_path):
    path = write_image(tmp_path, 1, 1, np.zeros((8, 300, 3), np.uint8))
    path.write_bytes(path.read_bytes()[:60])  # the heading is whole, the pixels are not
    with pytest.raises(SourceError, match="300 x 8 pixels"):
        read_image(path)


def test_a_truncated_image_is_damaged(tmp_path):
    path = write_image(tmp_path, 1, 1, PIXELS)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(SourceError, match="is damaged"):
        read_image(path)


def test_a_pack_has_14_categories_of_poi_and_12_strips_of_population():
    assert len(POI_CATEGORIES) == len(set(POI_CATEGORIES)) == 14 and POPULATION_STRIPS == 12
    assert set(BUSINESS_POI) < set(POI_CATEGORIES)


@pytest.mark.slow
def test_the_nanchang_pack_holds_what_its_description_says(nanchang_pack):
    source = PackSource(nanchang_pack)
    tiles = source.all_tiles()
    assert len(tiles) == 500 and len(source.covered_tiles()) == 500
    data = source.open_data(tiles)
    assert (data.has_imagery.sum(), data.has_poi.sum(), data.has_population.sum()) == (344, 344, 344)
    volume, users, known = source.traffic(tiles)
    assert known.sum() == 298 and (known & data.has_imagery).sum() == 177 and data.has_poi[known].all()
    assert data.population.max() == 1
    level = volume[known].mean(axis=1), users[known].mean(axis=1)
    assert np.corrcoef(*level)[0, 1] == pytest.approx(0.99, abs=0.01)
    poi = data.poi[known].sum(axis=1)
    assert np.corrcoef(level[0], poi)[0, 1] == pytest.approx(0.76, abs=0.1)
    assert set(source.folds(tiles)) == {0, 1, 2, 3, 4}


def test_an_area_of_nanchang_has_imagery_and_poi_for_some_of_its_tiles(nanchang_pack):
    tiles = tiles_covering(Area.from_box(115.90, 28.66, 115.96, 28.71))
    data = PackSource(nanchang_pack).open_data(tiles)
    assert len(data.tiles) == 42 and data.has_poi.any() and not data.has_poi.all()
    assert data.imagery[data.has_imagery].std() > 10
