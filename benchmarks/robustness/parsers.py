"""The readers of files from strangers, each with valid files and with what its result must fulfil."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import shapely

from app.errors import SavedWorkError
from app.saved import library, packing
from app.saved.packing import unpack
from app.state.workspace import Workspace
from benchmarks.robustness import corpus, mutations, saved_corpus
from opendiff.area import Tiles, read_area_bytes, tile_frame, tiles_covering, tiles_in_csv
from opendiff.area.tile_grid import TILES_ACROSS
from opendiff.live.imagery import check_tile_image, cut_geotiff
from opendiff.live.overpass import _check_answer, places_of
from opendiff.live.population import strip_population
from opendiff.live.streets import streets_of
from opendiff.measured_files import read_measurements
from opendiff.open_data.base_map import FILE, read_base_map
from opendiff.open_data.sources import PackSource, read_image
from opendiff.open_data.zipped_pack import unpacked
from opendiff.poi.osm_files import osm_poi_counts
from opendiff.poi.tables import read_poi_table
from opendiff.storage.checkpoint import read_checkpoint
from opendiff.traffic_table import read_traffic
from planning.deployment.places import read_places
from planning.errors import InputError
from planning.measured_power import read_power
from planning.network import Network
from planning.network.files import import_network
from planning.power_fit import fit_power
from planning.scenario import Scenario
from planning.traffic import TrafficTable

MAX_TILES = 2000


@dataclass(frozen=True)
class Parser:
    """name: what it reads, ending in the suffix of its files. seeds: valid files. read: gives the file to the product
    and checks the result; raises AssertionError where it is wrong."""

    name: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], None]

    @property
    def kind(self) -> str:
        return mutations.kind_of(self.name)


def _area(path: Path) -> None:
    area = read_area_bytes(path.read_bytes(), path.name)
    assert shapely.is_valid(area.geometry) and area.geometry.area > 0
    assert np.abs(shapely.get_coordinates(area.geometry)).max() <= 180
    _tiles_fit(tiles_covering(area, MAX_TILES))


def _tile_list(path: Path) -> None:
    _tiles_fit(tiles_in_csv(path.read_bytes(), path.name))


def _tiles_fit(tiles: Tiles) -> None:
    share = tiles["covered_share"].to_numpy()
    assert len(tiles) and ((share > 0) & (share <= 1)).all() and not tiles.duplicated(["x", "y"]).any()
    numbers = tiles[["x", "y"]].to_numpy()
    assert ((numbers >= 0) & (numbers < TILES_ACROSS)).all()


def _generated_traffic(path: Path) -> None:
    table = read_traffic(path)
    assert table.traffic.shape == (len(table.tiles), table.samples, table.hours) and table.hours % 24 == 0
    assert np.isfinite(table.traffic).all() and (table.traffic >= 0).all()
    _tiles_fit(table.tiles)


def _traffic(path: Path) -> None:
    table = TrafficTable.read(path)
    assert table.traffic.shape == (table.tiles, table.samples, table.hours) and table.hours % 24 == 0
    for values in (table.traffic, table.users):
        assert values is None or (np.isfinite(values).all() and (values >= 0).all())
    assert ((table.covered_share > 0) & (table.covered_share <= 1)).all()
    assert all(np.isfinite(v).all() and (v >= 0).all() for v in table.intensities.values())


def _network_fits(network: Network) -> None:
    network.validate()
    figures = network.cells[["capacity_mbps", "idle_w", "slope_w_per_mbps", "sleep_w"]].to_numpy(float)
    assert np.isfinite(figures).all() and (figures >= 0).all()
    assert np.isfinite(network.sites[["lon", "lat", "bbu_w", "ac_slope", "ac_bias_w"]].to_numpy(float)).all()


def _packed_network(path: Path) -> None:
    _network_fits(import_network(path.read_bytes(), "sites.csv.gz").network)


def _counters(path: Path) -> None:
    found = read_measurements(path)
    assert np.isfinite(found.traffic).any() or np.isfinite(found.users).any()
    assert len(found.x) == len(found.y) == len(found.traffic)


def _network(path: Path) -> None:
    found = import_network(path)
    _network_fits(found.network)
    assert all(isinstance(line, str) for line in found.report) and isinstance(found.provenance, dict)


def _scenario(path: Path) -> None:
    scenario = Scenario.read(path)
    _network_fits(scenario.network)
    scenario.scale()
    scenario.sites_layer(), scenario.cells_layer()


def _places_to_build(path: Path) -> None:
    places = read_places(path)
    assert (
        np.isfinite(places.lon).all()
        and (np.abs(places.lon) <= 180).all()
        and (np.abs(places.lat) <= 90).all()
    )


def _saved_work(path: Path) -> None:
    """As `_open` of the page Compare does; SavedWorkError is the app's own typed error."""
    try:
        parts = library.read_parts(path)
    except SavedWorkError as error:
        raise InputError(str(error)) from None
    _work_opens(parts)


