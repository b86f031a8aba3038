"""The user's own files lead to traffic, with no network; what is wrong with them is one sentence."""

import socket

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from opendiff.area.tile_grid import tile_bounds
from opendiff.cli import main
from opendiff.errors import SourceError
from opendiff.live.choices import Choices
from opendiff.live.fetching import Fetcher
from opendiff.live.imagery import PIXEL_M, cut_geotiff
from opendiff.open_data.sources import PackSource, image_path, read_image
from opendiff.poi.categories import POI_CATEGORIES
from opendiff.poi.tables import read_poi_table
from opendiff.traffic_table import read_traffic
from plannerbase.systems import gcj02_offset
from tests.opendiff.live.own_files import (
    COLUMN,
    ROW,
    SIDE,
    bounds_of,
    box_text,
    own_tiles,
    write_image,
    write_people,
    write_places,
)


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """Any attempt to connect fails the test."""

    def connect(*_):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setenv("OPENDIFF_CACHE", str(tmp_path / "cache"))


def cut(path, root, tiles=None):
    tiles = own_tiles() if tiles is None else tiles
    return cut_geotiff(path, tiles["x"].to_numpy(), tiles["y"].to_numpy(), root)


@pytest.mark.slow
def test_tiles_show_the_ground_they_name(tmp_path):
    path = write_image(tmp_path / "city.tif")
    assert len(cut(path, tmp_path)) == 0
    west, south, east, north = bounds_of(1)
    for x, y in ((COLUMN, ROW), (COLUMN + 2, ROW + 1)):
        pixels = read_image(image_path(tmp_path, x, y)).astype(float)
        left, bottom, right, top = tile_bounds(x, y)
        columns, rows = np.linspace(left, right, 513)[1::2], np.linspace(top, bottom, 513)[1::2]
        assert pixels[..., 0] == pytest.approx(
            np.broadcast_to((columns - west) / (east - west) * 250, (256, 256)), abs=1.5
        )
        assert pixels[..., 1] == pytest.approx(
            np.broadcast_to(((north - rows) / (north - south) * 250)[:, None], (256, 256)), abs=1.5
        )


def test_tiles_that_the_image_covers_in_part_are_left_out(tmp_path):
    west, south, east, north = bounds_of()
    middle = (west + east) / 2
    path = write_image(tmp_path / "half.tif", (west, south, middle, north))
    absent = cut(path, tmp_path)
    assert sorted(own_tiles().iloc[absent]["x"].unique()) == [COLUMN + 1, COLUMN + 2]
    assert len(list((tmp_path / "imagery").rglob("*.png"))) == SIDE


def test_pixels_without_a_value_are_no_ground(tmp_path):
    path = write_image(
        tmp_path / "dark.tif", nodata=0
    )  # red and green are 0 at the western and northern edge only
    assert len(cut(path, tmp_path)) == 0
    path = write_image(tmp_path / "blank.tif", nodata=128, bands=1, size=(9, 9))
    assert len(cut(path, tmp_path / "grey")) == 0
    image = read_image(image_path(tmp_path / "grey", COLUMN, ROW))
    assert (image[..., 0] == image[..., 2]).all()


@pytest.mark.slow
def test_a_finer_image_is_averaged_and_a_projected_one_is_moved(tmp_path):
    x = (COLUMN * 256 * PIXEL_M) - 20037508.342789244
    y = 20037508.342789244 - ROW * 256 * PIXEL_M
    side = SIDE * 256 * PIXEL_M
    path = write_image(tmp_path / "fine.tif", (x, y - side, x + side, y), (3 * 768, 3 * 768), "EPSG:3857")
    assert len(cut(path, tmp_path)) == 0
    pixels = read_image(image_path(tmp_path, COLUMN, ROW)).astype(float)
    assert pixels[..., 0].mean() == pytest.approx(250 / 6, abs=1)
    assert np.diff(pixels[0, :, 0]).min() >= 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dtype": "uint16"}, "8-bit"),
        ({"crs": None}, "where on earth"),
        ({"bands": 1, "photometric": "palette"}, ""),
    ],
)
def test_images_without_colours_or_place_are_refused(tmp_path, options, said):
    path = write_image(tmp_path / "odd.tif", **options)
    if not said:
        import rasterio

        with rasterio.open(path, "r+") as raster:
            raster.write_colormap(1, {0: (0, 0, 0, 255), 200: (255, 0, 0, 255)})
        said = "palette"
    with pytest.raises(SourceError, match=said):
        cut(path, tmp_path)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_places_of_a_csv_are_read_whatever_its_separator(tmp_path, separator):
    table = read_poi_table(write_places(tmp_path / "poi.csv", 600, separator=separator))
    assert table.rows == 600 and 80 < table.unknown < 160 and table.provider == "map-service"
    assert set(table.places.category) == {
        POI_CATEGORIES.index(n) for n in ("catering", "shopping", "education_culture", "company")
    }


