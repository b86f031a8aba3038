"""Small valid files of every kind that the product reads from a stranger, to be damaged by `mutations`."""

from __future__ import annotations

import gzip
import io
import json
import tempfile
import zipfile
from functools import lru_cache
from pathlib import Path

import geopandas as gpd
import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import rasterio
import shapely
from PIL import Image
from rasterio.transform import from_origin
from safetensors.numpy import save

from opendiff.area import tile_frame
from opendiff.area.tile_grid import tile_bounds
from opendiff.open_data.base_map import features
from opendiff.open_data.sources import POI_COLUMNS, POPULATION_COLUMNS
from opendiff.traffic_table import TrafficEnsemble
from planning.demand import Demand, Scale
from planning.deployment import deploy
from planning.export import export
from planning.scenario import Scenario
from planning.traffic import TrafficTable

COLUMN, ROW, SIDE, HOURS = 26_926, 13_655, 2, 168


def bounds() -> tuple[float, float, float, float]:
    """W, S, E, N of the tiles that all these files are about, degrees."""
    west, _, _, north = tile_bounds(COLUMN, ROW)
    _, south, east, _ = tile_bounds(COLUMN + SIDE - 1, ROW + SIDE - 1)
    return float(west), float(south), float(east), float(north)


def outlines() -> list[shapely.Geometry]:
    """Areas as people draw them: plain, with a hole, of several parts, crossing itself, at the edges of the map, tiny,
    huge, empty."""
    west, south, east, north = bounds()
    box, middle = shapely.box(west, south, east, north), shapely.Point(west, south).buffer(0.01)
    return [
        box,
        box.difference(shapely.Point((west + east) / 2, (south + north) / 2).buffer(0.002)),
        shapely.MultiPolygon([box, shapely.box(east + 0.1, south, east + 0.12, north)]),
        shapely.Polygon([(west, south), (east, north), (east, south), (west, north), (west, south)]),
        shapely.Polygon([(179.9, 0), (-179.9, 0), (-179.9, 0.1), (179.9, 0.1), (179.9, 0)]),
        shapely.box(179.95, -1, 180.0, -0.9),
        shapely.box(10.0, 85.0, 10.1, 85.05),
        shapely.box(10.0, 89.0, 10.1, 90.0),
        shapely.box(west, south, west + 1e-9, south + 1e-9),
        shapely.box(-180, -85, 180, 85),
        shapely.GeometryCollection([middle, shapely.LineString([(west, south), (east, north)])]),
        shapely.Polygon(),
        middle,
    ]


def geojson_areas() -> list[bytes]:
    shapes = [json.loads(shapely.to_geojson(shape)) for shape in outlines()]
    features = [{"type": "Feature", "properties": {"name": "a"}, "geometry": shape} for shape in shapes]
    mixed = {"type": "FeatureCollection", "features": [features[0], features[10], {**features[1], "id": 7}]}
    named = {"crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::4326"}}}
    return [json.dumps(document).encode() for document in (*features, mixed, mixed | named)]


def kml_areas() -> list[bytes]:
    return [_vector("area.kml", "KML", [shape]) for shape in (*outlines()[:4], outlines()[12])]


def kmz_areas() -> list[bytes]:
    return [zipped({"doc.kml": data}) for data in kml_areas()[:2]]


def gpkg_areas() -> list[bytes]:
    return [_vector("area.gpkg", "GPKG", [shape]) for shape in outlines()[:4]]


def shapefile_areas() -> list[bytes]:
    frame = gpd.GeoDataFrame({"name": ["a", "b"]}, geometry=outlines()[:2], crs="EPSG:4326")
    with tempfile.TemporaryDirectory() as folder:
        pyogrio.write_dataframe(frame, Path(folder, "area.shp"), driver="ESRI Shapefile")
        return [zipped({path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())})]


def tile_lists() -> list[bytes]:
    rows = [(COLUMN + i, ROW + j, 0.5) for i in range(SIDE) for j in range(SIDE)]
    frame = pd.DataFrame(rows, columns=["x", "y", "covered_share"])
    return [frame.to_csv(index=False).encode(), frame[["x", "y"]].to_csv(index=False, sep=";").encode()]