def _in_work(part: str, path: Path) -> None:
    """The file as one part of saved work that is otherwise whole."""
    _work_opens(saved_corpus.parts() | {part: path.read_bytes()})


def _work_opens(parts: dict[str, bytes]) -> None:
    space = Workspace()
    try:
        unpack(parts, space, controls=False)
    except SavedWorkError as error:
        assert space == Workspace(), "work that cannot be read has changed what was open"
        raise InputError(str(error)) from None
    for made in (space.traffic, space.network, space.deployments, space.sleep, space.spectrum):
        assert made is None or made.identity
    if space.traffic is not None:
        assert np.isfinite(space.demand().mbps).all() and (space.demand().mbps >= 0).all()
    if space.network is not None:
        _network_fits(space.network.value.plan.network)
    if space.sleep is not None:
        for plan in space.sleep.value.plans.values():
            assert np.isfinite(plan.evaluation.energy_kwh) and 0 <= plan.evaluation.unserved_share <= 1 + 1e-9
    if space.spectrum is not None:
        for prb_plan in space.spectrum.value.plans.values():
            assert 0 <= prb_plan.used_prbs and np.isfinite(prb_plan.objective_mbps)
    packing.versions(space)


def _power(path: Path) -> None:

    fit = fit_power(read_power(path.read_bytes(), path.name, capacity_mbps=100.0).table)
    assert np.isfinite([fit.slope_w_per_mbps, fit.idle_w]).all()


def _equipment(path: Path) -> None:
    from planning.commands.shared import read_csv

    _network_fits(corpus.made_scenario().network.with_equipment(read_csv(str(path), "equipment and figures")))


def _places(path: Path) -> None:
    table = read_poi_table(path)
    assert table.rows >= table.unknown and np.isfinite(table.places.lon).all()


def _tiles() -> Tiles:
    x, y = (axis.ravel() for axis in np.meshgrid(*[np.arange(corpus.SIDE)] * 2, indexing="ij"))
    return tile_frame(corpus.COLUMN + x, corpus.ROW + y)


def _osm_extract(path: Path) -> None:
    counts = osm_poi_counts(path, _tiles())
    assert np.isfinite(counts).all() and (counts >= 0).all()


def _pack(folder: Path) -> None:
    source = PackSource(folder)
    data = source.open_data(source.covered_tiles())
    for values in (data.poi, data.population, data.osm_poi):
        assert np.isfinite(values).all() and (values >= 0).all()
    source.traffic(source.all_tiles())


def _in_pack(name: str, path: Path) -> None:
    """The file as one part of a pack that is otherwise whole."""
    folder = path.parent / "pack"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "tiles.parquet").write_bytes(corpus.pack_tables()[0])
    shutil.copy(path, folder / name)
    _pack(folder)


def _base_map(path: Path) -> None:
    """The file as the base map of a pack, and what the browser would draw of it."""
    folder = path.parent / "base map"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copy(path, folder / FILE)
    found = read_base_map(folder)
    assert found is not None and len(found) == len(found.shapes) == len(found.names)
    assert np.isfinite([shape.bounds for shape in found.shapes]).all()


def _zipped_pack(path: Path) -> None:
    outside = path.parent / "evil"
    folder = unpacked(path)
    try:
        _pack(folder)
    finally:
        shutil.rmtree(folder.parent, ignore_errors=True)
        assert not outside.exists() and not any(p.is_symlink() for p in folder.rglob("*"))


def _image(path: Path) -> None:
    assert read_image(path).shape == (256, 256, 3)
    check_tile_image(path.read_bytes())


def _people(path: Path) -> None:
    people, known = strip_population(path, _tiles())
    assert np.isfinite(people).all() and (people >= 0).all() and not people[~known].any()


def _imagery(path: Path) -> None:
    tiles = _tiles()
    absent = cut_geotiff(path, tiles["x"].to_numpy(), tiles["y"].to_numpy(), path.parent / "cut")
    assert len(absent) <= len(_tiles())


def _overpass(path: Path) -> None:
    import json

    body = path.read_bytes()
    try:
        _check_answer(body)
    except ValueError:
        return  # the client asks again, then says so
    elements = json.loads(body)["elements"]
    streets_of(elements).clipped(_tiles())
    places_of(elements)