def test_a_csv_of_tags_counts_as_osm(tmp_path):
    path = tmp_path / "osm.csv"
    path.write_text(
        "\ufeffLatitude;Longitude;Key;Value\n48.1;2.1;amenity;cafe\n48.2;2.2;shop;shoes\n", encoding="utf-8"
    )
    table = read_poi_table(path)
    assert [POI_CATEGORIES[c] for c in table.places.category] == ["catering", "shopping"]
    assert table.provider == "osm" and table.places.lon.tolist() == [2.1, 2.2]


def test_positions_of_a_chinese_map_service_are_moved_back(tmp_path):
    lon, lat = 115.86, 28.68
    d_lon, d_lat = gcj02_offset(lon, lat)
    path = tmp_path / "amap.csv"
    path.write_text(f"lon,lat,category\n{lon + d_lon:.9f},{lat + d_lat:.9f},catering\n")
    places = read_poi_table(path, "GCJ-02").places
    assert places.lon[0] == pytest.approx(lon, abs=1e-6) and places.lat[0] == pytest.approx(lat, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "table|no place"),
        ("lon,lat,category\n", "no place"),
        ("a,b\n1,2\n", "no columns lon and lat"),
        ("lon,lat\n1,2\n", "what the places are"),
        ("lon,lat,category\n1,195,catering\n", "line 2"),
        ("lon,lat,category\n1,,catering\n", "line 2"),
        ("lon,lat,category\n1,2,stone\n", "no known category"),
        ('lon,lat,category\n1,2,"catering\n', "table"),
        ("lon,lat,category\n1,2,catering,9,9\n", "table"),
    ],
)
def test_tables_without_positions_or_categories_are_refused(tmp_path, text, said):
    path = tmp_path / "poi.csv"
    path.write_text(text)
    with pytest.raises(SourceError, match=said) as error:
        read_poi_table(path)
    assert "\n" not in str(error.value)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda t: b"lon,lat,category\n" + t.encode()))
@example(b"lon,lat\n\x0b")  # a row of white space that CSV keeps
def test_any_bytes_give_places_or_one_sentence(tmp_path, content):
    path = tmp_path / "any.csv"
    path.write_bytes(content)
    try:
        table = read_poi_table(path)
    except SourceError as error:
        assert "any.csv" in str(error)
    else:
        assert len(table.places) <= table.rows


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.floats(-180, 180), st.floats(-85, 85), st.sampled_from(POI_CATEGORIES)),
        min_size=1, max_size=20,
    )
)  # fmt: skip
def test_written_places_are_read_back(tmp_path, rows):
    path = tmp_path / "back.csv"
    pd.DataFrame(rows, columns=["lng", "lat", "category"]).to_csv(path, index=False)
    places = read_poi_table(path).places
    assert places.lon.tolist() == pytest.approx([r[0] for r in rows])
    assert [POI_CATEGORIES[c] for c in places.category] == [r[2] for r in rows]


def test_own_files_become_a_pack(no_network, tmp_path):
    choices = Choices(
        str(write_image(tmp_path / "city.tif")), str(write_people(tmp_path / "people.tif")),
        str(write_places(tmp_path / "poi.csv")),
    )  # fmt: skip
    assert Fetcher(tmp_path / "pack", choices).area(own_tiles()) == ()
    assert Fetcher(tmp_path / "pack", choices).area(own_tiles()) == ()  # and again, with nothing left to do
    pack = PackSource(tmp_path / "pack")
    data = pack.open_data(own_tiles())
    assert data.has_imagery.all() and data.has_poi.all() and data.has_population.all()
    assert (pack.poi_datum, pack.poi_provider, pack.population_unit) == ("WGS-84", "map-service", "people")
    assert pack.attribution == (
        "Imagery from the file city.tif; Population from the file people.tif; POI from the file poi.csv"
    )
    halo = pack.open_data(own_tiles(3), imagery=False)
    assert halo.has_poi.all() and halo.has_population.all()


def test_a_file_of_elsewhere_is_told_and_the_rest_goes_on(no_network, tmp_path):
    elsewhere = write_image(tmp_path / "far.tif", (10.0, 10.0, 10.1, 10.1))
    choices = Choices(str(elsewhere), poi=str(write_places(tmp_path / "poi.csv")))
    (note,) = Fetcher(tmp_path / "pack", choices).area(own_tiles())
    assert note == "Imagery is missing: the source has none there."
    with pytest.raises(SourceError, match="Imagery is missing"):
        Fetcher(tmp_path / "other", Choices(str(elsewhere))).area(own_tiles())


