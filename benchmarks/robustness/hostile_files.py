"""Archives, tables, text and images made to harm whoever reads them: they unpack to gigabytes or nest without end."""

from __future__ import annotations

import io
import sqlite3
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.robustness import corpus, saved_corpus
from benchmarks.robustness.hostile_kinds import Hostile, Make


def _zip(members: dict[str, bytes]) -> bytes:
    return corpus.zipped(members)


def _blank(megabytes: int) -> bytes:
    return b" " * (megabytes * 1_000_000)


def _pack_with(name: str) -> Make:
    """A zipped pack with a huge member of text."""
    head = b"{" if name.endswith("json") else b"x"
    return lambda secret, megabytes: _zip(
        {"tiles.parquet": corpus.pack_tables()[0], name: head + _blank(megabytes) + b"}"}
    )


def _pack_of_tiles(secret: Path, megabytes: int) -> bytes:
    rows = 40_000 * megabytes
    table = pq.read_table(io.BytesIO(corpus.pack_tables()[0]))
    columns = {name: pa.array(np.zeros(rows, np.int8)) for name in table.column_names}
    number = np.arange(rows)
    columns |= {
        "z": pa.array(np.full(rows, 15, np.int8)),
        "x": pa.array(number // 2000),
        "y": pa.array(number % 2000),
    }
    return _zip({"tiles.parquet": corpus.parquet(pa.table(columns))})


def _nested(secret: Path, megabytes: int) -> bytes:
    """Archives inside each other, under the name of what is expected."""
    data = _blank(megabytes)
    for _ in range(4):
        data = _zip({"tiles.parquet": data, "doc.kml": data, "sites.csv": data})
    return data


def _overlapping(secret: Path, megabytes: int) -> bytes:
    """Ten members with the same place in the archive, so that all unpack the same bytes (after D. Fifield)."""
    content = b"a,b\n" + b"1,2\n" * (25_000 * megabytes)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = packer.compress(content) + packer.flush()
    names = [f"{i}.csv".encode() for i in range(10)]
    fields = struct.pack(
        "<HHHHHIIIHH", 20, 0, 8, 0, 0, zlib.crc32(content), len(body), len(content), len(names[0]), 0
    )
    local = b"PK\x03\x04" + fields + names[0] + body
    heads = [b"PK\x01\x02\x14\x00" + fields + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name for name in names]
    sizes = len(heads), len(heads), sum(map(len, heads)), len(local), 0
    return local + b"".join(heads) + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, *sizes)


def _deep_json(open_: str, close: str, middle: str) -> Make:
    def make(secret: Path, megabytes: int) -> bytes:
        deep = open_ * 900 + middle + close * 900
        return (
            '{"type":"FeatureCollection","features":[{"type":"Feature","properties":{},"geometry":{"type":"Polygon",'
            f'"coordinates":{deep}}}}}]}}'
        ).encode()

    return make


def _deep_collections(secret: Path, megabytes: int) -> bytes:
    head = '{"type":"GeometryCollection","geometries":['
    return (head * 5000 + "]}" * 5000).encode()


def _workbook(sheet: bytes, part: str = "xl/worksheets/sheet1.xml", shared: bytes | None = None) -> bytes:
    import openpyxl

    out, made = io.BytesIO(), io.BytesIO()
    book = openpyxl.Workbook()
    book.active.append(["site", "lon", "lat"])
    book.save(out)
    with zipfile.ZipFile(out) as source, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target:
        for info in source.infolist():
            content = source.read(info)
            if info.filename.endswith("sheet1.xml"):
                target.writestr(part, sheet)
                continue
            if part != "xl/worksheets/sheet1.xml":
                content = content.replace(b"worksheets/sheet1.xml", part.removeprefix("xl/").encode())
            if shared is not None and info.filename.endswith("sharedStrings.xml"):
                content = shared
            target.writestr(info.filename, content)
    return made.getvalue()


_SHEET = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'