def _weights(path: Path) -> None:
    checkpoint = read_checkpoint(path, "encoder", listed=False)
    assert checkpoint.checksum and all(value.is_floating_point() for value in checkpoint.tensors.values())


def _part(part: str) -> list[bytes]:
    return [saved_corpus.parts()[part]]


def _listed(*parsers: tuple[str, Callable[[], list[bytes]], Callable[[Path], None]]) -> dict[str, Parser]:
    return {name: Parser(name, seeds, read) for name, seeds, read in parsers}


PARSERS = _listed(
    ("area.geojson", corpus.geojson_areas, _area),
    ("area.kml", corpus.kml_areas, _area),
    ("area.kmz", corpus.kmz_areas, _area),
    ("area.gpkg", corpus.gpkg_areas, _area),
    ("area shapefile.zip", corpus.shapefile_areas, _area),
    ("tiles.csv", corpus.tile_lists, _tile_list),
    ("traffic.parquet", corpus.traffic_parquets, _generated_traffic),
    ("any traffic.parquet", corpus.traffic_parquets, _traffic),
    ("traffic.csv", corpus.traffic_csvs, _traffic),
    ("generated traffic.csv", corpus.traffic_csvs, _generated_traffic),
    ("sites.csv", corpus.site_csvs, _network),
    ("written sites.csv", corpus.written_sites, _network),
    ("parted sites.csv", corpus.parted_sites, _network),
    ("packed sites.gz", corpus.packed_sites, _packed_network),
    ("counters.csv", corpus.counter_csvs, _counters),
    ("joined tables.zip", corpus.joined_tables, _network),
    ("linked area.kmz", corpus.linked_kmz, _area),
    ("area.gpx", corpus.gpx_files, _area),
    ("area.fgb", corpus.flatgeobufs, _area),
    ("sites.gpx", corpus.gpx_files, _network),
    ("sites.fgb", partial(corpus.flatgeobufs, True), _network),
    ("sites.parquet", corpus.geo_parquets, _network),
    ("headed sites.xlsx", corpus.headed_workbooks, _network),
    ("sites mapinfo.zip", corpus.mapinfo_archives, _network),
    ("areas to forbid.kml", corpus.kml_areas, _places_to_build),
    ("areas to forbid.gpkg", corpus.gpkg_areas, _places_to_build),
    ("places.geojson", corpus.geojson_areas, _places_to_build),
    ("sites.xlsx", partial(corpus.networks, "xlsx"), _network),
    ("sites.geojson", partial(corpus.networks, "geojson"), _network),
    ("sites.kml", partial(corpus.networks, "kml"), _network),
    ("sites.kmz", partial(corpus.networks, "kmz"), _network),
    ("sites.gpkg", partial(corpus.networks, "gpkg"), _network),
    ("sites shapefile.zip", partial(corpus.networks, "shp"), _network),
    ("sites tables.zip", partial(corpus.networks, "zip"), _network),
    ("scenario.gpkg", corpus.scenarios, _scenario),
    ("saved work.gpkg", saved_corpus.scenario_files, _saved_work),
    *(
        (f"saved {part}", partial(_part, part), partial(_in_work, part))
        for part in (
            "state.json",
            "traffic.parquet",
            "networks.npz",
            "sleep.npz",
            "spectrum.npz",
            "uploads.zip",
        )
    ),
    ("places to build.geojson", corpus.geojson_areas, _places_to_build),
    ("places to build.csv", corpus.site_csvs, _places_to_build),
    ("power.csv", corpus.power_csvs, _power),
    ("equipment.csv", corpus.equipment_csvs, _equipment),
    ("places.csv", corpus.place_csvs, _places),
    ("places.gpkg", corpus.place_gpkgs, _osm_extract),
    ("pack tiles.parquet", corpus.pack_tables, partial(_in_pack, "tiles.parquet")),
    ("pack traffic.parquet", corpus.traffic_parquets, partial(_in_pack, "traffic.parquet")),
    ("pack facts.json", corpus.pack_facts, partial(_in_pack, "pack.json")),
    ("base map.geojson", corpus.base_maps, _base_map),
    ("pack.zip", corpus.packs, _zipped_pack),
    ("tile.png", corpus.images, _image),
    ("people.tif", corpus.people_rasters, _people),
    ("imagery.tif", corpus.image_rasters, _imagery),
    ("overpass.json", corpus.overpass_answers, _overpass),
    ("weights.safetensors", corpus.weights, _weights),
)
