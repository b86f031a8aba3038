"""Headings of tables as people write them, in several languages, and which column of ours each one is."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

# column -> headings, plain (`plain`): lower case, letters and digits only, the most telling first
PLACE: dict[str, tuple[str, ...]] = {
    "lon": (
        "lon", "lng", "long", "longitude", "经度", "longitudewgs84", "lonwgs84", "longwgs84", "lngwgs84", "wgs84lon",
        "wgs84lng", "wgs84longitude", "wgs84经度", "经度wgs84", "decimallongitude", "longitudedecimal", "londec",
        "longdec", "longdd", "ddlong", "gpslongitude", "gpslon", "geolongitude", "sitelongitude", "sitelong",
        "celllongitude", "celllong", "longitud", "longitudine", "longitudegraus", "langengrad", "laengengrad",
        "geographischelange", "geolange", "lengtegraad", "dlugosc", "długość", "долгота", "boylam", "経度", "經度",
        "경도", "lengdegrad", "længdegrad", "pituusaste", "bujur", "kinh độ", "zeměpisná délka",
        "földrajzi hosszúság", "hosszúság", "ลองจิจูด", "خط الطول",
        "中心经度", "站点经度", "基站经度", "小区经度", "天线经度", "lange", "laenge", "x",
    ),
    "lat": (
        "lat", "latitude", "纬度", "latitudewgs84", "latwgs84", "wgs84lat", "wgs84latitude", "wgs84纬度", "纬度wgs84",
        "decimallatitude", "latitudedecimal", "latdec", "latdd", "ddlat", "gpslatitude", "gpslat", "geolatitude",
        "sitelatitude", "sitelat", "celllatitude", "celllat", "latitud", "latitudine", "latitudegraus", "breitengrad",
        "geographischebreite", "geobreite", "breedtegraad", "szerokosc", "szerokość", "широта", "enlem", "緯度",
        "위도", "breddegrad", "leveysaste", "lintang", "vĩ độ", "zeměpisná šířka",
        "földrajzi szélesség", "szélesség", "ละติจูด", "خط العرض",
        "中心纬度", "站点纬度", "基站纬度", "小区纬度", "天线纬度", "breite", "y",
    ),
    "easting": (
        "easting", "eastings", "east", "xcoord", "xcoordinate", "coordx", "coordinatex", "coordonneex", "xcoordonnee",
        "xm", "eastingm", "rechtswert", "hochwertx", "ostwert", "xlambert93", "lambert93x", "xl93", "xutm", "utmx",
        "utme", "utmeasting", "eastingutm", "osgbeasting", "gridx", "projx", "xmetres", "xmeters", "x坐标", "横坐标",
        "este", "ostkoordinate", "e",
    ),
    "northing": (
        "northing", "northings", "north", "ycoord", "ycoordinate", "coordy", "coordinatey", "coordonneey",
        "ycoordonnee", "ym", "northingm", "hochwert", "nordwert", "ylambert93", "lambert93y", "yl93", "yutm", "utmy",
        "utmn", "utmnorthing", "northingutm", "osgbnorthing", "gridy", "projy", "ymetres", "ymeters", "y坐标",
        "纵坐标", "norte", "nordkoordinate", "n",
    ),
    "ngr": (
        "ngr", "nationalgridreference", "osgridreference", "osgridref", "osgbgridref", "gridreference", "gridref",
        "osreference", "osref", "bng", "bngreference", "sitengr", "gridrefngr", "ngrgridreference", "ngrref",
    ),
    "wkt": (
        "wkt", "geomwkt", "wktgeom", "wktgeometry", "geometrywkt", "thegeom", "geom", "geometry", "ewkt", "wkb",
        "shape", "pointwkt", "geoshape", "geojson",
    ),
    "both": (
        "latlon", "latlng", "latlong", "latitudelongitude", "lonlat", "lnglat", "longlat", "longitudelatitude",
        "coordinates", "coordinate", "coords", "coord", "geopoint", "geopoint2d", "gps", "gpscoordinates",
        "gpscoords", "gpslocation", "geolocation", "geo", "position", "point", "location", "latlonwgs84", "坐标",
        "经纬度", "经纬度坐标", "坐标经纬度", "纬度经度", "纬经度", "位置坐标", "coordonnees", "coordonneesgps",
        "coordenadas",
        "koordinaten", "coordinatelatlon", "координаты",
    ),
}  # fmt: skip
LON_FIRST = ("lonlat", "lnglat", "longlat", "longitudelatitude", "经纬度", "经纬度坐标", "坐标经纬度")
_UNITS = re.compile(r"[(\[（【].*?[)\]）】]|°")
# a cell of a row of units: in brackets, or one of those that measure cells and traffic
_UNIT_CELL = re.compile(
    r"[(\[](?=[^()\[\]]*[^\W\d]|[^()\[\]]*[%°])(?!([^()\[\]]*\d){3})[^()\[\]]{1,12}[)\]]|-|deg(rees?)?|°|m|ft|k?m|dbm?i?|dbw|m?w|[kmg]?hz|%|h|[kmgt]i?b(it/s|ps|yte)?s?|text|id",
    re.IGNORECASE,
)
_PARTS = {  # a heading with this in it, where no whole heading is known: the shortest such heading counts
    "lon": ("longitude", "longitud", "经度", "долгота", "μηκος"),
    "lat": ("latitude", "latitud", "纬度", "широта", "πλατος"),
}


def plain(heading: object) -> str:
    """A heading without case, accents, spaces and signs; letters and digits of every script stay."""
    apart = unicodedata.normalize("NFKD", str(heading)).casefold()
    bare = "".join(c for c in apart if unicodedata.category(c) != "Mn")
    return "".join(c for c in unicodedata.normalize("NFC", bare) if c.isalnum())


def forms(heading: object) -> tuple[str, ...]:
    """The plain forms of a heading: whole, and without what stands in brackets ("Azimuth (deg)")."""
    whole, short = plain(heading), plain(_UNITS.sub(" ", unicodedata.normalize("NFKC", str(heading))))
    return (whole,) if short in ("", whole) else (whole, short)


def columns_named(headings: Iterable[object], names: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Our column -> the file's heading, by the names that others give it; the most telling name counts, then the
    first
    column that has it."""
    by_form: dict[str, str] = {}
    listed = [str(h) for h in headings]
    for position in (0, 1):  # a whole heading before one that is shortened
        for heading in listed:
            variants = forms(heading)
            if len(variants) > position:
                by_form.setdefault(variants[position], heading)
    return {
        ours: by_form[name]
        for ours, known in names.items()
        for name in reversed([plain(n) for n in known])
        if name in by_form
    }


