"""What Overpass is asked, and what its elements become."""

import json
import re

import numpy as np
import pytest

from opendiff.area import tile_frame
from opendiff.errors import SourceError
from opendiff.live import fetching
from opendiff.live.choices import Choices
from opendiff.live.fetching import Fetcher
from opendiff.live.overpass import TooMuch, _check_answer, overpass_query, places_of
from opendiff.poi.categories import POI_CATEGORIES
from opendiff.poi.osm_tags import EXACT
from opendiff.poi.places import Places


def test_the_query_asks_for_the_table_inside_the_box():
    query = overpass_query((2.25, 48.8, 2.35, 48.9), 170)
    assert query.startswith("[out:json][timeout:170]") and query.endswith("out center qt;")
    assert "[bbox:48.800000,2.250000,48.900000,2.350000]" in query  # south, west, north, east
    assert 'nwr["shop"];' in query and re.search(r'nwr\["amenity"~"\^\(.*\|cafe\|.*\)\$"\];', query)
    assert re.search(
        r'nwr\["building"~"[^"]+"\]\[name\];', query
    )  # of the thousands of buildings those with a name
    assert "religion" not in query


def test_values_need_no_quoting_in_a_query():
    words = [value for key in EXACT for value in EXACT[key]]
    assert all(re.fullmatch(r"[a-z0-9_-]+", word) for word in words)


def test_ways_and_relations_stand_at_their_centre():
    elements = [
        {"type": "node", "lon": 2.0, "lat": 48.0, "tags": {"amenity": "cafe"}},
        {"type": "way", "center": {"lon": 2.1, "lat": 48.1}, "tags": {"amenity": "school"}},
        {"type": "node", "lon": 2.2, "lat": 48.2},
        {"type": "relation", "tags": {"shop": "mall"}},
        {"type": "node", "lon": "x", "lat": None, "tags": {"shop": "mall"}},
    ]
    places = places_of(elements)
    assert [POI_CATEGORIES[c] for c in places.category] == ["catering", "education_culture"]
    assert places.lon.tolist() == [2.0, 2.1] and len(places_of([])) == 0


def test_places_without_positions_are_not_lost_in_silence():
    with pytest.raises(SourceError, match="without positions"):
        places_of([{"type": "node", "tags": {"shop": "mall"}}])


def test_a_position_beyond_all_numbers_is_no_position():
    far = {"type": "node", "lat": 10**400, "lon": 115.9, "tags": {"amenity": "cafe"}}
    near = {"type": "node", "lat": 28.6, "lon": 115.9, "tags": {"amenity": "cafe"}}
    assert places_of([far, near]).lat.tolist() == [28.6]


def test_an_answer_with_a_remark_is_not_taken_for_a_whole_one():
    def answer(remark):
        return json.dumps({"elements": [], "remark": remark}).encode()

    with pytest.raises(TooMuch):
        _check_answer(answer('runtime error: Query timed out in "query" at line 1 after 61 seconds.'))
    with pytest.raises(ValueError, match="busy"):
        _check_answer(answer("The server is probably too busy to handle your request."))
    _check_answer(b'{"elements": []}')
    with pytest.raises(SourceError, match="no list"):
        _check_answer(b"[]")


def test_a_box_that_is_too_much_is_asked_for_in_quarters(tmp_path, monkeypatch):
    asked = []

    def fetch(client, provider, bounds):
        west, south, east, north = bounds
        asked.append(bounds)
        if east - west > 0.03:
            raise TooMuch("too much")
        return Places.kept(*map(np.array, ([(west + east) / 2], [(south + north) / 2], [13])))

    monkeypatch.setattr(fetching, "fetch_osm_places", fetch)
    tiles = tile_frame(
        *(v.ravel() for v in np.meshgrid(np.arange(16_000, 16_004), np.arange(11_008, 11_012)))
    )
    assert Fetcher(tmp_path / "pack", Choices(poi="osm")).poi(tiles) == ()
    assert len(asked) == 2 + 1 + 4  # sides 16 and 8 hold all of it, then quarters of side 4 and 2
    monkeypatch.setattr(fetching, "fetch_osm_places", lambda *_: (_ for _ in ()).throw(TooMuch("never")))
    assert "never" in Fetcher(tmp_path / "other", Choices(poi="osm")).poi(tiles)[0]
