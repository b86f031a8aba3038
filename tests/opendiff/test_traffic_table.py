import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendiff import traffic_table
from opendiff.area import tile_frame
from opendiff.errors import TableError
from opendiff.traffic_table import TrafficEnsemble, read_traffic


def ensemble(tiles=3, samples=2, seed=0, **kwargs) -> TrafficEnsemble:
    rng = np.random.default_rng(seed)
    shape = (tiles, samples, 168)
    frame = tile_frame(
        rng.permutation(1000)[:tiles], rng.integers(0, 32768, tiles), rng.uniform(0.1, 1, tiles)
    )
    return TrafficEnsemble(
        frame, rng.gamma(2, 1, shape).astype(np.float32), rng.gamma(2, 1, shape).astype(np.float32), **kwargs
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 1000), st.booleans())
def test_a_table_comes_back_as_it_was_saved(tmp_path_factory, tiles, samples, seed, users):
    path = tmp_path_factory.mktemp("table") / "traffic.parquet"
    made = ensemble(
        tiles,
        samples,
        seed,
        intensities={"poi": np.arange(tiles) / 7},
        metadata={"seed": seed, "area": {"a": [1]}},
    )
    if not users:
        made = TrafficEnsemble(
            made.tiles, made.traffic, np.full_like(made.users, np.nan), made.intensities, made.metadata
        )
    made.save(path)
    read = read_traffic(path)
    pd.testing.assert_frame_equal(pd.DataFrame(read.tiles), pd.DataFrame(made.tiles))
    np.testing.assert_array_equal(read.traffic, made.traffic)
    np.testing.assert_array_equal(read.users, made.users)
    assert read.has_users is users
    np.testing.assert_array_equal(read.intensities["poi"], made.intensities["poi"])
    stated = {"unit": "relative", "format": 1, "hours": 168, "samples": samples, "tiles": len(made.tiles)}
    assert read.metadata == stated | made.metadata


def test_the_file_has_the_columns_types_and_order_that_are_agreed(tmp_path, monkeypatch):
    monkeypatch.setattr(traffic_table, "ROWS_PER_GROUP", 400)  # several row groups
    made = ensemble(metadata={"unit": "relative", "model": "default"})
    made.save(tmp_path / "a.parquet")
    table = pq.read_table(tmp_path / "a.parquet")
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups > 1
    assert [(f.name, str(f.type)) for f in table.schema] == [
        ("x", "int32"),
        ("y", "int32"),
        ("sample", "int16"),
        ("hour", "int16"),
        ("traffic", "float"),
        ("users", "float"),
    ]
    frame = table.to_pandas()
    keys = frame[["x", "y", "sample", "hour"]]
    assert keys.equals(keys.sort_values(list(keys)).reset_index(drop=True)) and not keys.duplicated().any()
    row = frame[(frame.x == made.tiles.x[1]) & (frame["sample"] == 1) & (frame.hour == 100)]
    assert row.traffic.item() == made.traffic[1, 1, 100]
    described = json.loads(table.schema.metadata[b"opendiff_tiles"])
    assert described["covered_share"] == made.tiles.covered_share.tolist()
    assert pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(0).column(0).compression == "ZSTD"


def test_tiles_in_any_order_are_saved_sorted(tmp_path):
    made = ensemble(intensities={"poi": np.array([1.0, 2.0, 3.0])})
    back = made.tiles.iloc[::-1].reset_index(drop=True)
    turned = TrafficEnsemble(back, made.traffic[::-1], made.users[::-1], {"poi": np.array([3.0, 2.0, 1.0])})
    turned.save(tmp_path / "a.parquet")
    read = read_traffic(tmp_path / "a.parquet")
    np.testing.assert_array_equal(read.traffic, made.traffic)
    assert read.intensities["poi"].tolist() == [1, 2, 3]


def test_median_quantile_and_mean_are_taken_over_the_samples():
    made = ensemble(samples=5)
    np.testing.assert_array_equal(made.median(), np.sort(made.traffic, axis=1)[:, 2])
    np.testing.assert_array_equal(made.quantile(1, "users"), made.users.max(axis=1))
    np.testing.assert_allclose(made.weekly_mean(), [t.mean() for t in made.traffic], rtol=1e-6)


def test_saving_is_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"precious")

    def full(self, *args, **kwargs):
        raise OSError("no space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(TableError, match="no space left"):
        ensemble().save(path)
    assert path.read_bytes() == b"precious" and [p.name for p in tmp_path.iterdir()] == ["a.parquet"]
    with pytest.raises(TableError, match="cannot be written"):
        ensemble().save(tmp_path / "missing" / "a.parquet")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: {"traffic": e.traffic[:, :, :30]}, "whole days"),
        (lambda e: {"traffic": e.traffic[:, :, :24]}, "must agree"),
        (lambda e: {"traffic": e.traffic[:1]}, "must be"),
        (lambda e: {"traffic": e.traffic[:, :0]}, "must be"),
        (lambda e: {"users": e.users[:, :1]}, "must agree"),
        (lambda e: {"traffic": -e.traffic}, "negative or not finite"),
        (lambda e: {"traffic": np.full_like(e.traffic, np.inf)}, "negative or not finite"),
        (lambda e: {"users": np.where(e.users > 1, np.nan, e.users)}, "negative or not finite"),
        (lambda e: {"intensities": {"poi": np.array([1.0])}}, "intensity poi"),
        (lambda e: {"intensities": {"poi": np.array([1.0, -1, 0])}}, "intensity poi"),
    ],
)
def test_impossible_ensembles_are_refused(change, message):
    made = ensemble()
    parts = {"tiles": made.tiles, "traffic": made.traffic, "users": made.users}
    with pytest.raises(TableError, match=message):
        TrafficEnsemble(**(parts | change(made)))


