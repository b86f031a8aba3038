"""GDAL gets a stranger's file alone in a folder; archives say which parts make a Shapefile."""

import geopandas as gpd
import pyogrio
import pytest
import shapely

from plannerbase.text import Refused
from plannerbase.vector import SHAPEFILE_BEGINS, handed_to_gdal, shapefiles


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shape")
    points = gpd.GeoDataFrame({"site": ["A"]}, geometry=[shapely.Point(115.9, 28.7)], crs="EPSG:4326")
    points.to_file(folder / "sites.shp")
    return {file.suffix: file.read_bytes() for file in folder.iterdir()}


def test_parts_of_each_shapefile_whatever_the_case_of_their_names(parts):
    inside = {f"a/SITES{suffix.upper()}": content for suffix, content in parts.items()}
    inside |= {"b/sites.shp": SHAPEFILE_BEGINS, "b/other.dbf": b"", "readme.txt": b""}
    found = shapefiles(inside)
    assert found == {"a/SITES.SHP": parts, "b/sites.shp": {".shp": SHAPEFILE_BEGINS}}
    with pytest.raises(Refused, match=r"holds x\.shp, which is not a Shapefile"):
        shapefiles({"x.shp": b"PK\x03\x04"})


def test_the_folder_is_gone_afterwards_and_in_no_message(parts):
    with handed_to_gdal(parts, ".shp") as path:
        assert pyogrio.read_info(path)["features"] == 1
        assert {file.suffix for file in path.parent.iterdir()} == set(parts)
    assert not path.parent.exists()
    with (
        pytest.raises(Refused, match="cannot be read") as caught,
        handed_to_gdal({".kml": b"<kml"}, ".kml") as path,
    ):
        pyogrio.list_layers(path)
    assert str(path.parent) not in str(caught.value) and not path.parent.exists()


def test_a_database_that_is_more_than_tables_never_reaches_gdal(tmp_path):
    with pytest.raises(Refused), handed_to_gdal({".gpkg": b"SQLite format 3\x00" + bytes(200)}, ".gpkg"):
        raise AssertionError("it was handed over")