@lru_cache(maxsize=1)
def made_ensemble() -> TrafficEnsemble:
    rng = np.random.default_rng(0)
    x, y = (axis.ravel() for axis in np.meshgrid(*[np.arange(SIDE)] * 2, indexing="ij"))
    day = 1.1 + np.sin((np.arange(HOURS) % 24 - 9) / 24 * 2 * np.pi)
    traffic = (day * rng.gamma(20, 1 / 20, (SIDE * SIDE, 1, HOURS))).astype(np.float32)
    poi = rng.uniform(1, 2, SIDE * SIDE)
    tiles = tile_frame(COLUMN + x, ROW + y, 0.75)
    return TrafficEnsemble(tiles, traffic, 10 * traffic, {"poi": poi}, {"seed": 0, "model": "default"})


@lru_cache(maxsize=1)
def made_demand() -> Demand:
    ensemble = made_ensemble()
    table = TrafficTable.from_arrays(
        ensemble.tiles["x"], ensemble.tiles["y"], ensemble.traffic, ensemble.users, metadata=ensemble.metadata
    )
    return Demand.build(table, Scale.subscribers(table))


@lru_cache(maxsize=1)
def made_scenario() -> Scenario:
    return Scenario.from_deployment(deploy(made_demand(), 4), made_demand())


def traffic_parquets() -> list[bytes]:
    out = io.BytesIO()
    made_ensemble().write(out)
    plain = pq.read_table(io.BytesIO(out.getvalue())).replace_schema_metadata(None)
    foreign = plain.select(["hour", "x", "y", "traffic"])
    return [
        out.getvalue(),
        parquet(plain),
        parquet(foreign.set_column(0, "hour", foreign["hour"].cast("float64"))),
    ]


def traffic_csvs() -> list[bytes]:
    frame = pq.read_table(io.BytesIO(traffic_parquets()[0])).to_pandas()
    day = frame[(frame["hour"] < 24) & (frame["x"] == COLUMN)]
    return [
        day.to_csv(index=False).encode(),
        day.drop(columns=["users", "sample"]).to_csv(index=False).encode(),
    ]


def networks(format: str) -> list[bytes]:
    """The made network in one of the formats that `planning.export` writes."""
    return [export(made_scenario(), format, table="network" if format == "csv" else None)]


def site_csvs() -> list[bytes]:
    foreign = (
        "SiteName;SectorName;Longitude;Lat;Azimuth\nA;1;115.9;28.6;0\nA;2;115.9;28.6;120\nÜ;1;116,1;28.7;0\n"
    )
    opencellid = "LTE,460,0,1,11,0,115.9,28.6,1000,5,1,1,1,0\nNR,460,0,1,12,0,115.91,28.6,1000,5,0,1,1,0\n"
    return [
        *networks("csv"),
        foreign.encode("cp1252"),
        opencellid.encode(),
        "站,lon,lat\n一,115.9,28.6\n".encode("gb18030"),
    ]


def written_sites() -> list[bytes]:
    """Sites as people write them: titles, Chinese, degrees-minutes-seconds, one column, WKT, no heading."""
    texts = (
        "Site list;;\nmade 2025;;\nSite;Longitude;Latitude\nA;115,91;28,67\nB;115,92;28,68\n",
        "sep=;\n基站名称;经度;纬度;方位角\n红谷滩;115.91;28.67;0/120/240\n",
        'site,Latitude,Longitude\nA,"28°40\'12.0""N","115°54\'36.0""E"\n',
        'site,coordinates\nA,"28.67, 115.91"\nB,"28.68; 115.92"\n',
        "site,wkt\nA,POINT (115.91 28.67)\nB,SRID=3857;POINT (12902000 3334000)\n",
        "4G;460;0;11202;117;;;28.67;115.91;Road;1300\n5G;460;0;11203;117;;;28.67;115.91;;\n",
    )
    return [text.encode() for text in texts] + [texts[1].encode("gb18030")]


