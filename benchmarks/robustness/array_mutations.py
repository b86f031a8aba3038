"""Damage to a NumPy file: its numbers, its shape and kind, and the JSON that the app keeps in bytes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import numpy as np

Rng = np.random.Generator


def mutated_array(data: bytes, rng: Rng, json_mutated: Callable[[bytes, Rng], bytes]) -> bytes:
    """`data`, a .npy file, with other values, another shape or another kind."""
    values = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    if values.dtype == np.uint8 and values.ndim == 1 and _is_json(values.tobytes()):
        return written(np.frombuffer(json_mutated(values.tobytes(), rng), np.uint8))
    way = int(rng.integers(7))
    if way == 0:
        return written(values[: len(values) // 2] if values.ndim else values.reshape(1))
    if way == 1:
        return written(np.concatenate([values, values]) if values.ndim else values)
    if way == 2:
        return written(values.T if values.ndim > 1 else values.reshape(-1, 1))
    if way == 3:
        return written(values.astype(str(rng.choice(["f2", "i1", "U8", "S3", "c16", "?", "u8", "M8[s]"]))))
    if way == 4:
        return written(np.empty((0, *values.shape[1:]), values.dtype))
    changed = values.copy().reshape(-1)
    if not changed.size:
        return written(np.zeros(3))
    at = rng.integers(changed.size, size=int(rng.integers(1, 4)))
    if changed.dtype.kind == "f":
        changed[at] = rng.choice([np.nan, np.inf, -np.inf, -1.0, 1e30, -1e-30])
    elif changed.dtype.kind in "iu":
        information = np.iinfo(changed.dtype)
        changed[at] = rng.choice([information.min, information.max, 0, 7])
    elif changed.dtype.kind in "US":
        changed[at] = str(rng.choice(["", "nan", "/etc/x", "x"]))
    else:
        changed[at] = ~changed[at]
    return written(changed.reshape(values.shape))


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True


def written(values: np.ndarray) -> bytes:
    """An array as a .npy file."""
    out = io.BytesIO()
    np.lib.format.write_array(out, np.asarray(values), allow_pickle=False)
    return out.getvalue()
