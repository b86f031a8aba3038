"""Maps of pixels: values on the radio model's pixels as a picture over the map, and the colours of their classes."""

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from app.colours import rgb, swatch_legend
from app.map.region import Picture
from plannerbase import formats

if TYPE_CHECKING:
    from planning.coverage import PixelGrid

MAX_PICTURE_PIXELS = 1_500_000
_RADIUS_M = 6_378_137.0  # of the sphere of Web Mercator


@dataclass(frozen=True)
class Classes:
    """A colour scale of steps: values below edges[0] have colours[0], those from edges[-1] on colours[-1].

    edges: ascending, one less than colours. unit: of the values. reverse: whether the legend begins with the highest.
    """

    edges: tuple[float, ...]
    colours: tuple[str, ...]
    unit: str
    reverse: bool = True

    def rgba(self, values: np.ndarray, alpha: float = 0.75) -> np.ndarray:
        """(n, 4) uint8 of values (n,); what is not finite is transparent."""
        finite = np.isfinite(values)
        table = np.array([rgb(c) for c in self.colours], np.uint8)
        out = np.zeros((len(values), 4), np.uint8)
        out[finite, :3] = table[np.searchsorted(self.edges, values[finite], "right")]
        out[finite, 3] = round(255 * alpha)
        return out

    def legend(self, title: str, more: list[tuple[str, str]] | None = None) -> str:
        """HTML: each class with its range and the unit."""
        text = [formats.general(edge) for edge in self.edges]
        names = [f"below {text[0]}", *(f"{a} to {b}" for a, b in itertools.pairwise(text))]
        entries = list(zip([*names, f"{text[-1]} and above"], self.colours, strict=True))
        ordered = entries[::-1] if self.reverse else entries
        return swatch_legend(ordered + (more or []), f"{title} ({self.unit})" if self.unit else title)


class PixelPicture:
    """Where the pixels of a grid lie in a picture whose rows are evenly spaced in Web Mercator."""

    def __init__(self, grid: "PixelGrid"):
        half = grid.pixel_m / 2 / 111_000
        south, north = float(grid.lat.min() - half), float(grid.lat.max() + half)
        stretch = 1 / np.cos(np.radians(max(abs(south), abs(north))))
        west, east = float(grid.lon.min() - half * stretch), float(grid.lon.max() + half * stretch)
        rows, columns = grid.shape
        shrink = min(1.0, np.sqrt(MAX_PICTURE_PIXELS / (rows * columns)))
        rows, columns = max(1, round(rows * shrink)), max(1, round(columns * shrink))
        top, bottom = _mercator(north), _mercator(south)
        lat = _latitude(top + (bottom - top) * (np.arange(rows) + 0.5) / rows)
        lon = west + (east - west) * (np.arange(columns) + 0.5) / columns
        every_lon, every_lat = np.meshgrid(lon, lat)
        self.bounds = (west, south, east, north)
        self.pixel = grid.pixel_at(every_lon.ravel(), every_lat.ravel()).reshape(rows, columns)

    def picture(self, rgba: np.ndarray) -> Picture:
        """The picture of colours (pixels, 4) uint8; transparent outside the area."""
        return Picture(np.vstack([rgba, np.zeros((1, 4), np.uint8)])[self.pixel], self.bounds)


def server_colours(server: np.ndarray, count: int) -> np.ndarray:
    """(count, 3) uint8 a colour each, so that cells of neighbouring numbers differ. server: not looked at for what is
    no cell."""
    anchors = np.array([rgb(c) for c in SERVERS], float)
    number = np.arange(count)
    base = anchors[number % len(anchors)]
    light = 1 - 0.12 * ((number // len(anchors)) % 4)
    return np.clip(base * light[:, None], 0, 255).round().astype(np.uint8)


def _mercator(lat: np.ndarray | float) -> np.ndarray:
    return np.arctanh(np.sin(np.radians(lat)))


def _latitude(y: np.ndarray) -> np.ndarray:
    return np.degrees(np.arcsin(np.tanh(y)))


# cividis-like and viridis steps: told apart with any kind of colour vision, and by lightness alone
_SEVEN = ("#440154", "#443a83", "#31688e", "#21918c", "#35b779", "#90d743", "#fde725")
RSRP = Classes((-120.0, -110.0, -100.0, -90.0, -80.0, -70.0), _SEVEN, "dBm")
SINR = Classes((-5.0, 0.0, 5.0, 10.0, 15.0, 20.0), _SEVEN, "dB")
RATE = Classes((1.0, 10.0, 50.0, 100.0, 300.0, 600.0), _SEVEN, "Mbit/s")
# purple over white to orange (PuOr): less than before to more than before
_DIVERGING = ("#542788", "#998ec3", "#d8daeb", "#f7f7f7", "#fee0b6", "#f1a340", "#b35806")
CHANGE_DB = Classes((-20.0, -10.0, -3.0, 3.0, 10.0, 20.0), _DIVERGING, "dB")
CHANGE_MBPS = Classes((-300.0, -100.0, -10.0, 10.0, 100.0, 300.0), _DIVERGING, "Mbit/s")
# colours of Okabe and Ito, without black
SERVERS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#999999")
COVERED, HOLE, NEW_HOLE = "#21918c", "#fdd686", "#b35806"
