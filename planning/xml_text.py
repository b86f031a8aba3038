"""Text as XML may hold it."""

from __future__ import annotations

_FORBIDDEN = dict.fromkeys(set(range(32)) - {9, 10})  # control characters are not allowed in XML at all


def without_controls(value: object) -> str:
    """The text of a value without control characters but tab and line feed; not escaped yet."""
    return str(value).translate(_FORBIDDEN)
