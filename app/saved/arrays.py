"""Values, arrays and tables in one npz file without pickles, so that a file from a stranger can be read."""

import io
import json
import math
from typing import Any

import numpy as np
import pandas as pd

from plannerbase.archive import members
from plannerbase.text import Refused, read_json

MAX_ARRAYS, MAX_ARRAY_BYTES = 5_000, 2_000_000_000
Arrays = dict[str, np.ndarray]
_TOLD = "told"


def to_bytes(told: Any, arrays: Arrays) -> bytes:
    """told: what JSON holds (NaN too); arrays: of numbers and booleans."""
    text = json.dumps(told, ensure_ascii=False, default=_plain).encode()
    file = io.BytesIO()
    with np.errstate(all="ignore"):
        whole: dict[str, Any] = {_TOLD: np.frombuffer(text, np.uint8)} | dict(arrays)
        np.savez_compressed(file, **whole)
    return file.getvalue()


def from_bytes(data: bytes, most_bytes: int = MAX_ARRAY_BYTES) -> tuple[Any, Arrays]:
    """What `to_bytes` was given. most_bytes: of all arrays. Raises `Refused` or ValueError for anything else."""
    parts = members(data, (".npy",), MAX_ARRAYS, most_bytes)  # so that it cannot unpack to more
    arrays = {name[:-4]: _array(part) for name, part in parts.items()}
    if _TOLD not in arrays:
        raise Refused("it says nothing of its arrays")
    return read_json(arrays.pop(_TOLD).tobytes()), arrays


def _array(part: bytes) -> np.ndarray:
    """A .npy file whose heading says no more than there is. Raises ValueError."""
    file = io.BytesIO(part)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, kind = read(file)
    if kind.hasobject or math.prod(shape) * kind.itemsize != len(part) - file.tell():
        raise Refused("an array is of another size or kind than it says")
    return np.lib.format.read_array(io.BytesIO(part), allow_pickle=False)


def put_table(arrays: Arrays, name: str, table: pd.DataFrame) -> dict[str, list | None]:
    """Numbers of a table go to the arrays; what is returned, its columns in order with their texts, is to be told."""
    told: dict[str, list | None] = {}
    for column in table:
        values = table[column]
        numbers = pd.api.types.is_numeric_dtype(values.dtype)
        told[column] = None if numbers else values.astype(object).where(values.notna(), None).tolist()
        if numbers:
            arrays[f"{name} {column}"] = values.to_numpy()
    return told


def take_table(arrays: Arrays, name: str, told: dict[str, list | None]) -> pd.DataFrame:
    """The table that `put_table` took apart."""
    columns = {
        column: arrays[f"{name} {column}"] if texts is None else np.array([*texts, None], object)[:-1]
        for column, texts in told.items()
    }
    return pd.DataFrame(columns)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be told")
