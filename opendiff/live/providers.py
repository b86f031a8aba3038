"""Who is asked for open data, under which terms, and where it is kept. Set by environment variables:

OPENDIFF_IMAGERY_URL          tile template with {z}, {x}, {y} instead of Esri's
OPENDIFF_IMAGERY_ATTRIBUTION  whom to credit for it
OPENDIFF_IMAGERY_TERMS        address of its terms of use
OPENDIFF_WORLDPOP_URL         country raster template with {ISO}, {iso}
OPENDIFF_OVERPASS_URL         Overpass API, without /interpreter
OPENDIFF_CACHE                folder for what is fetched (default: the user's cache folder)
"""

from __future__ import annotations

import os
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from opendiff.errors import SourceError

ESRI_URL = "https://server.arcgisonline.com/ArcGIS/rest/services/World_Imagery/MapServer/tile/{z}/{y}/{x}?blankTile=false"
ESRI_TERMS = "https://www.esri.com/en-us/legal/terms/full-master-agreement"
WORLDPOP_YEAR = 2025
# 2015-2030 release, people in each cell of 3 arc seconds, on built-up cells only
WORLDPOP_URL = (
    f"https://data.worldpop.org/GIS/Population/Global_2015_2030/R2025A/{WORLDPOP_YEAR}/{{ISO}}/v1/100m/constrained/"
    f"{{iso}}_pop_{WORLDPOP_YEAR}_CN_100m_R2025A_v1.tif"
)
OVERPASS_URL = "https://overpass-api.de/api"


@dataclass(frozen=True)
class Provider:
    """Whose data it is. `url` may hold placeholders."""

    name: str
    url: str
    licence: str
    attribution: str
    terms: str = ""


ESRI = Provider(
    "Esri World Imagery",
    ESRI_URL,
    "Esri Master Agreement: for use with attribution, not for redistribution",
    "Imagery (c) Esri, Maxar, Earthstar Geographics, and the GIS User Community",
    ESRI_TERMS,
)
WORLDPOP = Provider(
    "WorldPop",
    WORLDPOP_URL,
    "CC BY 4.0",
    "Population (c) WorldPop (www.worldpop.org), CC BY 4.0",
    "https://www.worldpop.org/methods/",
)
OSM = Provider(
    "OpenStreetMap, by Overpass API",
    OVERPASS_URL,
    "ODbL 1.0",
    "POI (c) OpenStreetMap contributors, ODbL (www.openstreetmap.org/copyright)",
    "https://operations.osmfoundation.org/policies/",
)


def imagery_provider(choice: str, environment: Mapping[str, str] = os.environ) -> Provider:
    """The provider that `esri` (or what the environment puts in its place) or a tile template means.

    Raises SourceError on a template that is not usable.
    """
    template = environment.get("OPENDIFF_IMAGERY_URL") if choice == "esri" else choice
    if not template:
        return ESRI
    check_template(template)
    host = urlsplit(template).netloc.rpartition("@")[2]
    return Provider(
        f"tiles of {host}",
        template,
        "as its terms say",
        environment.get("OPENDIFF_IMAGERY_ATTRIBUTION") or f"Imagery of {host}",
        environment.get("OPENDIFF_IMAGERY_TERMS") or f"https://{host}/",
    )


def worldpop_provider(environment: Mapping[str, str] = os.environ) -> Provider:
    """WorldPop, or what the environment puts in its place. Raises SourceError on an address that is not usable."""
    return _at(WORLDPOP, environment.get("OPENDIFF_WORLDPOP_URL"))


def osm_provider(environment: Mapping[str, str] = os.environ) -> Provider:
    """The Overpass API, public or the one of the environment. Raises SourceError likewise."""
    return _at(OSM, environment.get("OPENDIFF_OVERPASS_URL"))


def check_template(template: str) -> None:
    """Raise SourceError unless `template` is an http(s) address with {z}, {x} and {y}, each once and nothing else."""
    try:
        parts = urlsplit(template)
        fields = sorted(name for _, name, _, _ in string.Formatter().parse(template) if name is not None)
        plain = all(not spec and not cast for _, _, spec, cast in string.Formatter().parse(template))
    except ValueError:
        parts, fields, plain = urlsplit(""), [], False
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SourceError(f"{template!r} is no tile address; it begins with http:// or https:// and a host.")
    if fields != ["x", "y", "z"] or not plain or "{" in parts.netloc:
        raise SourceError(
            f"{template!r} is no tile template; its path or query needs {{z}}, {{x}} and {{y}}, each once."
        )


def is_template(choice: str) -> bool:
    """Whether a choice of imagery is an address, good or not."""
    return bool(re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", choice))


def _at(provider: Provider, url: str | None) -> Provider:
    """The provider at another address, if one is given. Raises SourceError."""
    if not url:
        return provider
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise SourceError(f"{url!r} is no address of {provider.name}; it begins with http:// or https://.")
    return replace(provider, url=url)
