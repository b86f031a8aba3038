"""Counts with what is counted: "1 row has no name", "2 rows have no name"."""

from __future__ import annotations

import re

SINGULAR = {
    "areas": "area", "cells": "cell", "columns": "column", "corners": "corner", "days": "day",
    "directions": "direction", "features": "feature", "files": "file", "groups": "group", "hours": "hour",
    "lines": "line", "links": "link", "masts": "mast", "measurements": "measurement", "names": "name",
    "numbers": "number", "outlines": "outline", "people": "person", "pieces": "piece", "pixels": "pixel",
    "placemarks": "placemark", "places": "place", "plans": "plan", "points": "point", "polygons": "polygon",
    "positions": "position", "powers": "power", "records": "record", "references": "reference", "resets": "reset",
    "rows": "row", "samples": "sample", "sectors": "sector", "shapes": "shape", "sheets": "sheet", "sites": "site",
    "strategies": "strategy", "tables": "table", "tiles": "tile", "times": "time", "towers": "tower",
    "uploads": "upload", "users": "user", "values": "value", "weeks": "week",
}  # fmt: skip
VERBS = {
    "are": "is", "carry": "carries", "count": "counts", "cross": "crosses", "draw": "draws", "have": "has",
    "hold": "holds", "give": "gives", "lie": "lies", "list": "lists", "name": "names", "remain": "remains",
    "repeat": "repeats",
    "say": "says", "serve": "serves", "state": "states", "stay": "stays", "take": "takes", "were": "was",
}  # fmt: skip
_WORD = re.compile(r"[A-Za-z]+")
_BEFORE_NOUN = 4  # words: "measured", "doubled", "grid"
_WHICH = ("that", "which", "who")


def of_count(count: int, text: str) -> str:
    """The text that follows a count, in the singular where that is 1.

    text: in the plural, its noun of SINGULAR among the first words, its verb of VERBS before any punctuation. Text that
    begins with "of" keeps its noun: 1 of 5 rows lies elsewhere.
    """
    words = list(_WORD.finditer(re.split(r"[:;,(]", text)[0]))
    noun = next((n for n, word in enumerate(words[:_BEFORE_NOUN]) if word.group() in SINGULAR), None)
    if count != 1 or noun is None:
        return text
    changed = {} if text.startswith("of ") else {noun: SINGULAR[words[noun].group()]}
    verbs = [n for n in range(noun + 1, len(words)) if words[n].group() in VERBS]
    own = [n for n in verbs if words[n - 1].group() not in _WHICH or n == noun + 2]
    main = next((n for n in own if n != noun + 2 or words[n - 1].group() not in _WHICH), None)
    for n in own:  # the verb, that of "rows that are ..." before it, and a second one: "and were left out"
        if n == main or (main is None or n < main) or words[n - 1].group() == "and":
            changed[n] = VERBS[words[n].group()]
    for n in sorted(changed, reverse=True):
        text = text[: words[n].start()] + changed[n] + text[words[n].end() :]
    return text


def counted(count: int, text: str) -> str:
    """The count and its text: "1,204 rows have no name"."""
    return f"{count:,} {of_count(count, text)}"
