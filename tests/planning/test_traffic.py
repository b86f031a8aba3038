"""Reading traffic tables: the way in, and every way it can be wrong."""

import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from planning.errors import InputError
from planning.geometry import (
    distances_m,
    local_metres,
    nearest,
    tile_area_km2,
    tile_centre,
    tile_corner,
    tile_position,
)
from planning.traffic import TrafficTable
from tests.planning.conftest import X0, Y0, make_table


def long_frame(table: TrafficTable) -> pd.DataFrame:
    tile, sample, hour = np.indices(table.traffic.shape).reshape(3, -1)
    return pd.DataFrame(
        {
            "x": table.x[tile].astype("int32"),
            "y": table.y[tile].astype("int32"),
            "sample": sample.astype("int16"),
            "hour": hour.astype("int16"),
            "traffic": table.traffic.ravel(),
            "users": table.users.ravel(),
        }
    )


def parquet(frame: pd.DataFrame, **metadata) -> bytes:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    stored = {key.encode(): json.dumps(value).encode() for key, value in metadata.items()}
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), **stored})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


@pytest.fixture
def frame(table):
    return long_frame(table)


@pytest.mark.parametrize("kind", ["parquet", "csv", "shuffled"])
def test_a_table_reads_back_as_it_was_written(table, frame, kind, tmp_path):
    path = tmp_path / "t.parquet"
    if kind == "csv":
        path = tmp_path / "t.csv"
        frame.to_csv(path, index=False)
    else:
        path.write_bytes(parquet(frame.sample(frac=1, random_state=1) if kind == "shuffled" else frame))
    back = TrafficTable.read(path)
    np.testing.assert_array_equal(back.x, table.x)
    np.testing.assert_allclose(back.traffic, table.traffic, rtol=1e-6)
    np.testing.assert_allclose(back.users, table.users, rtol=1e-6)
    assert (back.covered_share == 1).all() and back.intensities == {}


def test_metadata_share_and_intensities_are_laid_on_the_tiles(table, frame):
    order = np.random.default_rng(2).permutation(table.tiles)
    tiles = {
        "x": table.x[order].tolist(),
        "y": table.y[order].tolist(),
        "covered_share": np.linspace(0.1, 1, table.tiles)[order].tolist(),
        "poi": np.arange(table.tiles)[order].tolist(),
    }
    data = parquet(frame, opendiff={"unit": "relative", "model": "default"}, opendiff_tiles=tiles)
    back = TrafficTable.read(data, "upload")
    np.testing.assert_allclose(back.covered_share, np.linspace(0.1, 1, table.tiles))
    np.testing.assert_array_equal(back.intensities["poi"], np.arange(table.tiles))
    assert back.metadata["model"] == "default"


def test_no_sample_and_no_users_are_allowed(frame):
    plain = frame[frame["sample"] == 0].drop(columns=["sample", "users"])
    back = TrafficTable.read(parquet(plain))
    assert back.samples == 1 and back.users is None
    assert TrafficTable.read(parquet(plain.assign(users=np.nan))).users is None


