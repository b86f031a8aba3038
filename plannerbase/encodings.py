"""The encoding of a text that states none and is not Unicode, by what only that encoding makes of its bytes."""

from __future__ import annotations

import codecs
import re

import charset_normalizer

SAMPLE = 200_000  # bytes by which an encoding is judged
OTHERS = ("cp1251", "koi8_r", "cp1253", "big5", "shift_jis", "euc_kr", "cp866")
_HIGH = re.compile(rb"[\x80-\xff]+")
_LETTERS = re.compile(rb"[A-Za-z\x80-\xff]+")
_DOUBLE = re.compile(rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]")
_KANA = re.compile("[\u3041-\u30ff]")
_HALF_WIDTH = re.compile("[\uff61-\uff9f]")
_KANJI = re.compile("[\u4e00-\u9fff]")
MIN_KINDS = 6  # different double bytes from which Korean is told from Chinese
# signs of cp1252 that stand for a letter of Polish where they are between letters; the second in ISO 8859-2 alone
_POLISH = re.compile(r"[^\W\d_][³¹¿£¥œŸ±¶¼]+[a-zà-ÿ]")
_POLISH_ISO = re.compile(r"[^\W\d_][±¶¼]|[±¶¼][^\W\d_]")


def fits(data: bytes, encoding: str, whole: bool) -> bool:
    """Whether the bytes are text of this encoding. whole: False where they may end within a character."""
    try:
        codecs.getincrementaldecoder(encoding)().decode(data, final=whole)
    except UnicodeDecodeError:
        return False
    return True


def guessed(data: bytes, whole: bool) -> str:
    """The encoding of a text that is not Unicode.

    Japanese by its kana, Traditional Chinese by the second bytes of Big5, Korean by the rows of Hangul, GB 18030 where
    what is not ASCII comes in pairs as Chinese does; where most letters are not ASCII what charset-normalizer finds
    (Cyrillic, Greek); else the Windows code page whose letters stand together.
    """
    for encoding, looks_like in _ASIAN:
        if fits(data, encoding, whole) and looks_like(data[:SAMPLE], whole):
            return encoding
    words = [word for word in _LETTERS.findall(data[:SAMPLE]) if len(word) > 1 and _HIGH.search(word)]
    high = sum(len(run) for word in words for run in _HIGH.findall(word))
    if high > 0.5 * sum(map(len, words)):
        found = charset_normalizer.from_bytes(data[:SAMPLE], cp_isolation=list(OTHERS)).best()
        if found is not None and fits(data, found.encoding, whole):
            return str(found.encoding)
    latin = _latin(data[:SAMPLE].decode("cp1252", "replace"))
    return latin if fits(data, latin, whole) else "latin-1"


def _text(data: bytes, encoding: str) -> str:
    return codecs.getincrementaldecoder(encoding)("ignore").decode(data)


def _is_shift_jis(data: bytes, whole: bool) -> bool:
    """Kana and kanji, hardly a half-width one: those are what the bytes of all other encodings here become."""
    text = _text(data, "cp932")
    kana, half, kanji = (len(found.findall(text)) for found in (_KANA, _HALF_WIDTH, _KANJI))
    return kana > 0 and kana + kanji > 20 * half and kana > 0.05 * (kana + kanji)


def _is_euc_jp(data: bytes, whole: bool) -> bool:
    """Kana stand in the same place in EUC-JP and GB 2312, and Chinese has none."""
    text = _text(data, "euc_jp")
    kana = len(_KANA.findall(text))
    return kana > 0.03 * len(_KANJI.findall(text)) and kana > 0 and _in_rows(data, 0xA1, 0xF4, 0.98, 1)


def _is_big5(data: bytes, whole: bool) -> bool:
    """Of the frequent characters of Big5 many have a letter as their second byte, of GB 2312 none."""
    doubles = _DOUBLE.findall(data)
    low = sum(d[1] < 0x80 for d in doubles)
    return low > 0.15 * len(doubles) and low > 1 and _in_rows(data, 0xA1, 0xC9, 0.9, 0x40)


def _is_korean(data: bytes, whole: bool) -> bool:
    """All syllables of KS X 1001 stand in 25 rows, over which Chinese is not confined."""
    kinds = {d for d in _DOUBLE.findall(data) if d[0] >= 0xB0}
    return len(kinds) >= MIN_KINDS and _in_rows(data, 0xB0, 0xC8, 0.95, 0xA1)


def _in_rows(data: bytes, first: int, last: int, share: float, least: int) -> bool:
    """Whether of the double bytes of letters this share has its first byte in these rows, its second from `least`."""
    doubles = [d for d in _DOUBLE.findall(data) if d[0] not in (0xA1, 0xA2, 0xA3) or first <= 0xA3]
    return sum(first <= d[0] <= last and d[1] >= least for d in doubles) >= share * len(doubles) > 0


def _is_chinese(data: bytes, whole: bool) -> bool:
    """Every run of bytes above ASCII comes in pairs, or most double bytes are of the characters of GB 2312, which text
    of Europe never looks like."""
    runs = _HIGH.findall(data)
    pairs = [len(run) % 2 == 0 for run in runs]
    if not runs:
        return False
    if all(pairs[:-1] if not whole else pairs):
        return True
    doubles = _DOUBLE.findall(data)
    return sum(b"\xa1" <= d[:1] <= b"\xf7" and d[1:] >= b"\xa1" for d in doubles) > 0.8 * len(doubles)


_ASIAN = (
    ("cp932", _is_shift_jis),
    ("euc_jp", _is_euc_jp),
    ("big5hkscs", _is_big5),
    ("cp949", _is_korean),
    ("gb18030", _is_chinese),
)


def _latin(text: str) -> str:
    """The code page of a text of Latin letters that was read as cp1252, by letters that no language of it has together:
    signs within words are Polish, thorn and eth without Icelandic vowels Turkish, and so on."""
    letters = set(text)
    if _POLISH.search(text):
        return "iso8859_2" if _POLISH_ISO.search(text) else "cp1250"
    if letters & set("þðÞÐýÝ") and not letters & set("áíóúéæÁÍÓÚÉÆ"):
        return "cp1254"
    czech = letters & set("øìùèÈØï") and letters & set("šžŠŽ\x9d")
    hungarian = letters & set("õûÕÛ") and letters & set("öüÖÜ") and not letters & set("ãâêàçäÃÂÊÀÇÄ")
    romanian = letters & set("ãÃ") and letters & set("þºªÞ") and letters & set("îâÎÂ")
    return "cp1250" if czech or hungarian or romanian else "cp1252"
