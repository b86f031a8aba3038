"""Charts as SVG text for pages that need nothing else: axes with units, legends, a caption that says it in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from plannerbase import formats

ACCENT, WARM, GREY, GOOD = "#0b5394", "#d9480f", "#8a94a3", "#2a8a57"
SERIES = (ACCENT, WARM, GOOD, "#a8447f", "#6a5fb5", "#7a6a53", GREY)
WIDTH, HEIGHT = 760.0, 270.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 74.0, 14.0, 30.0, 46.0
_INK, _GRID = "#1c2430", "#e3e7ed"
Place = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Axis:
    """label: quantity and unit. ticks: (value, text) pairs inside low..high."""

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    @classmethod
    def of(cls, label: str, values: ArrayLike, low: float | None = None, percent: bool = False) -> Axis:
        """An axis around the values, from `low` if one is given, with round ticks; percent: of shares."""
        known = np.asarray(values, float)
        known = known[np.isfinite(known)]
        top = float(known.max()) if len(known) else 1.0
        bottom = float(known.min()) if low is None and len(known) else low or 0.0
        if top <= bottom:
            top = bottom + 1.0
        ticks = round_ticks(bottom, top)
        step = ticks[1] - ticks[0]
        high = ticks[-1] if top <= ticks[-1] + 1e-9 * step else ticks[-1] + step
        if high > ticks[-1]:
            ticks = [*ticks, high]
        if low is None and bottom < ticks[0] - 1e-9 * step:
            ticks = [ticks[0] - step, *ticks]
        bottom = ticks[0] if low is None else low
        text = (lambda v: formats.general(100 * v) + formats.current().percent) if percent else number
        return cls(label, bottom, high, tuple((v, text(v)) for v in ticks if v >= bottom - 1e-9 * step))

    @classmethod
    def hours(cls, count: int) -> Axis:
        """Hours of a day or of a week, from their beginning."""
        if count <= 24:
            ticks = tuple((float(h), f"{h:02d}:00") for h in range(0, count, 3))
        else:
            ticks = tuple((24.0 * day, f"day {day + 1}") for day in range(count // 24))
        return cls(
            "hour of the day" if count <= 24 else "hour of the week, local time", 0.0, count - 1.0, ticks
        )


@dataclass(frozen=True)
class Line:
    """A series. dash: as SVG has it, "" for a whole line."""

    x: np.ndarray
    y: np.ndarray
    name: str
    colour: str = ACCENT
    dash: str = ""

    def shapes(self, across: Place, up: Place) -> list[str]:
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across(self.x), up(self.y), strict=True))
        dash = f" stroke-dasharray='{self.dash}'" if self.dash else ""
        return [f"<polyline points='{points}' fill='none' stroke='{self.colour}' stroke-width='2'{dash}/>"]


@dataclass(frozen=True)
class Band:
    """The space between two series."""

    x: np.ndarray
    low: np.ndarray
    high: np.ndarray
    name: str
    colour: str = ACCENT
    opacity: float = 0.2

    def shapes(self, across: Place, up: Place) -> list[str]:
        xs = np.concatenate([self.x, self.x[::-1]])
        ys = np.concatenate([self.high, self.low[::-1]])
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across(xs), up(ys), strict=True))
        return [f"<polygon points='{points}' fill='{self.colour}' fill-opacity='{self.opacity}'/>"]


@dataclass(frozen=True)
class Points:
    """Single values."""

    x: np.ndarray
    y: np.ndarray
    name: str
    colour: str = ACCENT

    def shapes(self, across: Place, up: Place) -> list[str]:
        places = zip(across(self.x), up(self.y), strict=True)
        return [f"<circle cx='{a:.1f}' cy='{b:.1f}' r='3.5' fill='{self.colour}'/>" for a, b in places]


def number(value: float) -> str:
    """Up to four significant digits, thousands apart."""
    return formats.number(value) if abs(value) >= 1000 else formats.general(float(f"{value:.4g}"))


def round_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round values that lie in low..high, about so many."""
    raw = (high - low) / about
    size = 10.0 ** np.floor(np.log10(raw))
    step = next(s * size for s in (1, 2, 2.5, 5, 10) if s * size >= raw * (1 - 1e-9))
    first = np.ceil(low / step - 1e-9)
    return [float(k * step) + 0.0 for k in np.arange(first, np.floor(high / step + 1e-9) + 1)]  # no -0


Mark = Line | Band | Points


class Shades(Protocol):
    """Values to colours, with the (name, colour, opacity) of their legend."""

    @property
    def legend(self) -> Sequence[tuple[str, str, float]]: ...

    def __call__(self, values: np.ndarray) -> np.ndarray: ...