def _entities(secret: Path, megabytes: int) -> bytes:
    """Entities of entities, in a sheet whose name is that of no XML."""
    names = [b"a%d" % i for i in range(9)]
    values = [b"x" * 100, *(b"&%s;" % name * 10 for name in names[:-1])]
    kinds = b"".join(b'<!ENTITY %s "%s">' % pair for pair in zip(names, values, strict=True))
    other = f'<!ENTITY other SYSTEM "file://{secret}">'.encode()
    row = b'<row r="1"><c r="A1" t="inlineStr"><is><t>&a8;&other;</t></is></c></row></sheetData></worksheet>'
    return _workbook(b"<!DOCTYPE w [" + kinds + other + b"]>" + _SHEET + row, "xl/worksheets/sheet1.dat")


def _many_cells(secret: Path, megabytes: int) -> bytes:
    """A workbook of some kB that holds millions of cells."""
    row = b"<row>" + b"<c><v>1</v></c>" * 300 + b"</row>"
    return _workbook(_SHEET + row * (4 * megabytes) + b"</sheetData></worksheet>")


def _scenario_part(part: str, make: Callable[[int], bytes]) -> Make:
    """Saved work, one part of which is another."""

    def made(secret: Path, megabytes: int) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "a.gpkg")
            path.write_bytes(saved_corpus.scenario_files()[0])
            with closing(sqlite3.connect(path)) as database, database:
                database.execute("UPDATE opendiff_parts SET data = ? WHERE part = ?", (make(megabytes), part))
            return path.read_bytes()

    return made


def _many_rows(megabytes: int) -> bytes:
    """A traffic table of as many rows, which packs to almost nothing."""
    rows = 600_000 * megabytes
    names = ("x", "y", "hour", "traffic", "sample", "users")
    return corpus.parquet(pa.table({name: pa.array(np.zeros(rows, np.int8)) for name in names}))


def _zeros(megabytes: int) -> bytes:
    """Saved arrays with one of nothing but zeros."""
    head = io.BytesIO()
    size = megabytes * 1_000_000
    kind = {"descr": "<f8", "fortran_order": False, "shape": (size // 8,)}
    np.lib.format.write_array_header_1_0(head, kind)
    told = io.BytesIO()
    np.save(told, np.frombuffer(b"{}", np.uint8))
    return _zip({"told.npy": told.getvalue(), "a.npy": head.getvalue() + bytes(size)})


def _false_heading(megabytes: int) -> bytes:
    """An array whose heading promises far more than there is."""
    head = io.BytesIO()
    kind = {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    np.lib.format.write_array_header_1_0(head, kind)
    return _zip({"told.npy": head.getvalue() + b"12345678"})


def _dictionary(secret: Path, megabytes: int) -> bytes:
    """A traffic table whose column is one long text again and again."""
    rows = 1000 * megabytes
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int8)), pa.array(["9" * 1_000_000]))
    numbers = pa.array(np.zeros(rows, np.int8))
    return corpus.parquet(pa.table({"x": numbers, "y": numbers, "hour": numbers, "traffic": text}))


def _wide_raster(secret: Path, megabytes: int) -> bytes:
    """A GeoTIFF of a few kB that says it is 2 ** 20 pixels wide and high, in one block."""
    data = bytearray(corpus.image_rasters()[0])
    order = "<" if data[:2] == b"II" else ">"
    at = struct.unpack(order + "I", data[4:8])[0]
    for i in range(struct.unpack(order + "H", data[at : at + 2])[0]):
        entry = at + 2 + 12 * i
        tag, kind = struct.unpack(order + "HH", data[entry : entry + 4])
        if tag in (256, 257, 278, 322, 323):  # width, length, rows of a strip, width and length of a tile
            value = struct.pack(order + ("H2x" if kind == 3 else "I"), 65_520 if kind == 3 else 1 << 20)
            data[entry + 8 : entry + 12] = value
    return bytes(data)


def _virtual_raster(secret: Path, megabytes: int) -> bytes:
    return (
        '<VRTDataset rasterXSize="512" rasterYSize="512"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f'<SourceFilename relativeToVRT="0">{secret}</SourceFilename><SourceBand>1</SourceBand></SimpleSource>'
        "</VRTRasterBand></VRTDataset>"
    ).encode()


