"""Which column of an export of counters is which, and the unit that its heading states."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from plannerbase.headings import columns_named, place_columns, plain

QUANTITIES = ("traffic", "users", "prb", "energy")
NAMES: dict[str, tuple[str, ...]] = {  # plain headings, the most telling first
    "cell": (
        "cell", "cellname", "cellid", "celldn", "localcellname", "eutrancellname", "nrcellname", "ucellname", "cgi",
        "ecgi", "ncgi", "eci", "nci", "ci", "enodebcell", "cellidentity", "cellule", "celda", "zelle", "小区",
        "小区名称", "小区名", "小区id", "小区标识", "小区号", "小区cgi", "小区eci", "cellkey", "sector", "sectorname",
        "sectorid", "扇区", "扇区名称", "eutrancellfdd", "eutrancelltdd", "eutrancell", "nrcelldu", "nrcellcu",
        "utrancell",
        "lncelname", "lncel", "nrcelname", "nrcel", "wcelname", "wcel", "셀", "셀명", "셀id", "セル", "セル名",
    ),
    "site": (
        "site", "sitename", "siteid", "enodeb", "enodebname", "gnodeb", "gnodebname", "nodeb", "bts", "btsname", "ne",
        "nename", "station", "stationname", "基站", "基站名称", "基站名", "站点", "站点名称", "网元", "网元名称",
        "erbs",
        "mrbtsname", "lnbtsname", "nrbtsname", "nodename", "managedelement", "국소명", "기지국명", "局名",
    ),
    "time": (
        "datetime", "timestamp", "time", "starttime", "begintime", "resulttime", "periodstarttime", "starttimestamp",
        "dateheure", "fechahora", "datumuhrzeit", "时间", "日期时间", "开始时间", "统计时间", "起始时间", "采集时间",
        "时间戳", "date", "day", "日期", "统计日期", "fecha", "datum",
        "dateid", "일시", "날짜", "일자", "日時", "日付", "data", "дата", "время",
    ),
    "hour": ("hour", "hourofday", "hourid", "heure", "stunde", "hora", "uhrzeit", "小时", "时段", "시간대",
             "時間帯", "час"),
    "timezone": ("timezone", "tz", "utcoffset", "时区"),
    "radio_unit": ("radiounit", "rru", "rrutype", "rumodel", "rutype", "radiotype", "射频单元", "设备型号", "型号"),
}  # fmt: skip
# a heading holds one of these words, and none of the words that make it something else
WORDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "traffic": (
        ("traffic", "volume", "throughput", "payload", "mbit", "mbps", "gbps", "kbps", "流量", "吞吐",
         "trafic", "debit", "thrp", "vol", "verkehr", "трафик", "트래픽", "トラフィック"),
        ("user", "prb", "speed", "drop", "loss", "ratio", "erl", "erlang", "voice", "volte",
         "单用户", "用户速率", "用户数", "rate of"),
    ),
    "users": (("users", "user", "ue", "rrc", "用户数", "用户", "subscribers", "utilisateurs"),
              ("throughput", "speed", "速率", "吞吐", "流量", "volume", "rate", "ratio", "attempt", "attempts", "att",
               "succ", "success", "setup", "estab", "reestab", "fail", "failure", "drop", "release", "handover",
               "levsum", "levsamp", "成功率", "掉线", "次数")),
    "prb": (("prb", "resourceblock", "utilisation", "utilization", "利用率", "占用率", "负荷", "loadpercent"),
            ("cpu", "user", "用户", "number", "个数", "available", "可用", "usedavg", "avgused", "numused")),
    "energy": (("energy", "kwh", "wh", "power", "consumption", "能耗", "耗电", "用电", "功耗", "功率", "电量"),
               ("transmit", "txpower", "发射", "dbm", "headroom")),
}  # fmt: skip
DOWNLINK = ("downlink", "dl", "下行", "download", "descendant")
UPLINK = ("uplink", "ul", "上行", "upload", "montant")
TOTAL = ("total", "总", "sum", "合计")
BEGINNINGS = (
    "rate",
    "ratio",
    "drop",
    "loss",
    "fail",
    "setup",
    "estab",
)  # of words; "succ" and others within too
VOICE = ("voice", "volte")
CLOCKS = (
    "time",
    "starttime",
    "begintime",
    "heure",
    "hora",
    "zeit",
    "时间",
    "开始时间",
    "시간",
    "時刻",
    "時間",
    "время",
)
DATES = (
    "date",
    "day",
    "日期",
    "统计日期",
    "fecha",
    "datum",
    "dateid",
    "날짜",
    "일자",
    "日付",
    "data",
    "дата",
)
# what one unit is, of volumes in Mbit, of rates in Mbit/s, of energy in Wh, of power in W
_SIZES = {"": 1e-6, "k": 1e-3, "m": 1.0, "g": 1e3, "t": 1e6}
_CHINESE = {"千": "k", "兆": "m", "吉": "g"}


@dataclass(frozen=True)
class Unit:
    """kind: "volume", "rate", "share", "count", "energy", "power" or "unknown". factor: to Mbit, Mbit/s, 0..1, users,
    Wh or W. text: as it is told."""

    kind: str
    factor: float
    text: str


def guess(headings: Iterable[object], mapping: dict[str, str]) -> dict[str, str]:
    """Our column -> the file's: cell, site, time, hour, timezone, radio_unit, lon, lat, x, y, and QUANTITIES; what
    `mapping` says goes before what headings tell."""
    listed = [str(h) for h in headings]
    found = columns_named(listed, NAMES)
    places = place_columns(listed)
    exact = {plain(h): h for h in listed}
    if {"x", "y"} <= set(exact) and "lon" not in {k for k, v in places.items() if plain(v) != "x"}:
        found |= {"x": exact["x"], "y": exact["y"]}
        places = {k: v for k, v in places.items() if plain(v) not in ("x", "y")}
    found |= {k: v for k, v in places.items() if k in ("lon", "lat")}
    found = days_and_clock(found, listed)
    taken = set(found.values())
    for quantity in QUANTITIES:
        column = _best(quantity, [h for h in listed if h not in taken])
        if column is not None:
            found[quantity] = column
            taken.add(column)
    for ours, theirs in mapping.items():
        found = {k: v for k, v in found.items() if v != theirs}
        found[ours] = theirs
    return found


def days_and_clock(used: Mapping[str, str], headings: Iterable[object]) -> dict[str, str]:
    """Our column -> the file's, with a column of days as the time and one of clock times beside it as the hour."""
    exact = {plain(h): str(h) for h in headings}
    dates = [exact[name] for name in DATES if name in exact]
    if not dates or "hour" in used or plain(used.get("time", "")) not in CLOCKS:
        return dict(used)
    return {**used, "hour": used["time"], "time": dates[0]}


