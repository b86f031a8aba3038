"""What a reader made of a file: what was taken, fixed, left out and assumed, each with counts and examples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np

from plannerbase.counting import counted
from plannerbase.text import one_line

Kind = Literal["taken", "fixed", "left out", "assumed"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MAX_EXAMPLES = 3


@dataclass(frozen=True)
class Entry:
    """One fact about a file. text: a sentence without its full stop; it begins with the count where there is one."""

    kind: Kind
    text: str
    count: int | None = None
    examples: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The sentence, with examples."""
        text = self.text if self.count is None else counted(self.count, self.text)
        shown = f" (first: {', '.join(self.examples)})" if self.examples else ""
        return one_line(f"{text}{shown}.")


@dataclass
class Report:
    """Facts in the order in which a reader met them; it iterates over their sentences."""

    entries: list[Entry] = field(default_factory=list)

    def taken(self, text: str, count: int | None = None, examples: Iterable[object] = ()) -> None:
        """What was read. text: after the count, without a full stop; `fixed`, `left_out` and `assumed` likewise."""
        self._add("taken", text, count, examples)

    def fixed(self, text: str, count: int | None = None, examples: Iterable[object] = ()) -> None:
        """What the file had wrong and the reader put right."""
        self._add("fixed", text, count, examples)

    def left_out(self, text: str, count: int | None = None, examples: Iterable[object] = ()) -> None:
        """What the file holds and the result does not."""
        self._add("left out", text, count, examples)

    def assumed(self, text: str, count: int | None = None, examples: Iterable[object] = ()) -> None:
        """What the file does not say."""
        self._add("assumed", text, count, examples)

    def extend(self, other: Report) -> None:
        """The facts of another report after these."""
        self.entries += other.entries

    def of(self, kind: Kind) -> list[Entry]:
        """The facts of one kind."""
        return [entry for entry in self.entries if entry.kind == kind]

    def about(self, name: str) -> Report:
        """The facts with the name of the file or sheet before them."""
        whole = [e.text if e.count is None else counted(e.count, e.text) for e in self.entries]
        return Report(
            [replace(e, text=f"{name}: {t}", count=None) for e, t in zip(self.entries, whole, strict=True)]
        )

    @property
    def lines(self) -> tuple[str, ...]:
        """The sentences."""
        return tuple(entry.line for entry in self.entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self.lines)

    def __len__(self) -> int:
        return len(self.entries)

    def rows(self) -> list[dict[str, Any]]:
        """A row a fact, for a table: kind, count, text, examples."""
        return [
            {"kind": e.kind, "count": e.count, "text": e.text, "examples": "; ".join(e.examples)}
            for e in self.entries
        ]

    def record(self) -> list[dict[str, Any]]:
        """As JSON holds it; `from_record` reads it back."""
        return [
            {"kind": e.kind, "text": e.text, "count": e.count, "examples": list(e.examples)}
            for e in self.entries
        ]

    @classmethod
    def from_record(cls, record: list[dict[str, Any]]) -> Report:
        """A report that `record` wrote down. Raises ValueError for a kind that is none."""
        report = cls()
        for entry in record:
            if entry["kind"] not in KINDS:
                raise ValueError("a report holds something that is none of its kinds")
            count = None if entry["count"] is None else int(entry["count"])
            report._add(entry["kind"], str(entry["text"]), count, entry["examples"])
        return report

    def _add(self, kind: Kind, text: str, count: int | None, examples: Iterable[object]) -> None:
        shown: list[str] = []
        for example in examples:
            if len(shown) == MAX_EXAMPLES:
                break
            shown.append(one_line(str(example))[:80])
        self.entries.append(Entry(kind, text, count, tuple(shown)))


def rows_of(mask: np.ndarray, first: int = 1) -> list[str]:
    """The first rows where the mask (rows,) bool holds, as examples: "row 3"; first: the number of the first row."""
    return [f"row {i + first}" for i in np.flatnonzero(mask)[:MAX_EXAMPLES]]