BAD = {
    "no finite traffic": lambda f: f.assign(traffic=f.traffic.where(f.index != 5)),
    "1 of 6048 rows have a negative traffic": lambda f: f.assign(traffic=f.traffic.where(f.index != 5, -1.0)),
    "1 of 6048 rows have no finite users": lambda f: f.assign(users=f.users.where(f.index != 5, np.inf)),
    r"lacks 2 of the 6048 rows.*hour 1\b": lambda f: f.drop(index=[1, 9]),
    "1 doubled rows of 6048": lambda f: pd.concat([f.iloc[1:], f.iloc[[7]]]),
    "lacks the columns hour, traffic": lambda f: f.drop(columns=["hour", "traffic"]),
    "has no rows": lambda f: f.iloc[:0],
    "whole days": lambda f: f[f.hour < 30],
    "negative hour": lambda f: f.assign(hour=f.hour - 1),
    "no whole number": lambda f: f.assign(x=f.x + 0.5),
    "not a number": lambda f: f.assign(traffic="much"),
    "no zoom-15 tile": lambda f: f.assign(x=f.x + 40000),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_tables_get_one_sentence(frame, message):
    with pytest.raises(InputError, match=message) as caught:
        TrafficTable.read(parquet(BAD[message](frame)), "t.parquet")
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


def test_files_that_are_no_table_are_refused(tmp_path):
    with pytest.raises(InputError, match="empty file"):
        TrafficTable.read(b"")
    with pytest.raises(InputError, match="no file"):
        TrafficTable.read(tmp_path / "none.parquet")
    with pytest.raises(InputError, match="damaged Parquet"):
        TrafficTable.read(b"PAR1 and then nonsense")
    with pytest.raises(InputError, match=r"lacks the columns|neither Parquet"):
        TrafficTable.read(b"\x00\x01\x02 what is this")
    with pytest.raises(InputError, match="does not list"):
        frame = long_frame(make_table(2, 1, 1, 24))
        TrafficTable.read(parquet(frame, opendiff_tiles={"x": [1], "y": [2], "covered_share": [1.0]}))


def test_a_sparse_table_that_claims_far_away_tiles_is_refused_without_much_memory():
    rows = 4000
    frame = pd.DataFrame(
        {"x": np.arange(rows), "y": np.arange(rows), "sample": np.arange(rows), "hour": 23, "traffic": 1.0}
    )
    with pytest.raises(InputError, match="lacks"):
        TrafficTable.read(parquet(frame))


def test_from_arrays_checks_shapes_and_sorts():
    table = TrafficTable.from_arrays([5, 4], [1, 1], np.array([[1.0] * 24, [2.0] * 24]))
    np.testing.assert_array_equal(table.x, [4, 5])
    assert table.traffic[0, 0, 0] == 2 and table.samples == 1
    with pytest.raises(InputError, match="shape"):
        TrafficTable.from_arrays([1, 2, 3], [1, 2, 3], np.ones((2, 1, 24)))
    with pytest.raises(InputError, match="covered share"):
        TrafficTable.from_arrays([1], [1], np.ones((1, 24)), covered_share=[0])
    with pytest.raises(InputError, match="intensity"):
        TrafficTable.from_arrays([1], [1], np.ones((1, 24)), intensities={"poi": [-1]})


def test_tiles_and_distances_are_those_of_pyproj():
    from pyproj import Geod, Transformer

    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 2**15, 50), rng.uniform(2**13, 2**14.5, 50)
    lon, lat = tile_corner(x, y)
    back = Transformer.from_crs(4326, 3857, always_xy=True)
    mx, my = back.transform(lon, lat)
    half = 20037508.342789244
    np.testing.assert_allclose((mx + half) / (2 * half) * 2**15, x, atol=1e-6)
    np.testing.assert_allclose((half - my) / (2 * half) * 2**15, y, atol=1e-6)
    np.testing.assert_allclose(tile_position(lon, lat), (x, y), atol=1e-6)
    geod = Geod(ellps="WGS84")
    west, north = tile_corner(X0, Y0)
    east, south = tile_corner(X0 + 1, Y0 + 1)
    area, _ = geod.polygon_area_perimeter([west, east, east, west], [south, south, north, north])
    assert tile_area_km2(X0, Y0) == pytest.approx(area / 1e6, rel=1e-5)
    places = rng.uniform(-0.2, 0.2, (30, 2)) + np.array([115.86, 28.68])
    metres = local_metres(places[:, 0], places[:, 1], (115.86, 28.68))
    ours = distances_m(metres, metres)
    for i, j in [(0, 1), (3, 9), (20, 7)]:
        true = geod.inv(*places[i], *places[j])[2]
        assert ours[i, j] == pytest.approx(true, rel=3e-3)
    np.testing.assert_array_equal(
        nearest(metres[:20], metres[20:], block=7), distances_m(metres[:20], metres[20:]).argmin(1)
    )
    centre = tile_centre(X0, Y0)
    assert west < centre[0] < east and south < centre[1] < north


def test_the_measured_table_of_nanchang_is_read(real_traffic):
    table = TrafficTable.read(real_traffic)
    assert (table.tiles, table.samples, table.hours) == (298, 1, 168)
