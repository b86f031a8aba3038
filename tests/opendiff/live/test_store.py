"""What a pack says about itself, and an OpenStreetMap extract in PBF that becomes one."""

import json

import numpy as np
import pandas as pd
import pytest

from opendiff.area import tile_frame
from opendiff.area.tile_grid import tile_centre
from opendiff.errors import SourceError
from opendiff.live.choices import Choices
from opendiff.live.fetching import Fetcher
from opendiff.live.providers import OSM, WORLDPOP
from opendiff.live.store import NO_IMAGERY, PackStore
from opendiff.open_data.sources import POI_COLUMNS, PackSource
from opendiff.poi.categories import POI_CATEGORIES
from opendiff.poi.osm_files import osm_poi_counts
from opendiff.storage.folders import cache_folder
from tests.opendiff.live.pbf import write_pbf

TILES = tile_frame([17_000, 17_000, 17_001], [11_000, 11_001, 11_000])


@pytest.fixture
def store(tmp_path):
    store = PackStore.at(tmp_path / "pack")
    store.claim("poi", OSM, "osm", poi_provider="map-service")
    store.add(TILES.iloc[:2], {"poi": np.arange(28).reshape(2, 14)})
    return store


def test_values_are_added_without_losing_others(store):
    store.claim("population", WORLDPOP, "worldpop")
    store.add(TILES.iloc[1:], {"population": np.full((2, 12), 40_000.0)})
    store.add(TILES.iloc[2:], {NO_IMAGERY: np.ones(1, bool)})
    data = store.pack().open_data(TILES, imagery=False)
    assert data.has_poi.tolist() == [True, True, False] and data.poi[1].tolist() == list(range(14, 28))
    assert data.has_population.tolist() == [False, True, True] and (data.population[1:] == 2.0).all()
    assert store.missing("imagery", TILES).tolist() == [True, True, False]
    assert store.missing("poi", TILES).tolist() == [False, False, True]


def test_provenance_is_stated_by_modality(store):
    store.claim("population", WORLDPOP, "worldpop")
    facts = json.loads((store.root / "pack.json").read_text())
    assert facts["poi_datum"] == "WGS-84" and facts["population_unit"] == "people"
    for name, provider in (("poi", OSM), ("population", WORLDPOP)):
        stated = facts["modalities"][name]
        assert (stated["provider"], stated["url"], stated["licence"]) == (
            provider.name,
            provider.url,
            provider.licence,
        )
        assert stated["date"].endswith("+00:00")
    assert store.pack().attribution == f"{WORLDPOP.attribution}; {OSM.attribution}"
    store.claim("poi", OSM, "osm", poi_provider="osm")
    assert store.pack().poi_provider == "osm"


def test_a_problem_is_kept_until_it_is_mended(store):
    store.note_problem("population", "Population is missing: nobody knows; ask again.")
    assert store.pack().notes == ("Population is missing: nobody knows; ask again.",)
    store.note_problem("population", None)
    assert store.pack().notes == ()


def test_a_source_that_brought_nothing_can_be_changed(store):
    store.claim("population", WORLDPOP, "one")
    store.claim("population", WORLDPOP, "two")
    with pytest.raises(SourceError, match="another folder"):
        store.claim("poi", OSM, "two")


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ('{"population_unit": "mice"}', "the unit 'mice'"),
        ('{"poi_provider": "me"}', "the provider 'me'"),
        ('{"poi_datum": []}', "the datum"),
        ("[1]", "cannot be read"),
        ("{", "cannot be read"),
    ],
)
def test_a_pack_that_says_nonsense_is_told(store, facts, said):
    (store.root / "pack.json").write_text(facts)
    with pytest.raises(SourceError, match=said):
        pack = PackSource(store.root)
        pack.open_data(TILES, imagery=False)
        _ = pack.poi_datum


def test_the_cache_folder_follows_the_platform_and_the_environment(tmp_path, monkeypatch):
    assert cache_folder({"OPENDIFF_CACHE": str(tmp_path / "own")}) == tmp_path / "own"
    monkeypatch.setattr("sys.platform", "linux")
    assert cache_folder({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "opendiff-planner"
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="OPENDIFF_CACHE"):
        cache_folder({"OPENDIFF_CACHE": str(tmp_path / "file" / "below")})


@pytest.mark.slow
def test_an_extract_in_pbf_is_counted_and_fetched(tmp_path):
    (lon, lat), (lon2, lat2) = (tile_centre(*TILES[["x", "y"]].iloc[row]) for row in (0, 2))
    lon, lat, lon2, lat2 = map(float, (lon, lat, lon2, lat2))
    d = 1e-4
    square = [(lon2 - d, lat2 - d), (lon2 + d, lat2 - d), (lon2 + d, lat2 + d), (lon2 - d, lat2 + d)]
    path = write_pbf(
        tmp_path / "city.osm.pbf",
        [
            (lon, lat, {"amenity": "cafe"}),
            (lon, lat, {"highway": "bus_stop"}),
            (lon, lat, {"name": "nothing"}),
        ],
        [
            (square, {"amenity": "school", "building": "yes"}),
            (square, {"building": "office", "name": "Tower"}),
        ],
    )
    counts = osm_poi_counts(path, TILES)
    found = {(row, POI_CATEGORIES[c]): int(n) for (row, c), n in np.ndenumerate(counts) if n}
    assert found == {
        (0, "catering"): 1, (0, "transportation"): 1, (2, "education_culture"): 1, (2, "business_residential"): 1,
    }  # fmt: skip
    assert Fetcher(tmp_path / "pack", Choices(poi=str(path))).area(TILES) == ()
    pack = PackSource(tmp_path / "pack")
    table = pd.read_parquet(tmp_path / "pack" / "tiles.parquet").set_index(["x", "y"])
    stored = table.loc[list(zip(TILES["x"], TILES["y"], strict=True)), list(POI_COLUMNS)]
    assert np.array_equal(stored.to_numpy(), counts)
    assert pack.poi_provider == "osm" and "OpenStreetMap" in pack.attribution