def chart(marks: Sequence[Mark], x: Axis, y: Axis, caption: str, height: float = HEIGHT) -> str:
    """A figure of marks over two axes, with a legend of their names above."""
    width, bottom = WIDTH, height - _BOTTOM

    def across(values: ArrayLike) -> np.ndarray:
        return _LEFT + (np.asarray(values, float) - x.low) / (x.high - x.low) * (width - _LEFT - _RIGHT)

    def up(values: ArrayLike) -> np.ndarray:
        return bottom - (np.asarray(values, float) - y.low) / (y.high - y.low) * (bottom - _TOP)

    shapes = []
    for value, text in y.ticks:
        at = float(up(value))
        shapes.append(
            f"<line x1='{_LEFT}' x2='{width - _RIGHT}' y1='{at:.1f}' y2='{at:.1f}' stroke='{_GRID}'/>"
        )
        shapes.append(words(_LEFT - 8, at + 4, text, "end"))
    for value, text in x.ticks:
        at = float(across(value))
        shapes.append(f"<line x1='{at:.1f}' x2='{at:.1f}' y1='{bottom}' y2='{bottom + 5}' stroke='{GREY}'/>")
        shapes.append(words(at, bottom + 19, text, "middle"))
    shapes.append(f"<line x1='{_LEFT}' x2='{width - _RIGHT}' y1='{bottom}' y2='{bottom}' stroke='{GREY}'/>")
    for mark in marks:
        shapes += mark.shapes(across, up)
    shapes.append(words((_LEFT + width - _RIGHT) / 2, height - 6, x.label, "middle"))
    middle = (bottom + _TOP) / 2
    shapes.append(words(14, middle, y.label, "middle", f" transform='rotate(-90 14 {middle:.1f})'"))
    shapes += legend([(m.name, m.colour, getattr(m, "opacity", 1.0)) for m in marks if m.name], _LEFT)
    return figure("".join(shapes), width, height, caption)


def bars(
    names: Sequence[str],
    series: dict[str, np.ndarray],
    axis: Axis,
    caption: str,
    colours: Sequence[str] = SERIES,
) -> str:
    """Horizontal bars from 0, grouped by name, a colour a series, each with its value."""
    width, row = WIDTH, 13.0 * len(series) + 10
    left = 12.0 + 6.8 * min(28, max(map(len, names), default=0))
    height = _TOP + row * len(names) + _BOTTOM

    def length(value: float) -> float:
        return max(0.0, (value - axis.low) / (axis.high - axis.low)) * (width - left - 70)

    shapes = legend([(name, colours[k], 1.0) for k, name in enumerate(series)], left)
    for value, text in axis.ticks:
        at = left + length(value)
        shapes.append(
            f"<line x1='{at:.1f}' x2='{at:.1f}' y1='{_TOP}' y2='{height - _BOTTOM}' stroke='{_GRID}'/>"
        )
        shapes.append(words(at, height - _BOTTOM + 17, text, "middle"))
    for i, name in enumerate(names):
        top = _TOP + 5 + i * row
        label = name if len(name) <= 28 else name[:27] + "…"
        shapes.append(words(left - 8, top + row / 2 - 1, label, "end"))
        for k, values in enumerate(series.values()):
            y, value = top + 13 * k, float(values[i])
            if np.isfinite(value):
                shapes.append(
                    f"<rect x='{left:.1f}' y='{y:.1f}' width='{length(value):.1f}' height='11' fill='{colours[k]}'/>"
                )
                shapes.append(words(left + length(value) + 5, y + 10, number(value)))
    shapes.append(words((left + width - 70) / 2, height - 8, axis.label, "middle"))
    return figure("".join(shapes), width, height, caption)


def heat_map(values: np.ndarray, x: Axis, rows: str, label: str, caption: str, shades: Shades) -> str:
    """Rows by hours. values: (rows, hours), NaN where there is none. rows: what they are. label: what the caption
    begins with. shades: values to colours, with their legend as an attribute."""
    count, hours = values.shape
    cell = (WIDTH - _LEFT - _RIGHT) / hours
    each = float(np.clip(420 / max(count, 1), 1.2, 16))
    height = _TOP + each * count + _BOTTOM
    shapes = legend(shades.legend, _LEFT)
    colour = shades(values)
    for i in range(count):
        top, start = _TOP + i * each, 0
        for hour in range(1, hours + 1):  # neighbours of one colour are one box
            if hour == hours or colour[i][hour] != colour[i][start]:
                shapes.append(
                    f"<rect x='{_LEFT + start * cell:.1f}' y='{top:.1f}' width='{(hour - start) * cell:.2f}' "
                    f"height='{each:.2f}' fill='{colour[i][start]}' shape-rendering='crispEdges'/>"
                )
                start = hour
    for value, text in x.ticks:
        shapes.append(words(_LEFT + (value + 0.5) * cell, height - _BOTTOM + 17, text, "middle"))
    shapes.append(words((_LEFT + WIDTH - _RIGHT) / 2, height - 8, x.label, "middle"))
    middle = _TOP + each * count / 2
    shapes.append(words(14, middle, rows, "middle", f" transform='rotate(-90 14 {middle:.1f})'"))
    return figure("".join(shapes), WIDTH, height, f"{label} {caption}".strip())


def legend(entries: Sequence[tuple[str, str, float]], left: float, top: float = 6.0) -> list[str]:
    """(name, colour, opacity) side by side."""
    shapes, at = [], left
    for name, colour, opacity in entries:
        shapes.append(
            f"<rect x='{at:.1f}' y='{top}' width='14' height='11' fill='{colour}' fill-opacity='{opacity}'/>"
        )
        shapes.append(words(at + 19, top + 10, name))
        at += 34 + 6.6 * len(name)
    return shapes


def words(x: float, y: float, text: str, anchor: str = "start", more: str = "") -> str:
    """Text at a place; anchor: start, middle or end."""
    look = f"font-size='12' fill='{_INK}' text-anchor='{anchor}'{more}"
    return f"<text x='{x:.1f}' y='{y:.1f}' {look}>{escape(text)}</text>"


def figure(shapes: str, width: float, height: float, caption: str) -> str:
    """A picture with its caption, which is its text alternative too."""
    said = escape(caption, quote=True)
    return (
        f"<figure><svg viewBox='0 0 {width:.0f} {height:.0f}' role='img' aria-label='{said}'>{shapes}</svg>"
        f"<figcaption>{said}</figcaption></figure>"
    )
