"""What others call the attributes of sites and cells, and the units they give them in: one table to extend."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

import numpy as np
import pandas as pd

from plannerbase.numbers import numbers_of

# our column -> headings of others, the most telling first
_NAMES: dict[str, tuple[str, ...]] = {
    "site": ("site", "sitename", "siteid", "name", "enodebid", "gnodebid", "enodeb", "gnodeb", "enodebname",
             "gnodebname", "nomdusite", "nomdelastation", "codesite", "codedusite", "sitecode",
             "siteno", "sitenumber", "siteref", "sitereference", "bs", "basestation", "station", "stationname",
             "nomsite", "id",
             "基站名称", "基站名", "站点名称", "站名", "站点", "基站", "standort", "standortname", "stazione", "sito",
             "emplazamiento", "sitio", "estacion", "estacao", "площадка", "stacja", "nombre", "nome", "nazwa",
             "название", "名称", "nom", "naam", "namn", "navn", "nodeb", "nodebname", "nodebid", "bts", "btsname",
             "btsid", "enb", "enbname", "gnb", "gnbname", "tower", "towername", "towerid", "mast", "mastname",
             "mastid", "局名", "基地局", "基地局名", "기지국", "기지국명", "bezeichnung", "기지국id", "국소명",
             "국소id", "기지국코드", "mrbts name", "lnbts name", "mrbts", "lnbts", "node id",
             "局舎名", "基地局id", "基地台名稱",
             "基地台", "站台", "站台名稱", "название бс", "имя бс", "номер бс", "бс", "nazwa stacji",
             "id stacji", "saha",
             "saha adı", "όνομα σταθμού", "sta_nm_anfr", "sup_id", "standortbescheinigungsnummer", "property name",
             "property id", "registration number", "station location"),
    "lon": ("lon", "lng", "long", "longitude", "sitelongitude", "x", "easting", "经度"),
    "lat": ("lat", "latitude", "sitelatitude", "y", "northing", "纬度"),
    "cell": ("cell", "cellname", "cellid", "eutrancell", "nrcell", "localcellid", "cgi", "ecgi", "ncgi",
             "transmitter",
             "transmittername", "小区名称", "小区名", "小区", "cellule", "nomcellule", "nomdelacellule",
             "zelle", "zellname", "celda", "celula", "cella", "сота", "lncel name", "lncel", "nrcel name", "nrcel",
             "eutrancellfddid", "nrcellduid", "셀명", "セル名"),
    "sector": ("sector", "sectorname", "sectorid", "sectornumber", "secteur", "扇区", "sektor",
               "setor", "settore", "сектор"),
    "radio_unit": ("radiounit", "rru", "rruid", "rruname", "rrh", "aau", "aauid", "ru", "ruid"),
    "azimuth": ("azimuth", "azi", "azim", "bearing", "direction", "antennaazimuth", "sectorazimuth", "cellazimuth",
                "antennaazi", "azimut", "orientation", "dir", "az", "azm", "azimuts", "azimuths",
                "antazimuth", "方向角", "方位角", "天线方位角", "acimut", "azimute",
                "azymut", "азимут", "richtung", "방위각", "방향각"),
    "technology": ("technology", "tech", "rat", "radio", "generation", "system", "networktype", "networktechnology",
                   "radiotechnology", "radioaccesstechnology", "technologie", "systeme", "制式", "网络制式",
                   "网络类型", "tecnologia", "technologia", "технология", "стандарт", "기술방식", "기술",
                   "통신방식", "방식",
                   "方式", "通信方式", "技术", "技術", "teknoloji", "τεχνολογία"),
    "band": ("band", "frequencyband", "freqband", "bandname", "operatingband", "bande", "频段", "banda",
             "frequenzband",
             "pasmo", "диапазон", "頻段", "주파수대역", "대역", "周波数帯", "emr_lb_systeme", "frekans bandı",
             "frequencies",
             "frequency bands", "bands", "fréquences", "bandes", "frequenzen"),
    "frequency_mhz": ("frequency", "freq", "frq", "dlfrequency", "downlinkfrequency", "carrierfrequency",
                      "centrefrequency", "centerfrequency", "carrier", "frequence", "频率", "中心频率", "frequenz",
                      "frecuencia", "frequencia", "frequenza", "частота", "주파수", "周波数", "頻率", "frekans",
                      "tx frequency", "transmit frequency"),
    "channel": ("earfcn", "earfcndl", "dlearfcn", "nrarfcn", "dlnrarfcn", "nrarfcndl", "dlarfcn", "arfcn", "arfcndl",
                "downlink earfcn", "downlink nr-arfcn", "downlink narfcn", "earfcn downlink",
                "频点", "下行频点"),
    "bandwidth_mhz": ("bandwidth", "channelbandwidth", "dlbandwidth", "carrierbandwidth", "systembandwidth", "bw",
                      "bwi", "bandepassante", "带宽", "系统带宽", "channel width", "downlink bandwidth",
                      "대역폭", "帯域幅", "頻寬",
                      "полоса", "szerokość pasma"),
    "prbs": ("prbs", "prb", "numberofprbs", "nprb", "rbs"),
    "beamwidth_deg": ("beamwidth", "horizontalbeamwidth", "hbeamwidth", "hbw", "hpbw", "antennahbw",
                      "antennabeamwidth",
                      "水平波宽", "水平波瓣"),
    "vertical_beamwidth_deg": ("verticalbeamwidth", "vbeamwidth", "vbw", "vpbw", "antennavbw", "垂直波宽",
                               "垂直波瓣"),
    "height_m": ("height", "antennaheight", "antheight", "heightagl", "agl", "hba", "alt", "hauteur", "towerheight",
                 "rad_center", "radcenter", "挂高", "天线挂高", "站高", "天线高度", "hohe", "hoehe", "antennenhohe",
                 "altura", "altezza", "wysokosc", "высота", "высота подвеса", "высота подвеса антенны", "안테나높이",
                 "안테나고", "アンテナ高", "アンテナ高さ", "天線高度", "天線高", "montagehöhe", "wysokość anteny",
                 "anten yüksekliği"),
    "tilt_deg": ("tilt", "downtilt", "totaltilt", "antennatilt", "tlt", "antennatlt", "总下倾角", "下倾角", "neigung",
                 "inclinacion", "inclinacao"),
    "electrical_tilt_deg": ("etilt", "electricaltilt", "electricaldowntilt", "edt", "ret", "tiltelec", "electilt",
                            "elecdowntilt", "tiltelectrical", "电子下倾角", "电下倾角", "電子下傾角", "전기적틸트",
                            "additional electrical downtilt", "additional electrical tilt", "total electrical tilt"),
    "mechanical_tilt_deg": ("mtilt", "mechanicaltilt", "mechanicaldowntilt", "mdt", "tiltmeca", "mechtilt",
                            "mechdowntilt", "tiltmechanical", "机械下倾角", "機械下傾角", "기계적틸트"),
    "power_dbm": ("power", "txpower", "maxpower", "transmitpower", "maxtxpower", "maxtransmitpower", "outputpower",
                  "rfpower", "tx", "cellpower", "puissance", "发射功率", "功率", "leistung", "sendeleistung",
                  "potencia", "potenza", "мощность", "송신출력", "출력", "送信出力", "transmitter power"),
    "eirp_dbm": ("eirp", "pire", "maxeirp", "totaleirp"),
    "gain_dbi": ("gain", "antennagain", "antgain", "txg", "antennatxg", "天线增益"),
    "layers": ("layers", "mimolayers", "dlmimolayers", "maxlayers"),
    "is_coverage": ("iscoverage", "role", "cellrole"),
    "equipment": ("equipment", "equipmenttype"),
    "capacity_mbps": ("capacity", "throughput"),
}  # fmt: skip
# our column -> unit, as it stands at the end of a heading or after a number -> what to multiply by (dBm: see below)
_DEGREES = {
    "deg": 1.0,
    "degree": 1.0,
    "degrees": 1.0,
    "°": 1.0,
    "度": 1.0,
    "0.1deg": 0.1,
    "0.1degree": 0.1,
    "0.1°": 0.1,
}
_MHZ = {"mhz": 1.0, "ghz": 1e3, "khz": 1e-3, "hz": 1e-6}
_DECIBEL = {"dbm": 0.0, "dbw": 30.0, "0.1dbm": 0.0}  # to add
_WATT = {"w": 1.0, "watt": 1.0, "watts": 1.0, "mw": 1e-3, "kw": 1e3}
UNITS: dict[str, dict[str, float]] = {
    "azimuth": _DEGREES,
    "beamwidth_deg": _DEGREES,
    "vertical_beamwidth_deg": _DEGREES,
    "tilt_deg": _DEGREES,
    "electrical_tilt_deg": _DEGREES,
    "mechanical_tilt_deg": _DEGREES,
    "frequency_mhz": _MHZ,
    "bandwidth_mhz": _MHZ,
    "height_m": {"m": 1.0, "metres": 1.0, "meters": 1.0, "metre": 1.0, "meter": 1.0, "ft": 0.3048, "feet": 0.3048,
                 "米": 1.0},
    "power_dbm": _DECIBEL | _WATT,
    "eirp_dbm": _DECIBEL | _WATT,
    "gain_dbi": {"dbi": 0.0, "dbd": 2.15, "db": 0.0},
    "capacity_mbps": {"mbps": 1.0, "mbits": 1.0, "mbit": 1.0, "gbps": 1e3, "kbps": 1e-3},
}  # fmt: skip
_MAX_DBM = {"power_dbm": 60.0, "eirp_dbm": 90.0}
_PRBS = re.compile(r".*_N(\d+)|(6|15|25|50|75|100) ?P?RBs?", re.IGNORECASE)
MAX_OVER_MEDIAN = 10.0
TENTHS_DBM = (
    330.0,
    530.0,
)  # tenths of a dBm where all powers lie here: as W no cell of the file had less than 330
MAX_W = {"power_dbm": 1e3, "eirp_dbm": 1e6}  # more is mW
_BRACKETS = re.compile(r"[(\[（【].*?[)\]）】]")
_NUMBER = re.compile(r"\s*([-+]?\d+(?:[.,]\d+)?(?:e[-+]?\d+)?)\s*([^\W\d_]*|°)\s*\Z", re.IGNORECASE)
# headings whose unit nothing in them tells
_UNIT_OF_HEADING = {"txw": ("power_dbm", "w")}


def compact(heading: object) -> str:
    """A heading in lower case without accents, spaces and punctuation; letters of all scripts stay."""
    text = unicodedata.normalize("NFKD", str(heading).replace("ß", "ss"))
    return "".join(c for c in text.casefold() if c.isalnum() or c == "°")


HEADINGS = {ours: tuple(compact(name) for name in names) for ours, names in _NAMES.items()}
_AZIMUTH_PARTS = ("azimut", "azymut", "азимут", "αζιμούθιο", "방위각", "方位角", "hauptstrahlrichtung")


def guess_mapping(columns: Iterable[object], own: Iterable[str] = ()) -> dict[str, str]:
    """Our column -> the file's column: `own` names as they are, others by HEADINGS, with or without a unit."""
    names_of_file = [str(c) for c in columns]
    found: dict[str, str] = {}
    for ours, names in HEADINGS.items():
        ranked = sorted(
            (names.index(base), place)
            for place, column in enumerate(names_of_file)
            for form in (compact(column), compact(_BRACKETS.sub(" ", column)))
            for base in _bases(form, ours)
            if base in names
        )
        if ranked:
            found[ours] = names_of_file[ranked[0][1]]
    for column in names_of_file:
        if compact(column) in _UNIT_OF_HEADING:
            found.setdefault(_UNIT_OF_HEADING[compact(column)][0], column)
    like = [c for c in names_of_file if compact(c).startswith(tuple(map(compact, _AZIMUTH_PARTS)))]
    if "azimuth" not in found and len(like) == 1:
        found["azimuth"] = like[0]
    return found | {c: c for c in names_of_file if c in set(own)}


