"""The table of POI categories, and what it makes of OSM extracts."""

import bz2
import gzip

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.osm_poi import poi_agreement
from opendiff.area import tile_frame
from opendiff.area.tile_grid import tile_bounds, tile_centre
from opendiff.errors import SourceError
from opendiff.open_data.sources import PackSource
from opendiff.poi.catalogues import categories_of_labels
from opendiff.poi.categories import POI_CATEGORIES
from opendiff.poi.osm_files import categories_in, osm_poi_counts, read_osm_places
from opendiff.poi.osm_tags import (
    ANY_VALUE,
    BY_CLASS,
    EXACT,
    KEYS,
    TABLE,
    categories_of_classes,
    categories_of_tags,
    query_tags,
)
from opendiff.poi.places import Places, count_places
from opendiff.poi.tables import read_poi_table


def name_of(**tags):
    number = categories_of_tags({key: pd.Series([value]) for key, value in tags.items()}, 1)[0]
    return POI_CATEGORIES[number] if number >= 0 else None


def test_the_table_names_all_categories_and_known_keys_only():
    assert tuple(TABLE) == POI_CATEGORIES
    assert set(query_tags()) <= set(KEYS)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"amenity": "restaurant"}, "catering"),
        ({"amenity": "restaurant", "tourism": "hotel"}, "accommodation"),
        ({"shop": "socks"}, "shopping"),
        ({"shop": "no"}, None),
        ({"shop": "hairdresser"}, "life_service"),
        ({"amenity": "Cafe;bar"}, "catering"),
        ({"office": "lawyer"}, "company"),
        ({"office": "government"}, "government"),
        ({"highway": "crossing"}, None),
        ({"building": "commercial"}, None),
        ({"building": "commercial", "name": "Tower 3"}, "business_residential"),
        ({"amenity": None, "shop": "mall"}, "shopping"),
    ],
)
def test_tags_lead_to_the_category_of_a_map_service(tags, expected):
    assert name_of(**tags) == expected


def test_geofabrik_names_things_differently():
    classes = pd.Series(["town_hall", "bookshop", "bus_stop", "crossing", None, "christian_anglican", "Cafe"])
    expected = ["government", "shopping", "transportation", None, None, "scenic_spot", "catering"]
    assert [POI_CATEGORIES[n] if n >= 0 else None for n in categories_of_classes(classes)] == expected


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.sampled_from([*KEYS, "name"]), st.text(max_size=12) | st.none(), min_size=1))
def test_any_tags_give_a_category_or_none(tags):
    number = categories_of_tags({key: pd.Series([value]) for key, value in tags.items()}, 1)
    assert number.shape == (1,) and -1 <= number[0] < len(POI_CATEGORIES)


@pytest.mark.parametrize("key", KEYS)
def test_every_tag_and_its_csv_row_agree(key):
    values = list(EXACT[key])
    direct = categories_of_tags({key: pd.Series(values), "name": pd.Series(["x"] * len(values))}, len(values))
    assert direct.tolist() == list(EXACT[key].values())
    assert categories_in(pd.DataFrame({"Key": key, "Value": values})).tolist() == direct.tolist()
    hstore = [f'"name:zh"=>"a","{key}"=>"{value}"' for value in values]
    assert categories_in(pd.DataFrame({"other_tags": hstore, "name": "x"})).tolist() == direct.tolist()


def test_wildcards_and_classes_lead_to_categories():
    assert ANY_VALUE["shop"] == POI_CATEGORIES.index("shopping")
    assert all(0 <= number < len(POI_CATEGORIES) for number in BY_CLASS.values())


def test_counts_are_per_tile_and_leave_out_the_rest():
    tiles = tile_frame([26929, 26930], [13656, 13656])
    lon, lat = tile_centre(np.array([26929, 26929, 26930, 26940]), np.array([13656] * 4))
    counts = count_places(Places(lon, lat, np.array([13, 13, 0, 0])), tiles)
    assert counts[0, 13] == 2 and counts[1, 0] == 1 and counts.sum() == 3