# Foreign tables


def foreign(tiles=2) -> pd.DataFrame:
    grid = pd.MultiIndex.from_product([range(10, 10 + tiles), [7], range(168)], names=["x", "y", "hour"])
    frame = grid.to_frame(index=False)
    return frame.assign(traffic=np.random.default_rng(0).random(len(frame)))


def test_a_foreign_table_needs_neither_samples_nor_users_nor_metadata(tmp_path):
    frame = foreign()
    frame.sample(frac=1, random_state=1).to_parquet(tmp_path / "a.parquet")
    read = read_traffic(tmp_path / "a.parquet")
    assert read.traffic.shape == (2, 1, 168) and not read.has_users and read.metadata == {"unit": "relative"}
    assert (read.tiles.covered_share == 1).all() and read.intensities == {}
    np.testing.assert_allclose(read.traffic.reshape(-1), frame.traffic, rtol=1e-6)


def test_samples_may_have_any_numbers(tmp_path):
    frame = pd.concat([foreign().assign(sample=s, users=s) for s in (9, 4)])
    frame.astype({"x": float}).to_parquet(tmp_path / "a.parquet")
    assert read_traffic(tmp_path / "a.parquet").users[:, :, 0].tolist() == [[4, 9], [4, 9]]


def with_value(frame, column, value):
    frame = frame.astype({column: float}) if isinstance(value, float) else frame
    frame.loc[5, column] = value
    return frame


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.drop(columns="hour"), "lacks the column hour"),
        (lambda t: t.iloc[:-1], "lacks 1 of the 336 rows"),
        (lambda t: t.iloc[:0], "has no rows"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "1 doubled rows"),
        (lambda t: with_value(t, "hour", 4), "doubled rows"),
        (lambda t: with_value(t, "hour", 168), r"hours 0\.\.168; whole days"),
        (lambda t: with_value(t, "x", -1), "no zoom-15 tile"),
        (lambda t: with_value(t, "y", 40000), "no zoom-15 tile"),
        (lambda t: with_value(t, "x", 1.5), "x that is no whole number"),
        (lambda t: with_value(t, "traffic", -1), "negative"),
        (lambda t: with_value(t, "traffic", np.nan), "no finite traffic"),
        (lambda t: with_value(t, "traffic", np.inf), "no finite traffic"),
        (lambda t: with_value(t, "traffic", 1e39), "no finite traffic"),
        (lambda t: t.assign(traffic="much"), "not a number"),
        (lambda t: t.assign(users=[1.0] * 300 + [None] * 36), "36 of 336 rows have no finite users"),
        (lambda t: t.assign(sample=[0] * 168 + [1] * 168), "lacks 336 of the 672 rows"),
    ],
)
def test_bad_tables_get_one_clear_sentence(tmp_path, spoil, message):
    spoil(foreign()).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(TableError, match=message) as caught:
        read_traffic(tmp_path / "a.parquet")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("heading", "tiles", "message"),
    [
        ("{", "{}", "metadata 'opendiff' is not valid JSON"),
        ("[]", "{}", "metadata 'opendiff' is no JSON object"),
        ('{"format": 2}', "{}", "format 2"),
        ("{}", '{"x": [1]}', "'opendiff_tiles' cannot be read"),
        ("{}", '{"x": [10, 10], "y": [7, 8]}', "does not list the table's tiles"),
        ("{}", '{"x": [10, 11], "y": [7, 7], "covered_share": [1, 2]}', "covered share"),
        ("{}", '{"x": [10, 11], "y": [7, 7], "poi": [1, "many"]}', "'opendiff_tiles' cannot be read"),
        ("{}", '{"x": [10, 11], "y": [7, 7], "poi": [1, -2]}', "intensity poi"),
    ],
)
def test_bad_metadata_gets_one_clear_sentence(tmp_path, heading, tiles, message):
    table = pa.Table.from_pandas(foreign(), preserve_index=False)
    table = table.replace_schema_metadata({"opendiff": heading, "opendiff_tiles": tiles})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(TableError, match=message):
        read_traffic(tmp_path / "a.parquet")


def test_a_missing_or_foreign_file_is_no_traffic_table(tmp_path):
    with pytest.raises(TableError, match="There is no file"):
        read_traffic(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(b"")
    with pytest.raises(TableError, match="is an empty file"):
        read_traffic(tmp_path / "b.parquet")
    with pytest.raises(TableError, match=r"a folder without a readable _run\.json"):
        read_traffic(tmp_path)
