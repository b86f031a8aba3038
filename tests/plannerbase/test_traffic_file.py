"""The generator and the planners take the same files of traffic and refuse the same, in one sentence."""

import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from opendiff.errors import TableError
from opendiff.traffic_table import read_traffic
from planning.errors import InputError
from planning.traffic import TrafficTable


def made(samples: int = 2, hours: int = 168) -> pd.DataFrame:
    """A long table of three tiles, in no order."""
    index = pd.MultiIndex.from_product(
        [[26926, 26924], [13655, 13650], range(3, 3 + samples), range(hours)],
        names=["x", "y", "sample", "hour"],
    )
    frame = index.to_frame(index=False)
    frame = frame[(frame["x"] != 26926) | (frame["y"] != 13650)]
    rng = np.random.default_rng(0)
    frame = frame.assign(traffic=rng.random(len(frame)), users=rng.random(len(frame)) * 100)
    return frame.sample(frac=1, random_state=1, ignore_index=True)


def parquet(frame: pd.DataFrame, **metadata: object) -> bytes:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    told = {key: json.dumps(value) for key, value in metadata.items()}
    out = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(told), out)
    return out.getvalue()


def csv(frame: pd.DataFrame, **options: object) -> bytes:
    return frame.to_csv(index=False, **options).encode()


TILES = {
    "x": [26924, 26926, 26924],
    "y": [13650, 13655, 13655],
    "covered_share": [0.5, 1, 0.25],
    "poi": [1, 2, 3],
}
TAKEN = {
    "parquet": lambda: parquet(made()),
    "csv": lambda: csv(made()),
    "csv with semicolons and commas": lambda: csv(made(), sep=";", decimal=","),
    "numbers as text": lambda: parquet(made().astype({"traffic": str})),
    "whole numbers as floats": lambda: parquet(made().astype({"x": float, "hour": float})),
    "two days": lambda: parquet(made(hours=48)),
    "neither samples nor users": lambda: csv(made(1).drop(columns=["sample", "users"])),
    "no user is known": lambda: parquet(made().assign(users=np.nan)),
    "metadata": lambda: parquet(made(), opendiff={"unit": "Mbit/s"}, opendiff_tiles=TILES),
    "more tiles described": lambda: parquet(made(), opendiff_tiles={k: [*v, 1] for k, v in TILES.items()}),
}
REFUSED = {
    "empty": lambda: b"",
    "no table": lambda: b"\x00\x01\x02 what is this",
    "damaged": lambda: parquet(made())[:-100],
    "a row twice": lambda: csv(pd.concat([made(), made().iloc[:1]])),
    "a row less": lambda: parquet(made().iloc[1:]),
    "half a day": lambda: parquet(made(hours=36)),
    "a negative number": lambda: csv(made().assign(traffic=-1.0)),
    "not all users": lambda: parquet(made().assign(users=[np.nan] + [1.0] * (len(made()) - 1))),
    "half a tile": lambda: parquet(made().assign(x=0.5)),
    "a tile off the map": lambda: csv(made().assign(y=40_000)),
    "a later format": lambda: parquet(made(), opendiff={"format": 2}),
    "other tiles": lambda: parquet(made(), opendiff_tiles={k: v[:2] for k, v in TILES.items()}),
    "tiles beyond all bounds": lambda: parquet(made(), opendiff_tiles=TILES | {"x": [10**30] * 3}),
    "more ground than there is": lambda: parquet(made(), opendiff_tiles=TILES | {"covered_share": [2, 1, 1]}),
    "metadata of another kind": lambda: parquet(made(), opendiff=[1]),
}


@pytest.mark.parametrize("name", TAKEN)
def test_both_read_the_same_of_a_file(name, tmp_path):
    path = tmp_path / "traffic.any"
    path.write_bytes(TAKEN[name]())
    generated, table = read_traffic(path), TrafficTable.read(path)
    assert generated.tiles["x"].tolist() == table.x.tolist() == [26924, 26924, 26926]
    assert generated.tiles["y"].tolist() == table.y.tolist() == [13650, 13655, 13655]
    np.testing.assert_array_equal(generated.traffic, table.traffic)
    assert generated.has_users == (table.users is not None)
    if table.users is not None:
        np.testing.assert_array_equal(generated.users, table.users)
    assert generated.tiles["covered_share"].tolist() == table.covered_share.tolist()
    assert {k: v.tolist() for k, v in generated.intensities.items()} == {
        k: v.tolist() for k, v in table.intensities.items()
    }
    if "metadata" in name:
        assert table.covered_share.tolist() == [0.5, 0.25, 1] and table.intensities["poi"].tolist() == [
            1,
            3,
            2,
        ]
        assert generated.metadata == table.metadata == {"unit": "Mbit/s"}
    frame = made(table.samples, table.hours).sort_values(["x", "y", "sample", "hour"])
    np.testing.assert_allclose(table.traffic.reshape(-1), frame["traffic"], rtol=1e-6)


@pytest.mark.parametrize("name", REFUSED)
def test_both_refuse_the_same_in_the_same_words(name, tmp_path):
    path = tmp_path / "traffic.any"
    path.write_bytes(REFUSED[name]())
    with pytest.raises(TableError) as ours:
        read_traffic(path)
    with pytest.raises(InputError) as theirs:
        TrafficTable.read(path, str(path))
    assert str(ours.value) == str(theirs.value)
    assert str(ours.value).endswith(".") and "\n" not in str(ours.value)


def test_content_in_memory_is_read_as_a_file_is(tmp_path):
    for name in ("parquet", "csv"):
        data = TAKEN[name]()
        (tmp_path / name).write_bytes(data)
        there, here = TrafficTable.read(tmp_path / name), TrafficTable.read(io.BytesIO(data), "upload")
        np.testing.assert_array_equal(there.traffic, here.traffic)


def test_rows_are_counted_before_they_are_unpacked_over_all_parts(tmp_path):
    frame = made()
    (tmp_path / "_run.json").write_text('{"complete": true}')
    for number, (_, part) in enumerate(frame.groupby(["x", "y"])):
        (tmp_path / f"part-{number:05}.parquet").write_bytes(parquet(part))
    assert TrafficTable.read(tmp_path).tiles == len(read_traffic(tmp_path).tiles) == 3
    with pytest.raises(InputError, match="1,008 rows and the limit is 1,000"):
        TrafficTable.read(tmp_path, most_rows=1_000)
