"""Which source a name means: `demo` and `demo:NAME` are bundled regions, anything else a pack, a folder or a zip
archive.

Imports wait until a source is opened, so that a page or a command which only asks for a name is there at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from opendiff.errors import SourceError

if TYPE_CHECKING:
    from opendiff.area import Tiles
    from opendiff.demo import DemoSource
    from opendiff.open_data.sources import PackSource


def open_source(name: str) -> DemoSource | PackSource:
    """The source called `name`. Raises SourceError."""
    if name.partition(":")[0] == "demo":
        from opendiff.demo import DemoSource

        return DemoSource(name)
    if name == "live":
        raise SourceError(
            "Live open data is fetched for an area by choices of yours; see opendiff.live.source.LiveSource, or make a "
            "pack with `python -m opendiff fetch`."
        )
    from opendiff.open_data.sources import PackSource

    return PackSource(Path(name))


def source_checksum(name: str, tiles: Tiles) -> str:
    """What tells a source from others, and from itself after a change to what it knows of `tiles`.

    It is a checksum of the bundled region's file, or of the files of a pack, whose images, which are many, count by
    their sizes. Raises SourceError.
    """
    from opendiff.demo import REGIONS, is_bundled, region_name
    from opendiff.open_data.sources import OSM_EXTRACT, PackSource, image_path
    from opendiff.storage.checksums import file_checksum
    from opendiff.storage.resume import fingerprint

    if is_bundled(name):
        return file_checksum(REGIONS[region_name(name)].file)
    root = PackSource(Path(name)).root
    try:
        tables = (root / name for name in ("tiles.parquet", "pack.json", OSM_EXTRACT))
        files = [file_checksum(table) for table in tables if table.is_file()]
        images = (image_path(root, x, y) for x, y in zip(tiles["x"], tiles["y"], strict=True))
        sizes = [image.stat().st_size if image.is_file() else 0 for image in images]
    except OSError as error:
        raise SourceError(f"{root} cannot be read ({error}); name a readable offline data package.") from None
    return fingerprint(files, sizes)