def place_columns(headings: Iterable[object]) -> dict[str, str]:
    """PLACE column -> the file's heading, as far as the headings tell."""
    listed = [str(h) for h in headings]
    found = columns_named(listed, PLACE)
    for ours, parts in _PARTS.items():
        if ours not in found:
            like = [h for h in listed if any(plain(part) in plain(h) for part in parts)]
            like = [h for h in like if not any(plain(part) in plain(h) for part in _PARTS[_other(ours)])]
            if like:
                found[ours] = min(like, key=lambda h: len(plain(h)))
    return found


def looks_like_headings(cells: Sequence[object]) -> bool:
    """Whether a row of a table names columns: no number among its values."""
    texts = [str(c).strip() for c in cells if c is not None and str(c).strip()]
    return bool(texts) and not any(re.fullmatch(r"[-+]?[\d.,]*\d[\d.,]*(e[-+]?\d+)?", t, re.I) for t in texts)


def joined_headings(
    top: Sequence[object], bottom: Sequence[object], below: Sequence[object]
) -> list[str] | None:
    """Names of columns whose headings take two rows ("Position" over "Lat" and "Lon"); None where the second row is
    none of headings: it must name columns that the first does not, hold no number, and have one below it."""
    width = max(len(top), len(bottom), len(below))
    upper, lower, values = (
        [_word(v) for v in [*row, *[None] * (width - len(row))]] for row in (top, bottom, below)
    )
    bare = [not up or up in upper[:i] for i, up in enumerate(upper)]
    if not any(low and empty for low, empty in zip(lower, bare, strict=True)):
        return None
    if not looks_like_headings(lower) or looks_like_headings(values) or not any(upper):
        return None
    if sum(map(bool, lower)) < 2 or any(low and len(low) > 40 for low in lower):
        return None
    over, names = "", []
    for up, low in zip(upper, lower, strict=True):
        over = up or over
        names.append(f"{over} {low}".strip() if low and lower.count(low) > 1 else low or up)
    return names


def with_units(names: Sequence[str], below: Sequence[object]) -> list[str] | None:
    """The headings with the units that the row below them gives ("Power" over "(W)"); None where that row is none of
    units."""
    units = [_word(value) for value in below]
    if not any(unit not in ("", "-") for unit in units) or not all(
        _UNIT_CELL.fullmatch(unit) for unit in units if unit
    ):
        return None
    units += [""] * (len(names) - len(units))
    bare = [unit.strip("()[] -") for unit in units]
    return [f"{name} ({unit})" if unit and name else name for name, unit in zip(names, bare, strict=False)]


def _word(value: object) -> str:
    return "" if value is None else str(value).strip().strip('"')


def _other(ours: str) -> str:
    return "lat" if ours == "lon" else "lon"
