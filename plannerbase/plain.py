"""Plain values as bytes, and back: what a process that reads files of strangers may answer.

JSON of a tree, and the raw buffers of the arrays and bytes in it. Nothing in it can name a class or a function: there
are None, booleans, numbers, texts, bytes, paths, lists, tuples, dictionaries with texts as keys, arrays of numbers,
booleans or dates, and tables of such columns. For any bytes, `decode` returns such a value or raises
ValueError.
"""

from __future__ import annotations

import datetime
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

MAX_TREE_BYTES = 64_000_000  # of JSON, which holds the texts
MAX_DEPTH = 100
MAX_BUFFERS = 100_000
DTYPE = re.compile(r"[<|=]?(b1|[iu][1248]|f[248]|[mM]8\[(Y|M|W|D|h|m|s|ms|us|ns)\])")
Buffer = bytes | bytearray | memoryview


def encode(value: Any) -> tuple[bytes, list[Buffer]]:
    """(the tree, its buffers). Raises ValueError for a value that is not plain, or too deep or long."""
    buffers: list[Buffer] = []
    tree = json.dumps(_tree(value, buffers, MAX_DEPTH), ensure_ascii=True, separators=(",", ":")).encode()
    if len(tree) > MAX_TREE_BYTES or len(buffers) > MAX_BUFFERS:
        raise ValueError(f"it holds more than {MAX_TREE_BYTES // 10**6} MB of text or {MAX_BUFFERS:,} arrays")
    return tree, buffers


def decode(tree: Buffer, buffers: list[bytearray]) -> Any:
    """The value. Raises ValueError for what `encode` does not make."""
    try:
        return _value(json.loads(bytes(tree)), buffers)
    except (RecursionError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"it is no plain value ({type(error).__name__})") from None


def _tree(value: Any, buffers: list[Buffer], depth: int) -> Any:
    if depth < 0:
        raise ValueError("it is nested too deeply")
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_tree(v, buffers, depth - 1) for v in value]
    if isinstance(value, tuple):
        return {"tuple": [_tree(v, buffers, depth - 1) for v in value]}
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("it has a key that is no text")
        return {"dict": {key: _tree(v, buffers, depth - 1) for key, v in value.items()}}
    if isinstance(value, bytes | bytearray):
        return {"bytes": _put(value, buffers)}
    if isinstance(value, Path):
        return {"path": str(value)}
    if isinstance(value, np.ndarray):
        return _array_tree(value, buffers)
    if isinstance(value, pd.DataFrame):
        columns = [
            [_name(name), _column_tree(value.iloc[:, i], buffers)] for i, name in enumerate(value.columns)
        ]
        return {"table": columns, "rows": len(value)}
    raise ValueError(f"it holds a {type(value).__name__}")


def _array_tree(value: np.ndarray, buffers: list[Buffer]) -> dict[str, Any]:
    if not DTYPE.fullmatch(value.dtype.str):
        raise ValueError(f"it holds an array of {value.dtype}")
    flat = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
    return {"array": _put(flat.data, buffers), "dtype": value.dtype.str, "shape": list(value.shape)}


def _put(data: Any, buffers: list[Buffer]) -> int:
    buffers.append(data)
    return len(buffers) - 1


def _name(name: Any) -> Any:
    return name if isinstance(name, str | int) else str(name)


def _column_tree(column: pd.Series, buffers: list[Buffer]) -> Any:
    """A column by its kind: numbers as an array; texts as the different ones and the number of each row's."""
    if isinstance(column.dtype, np.dtype) and column.dtype != object:
        return _array_tree(column.to_numpy(), buffers)
    values = column.astype(object)
    if all(
        isinstance(v, str) or v is None or v is pd.NA or (isinstance(v, float) and math.isnan(v))
        for v in values
    ):
        missing = values.isna().to_numpy()
        number, texts = pd.factorize(values.where(~missing, None), use_na_sentinel=True)
        codes = _array_tree(number.astype("<i4"), buffers)
        inferred = column.dtype != object
        return {"texts": [str(t) for t in texts], "codes": codes, "inferred": inferred}
    return {"objects": [_cell(v, buffers) for v in values]}


def _cell(value: Any, buffers: list[Buffer]) -> Any:
    """A value of a table, as text where there is nothing plainer."""
    if value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, list | tuple | dict | bytes | np.ndarray | np.generic) or value is None:
        return _tree(value.tolist() if isinstance(value, np.ndarray) else value, buffers, MAX_DEPTH)
    return value if isinstance(value, bool | int | float | str) else str(value)


def _value(tree: Any, buffers: list[bytearray]) -> Any:
    if isinstance(tree, list):
        return [_value(v, buffers) for v in tree]
    if not isinstance(tree, dict):
        return tree
    if "array" in tree:
        return _array(tree, buffers)
    if "table" in tree:
        return _table(tree, buffers)
    ((kind, content),) = tree.items()
    if kind == "tuple":
        return tuple(_value(v, buffers) for v in content)
    if kind == "dict":
        return {key: _value(v, buffers) for key, v in content.items()}
    if kind == "bytes":
        made = bytes(_buffer(content, buffers))
        buffers[content] = bytearray()  # one copy at a time of what may be large
        return made
    if kind == "path":
        return Path(content)
    raise ValueError(f"it is no plain value ({kind[:20]})")


def _buffer(number: Any, buffers: list[bytearray]) -> bytearray:
    if not isinstance(number, int) or not 0 <= number < len(buffers):
        raise ValueError("it names a buffer that it has not")
    return buffers[number]


def _array(tree: dict[str, Any], buffers: list[bytearray]) -> np.ndarray:
    kind, shape = tree["dtype"], tree["shape"]
    if not DTYPE.fullmatch(kind) or len(shape) > 16 or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError("it holds an array of another kind")
    data = _buffer(tree["array"], buffers)
    if math.prod(shape) * np.dtype(kind).itemsize != len(data):
        raise ValueError("it holds an array of another size than it says")
    values = np.frombuffer(data, np.uint8).view(kind).reshape(shape)
    return values != 0 if kind.endswith("b1") else values


def _table(tree: dict[str, Any], buffers: list[bytearray]) -> pd.DataFrame:
    rows, columns = tree["rows"], [_column(column, buffers) for _, column in tree["table"]]
    if not isinstance(rows, int) or any(len(column) != rows for column in columns):
        raise ValueError("it holds a table whose columns differ in length")
    table = pd.DataFrame(dict(enumerate(columns)), index=pd.RangeIndex(rows))
    table.columns = pd.Index([name if isinstance(name, int) else str(name) for name, _ in tree["table"]])
    return table


def _column(tree: dict[str, Any], buffers: list[bytearray]) -> Any:
    if "array" in tree:
        return _array(tree, buffers)
    if "objects" in tree:
        made = np.empty(len(tree["objects"]), object)
        for i, value in enumerate(tree["objects"]):
            made[i] = _value(value, buffers)
        return pd.Series(made, dtype=object)
    texts = np.array([*map(str, tree["texts"]), None], object)
    codes = _array(tree["codes"], buffers)
    if codes.dtype.kind != "i" or (len(codes) and not -1 <= codes.min() <= codes.max() < len(texts) - 1):
        raise ValueError("it holds a text that is not there")
    column = pd.Series(texts[codes], dtype=object)
    return column.infer_objects() if tree["inferred"] is True else column
