"""Values that all sessions of a server share, made once for the same content.

A key is a fingerprint of everything that goes into the value, so a session gets only what it could have made itself:
never something of another session that it does not already know.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T")


def fingerprint(*parts: bytes | str | float | np.ndarray | tuple | None) -> str:
    """SHA-256 of the parts with their kinds, shapes and lengths: other content has another fingerprint."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            kind, data = f"array {part.dtype} {part.shape}", np.ascontiguousarray(part).tobytes()
        elif isinstance(part, bytes):
            kind, data = "bytes", part
        else:
            kind, data = type(part).__name__, repr(part).encode()
        digest.update(f"{kind} {len(data)} ".encode())
        digest.update(data)
    return digest.hexdigest()


class SharedCache(Generic[T]):
    """At most `most` of size in all, as `size` measures a value; what was used longest ago goes first."""

    def __init__(self, most: int, size: Callable[[T], int]):
        self._most, self._size = most, size
        self._kept: OrderedDict[str, T] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()
        self._making: dict[str, threading.Lock] = {}

    def get(self, key: str, make: Callable[[], T]) -> T:
        """The value under a fingerprint. Of sessions that ask at the same time one makes it, and the others wait."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            turn = self._making.setdefault(key, threading.Lock())
        with turn:
            with self._lock:
                if key in self._kept:
                    return self._kept[key]
            try:
                value = make()
                self._keep(key, value)
            finally:
                with self._lock:
                    self._making.pop(key, None)
        return value

    def _keep(self, key: str, value: T) -> None:
        with self._lock:
            if key not in self._kept:
                self._kept[key] = value
                self._held += self._size(value)
            while self._held > self._most and self._kept:
                _, old = self._kept.popitem(last=False)
                self._held -= self._size(old)

    @property
    def held(self) -> int:
        return self._held