def _pbf(secret: Path, megabytes: int) -> bytes:
    """An extract of OpenStreetMap whose blob says that it unpacks to 2 GB."""
    blob = b"\x10\xff\xff\xff\xff\x07\x1a\x04" + b"x\x9c\x03\x00"
    head = b"\x0a\x09OSMHeader\x18" + bytes([len(blob)])
    return struct.pack(">I", len(head)) + head + blob


def _kml_of_links(secret: Path, megabytes: int) -> bytes:
    return (
        '<kml xmlns="http://www.opengis.net/kml/2.2"><Document>'
        f'<Schema name="a" id="a" schemaLocation="file://{secret}"/><NetworkLink><Link><href>file://{secret}</href>'
        f"</Link></NetworkLink><Placemark><name>/vsicurl/http://127.0.0.1:1/{secret}</name></Placemark></Document></kml>"
    ).encode()


def _endless_csv(secret: Path, megabytes: int) -> bytes:
    return _zip({"sites.csv": b"site,lon,lat\n" + b"a,115.9,28.6\n" * (77_000 * megabytes)})


FILES: dict[str, Hostile] = {
    "pack: facts": Hostile("a.zip", "pack", _pack_with("pack.json")),
    "pack: attribution": Hostile("a.zip", "pack", _pack_with("ATTRIBUTION.txt")),
    "pack: tiles": Hostile("a.zip", "pack", _pack_of_tiles),
    "pack: nested": Hostile("a.zip", "pack", _nested),
    "sites: nested": Hostile("a.zip", "sites", _nested),
    "sites: overlapping members": Hostile("a.zip", "sites", _overlapping),
    "sites: unpacks to much": Hostile("a.zip", "sites", _endless_csv),
    "area: nested": Hostile("a.kmz", "area", _nested),
    "area: deep coordinates": Hostile("a.geojson", "area", _deep_json("[", "]", "1")),
    "area: deep objects": Hostile("a.geojson", "area", _deep_json('{"a":', "}", "1")),
    "area: deep collections": Hostile("a.geojson", "area", _deep_collections),
    "area: links": Hostile("a.kml", "area", _kml_of_links),
    "sites: deep": Hostile("a.geojson", "sites", _deep_json("[", "]", "1")),
    "places: deep": Hostile("a.geojson", "places", _deep_json("[", "]", "1")),
    "workbook: entities under another name": Hostile("a.xlsx", "sites", _entities),
    "workbook: many cells": Hostile("a.xlsx", "sites", _many_cells, harmless=True),
    "scenario: rows": Hostile("a.gpkg", "scenario", _scenario_part("traffic.parquet", _many_rows)),
    "scenario: zeros": Hostile("a.gpkg", "scenario", _scenario_part("networks.npz", _zeros)),
    "scenario: false heading": Hostile("a.gpkg", "scenario", _scenario_part("sleep.npz", _false_heading)),
    "scenario: state": Hostile("a.gpkg", "scenario", _scenario_part(
        "state.json", lambda mb: b"{" + _blank(mb) + b"}")),
    "scenario: deep state": Hostile("a.gpkg", "scenario", _scenario_part("state.json", lambda mb: b"[" * 100_000)),
    "scenario: uploads": Hostile("a.gpkg", "scenario", _scenario_part(
        "uploads.zip", lambda mb: _zip({"files.json": b'[{"key":"a","name":"a"}]', "0.bin": _blank(mb)})),
        harmless=True),
    "traffic: rows": Hostile("a.parquet", "traffic", lambda secret, mb: _many_rows(mb)),
    "traffic: dictionary": Hostile("a.parquet", "traffic", _dictionary),
    "imagery: huge": Hostile("a.tif", "imagery", _wide_raster),
    "imagery: virtual": Hostile("a.tif", "imagery", _virtual_raster),
    "population: virtual": Hostile("a.tif", "population", _virtual_raster),
    "extract: blob": Hostile("a.pbf", "extract", _pbf, harmless=True),
}  # fmt: skip
