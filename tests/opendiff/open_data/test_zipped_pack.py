"""A zipped pack reads as its folder does; a hostile archive writes nothing outside the cache."""

import stat
import zipfile

import geopandas as gpd
import numpy as np
import pytest

from opendiff.area import tiles_bounds
from opendiff.errors import SourceError
from opendiff.live.choices import Choices
from opendiff.live.fetching import Fetcher
from opendiff.open_data import zipped_pack
from opendiff.open_data.sources import PackSource
from opendiff.opening import open_source
from tests.opendiff.live.own_files import own_tiles, write_image, write_places


@pytest.fixture
def pack(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENDIFF_CACHE", str(tmp_path / "cache"))
    choices = Choices(str(write_image(tmp_path / "city.tif")), poi=str(write_places(tmp_path / "poi.csv")))
    Fetcher(tmp_path / "pack", choices).area(own_tiles())
    return tmp_path / "pack"


def zip_of(folder, path, inside="pack/"):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, inside + file.relative_to(folder).as_posix())
    return path


@pytest.mark.parametrize("inside", ["", "pack/", "home/me/pack/"])
def test_a_zipped_pack_is_a_pack(pack, tmp_path, inside):
    archive = zip_of(pack, tmp_path / "city one.zip", inside)
    opened, plain = open_source(str(archive)), PackSource(pack)
    one, other = opened.open_data(own_tiles()), plain.open_data(own_tiles())
    assert np.array_equal(one.imagery, other.imagery) and np.array_equal(one.poi, other.poi)
    assert opened.name == "city_one" and opened.attribution == plain.attribution
    assert PackSource(archive).root == opened.root  # unpacked once


def test_places_of_openstreetmap_are_not_lost_on_the_way_into_the_zip(pack, tmp_path):
    tiles = own_tiles()
    west, south, east, north = tiles_bounds(tiles)
    lon, lat = np.random.default_rng(0).uniform((west, south), (east, north), (300, 2)).T
    tags = {"amenity": ["cafe"] * 300, "name": ["x"] * 300}
    places = gpd.GeoDataFrame(tags, geometry=gpd.points_from_xy(lon, lat), crs="EPSG:4326")
    places.to_file(pack / "osm_points.gpkg", layer="points")
    plain = PackSource(pack).open_data(tiles)
    zipped = PackSource(zip_of(pack, tmp_path / "city.zip")).open_data(tiles)
    assert plain.osm_poi.sum() > 100
    np.testing.assert_array_equal(zipped.osm_poi, plain.osm_poi)


def test_paths_that_climb_are_not_followed(pack, tmp_path):
    archive = zip_of(pack, tmp_path / "evil.zip")
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr("../../escaped-member.txt", "x")
        opened.writestr("pack/imagery/15/../../../../escaped-member.png", "x")
        opened.writestr("/etc/outside", "x")
        opened.writestr("pack/run.sh", "x")
    root = PackSource(archive).root
    names = {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()}
    assert not list(tmp_path.parent.rglob("escaped-member*"))
    assert all(n.startswith("imagery/15/") or n in zipped_pack.PLAIN for n in names)


def test_links_passwords_and_repeats_are_refused(pack, tmp_path):
    archive = zip_of(pack, tmp_path / "link.zip")
    with zipfile.ZipFile(archive, "a") as opened:
        link = zipfile.ZipInfo("pack/traffic.parquet")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        opened.writestr(link, "/etc/passwd")
    with pytest.raises(SourceError, match="a link"):
        PackSource(archive)


def test_an_archive_that_unpacks_too_large_is_refused(pack, tmp_path, monkeypatch):
    monkeypatch.setattr(zipped_pack, "MAX_BYTES", 10_000)
    with pytest.raises(SourceError, match="unpacks to more"):
        PackSource(zip_of(pack, tmp_path / "big.zip"))
    monkeypatch.setattr(zipped_pack, "MAX_BYTES", 10**9)
    monkeypatch.setattr(zipped_pack, "MAX_IMAGE_BYTES", 100)
    with pytest.raises(SourceError, match="unpacks to more"):
        PackSource(tmp_path / "big.zip")
    assert not list((tmp_path / "cache" / "unpacked").rglob("*.parquet"))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nonsense", b"hello"])
def test_what_is_no_archive_is_told(tmp_path, monkeypatch, content):
    monkeypatch.setenv("OPENDIFF_CACHE", str(tmp_path / "cache"))
    (tmp_path / "no.zip").write_bytes(content)
    with pytest.raises(SourceError, match="no readable zip"):
        PackSource(tmp_path / "no.zip")


def test_an_archive_without_tiles_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENDIFF_CACHE", str(tmp_path / "cache"))
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "x")
    with pytest.raises(SourceError, match=r"no tiles\.parquet"):
        PackSource(tmp_path / "other.zip")
