"""Which source a name means: `demo` is the bundled region, anything else the folder of a pack."""

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
            "Live open data cannot be fetched by this version; use --source demo or the folder of a pack."
        )
    from opendiff.sources import PackSource

    return PackSource(name)
