"""Maps of the report: tiles shaded by a figure, sites as dots, a scale bar and a legend, as SVG."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from plannerbase import formats
from planning.export.report_figures import asleep, sleep_shades
from planning.export.svg import GREY, WARM, WIDTH, figure, number, words
from planning.geometry import metres_per_degree
from planning.scenario import Scenario

_BELOW = 44.0
MAX_HEIGHT = 520.0


def busy_hour_map(
    scenario: Scenario, top: float | None = None, width: float = WIDTH, caption: str = ""
) -> str:
    """Tiles by their demand in the area's busy hour (square-root shades that end at `top` Mbit/s), sites as dots."""
    values = busy_mbps(scenario)
    top = float(values.max()) if top is None else top
    bounds, sites = scenario.tiles.total_bounds, scenario.network.sites
    west, east = min(bounds[0], sites["lon"].min()), max(bounds[2], sites["lon"].max())
    south, north = min(bounds[1], sites["lat"].min()), max(bounds[3], sites["lat"].max())
    metres = metres_per_degree((south + north) / 2)
    pixels = width / max((east - west) * float(metres[0]), 1e-9)  # a metre
    if (north - south) * float(metres[1]) * pixels > MAX_HEIGHT:
        pixels = MAX_HEIGHT / ((north - south) * float(metres[1]))
    height = max((north - south) * float(metres[1]) * pixels, 40.0)
    left = (width - (east - west) * float(metres[0]) * pixels) / 2

    def at(lon: ArrayLike, lat: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        across = left + (np.asarray(lon) - west) * float(metres[0]) * pixels
        return across, (north - np.asarray(lat, float)) * float(metres[1]) * pixels

    boxes = scenario.tiles.geometry.bounds.to_numpy()
    (x0, y0), (x1, y1) = at(boxes[:, 0], boxes[:, 3]), at(boxes[:, 2], boxes[:, 1])
    shade = opacity(values, top)
    shapes = [
        f"<rect x='{a:.1f}' y='{b:.1f}' width='{c - a:.1f}' height='{d - b:.1f}' fill='#0b5394' "
        f"fill-opacity='{s:.2f}' stroke='#fff' stroke-width='.5'/>"
        for a, b, c, d, s in zip(x0, y0, x1, y1, shade, strict=True)
    ]
    radius, colours = (4.5 if len(sites) < 300 else 2.8), _site_colours(scenario)
    shapes += [
        f"<circle cx='{a:.1f}' cy='{b:.1f}' r='{radius}' fill='{colour}' stroke='#1c2430' stroke-width='.9'/>"
        for a, b, colour in zip(*at(sites["lon"], sites["lat"]), colours, strict=True)
    ]
    wide = width >= WIDTH  # else the scale bar has a line of its own
    shapes += _legend(top, height + 8) + _scale_bar(pixels, width, height + (8 if wide else _BELOW))
    below = _BELOW if wide else 2 * _BELOW - 8
    return figure("".join(shapes), width, height + below, caption or _caption(scenario, values))


def _site_colours(scenario: Scenario) -> list[str]:
    """By the share of a site's cells that are asleep, mean of the hours, where there is a sleep plan."""
    found = asleep(scenario)
    if found is None:
        return [WARM] * len(scenario.network.sites)
    return sleep_shades(np.nan_to_num(found[1].mean(axis=1))).tolist()


def busy_mbps(scenario: Scenario) -> np.ndarray:
    """(tiles,) Mbit/s in the busy hour of the area; of a scenario that does not tell it, the mean of the week."""
    tiles = scenario.tiles
    return tiles["busy_mbps" if "busy_mbps" in tiles else "mean_mbps"].to_numpy(float)


def opacity(values: np.ndarray, top: float) -> np.ndarray:
    """Of shades that grow with the square root of the values and end at `top`; never quite clear."""
    return 0.06 + 0.86 * np.sqrt(np.clip(values / (top or 1.0), 0, 1))


def _caption(scenario: Scenario, values: np.ndarray) -> str:
    when = (
        "in the busy hour of the area, median of the samples"
        if "busy_mbps" in scenario.tiles
        else "on average"
    )
    worst = scenario.tiles.iloc[int(values.argmax())]
    return (
        f"Demand of each tile {when} (Mbit/s, square-root shades), north up, and "
        f"{formats.number(len(scenario.network.sites))} sites "
        f"as dots{sites_words(scenario)}. The busiest tile is {int(worst['x'])}, {int(worst['y'])} with "
        f"{formats.number(values.max(), 1)} Mbit/s."
    )


def sites_words(scenario: Scenario) -> str:
    """What the colours of the dots mean."""
    if "sleep_schedule" not in scenario.tables:
        return ""
    return " (from amber, always awake, to blue, asleep whenever it may: mean of the hours)"


def _legend(top: float, y: float) -> list[str]:
    shapes = []
    for i, value in enumerate(np.array([0.0, 0.0625, 0.25, 0.5625, 1.0]) * top):
        fill = f"fill='#0b5394' fill-opacity='{float(opacity(np.array(value), top)):.2f}' stroke='{GREY}'"
        shapes.append(f"<rect x='{4 + 52 * i}' y='{y:.1f}' width='52' height='11' {fill} stroke-width='.5'/>")
        shapes.append(words(30 + 52 * i, y + 26, number(float(f"{value:.3g}")), "middle"))
    shapes.append(words(272, y + 10, "Mbit/s a tile"))
    return shapes


def _scale_bar(pixels: float, width: float, y: float) -> list[str]:
    """A round length of about a quarter of the width, in metres or kilometres."""
    most = 0.25 * width / pixels
    size = 10.0 ** np.floor(np.log10(most))
    length = max(s * size for s in (1, 2, 5) if s * size <= most)
    end, begin = width - 8, width - 8 - length * pixels
    text = f"{formats.general(length / 1000)} km" if length >= 1000 else f"{formats.general(length)} m"
    line = f"<path d='M{begin:.1f} {y:.1f}v8H{end:.1f}v-8' fill='none' stroke='#1c2430' stroke-width='1.5'/>"
    return [line, words((begin + end) / 2, y + 24, text, "middle")]