def test_a_geopackage_in_another_reference_system_is_moved_to_wgs84(tmp_path):
    lon, lat = tile_centre(26929, 13656)
    square = shapely.box(lon - 1e-4, lat - 1e-4, lon + 1e-4, lat + 1e-4)
    line = shapely.LineString([(lon, lat), (lon, lat + 1e-3)])
    frame = gpd.GeoDataFrame(
        {"amenity": ["cafe", "school", "bank", None]},
        geometry=[shapely.Point(lon, lat), square, line, shapely.Point(lon, lat)],
        crs="EPSG:4326",
    )
    frame.to_crs("EPSG:32650").to_file(tmp_path / "city.gpkg", layer="places")
    counts = osm_poi_counts(tmp_path / "city.gpkg", tile_frame([26929], [13656]))
    expected = {"catering": 1, "education_culture": 1}
    assert dict(zip(POI_CATEGORIES, counts[0], strict=True)) == dict.fromkeys(POI_CATEGORIES, 0) | expected


def test_bad_extracts_are_told_in_one_sentence(tmp_path):
    tiles = tile_frame([26929], [13656])
    (tmp_path / "text.gpkg").write_text("hello")
    with pytest.raises(SourceError, match="no OSM extract"):
        osm_poi_counts(tmp_path / "text.gpkg", tiles)
    with pytest.raises(SourceError, match="cannot be read"):
        osm_poi_counts(tmp_path / "absent.gpkg", tiles)
    west, south, _, _ = tile_bounds(26929, 13656)
    gpd.GeoDataFrame({"colour": ["red"]}, geometry=[shapely.Point(west, south)], crs="EPSG:4326").to_file(
        tmp_path / "other.gpkg"
    )
    with pytest.raises(SourceError, match="no layer of places"):
        osm_poi_counts(tmp_path / "other.gpkg", tiles)


def test_real_osm_points_agree_with_the_pack_in_sum_more_than_by_category(nanchang_pack):
    agreement = poi_agreement(PackSource(nanchang_pack), nanchang_pack / "osm_points.gpkg")
    assert agreement.total > 0.7
    assert 0.3 < np.nanmedian(agreement.pearson) < 0.6
    assert agreement.osm[POI_CATEGORIES.index("business_residential")] == 0  # Geofabrik has no such points


OSM = """<?xml version="1.0"?><osm version="0.6">
<node id="1" version="1" lat="28.67" lon="115.91"><tag k="amenity" v="restaurant"/></node>
<node id="2" version="1" lat="28.68" lon="115.92"><tag k="shop" v="supermarket"/></node></osm>"""
EARTH = (-180, -80, 180, 80)


@pytest.mark.slow
@pytest.mark.parametrize(("ending", "compress"), [(".osm.gz", gzip.compress), (".osm.bz2", bz2.compress)])
def test_a_compressed_extract_is_the_extract(tmp_path, ending, compress):
    whole, packed = tmp_path / "a.osm", tmp_path / f"a{ending}"
    whole.write_text(OSM)
    packed.write_bytes(compress(OSM.encode()))
    one, other = read_osm_places(whole, EARTH), read_osm_places(packed, EARTH)
    assert (
        len(one.lon) == 2
        and np.array_equal(one.category, other.category)
        and np.array_equal(one.lon, other.lon)
    )
    for data, message in (
        (compress(OSM.encode())[:-12], "uncompressed"),
        (compress(OSM[:-10].encode()), "ends in the middle"),
        (OSM.encode(), "no OSM extract"),
        (compress(b"lon,lat"), "ends in the middle"),
    ):
        packed.write_bytes(data)
        with pytest.raises(SourceError, match=message):
            read_osm_places(packed, EARTH)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (
            ["음식점 > 카페", "병원", "편의점", "지하철역"],
            ["catering", "medical", "shopping", "transportation"],
        ),
        (["レストラン", "病院", "コンビニ"], ["catering", "medical", "shopping"]),
        (
            ["Кафе", "Аптека", "Школа", "Гостиница"],
            ["catering", "medical", "education_culture", "accommodation"],
        ),
        (["restaurant,food,point_of_interest", "hospital,health"], ["catering", "medical"]),
    ],
)
def test_categories_of_other_languages_are_known(labels, expected):
    assert [POI_CATEGORIES[n] for n in categories_of_labels(pd.Series(labels))] == expected


def test_a_korean_table_of_places_in_its_own_encoding(tmp_path):
    table = tmp_path / "p.csv"
    text = "장소명,카테고리,위도,경도\n스타벅스,카페,37.5,127.02\n서울대병원,병원,37.53,127.0\n"
    table.write_bytes(text.encode("cp949"))
    found = read_poi_table(table)
    assert [POI_CATEGORIES[n] for n in found.places.category] == ["catering", "medical"]
    packed = tmp_path / "p.csv.gz"
    packed.write_bytes(gzip.compress(text.encode("cp949")))
    assert np.array_equal(read_poi_table(packed).places.lon, found.places.lon)
