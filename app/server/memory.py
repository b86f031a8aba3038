"""What the C library does with memory that is free again: a server of many threads keeps far more than it uses."""

import ctypes
import sys
from collections.abc import Callable

_M_ARENA_MAX = -8  # of mallopt(3)
_ARENAS = 2  # heaps that threads share; by default eight for each core, each with free memory of its own


def few_arenas() -> None:
    """Let all threads share a few heaps. Call it before threads begin; nothing happens where the C library is not
    glibc."""
    if (mallopt := _of_glibc("mallopt")) is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)


def give_back() -> None:
    """Return free memory to the system, where the C library is glibc."""
    if (trim := _of_glibc("malloc_trim")) is not None:
        trim(0)


def _of_glibc(name: str) -> Callable[..., int] | None:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), name, None)
