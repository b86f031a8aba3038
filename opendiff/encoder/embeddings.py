"""Embeddings of images kept between runs, by the image and the version of the weights that embedded it.

The trunk is nine tenths of the time from open data to conditions. An image is known by its pixels, so a tile whose
imagery was renewed is embedded anew, and a pack that was copied elsewhere is not.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from opendiff.errors import SourceError
from opendiff.storage.folders import cache_folder

MAX_ROWS = 5_000_000  # of a file, some 600 MB; the oldest make room
BUSY_SECONDS = 10  # that another process may hold the file
ASKED_AT_ONCE = 500  # keys; every build of SQLite takes 999 parameters


@dataclass(frozen=True)
class EmbeddingCache:
    """A file of embeddings, each `width` float32.

    One that cannot be used is as good as an empty one: what is not found is computed.
    """

    path: Path
    width: int

    @classmethod
    def of_weights(cls, checksum: str, width: int) -> EmbeddingCache | None:
        """The cache of weights with this checksum in the user's cache folder; None where there is no such folder."""
        try:
            return cls(cache_folder() / f"embeddings-{checksum.removeprefix('sha256:')[:16]}.sqlite", width)
        except SourceError:
            return None

    def read(self, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        """Embeddings (width,) of those keys that are known."""
        found: dict[bytes, np.ndarray] = {}
        try:
            with closing(self._open()) as file:
                for start in range(0, len(keys), ASKED_AT_ONCE):
                    asked = keys[start : start + ASKED_AT_ONCE]
                    marks = ",".join("?" * len(asked))
                    rows = file.execute(
                        f"SELECT image, vector FROM embedding WHERE image IN ({marks})", asked
                    )
                    found |= {image: np.frombuffer(vector, np.float32) for image, vector in rows}
        except (sqlite3.Error, OSError):
            return {}
        return {
            image: vector
            for image, vector in found.items()
            if vector.shape == (self.width,) and np.isfinite(vector).all()
        }

    def write(self, embeddings: dict[bytes, np.ndarray]) -> None:
        """Keep embeddings (width,) by key; the oldest go beyond MAX_ROWS."""
        rows = [(image, vector.astype(np.float32).tobytes()) for image, vector in embeddings.items()]
        try:
            with closing(self._open()) as file, file:
                file.executemany("INSERT OR REPLACE INTO embedding VALUES (?, ?)", rows)
                file.execute(
                    "DELETE FROM embedding WHERE rowid <= (SELECT max(rowid) FROM embedding) - ?",
                    (MAX_ROWS,),
                )
        except (sqlite3.Error, OSError):
            return  # a full disk or a folder that cannot be written: the next run computes them again

    def _open(self) -> sqlite3.Connection:
        try:
            return self._opened()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:  # damaged: what it held is computed again
            self.path.unlink(missing_ok=True)
            return self._opened()

    def _opened(self) -> sqlite3.Connection:
        file = sqlite3.connect(self.path, timeout=BUSY_SECONDS)
        try:
            file.execute(
                "CREATE TABLE IF NOT EXISTS embedding (image BLOB PRIMARY KEY, vector BLOB NOT NULL)"
            )
        except sqlite3.Error:
            file.close()
            raise
        return file


def image_key(image: np.ndarray) -> bytes:
    """What an image (height, width, 3) uint8 is known by."""
    return hashlib.blake2b(np.ascontiguousarray(image).tobytes(), digest_size=16).digest()
