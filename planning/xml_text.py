"""Text as XML may hold it."""

from __future__ import annotations

# what XML 1.0 does not allow at all: control characters, halves of pairs, and two that are no characters
_FORBIDDEN = dict.fromkeys({*range(32), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF} - {9, 10})


def without_controls(value: object) -> str:
    """The text of a value without control characters but tab and line feed, and without what else XML forbids; not
    escaped yet."""
    return str(value).translate(_FORBIDDEN)
