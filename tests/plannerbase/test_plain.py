"""Whatever bytes a reading process answers, they are a plain value or refused."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plannerbase.plain import decode, encode

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(), inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
    ),
)


@given(VALUES)
def test_plain_values_come_back_as_they_were(value):
    tree, buffers = encode(value)
    assert decode(tree, [bytearray(b) for b in buffers]) == value


JSON = st.recursive(
    st.none()
    | st.integers(-3, 3)
    | st.text("ab", max_size=2)
    | st.sampled_from(["<f8", "|O", "<M8[s]", "|V9"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "array",
                    "dtype",
                    "shape",
                    "table",
                    "rows",
                    "texts",
                    "codes",
                    "inferred",
                    "tuple",
                    "dict",
                    "bytes",
                    "path",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
)


@given(JSON, st.binary(max_size=16))
def test_any_answer_is_a_value_or_refused(tree, data):
    try:
        decode(json.dumps(tree).encode(), [bytearray(data)])
    except ValueError:
        pass


@pytest.mark.parametrize(
    "tree",
    [
        {"array": 0, "dtype": "|O", "shape": [1]},
        {"array": 0, "dtype": "O", "shape": [1]},
        {"array": 0, "dtype": "<f8,<f8", "shape": [1]},
        {"array": 0, "dtype": "<f8", "shape": [2]},
        {"array": 0, "dtype": "<f8", "shape": [-1]},
        {"array": 1, "dtype": "<f8", "shape": [1]},
        {"array": -1, "dtype": "<f8", "shape": [1]},
        {
            "table": [["a", {"texts": ["x"], "codes": {"array": 0, "dtype": "<i8", "shape": [1]}, "inferred": True}]],
            "rows": 1,
        },
        {"class": "os.system"},
    ],
    ids=str,
)  # fmt: skip
def test_arrays_of_objects_or_of_another_size_are_refused(tree):
    with pytest.raises(ValueError):
        decode(json.dumps(tree).encode(), [bytearray(np.array([7], "<i8").tobytes())])


def test_what_is_too_deep_or_no_plain_value_is_refused():
    deep = []
    for _ in range(500):
        deep = [deep]
    for value in (deep, {1: 2}, object(), np.array([object()]), {"a": {3}}):
        with pytest.raises(ValueError):
            encode(value)
    with pytest.raises(ValueError):
        decode(b"[" * 100_000, [])
