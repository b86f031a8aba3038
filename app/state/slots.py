"""Where a workspace keeps values that follow from it."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Slot(Generic[T]):
    """A place for one value of a type in each workspace (`Workspace.cached`).

    Each is a place of its own, whatever module it stands in: modules that share a value import its slot.
    """

    def __init__(self) -> None:
        self._parts: dict[str, Slot[T]] = {}

    def part(self, name: str) -> Slot[T]:
        """The place of a value that there are several of, such as one a file."""
        return self._parts.setdefault(name, Slot())