def _best(quantity: str, headings: list[str]) -> str | None:
    wanted, other = WORDS[quantity]
    like = []
    for position, heading in enumerate(headings):
        words, whole = _words(heading), plain(heading)
        if any(_tells_other(w, words, whole) for w in other) or not any(
            _has(w, words, whole) for w in wanted
        ):
            continue
        # a total first, then the downlink; an uplink last
        rank = 0 if any(_has(w, words, whole) for w in TOTAL) else 1
        if any(_has(w, words, whole) for w in DOWNLINK):
            rank = 1
        if any(_has(w, words, whole) for w in UPLINK) and rank:
            rank = 3
        peak = any(w in whole for w in ("max", "peak", "最大", "峰值"))
        like.append((rank + 2 * peak, position, heading))
    return min(like)[2] if like else None


def _words(heading: str) -> set[str]:
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", heading)
    return set(re.findall(r"[a-z]+|[0-9]+", spaced.casefold()))


def _has(word: str, words: set[str], whole: str) -> bool:
    return word in whole if len(word) > 3 or not word.isascii() else word in words


def _tells_other(word: str, words: set[str], whole: str) -> bool:
    """Whether a word of another quantity stands in a heading. Some are the end of longer words ("generated",
    "duration"), and a total of the traffic counts with the voice in it."""
    if word in VOICE and ("data" in words or any(_has(total, words, whole) for total in TOTAL)):
        return False
    return any(w.startswith(word) for w in words) if word in BEGINNINGS else _has(word, words, whole)


def unit_of(quantity: str, heading: str) -> Unit:
    """The unit that a heading states, else of kind "unknown"."""
    text = heading.casefold()
    for chinese, letter in _CHINESE.items():
        text = text.replace(f"{chinese}字节", f"{letter}byte").replace(f"{chinese}比特", f"{letter}bit")
    text = text.replace("字节", "byte").replace("比特", "bit")
    if quantity == "users":
        return Unit("count", 1.0, "users")
    if quantity == "prb":
        if "%" in text or "％" in text or "percent" in text or "pct" in text:
            return Unit("share", 0.01, "%")
        return Unit("unknown", 1.0, "")
    if quantity == "energy":
        found = re.search(r"(?<![a-z])([kmg]?)wh(?![a-z])", text) or re.search(r"()(?:千瓦时|度)", text)
        if found:
            letter = "k" if found[0] in ("千瓦时", "度") else found[1]
            return Unit("energy", {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}[letter], f"{letter}Wh")
        found = re.search(r"(?<![a-z])(k?)w(?:att)?s?(?![a-z])", text)
        if found:
            return Unit("power", 1e3 if found[1] else 1.0, f"{found[1]}W")
        return Unit("unknown", 1.0, "")
    if re.search(r"pmpdcpvol|pmradiothpvol", text):
        return Unit("volume", 1e-3, "Kbit")  # as Ericsson documents these counters
    rate = re.search(r"(?<![a-z])([kmgt]?)(?:bps|bits?\s*(?:/|per)\s*s(?:ec)?)", text)
    if rate:
        return Unit("rate", _SIZES[rate[1]], f"{rate[1].upper()}bit/s")
    bits = re.search(r"(?<![a-z])([kmgt]?)bits?(?![a-z])", text)
    if bits:
        return Unit("volume", _SIZES[bits[1]], f"{bits[1].upper()}bit")
    size = re.search(r"(?<![a-z])([kmgt])i?b(?:ytes?)?(?![a-z])|(?<![a-z])([kmgt]?)bytes?(?![a-z])", text)
    if size:
        letter = size[1] or size[2] or ""
        return Unit("volume", 8 * _SIZES[letter], f"{letter.upper()}B" if letter else "bytes")
    return Unit("unknown", 1.0, "")
