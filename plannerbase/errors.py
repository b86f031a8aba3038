"""What every package raises: a refusal that may be shown as it stands, and the end of work that nobody wants."""

from __future__ import annotations

from plannerbase.text import one_line


class Told(Exception):
    """Base of each package's family of errors: `str(error)` is one sentence that names the cause and the remedy."""

    def __str__(self) -> str:
        return one_line(super().__str__())


class Cancelled(Exception):
    """The caller asked to stop; no fault, so in nobody's family of errors."""
