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
