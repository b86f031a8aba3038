"""Places of the world, found by name and by position without a network."""

import pytest

from app.map.gazetteer import coordinates, nearest, search


@pytest.mark.parametrize(
    ("text", "name", "iso3", "lon", "lat"),
    [
        ("paris", "Paris", "FRA", 2.35, 48.86),
        ("SAO PAULO", "São Paulo", "BRA", -46.63, -23.55),
        ("nanchang", "Nanchang", "CHN", 115.86, 28.68),
    ],
)
def test_the_largest_place_of_a_name_comes_first_whatever_its_accents(text, name, iso3, lon, lat):
    found = search(text)[0]
    assert (found.name, found.iso3) == (name, iso3)
    assert (found.lon, found.lat) == pytest.approx((lon, lat), abs=0.05)


def test_a_country_tells_places_of_one_name_apart():
    assert search("london, c")[0].iso3 == "CAN"
    assert search("x") == [] and search("no such place at all") == []


def test_coordinates_are_a_place_and_know_their_country():
    assert coordinates("48.85, 2.35") == (2.35, 48.85)
    assert coordinates("2.35 E; 48.85 N") == (2.35, 48.85)
    assert coordinates("33.9 S, 151.2 E") == (151.2, -33.9)
    assert coordinates("95, 2") is None and coordinates("Paris, France") is None
    assert search("28.68, 115.89")[0].iso3 == "CHN"


def test_the_nearest_place_and_its_distance():
    """One degree of latitude north of the equator's Quito is 111.2 km along the sphere."""
    quito = search("quito")[0]
    found, km = nearest(quito.lon, quito.lat)
    assert found == quito and km < 0.1
    there = nearest(0.0, -40.0)  # in the South Atlantic
    assert there[1] > 1000