@pytest.mark.slow
def test_files_that_cover_a_part_say_of_how_many_tiles(no_network, tmp_path):
    west, south, east, north = bounds_of()
    half = write_image(tmp_path / "half.tif", (west, south, (west + east) / 2, north))
    choices = Choices(
        str(half), str(write_people(tmp_path / "people.tif")), str(write_places(tmp_path / "poi.csv"))
    )
    for _ in range(2):
        notes = Fetcher(tmp_path / "pack", choices).area(own_tiles(2))
        assert notes == ("Imagery is missing on 46 of 49 tiles: the source has none there.",)
    wide = own_tiles(8)  # farther than the raster and the places reach
    notes = Fetcher(tmp_path / "pack", choices).area(wide)
    assert [note.split(" is missing on ")[0] for note in notes] == ["POI", "Population", "Imagery"]
    assert PackSource(tmp_path / "pack").open_data(own_tiles(2), imagery=False).has_population.all()


@pytest.mark.slow
def test_from_own_files_to_traffic_by_the_command_line(no_network, tmp_path, capsys):
    image, places = write_image(tmp_path / "city.tif"), write_places(tmp_path / "poi.csv")
    own = ["--imagery", str(image), "--poi", str(places), "--population", "none"]
    assert main(["fetch", box_text(), "--out", str(tmp_path / "pack"), *own]) == 0
    assert "9 tiles, of which 9 with imagery, 0 with population, 9 with POI" in capsys.readouterr().out
    out = tmp_path / "traffic.parquet"
    generate = ["generate", box_text(), "--samples", "2", "--out"]
    assert main([*generate, str(out), "--source", str(tmp_path / "pack")]) == 0
    table = read_traffic(out)
    assert len(table.tiles) == 9 and (table.traffic > 0).any()
    assert table.metadata["attribution"] == "Imagery from the file city.tif; POI from the file poi.csv"
    (note,) = table.metadata["notes"]
    assert note.startswith("9 of 9 tiles lie outside the cities that the model learned from")
    live = tmp_path / "live.parquet"
    assert main([*generate, str(live), "--source", "live", *own]) == 0
    assert np.array_equal(read_traffic(live).traffic, table.traffic)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "--country"),
        (["--country", "FRA"], "--accept-terms"),
        (["--imagery", "https://host/{z}/{x}/{y}", "--population", "none"], "https://host/"),
        (["--imagery", "https://host/{z}/{x}", "--population", "none"], "tile template"),
        (["--imagery", "none", "--population", "none", "--poi", "none"], "Nothing is asked for"),
        (["--imagery", "absent.tif", "--population", "none"], "no file"),
        (["--imagery", "photo.jpg", "--population", "none"], "no source of imagery"),
        (["--imagery", "none", "--population", "none", "--poi", "places.docx"], "no source of POI"),
        (["--imagery", "none", "--country", "Frankreich"], "country code"),
    ],
)
def test_the_command_line_refuses_in_one_line(no_network, tmp_path, capsys, options, said):
    assert main(["fetch", box_text(), "--out", str(tmp_path / "pack"), *options]) == 2
    printed = capsys.readouterr().err.strip()
    assert said in printed and "\n" not in printed and not (tmp_path / "pack").exists()


def test_a_pack_made_elsewhere_is_not_written_into(no_network, tmp_path, nanchang_pack):
    choices = Choices(poi=str(write_places(tmp_path / "poi.csv")))
    with pytest.raises(SourceError, match="was not fetched"):
        Fetcher(nanchang_pack, choices)


def test_a_changed_file_is_another_source(no_network, tmp_path):
    path = write_places(tmp_path / "poi.csv")
    Fetcher(tmp_path / "pack", Choices(poi=str(path))).area(own_tiles())
    write_places(path, 100)
    with pytest.raises(SourceError, match="changed file"):
        Fetcher(tmp_path / "pack", Choices(poi=str(path))).area(own_tiles())


def test_an_image_of_a_hostile_size_is_refused(tmp_path):
    """A GeoTIFF of one huge block would be read whole."""
    import rasterio
    from rasterio.transform import from_origin

    path = tmp_path / "huge.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=30_000, height=30_000, count=1, dtype="uint8", crs="EPSG:4326",
        transform=from_origin(0, 1, 1e-5, 1e-5), compress="deflate", tiled=True, blockxsize=30_000, blockysize=30_000,
        sparse_ok=True,
    ):  # fmt: skip
        pass
    with pytest.raises(SourceError, match="TILED=YES"):
        cut(path, tmp_path)


def test_images_of_the_wrong_size_are_no_tiles(tmp_path):
    import io

    from opendiff.live.imagery import check_tile_image

    out = io.BytesIO()
    Image.new("RGB", (512, 512)).save(out, "PNG")
    with pytest.raises(SourceError, match="512 x 512"):
        check_tile_image(out.getvalue())
    with pytest.raises(ValueError):
        check_tile_image(b"GIF89a")
