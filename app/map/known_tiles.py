"""Which tiles of the area each source of open data knows."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from app.colours import ACCENT, ramp, rgb
from app.map.region import Picture, tile_picture
from app.state.inputs import is_bundled

if TYPE_CHECKING:
    from opendiff.area import Tiles

KNOWN, UNKNOWN = ACCENT, "#e08a1e"  # told apart with any kind of colour vision
SOURCES = {"imagery": "Imagery", "population": "Population", "poi": "POI"}


def known_tiles(source: str, tiles: "Tiles") -> dict[str, np.ndarray]:
    """Key of SOURCES: (tiles,) bool. Raises SourceError; a source that knows no tile at all has all False."""
    from opendiff.conditions import MODALITIES
    from opendiff.demo import DemoSource

    if is_bundled(source):
        present = DemoSource(source).conditions(tiles).present
        column = {name: present[:, MODALITIES.index(name)] for name in MODALITIES}
        return {"imagery": column["imagery"], "population": column["population"], "poi": _poi(column)}
    from opendiff.open_data.sources import PackSource, image_path

    pack = PackSource(Path(source))
    data = pack.open_data(tiles, imagery=False)
    has_image = [image_path(pack.root, x, y).is_file() for x, y in zip(tiles["x"], tiles["y"], strict=True)]
    return {
        "imagery": np.array(has_image, bool),
        "population": data.has_population,
        "poi": data.has_poi | data.has_osm_poi,
    }


def shown_layers(source: str, tiles: "Tiles") -> dict[str, np.ndarray]:
    """Layers of a pack that are shown and told to no model: (tiles,) float, NaN where unknown. Raises SourceError."""
    if is_bundled(source):
        return {}
    from opendiff.open_data.sources import PackSource

    return PackSource(Path(source)).shown_layers(tiles)


def label_of(name: str) -> str:
    """What a source or a layer is called."""
    from opendiff.open_data.layers import SHOWN_LAYERS

    return SOURCES[name] if name in SOURCES else SHOWN_LAYERS[name].label


def layer_picture(tiles: "Tiles", values: np.ndarray) -> tuple[Picture, float]:
    """Tiles by the value of a layer, and the top of its scale of colours; transparent where it is unknown."""
    top = float(np.nanmax(values, initial=0.0)) or 1.0
    rgba = ramp(values, top)
    return tile_picture(tiles["x"].to_numpy(), tiles["y"].to_numpy(), rgba[:, None, None, :]), top


def _poi(column: dict[str, np.ndarray]) -> np.ndarray:
    return np.logical_or.reduce([known for name, known in column.items() if "poi" in name])


def known_picture(tiles: "Tiles", known: np.ndarray) -> Picture:
    """Tiles that are known in blue, others in orange, see-through."""
    blocks = np.where(known[:, None], (*rgb(KNOWN), 90), (*rgb(UNKNOWN), 120)).astype(np.uint8)
    return tile_picture(tiles["x"].to_numpy(), tiles["y"].to_numpy(), blocks[:, None, None, :])
