"""Colours of maps and charts: one place, so that a quantity looks the same on every page."""

from html import escape

import numpy as np

from plannerbase import formats

# pale yellow over red to deep violet: grows darker evenly, and stands out from the greens and blues of the land cover
_RAMP = ("#fff4c2", "#fdd686", "#fbac5b", "#f27c4a", "#d94f56", "#ad346e", "#77277c", "#40196a")
RAMP_SCALE = [[i / (len(_RAMP) - 1), colour] for i, colour in enumerate(_RAMP)]  # the same for charts
# the steps of `ramp`, which are even in the square root
RAMP_ROOT_SCALE = [[(i / (len(_RAMP) - 1)) ** 2, colour] for i, colour in enumerate(_RAMP)]
LAND_COVER = {"w": ("water", "#b9d6ec"), "g": ("green", "#cfe5c3"), "b": ("built-up", "#e0d8cf")}
NO_CLASS = "#ededea"

ACCENT = "#0b6e99"
MUTED = "#8a949c"
BAND_50 = "rgba(11, 110, 153, 0.35)"
BAND_90 = "rgba(11, 110, 153, 0.15)"
GOOD = "#2a8a57"
WARN = "#c4512d"
SERIES = (
    "#0b6e99", "#e08a1e", "#2a8a57", "#a8447f", "#6a5fb5", "#7a6a53", "#56b4e9", "#c4512d", "#b59f00", "#8a949c",
)  # fmt: skip


def rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def ramp(values: np.ndarray, top: float, alpha: float = 0.8) -> np.ndarray:
    """RGBA (n, 4) uint8 of `values` >= 0 on a square-root scale that ends at `top`; NaN is transparent.

    The square root keeps small values apart: traffic is spread over two orders of magnitude between tiles.
    """
    share = np.sqrt(np.clip(np.nan_to_num(values, nan=0.0) / (top or 1.0), 0.0, 1.0))
    anchors = np.array([rgb(c) for c in _RAMP], float)
    where = np.linspace(0.0, 1.0, len(anchors))
    rgba = np.empty((len(share), 4), np.uint8)
    for channel in range(3):
        rgba[:, channel] = np.interp(share, where, anchors[:, channel]).round()
    rgba[:, 3] = np.where(np.isnan(values), 0, round(255 * alpha))
    return rgba


def ramp_top(week: np.ndarray) -> float:
    """Where the colour scale of tiles ends in all hours: that of the busiest hours of all tiles but the highest 2 %.
    week: (tiles, hours)."""
    return float(np.quantile(week.max(axis=1), 0.98)) or 1.0


def ramp_legend(title: str, top: float) -> str:
    """HTML of the legend of `ramp`: the bar, ticks at equal steps of the bar, and the title with its unit."""
    steps = (0.0, 0.25, 0.5, 0.75, 1.0)
    ticks = "".join(f"<span>{formats.significant(top * s * s)}</span>" for s in steps)
    return (
        '<div style="font-size:0.8rem;line-height:1.3">'
        f'<div style="opacity:0.8">{escape(title)}</div>'
        f'<div style="height:10px;border-radius:3px;background:linear-gradient(90deg,{",".join(_RAMP)})"></div>'
        f'<div style="display:flex;justify-content:space-between;opacity:0.8">{ticks}</div></div>'
    )


def swatch_legend(entries: list[tuple[str, str]], title: str = "") -> str:
    """HTML of a legend of named colours, in one line that wraps."""
    items = "".join(
        '<span style="display:inline-flex;align-items:center;gap:0.35rem;margin-right:1rem">'
        f'<span style="width:0.8rem;height:0.8rem;border-radius:2px;background:{colour};'
        f'border:1px solid color-mix(in srgb, currentColor 40%, transparent)"></span>{escape(name)}</span>'
        for name, colour in entries
    )
    head = f'<span style="opacity:0.8;margin-right:0.8rem">{escape(title)}</span>' if title else ""
    return f'<div style="font-size:0.8rem">{head}{items}</div>'