def parted_sites() -> list[bytes]:
    """Sites whose coordinates, headings or units stand in several columns or rows, in encodings of their countries."""
    texts = (
        "site|lat_deg|lat_min|lat_sec|lat_dir|lon_deg|lon_min|lon_sec|lon_dir\nA|28|40|12|N|115|54|36|E\n",
        "site,UTM Zone,Easting,Northing\nA,50R,393495.1,3171911.2\nB,50,394500,3173000\n",
        "Site;Lat;Lon;Cell;Azimuth;Power;Frequency\n;°;°;;deg;W;GHz\n007;28,67;115,91;A1;N120;40;1,8\n",
        "Name,Lat,Lon,Cell,Azimuth,EIRP,EIRP_UNIT,Bandwidth\nA,28.67N,115.91E,A1,S45W,1500,W,20000\n",
    )
    korean = (
        "기지국명,위도,경도,방위각,주파수\n강남역,37.49,127.02,omni,2.6GHz\n서초동,37.48,127.03,120,1.8G\n"
    )
    polish = "Stacja;Szerokość;Długość\nŁódź Śródmieście;51,7;19\nŻółkiewskiego;51;19\n"
    return [text.encode() for text in texts] + [korean.encode("cp949"), polish.encode("cp1250")]


def packed_sites() -> list[bytes]:
    """Tables that are compressed."""
    return [gzip.compress(table, mtime=0) for table in (*parted_sites()[:2], *site_csvs()[:1])]


def counter_csvs() -> list[bytes]:
    """Counters of cells as vendors export them."""
    hours = range(24)
    rows = (
        ("Date,Time,Cell,lon,lat,DL Volume (GB),Users", "2026-03-02,{h:02d}:00,A1,115.91,28.67,{h},3"),
        ("DATE_ID;HOUR_ID;ERBS;EUtranCellFDD;pmPdcpVolDlDrb", "02.03.2026;{h};S1;A1;{h}000"),
        ("Time,Cell,lon,lat,Traffic (MB)", "2026-03-02T{h:02d}:00:00+08:00,A1,115.91,28.67,1{h}"),
    )
    return ["\n".join([head, *(row.format(h=h) for h in hours), ""]).encode() for head, row in rows]


def joined_tables() -> list[bytes]:
    """Sites and their cells in two tables of an archive."""
    sites, cells = (
        b"Name,Longitude,Latitude\nA,115.91,28.67\n",
        b"Site,Transmitter,Azimuth\nA,A1,0\nA,A2,120\n",
    )
    return [zipped({"Sites.csv": sites, "Transmitters.csv": cells})]


def gpx_files() -> list[bytes]:
    """Waypoints, a track and a closed route."""
    west, south, east, north = bounds()
    corners = [(west, south), (east, south), (east, north), (west, south)]
    points = "".join(
        f'<wpt lat="{y}" lon="{x}"><name>S{i}</name></wpt>' for i, (x, y) in enumerate(corners[:3])
    )
    route = "".join(f'<rtept lat="{y}" lon="{x}"/>' for x, y in corners)
    head = '<?xml version="1.0"?><gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1">'
    return [
        f"{head}{points}<rte><name>R</name>{route}</rte></gpx>".encode(),
        f"{head}{points}</gpx>".encode(),
    ]


def flatgeobufs(points: bool = False) -> list[bytes]:
    shapes = [shapely.Point(*shape.centroid.coords[0]) if points else shape for shape in outlines()[:4]]
    return [_vector("area.fgb", "FlatGeobuf", [shape]) for shape in shapes]


def geo_parquets() -> list[bytes]:
    """Sites in a plain Parquet table, and in one with geometry and records."""
    rows = {"site": ["A", "B"], "azimuth": [0, 120]}
    plain = pa.table(rows | {"lon": [115.91, 115.92], "lat": [28.67, 28.68]})
    out = io.BytesIO()
    points = gpd.points_from_xy([115.91, 115.92], [28.67, 28.68])
    frame = gpd.GeoDataFrame(rows | {"of": [{"a": 1}, {"a": 2}]}, geometry=points, crs="EPSG:4326")
    frame.to_parquet(out)
    return [parquet(plain), out.getvalue()]


