"""The Overpass API, and places of OpenStreetMap by it: one query a block of tiles, for tags and centres alone.

Overpass answers with status 200 and a `remark` when it ran out of time or memory half-way, so an answer with a remark
counts as failed: a part of the places must not pass for all of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from opendiff.area.tile_grid import Bounds
from opendiff.errors import SourceError
from opendiff.live.http import Client, TooLarge
from opendiff.live.providers import Provider
from opendiff.poi.osm_tags import KEYS, NAMED_ONLY, categories_of_tags, query_tags
from opendiff.poi.places import Places
from plannerbase.numbers import numbers_of
from plannerbase.text import read_json

BLOCK_TILES = 16  # side of a block: some 17 km, a quarter of the area for which Overpass is comfortable
MAX_ANSWER_BYTES = 48_000_000  # takes ten times its size when it is read; a larger one is asked for in parts
MEMORY_BYTES = 536_870_912  # that the server may take for a query: its own default
ANSWER_S = 10.0  # of the time that the client waits, for the answer to be sent
DIGITS = 6  # of degrees, some 0.1 m
FIRST_PAUSE_S = 10.0  # Overpass gives a user two slots, which are free again after tens of seconds


class TooMuch(SourceError):
    """The query ran out of time or memory, or its answer is too large; a part of the box may do better."""


def overpass_query(bounds: Bounds, seconds: float = 180.0) -> str:
    """The query (Overpass QL) for all that the table of categories knows inside W, S, E, N; seconds: it may take."""
    lines = []
    for key, values in query_tags().items():
        test = "" if isinstance(values, bool) else f'~"^({"|".join(values)})$"'
        named = "[name]" if key in NAMED_ONLY else ""
        lines.append(f'nwr["{key}"{test}]{named};')
    return f"{query_head(bounds, seconds)}({''.join(lines)});out center qt;"


def query_head(bounds: Bounds, seconds: float) -> str:
    """How a query begins: JSON is wanted, of W, S, E, N, and the server may take so many seconds for it."""
    west, south, east, north = bounds
    box = ",".join(f"{edge:.{DIGITS}f}" for edge in (south, west, north, east))
    return f"[out:json][timeout:{max(1, int(seconds))}][maxsize:{MEMORY_BYTES}][bbox:{box}];"


def fetch_osm_places(client: Client, provider: Provider, bounds: Bounds) -> Places:
    """Places inside W, S, E, N. Raises SourceError (TooMuch) and Cancelled."""
    query = overpass_query(bounds, client.patience.query - ANSWER_S)
    return places_of(answer_of(client, provider, query))


def answer_of(client: Client, provider: Provider, query: str) -> list[dict[str, Any]]:
    """The elements that a server answers a query with. Raises SourceError (TooMuch) and Cancelled."""
    pause = max(FIRST_PAUSE_S, client.patience.first_pause)
    patience = replace(client.patience, first_pause=pause, read=client.patience.query)
    url = f"{provider.url.rstrip('/')}/interpreter"
    try:
        body = replace(client, patience=patience).get(
            url, ("application/json",), MAX_ANSWER_BYTES, form={"data": query}, check=_check_answer
        )
    except TooLarge as error:
        raise TooMuch(str(error)) from None
    elements: list[dict[str, Any]] = read_json(body)["elements"]
    return elements


def places_of(elements: list[dict[str, Any]]) -> Places:
    """Places of Overpass elements with tags; ways and relations stand at their centre. Raises SourceError when none of
    them has a position, because then they would all be lost in silence."""
    tagged = [one for one in elements if isinstance(one, dict) and isinstance(one.get("tags"), dict)]
    at = [one["center"] if isinstance(one.get("center"), dict) else one for one in tagged]
    lon, lat = (
        numbers_of(pd.Series([place.get(axis) for place in at], dtype=object)) for axis in ("lon", "lat")
    )
    located = np.isfinite(lon) & np.isfinite(lat)
    if tagged and not located.any():
        raise SourceError("The Overpass server sent places without positions; check OPENDIFF_OVERPASS_URL.")
    tags = {key: pd.Series([one["tags"].get(key) for one in tagged], dtype=object) for key in (*KEYS, "name")}
    category = categories_of_tags(tags, len(tagged))
    return Places.kept(lon, lat, np.where(located, category, -1))


def _check_answer(body: bytes) -> None:
    """Raises ValueError for an answer that is not whole, SourceError for one that will not get better."""
    answer = read_json(body)
    if not isinstance(answer, dict) or not isinstance(answer.get("elements"), list):
        raise SourceError("The Overpass server sent no list of elements; check OPENDIFF_OVERPASS_URL.")
    if remark := str(answer.get("remark") or "")[:200]:
        if "timed out" in remark or "out of memory" in remark:
            raise TooMuch(
                f"Overpass could not finish the query ({remark}); try again later, or give an extract."
            )
        raise ValueError(remark)
