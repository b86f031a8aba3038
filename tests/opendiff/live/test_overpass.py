"""What Overpass is asked, and what its elements become."""

import re

import pytest

from opendiff.errors import SourceError
from opendiff.live.overpass import overpass_query, places_of
from opendiff.live.poi_table import EXACT
from opendiff.sources import POI_CATEGORIES


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