def headed_workbooks() -> list[bytes]:
    """A workbook whose headings take two rows, of which cells are merged."""
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (
        ["Sites"],
        ["Site", "Position", None, "Antenna"],
        [None, "Lon", "Lat", "Azimuth"],
        ["A", 115.91, 28.67, 0],
    ):
        sheet.append(row)
    sheet.append(["B", 115.92, 28.68, 120])
    sheet.merge_cells("B2:C2")
    sheet.merge_cells("A2:A3")
    out = io.BytesIO()
    book.save(out)
    return [out.getvalue()]


def mapinfo_archives() -> list[bytes]:
    mif = (
        b'Version 300\nCharset "Neutral"\nDelimiter ","\nCoordSys Earth Projection 1, 104\nColumns 1\n  site Char(9)\n'
        b"Data\n\nPoint 115.91 28.67\nPoint 115.92 28.68\nRegion 1\n 4\n"
        b"115.9 28.6\n115.95 28.6\n115.95 28.65\n115.9 28.6\n"
    )
    return [zipped({"s.mif": mif, "s.mid": b'"A"\n"B"\n"C"\n'})]


def linked_kmz() -> list[bytes]:
    """Documents of an archive that link to each other."""
    link = b"<kml><NetworkLink><Link><href>a/b.kml</href></Link></NetworkLink></kml>"
    return [zipped({"doc.kml": link, "a/b.kml": kml_areas()[0]})]


def scenarios() -> list[bytes]:
    return [made_scenario().to_bytes()]


def power_csvs() -> list[bytes]:
    load = np.linspace(0, 40, 12)
    frame = pd.DataFrame({"load_mbps": load, "power_w": 190 + 1.2 * load})
    return [
        frame.to_csv(index=False).encode(),
        frame.to_csv(index=False, sep=";", decimal=",").encode("utf-16"),
        frame.to_csv(index=False, sep="\t").encode("utf-8-sig"),
    ]


def equipment_csvs() -> list[bytes]:
    return [made_scenario().network.equipment().drop(columns="cells").to_csv(index=False).encode()]


def place_csvs() -> list[bytes]:
    west, south, east, north = bounds()
    lon, lat = np.linspace(west, east, 6), np.linspace(south, north, 6)
    by_category = pd.DataFrame({"lon": lon, "lat": lat, "category": ["catering", "shopping"] * 3})
    by_tag = pd.DataFrame(
        {"Longitude": lon, "Latitude": lat, "key": "amenity", "value": "cafe", "name": "Café"}
    )
    return [
        by_category.to_csv(index=False).encode(),
        by_tag.to_csv(index=False, sep=";").encode(),
        by_tag.to_csv(index=False).encode("cp1252"),
    ]


def place_gpkgs() -> list[bytes]:
    west, south, east, north = bounds()
    points = shapely.points(np.linspace(west, east, 4), np.linspace(south, north, 4))
    frame = gpd.GeoDataFrame(
        {"fclass": ["cafe", "school"] * 2, "name": "a"}, geometry=points, crs="EPSG:4326"
    )
    return [_written("places.gpkg", "GPKG", frame)]


def pack_tables() -> list[bytes]:
    rng = np.random.default_rng(0)
    x, y = (axis.ravel() for axis in np.meshgrid(*[np.arange(SIDE)] * 2, indexing="ij"))
    frame = pd.DataFrame({"z": 15, "x": COLUMN + x, "y": ROW + y})
    for column in (*POI_COLUMNS, *POPULATION_COLUMNS):
        frame[column] = rng.uniform(0, 5, len(frame))
    return [parquet(pa.Table.from_pandas(frame, preserve_index=False))]


def pack_facts() -> list[bytes]:
    stated = {"modalities": {"poi": {"provider": "a", "problem": None, "key": "osm"}}, "format": 1}
    return [json.dumps(stated | {"poi_datum": "WGS-84", "population_unit": "people"}).encode()]