def numbered_azimuths(columns: Iterable[object]) -> list[str]:
    """The columns of a table with a column for the azimuth of each sector (SECTOR1_AZIMUTH, Azimuth 2, ...), in their
    order; none where there is only one."""
    listed = [str(c) for c in columns]
    bare = [re.sub(r"\d", "", compact(c)) for c in listed]
    stems = [
        re.sub(r"^(sector|sec|secteur|sektor|cell|s|扇区)|(sector|sec|secteur|cell)$", "", b) for b in bare
    ]
    mine = [c for c, stem in zip(listed, stems, strict=True) if stem in HEADINGS["azimuth"]]
    return mine if len(mine) > 1 and any(re.search(r"\d", c) for c in mine) else []


def quantities(values: pd.Series, ours: str, heading: str) -> np.ndarray:
    """(rows,) the column in the unit of our name, NaN where it holds no number.

    A unit after a number counts, else that of the heading. Without any, frequencies below 100 are GHz, and those
    above 100,000 kHz or Hz; bandwidths above 1,000 kHz or Hz; powers are dBm unless `unit_without_a_word` tells more.
    """
    known = UNITS.get(ours, {})
    unit = _unit(heading, ours) or unit_without_a_word(values, ours)
    if pd.api.types.is_numeric_dtype(values.dtype):
        return _converted(numbers_of(values), ours, unit, known)
    out = np.full(len(values), np.nan)
    texts = values.astype(object).where(values.notna(), "").astype(str)
    for text in set(texts):
        if ours == "bandwidth_mhz" and (prbs := _PRBS.fullmatch(text.strip())):
            value = int(prbs[1] or prbs[2]) / 5.0  # CELL_BW_N100, 100 RB: 100 PRBs of LTE in 20 MHz
        elif match := _NUMBER.match(text):
            mark = match[2].casefold()
            if mark and mark not in known:
                continue
            number = np.array([float(match[1].replace(",", "."))])
            value = float(_converted(number, ours, mark or unit, known)[0])
        else:
            continue
        out[(texts == text).to_numpy()] = value
    return out


