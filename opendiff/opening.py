"""Which source a name means: `demo` is the bundled region, anything else a pack, in a folder or a zip archive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opendiff.errors import SourceError

if TYPE_CHECKING:
    from opendiff.demo import DemoSource
    from opendiff.sources import PackSource


def open_source(name: str) -> DemoSource | PackSource:
    """The source called `name`. Raises SourceError."""
    if name == "demo":
        from opendiff.demo import DemoSource

        return DemoSource()
    if name == "live":
        raise SourceError(
            "Live open data is fetched for an area by choices of yours; see opendiff.live.source.LiveSource, or make a "
            "pack with `python -m opendiff fetch`."
        )
    from opendiff.sources import PackSource

    return PackSource(name)


def source_checksum(name: str) -> str:
    """What tells a source from others and from itself after a change: the checksum of the bundled region's file, or of
    a pack's table of tiles (its images are not read). Raises SourceError."""
    from opendiff.checksums import file_checksum
    from opendiff.demo import FILE
    from opendiff.sources import PackSource

    path = FILE if name == "demo" else PackSource(name).root / "tiles.parquet"
    try:
        return file_checksum(path)
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error}); name a source that holds it.") from None