def base_maps() -> list[bytes]:
    west, south, east, north = bounds()
    middle = (west + east) / 2, (south + north) / 2
    made = features(
        [
            ("motorway", "Ring", shapely.LineString([(west, south), middle, (east, north)])),
            ("water", "", shapely.Point(middle).buffer(0.003, quad_segs=2)),
            ("town", "Old town", shapely.Point(middle)),
        ]
    )
    return [made.written()]


def images() -> list[bytes]:
    pixels = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8) // 64 * 64
    found = []
    for picture, format in (
        (Image.fromarray(pixels), "PNG"),
        (Image.fromarray(pixels).convert("P"), "PNG"),
        (Image.fromarray(pixels), "JPEG"),
    ):
        out = io.BytesIO()
        picture.save(out, format)
        found.append(out.getvalue())
    return found


def packs() -> list[bytes]:
    members = {"pack/tiles.parquet": pack_tables()[0], "pack/pack.json": pack_facts()[0]}
    return [zipped(members | {f"pack/imagery/15/{COLUMN}/{ROW}.png": images()[0]})]


def people_rasters() -> list[bytes]:
    west, _, east, north = bounds()
    people = np.random.default_rng(0).gamma(0.5, 40, (60, 60)).astype(np.float32)
    step = (east - west + 0.02) / 60
    return [
        _raster(
            people[None], "EPSG:4326", from_origin(west - 0.01, north + 0.01, step, step), nodata=-99999.0
        )
    ]


def image_rasters() -> list[bytes]:
    west, _, east, north = bounds()
    pixels = np.random.default_rng(0).integers(0, 256, (3, 40, 40), np.uint8)
    step = (east - west + 0.002) / 40
    return [_raster(pixels, "EPSG:4326", from_origin(west - 0.001, north + 0.001, step, step))]


def overpass_answers() -> list[bytes]:
    west, south, east, north = bounds()
    node = {"type": "node", "id": 1, "lon": west + 0.001, "lat": south + 0.001, "tags": {"amenity": "cafe"}}
    way = {
        "type": "way",
        "id": 2,
        "center": {"lon": east - 0.001, "lat": north - 0.001},
        "tags": {"shop": "x"},
    }
    corners = [{"lon": west, "lat": south}, {"lon": east, "lat": south}, {"lon": east, "lat": north}]
    ring = [*corners, corners[0]]
    road = {"type": "way", "id": 3, "tags": {"highway": "trunk", "name": "x"}, "geometry": corners}
    lake = {
        "type": "relation",
        "tags": {"natural": "water"},
        "members": [{"type": "way", "role": "outer", "geometry": ring}],
    }
    town = node | {"tags": {"place": "town", "name": "x"}}
    return [
        json.dumps({"version": 0.6, "elements": some}).encode() for some in ([node, way], [road, lake, town])
    ]


def weights() -> list[bytes]:
    tensors: dict[str, np.ndarray] = {"a.weight": np.ones((4, 3), np.float16), "b": np.zeros(5, np.float32)}
    return [save(tensors, {"notes": json.dumps({"model": "encoder", "config": {"steps": 4}})})]


def parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def _vector(filename: str, driver: str, shapes: list[shapely.Geometry]) -> bytes:
    return _written(
        filename,
        driver,
        gpd.GeoDataFrame({"name": "a"}, index=range(len(shapes)), geometry=shapes, crs="EPSG:4326"),
    )


def _written(filename: str, driver: str, frame: gpd.GeoDataFrame) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        pyogrio.write_dataframe(frame, Path(folder, filename), driver=driver)
        return Path(folder, filename).read_bytes()


def _raster(values: np.ndarray, crs: str, transform: rasterio.Affine, **more: float) -> bytes:
    count, height, width = values.shape
    with rasterio.MemoryFile() as file:
        with file.open(
            driver="GTiff",
            width=width,
            height=height,
            count=count,
            dtype=values.dtype,
            crs=crs,
            transform=transform,
            **more,
        ) as raster:
            raster.write(values)
        return file.read()