def unit_without_a_word(values: pd.Series, ours: str) -> str:
    """The unit of powers that state none, by their size: no cell has 60 dBm (1 kW), and no EIRP 90; "" where it may be
    dBm. Numbers that are far above the others, such as 999, stand for no power."""
    most = _MAX_DBM.get(ours)
    numbers = numbers_of(values) if most is not None else np.zeros(0)
    numbers = numbers[numbers > 0]
    numbers = numbers[numbers <= MAX_OVER_MEDIAN * np.median(numbers)] if numbers.size else numbers
    largest = numbers.max(initial=0.0)
    if most is None or largest <= most:
        return ""
    if ours == "power_dbm" and numbers.min() >= TENTHS_DBM[0] and largest <= TENTHS_DBM[1]:
        return "0.1dbm"
    return "w" if largest <= MAX_W[ours] else "mw"


def with_units(values: pd.Series, ours: str, theirs: str, others: pd.DataFrame) -> pd.Series:
    """The column with the unit behind each number where a column of units stands beside it (EIRP, EIRP_UNIT)."""
    known = UNITS.get(ours, {})
    names = [compact(theirs) + word for word in ("unit", "units", "uom", "type")]
    for column in others.columns:
        if compact(column) in names:
            units = others[column].astype("string").fillna("").str.strip().str.casefold()
            if (units != "").any() and units[units != ""].isin(list(known)).all():
                return values.astype("string").str.cat(units, sep=" ").where(values.notna())
    return values


