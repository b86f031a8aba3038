"""Letters and characters by which `plannerbase.encodings` tells the language of a text."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Alphabet:
    """Of one language in one code page. letters: beyond ASCII, in both cases. never: what stands in no word of it."""

    page: str
    letters: frozenset[str]
    never: re.Pattern[str] | None


def _alphabet(page: str, letters: str, never: str = "") -> Alphabet:
    both = {form for letter in letters for form in (letter, letter.upper()) if len(form) == 1}
    return Alphabet(page, frozenset(both), re.compile(never, re.IGNORECASE) if never else None)


_CENTRAL = {
    "Polish": "ąćęłńóśźż",
    "Czech": "áčďéěíňóřšťúůýž",
    "Czech and Slovak": "áäčďéěíĺľňóôŕřšťúůýž",
    "Hungarian": "áéíóöőúüű",
    "Romanian": "ăâîşţ",
    "Croatian": "čćđšž",
}
# the likelier first: of two that explain a text equally well the first one counts
ALPHABETS = (
    _alphabet("cp1252", "äöüß"),
    _alphabet("cp1252", "àâæçéèêëîïôœùûüÿ", "œ(?![ui])(?<!phœ)(?<!fœ)"),  # cœur, but not Kroœno for Krośno
    _alphabet("cp1252", "áéíóúüñºª", "[ºª](?=[a-z])|ñ(?![aeiouáéíóú])|[áéíóú].*[áéíóú]"),
    _alphabet("cp1252", "ãáâàçéêíóôõúüºª", "[ºª](?=[a-z])|ã(?=[a-df-hj-mp-rt-z])|õ(?!e)"),
    _alphabet("cp1252", "àçèéíïòóúü", "[àèéíòóú].*[àèéíòóú]"),  # Catalan
    _alphabet("cp1252", "àèéìòùºª", r"[ºª](?=[a-z])|[àìòù](?=\w)|[àèéìòù].*[àèéìòù]"),
    _alphabet("cp1252", "æøåéöä"),
    _alphabet("cp1252", "åäöéüšž"),
    _alphabet("cp1252", "ëïéèöüáó"),  # Dutch
    _alphabet(
        "cp1252", "äöüßàâæçéèêëîïôœùûÿ", "œ(?![ui])(?<!phœ)(?<!fœ)|û.*[öü]|[öü].*û"
    ),  # Switzerland, Belgium
    _alphabet("cp1252", "áéíóúüñãâàçêôõºª", "[ºª](?=[a-z])|ñ(?![aeiouáéíóú])|ã(?=[a-df-hj-mp-rt-z])|õ(?!e)"),
    _alphabet("cp1252", "æøåäöéüó"),  # the north
    _alphabet("cp1254", "çğıöşüâîûİ", "(sk|ck|ov)ı$|û.*[öü]|[öü].*û"),
    _alphabet("cp1252", "áðéíóúýþæö"),  # Icelandic
    *(_alphabet(page, letters) for letters in _CENTRAL.values() for page in ("cp1250", "iso8859_2")),
    _alphabet("cp1252", "äöõüšž"),  # Estonian
)
# code page -> the letters that make more than half of a text
CYRILLIC = dict.fromkeys(("cp1251", "koi8_r", "cp866"), frozenset("оеаинтсрвлкмдпу"))
GREEK = {"cp1253": frozenset("αοιετσνηυρπκλςάόίέήύώ")}
_JAPANESE = (
    "東京都区市町村駅大阪名古屋横浜新宿渋谷池袋川山田本島中央北南西上下"
    "前橋神戸福岡県道府札幌仙台千葉局緯度経方位角丁目"
)
# encoding -> characters that are frequent in names of places
CHARACTERS = {
    "cp932": frozenset(_JAPANESE) | set(map(chr, range(0x3041, 0x30FF))),
    "euc_jp": frozenset(_JAPANESE) | set(map(chr, range(0x3041, 0x30FF))),
    "big5hkscs": frozenset(
        "台臺北中南東西市區縣鎮鄉村里路街站公所局山高雄新竹桃園機場信義大安樂國學校院醫廣樓灣港九龍尖沙咀旺角花蓮車"
        "夜士林板橋淡水基地名稱經緯度方位"
    ),
    "cp949": frozenset(
        "가강거경고공관광교구국군금기길김나남내노단대덕도동등라로리마면명무문미민방버병보부북분사산삼상서선성세소송수시신"
        "실아안암양역연영오온용우운울원월위유은이인일임입자장전정제조종주중지진차창천청체초촌출충타탄터토통파평포학한항해향호"
        "홍화환회"
    ),
    "gb18030": frozenset(
        "一大中国人山江湖海河市区县镇乡村路街道东西南北站楼学院校医广场公园小新花城门口桥金高长安平和光明华宁州京上天火车"
        "机业工厂商贸万达科技厦酒店宾馆心基名称经纬度方位角都阳武沙深圳苏杭成重庆师塔青红谷滩湾昌浦鸡"
    ),
}