def has_unit(ours: str, heading: str) -> bool:
    """Whether a heading says in which unit its column is."""
    return bool(_unit(heading, ours)) or heading == ours


def _bases(text: str, ours: str) -> list[str]:
    """The heading itself, and without the unit that it ends in."""
    units = UNITS.get(ours, {})
    return [text, *(text[: -len(unit)] for unit in units if text.endswith(unit) and text != unit)]


def _unit(heading: str, ours: str) -> str:
    text = compact(heading)
    if _UNIT_OF_HEADING.get(text, ("", ""))[0] == ours:
        return _UNIT_OF_HEADING[text][1]
    names = HEADINGS.get(ours, ())
    if text in names:
        return ""
    units = UNITS.get(ours, {})
    within = re.findall(
        r"0[.,]1 ?(?:dbm|degree|deg|°)|[^\W\d_]+|°", " ".join(_BRACKETS.findall(heading)).casefold()
    )
    for unit in (word.replace(" ", "").replace(",", ".") for word in within):  # "Power (total, W)"
        if unit in units:
            return unit
    bare = compact(_BRACKETS.sub(" ", heading))
    return max((u for u in units if text.endswith(u) or bare.endswith(u)), key=len, default="")


def _converted(values: np.ndarray, ours: str, unit: str, known: dict[str, float]) -> np.ndarray:
    factor = known.get(unit)
    if ours in ("power_dbm", "eirp_dbm"):
        if unit in _WATT:
            with np.errstate(divide="ignore", invalid="ignore"):
                watts = np.where(values > 0, values * _WATT[unit], np.nan)
                return np.asarray(30 + 10 * np.log10(watts))
        return values / (10.0 if unit == "0.1dbm" else 1.0) + _DECIBEL.get(unit, 0.0)
    if ours == "gain_dbi":
        return values + (factor or 0.0)
    if factor is not None:
        return values * factor
    if ours == "frequency_mhz":
        scale = np.select([values < 100, values > 1e8, values > 1e5], [1e3, 1e-6, 1e-3], 1.0)
        return np.asarray(values * scale)
    if ours == "bandwidth_mhz":
        return np.asarray(values * np.select([values > 1e6, values > 1e3], [1e-6, 1e-3], 1.0))
    return values
