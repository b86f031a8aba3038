"""The encoding of a text that states none and is not Unicode, by what only that encoding makes of its bytes."""

from __future__ import annotations

import codecs
import re

from plannerbase.alphabets import ALPHABETS, CHARACTERS, CYRILLIC, GREEK, Alphabet

SAMPLE = 200_000  # bytes by which an encoding is judged
SHOWN = {
    "cp1250": "Windows-1250", "cp1251": "Windows-1251", "cp1252": "Windows-1252", "cp1253": "Windows-1253",
    "cp1254": "Windows-1254", "iso8859_2": "ISO 8859-2", "latin-1": "ISO 8859-1", "koi8_r": "KOI8-R", "cp866": "CP866",
    "cp932": "Shift JIS", "euc_jp": "EUC-JP", "big5hkscs": "Big5", "cp949": "CP949 (Korean)", "gb18030": "GB 18030",
}  # fmt: skip
_HIGH = re.compile(rb"[\x80-\xff]+")
_LETTERS = re.compile(rb"[A-Za-z\x80-\xff]+")
_DOUBLE = re.compile(rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]")
_KANA = re.compile("[\u3041-\u30ff]")
_HALF_WIDTH = re.compile("[\uff61-\uff9f]")
_KANJI = re.compile("[\u4e00-\u9fff]")
_CHARACTER = re.compile("[\u3041-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
_BETWEEN_WORDS = re.compile(
    "[\xa0\u2013\u2014\u2018\u2019\u201c\u201d\u2026\xab\xbb\xb7\xb0]+"
)  # in all of the code pages
_NO_WORD = re.compile("[A-Za-z]{0,2}[¹²³ªº]|[µ±£€§]?[A-Za-z]{0,2}")  # m², Mª, µW, £
_INNER_CAPITAL = re.compile(r"[a-zß-öø-ÿ](?=[^\W\d_A-Za-z])(\w)")
_CYRILLIC_VOWELS = re.compile("[аеёиоуыэюяіїєѣѫъ]", re.IGNORECASE)
_GREEK_ACCENTS = re.compile("[άέήίόύώΐΰ]", re.IGNORECASE)
_GREEK_SIGMA = re.compile(r"ς\B|σ\b")
MAX_WORDS = 3000  # by which a language is judged
MIN_KINDS = 6  # different double bytes from which Korean is told from Chinese
SURE = 0.7  # of the words that are as a language writes them
MAX_BEYOND = 0.8  # of the letters of a word
MORE_HITS = 2  # frequent characters, and
MORE_FREQUENT = 0.2  # of the characters
FREQUENT_CHARACTERS = 0.45  # of an East Asian text without the marks of its encoding
FREQUENT_LETTERS = 0.35  # of the letters of a Cyrillic or Greek text


def fits(data: bytes, encoding: str, whole: bool) -> bool:
    """Whether the bytes are text of this encoding. whole: False where they may end within a character."""
    try:
        codecs.getincrementaldecoder(encoding)().decode(data, final=whole)
    except UnicodeDecodeError:
        return False
    return True


def guessed(data: bytes, whole: bool) -> str:
    """The encoding of a text that is not Unicode.

    The Windows or ISO code page in which the words are as one language writes them: in its letters, and in capitals
    where they may stand. Where no code page makes words of it: Japanese by its kana, Traditional Chinese by the second
    bytes of Big5, Korean by the rows of Hangul, GB 18030 where what is not ASCII comes in pairs; among these the one
    that makes frequent characters of it.
    """
    sample = sample_of(data)
    latin, share = _latin(sample)
    if share < SURE:
        asian, frequent = _asian(data, sample, whole)
        found, in_capitals = _of_one_case(sample)
        if found and fits(data, found, whole) and not (in_capitals and frequent > MORE_FREQUENT):
            return found
        if asian:
            return asian
        latin = found or latin
    return next(page for page in (latin, "cp1252", "latin-1") if fits(data, page, whole))


def assumed_encoding(data: bytes, encoding: str) -> str:
    """What a report says of a text with letters whose encoding was guessed; "" for Unicode and where nothing hangs on
    it."""
    if encoding.startswith("utf") or not _pieces(sample_of(data), "latin-1"):
        return ""
    return (
        f"The text states no encoding and was read as {SHOWN.get(encoding, encoding)}, by its letters; save it as "
        "UTF-8 where names are wrong"
    )


def sample_of(data: bytes) -> bytes:
    """The part of a text by which its encoding is judged: from the line of the first letter beyond ASCII."""
    found = _HIGH.search(data)
    first = data.rfind(b"\n", 0, found.start()) + 1 if found else 0
    return data[first : first + SAMPLE]


def _pieces(sample: bytes, encoding: str) -> list[str]:
    """Words with a letter beyond ASCII, each once, without signs between words and those of units."""
    words = dict.fromkeys(word for word in _LETTERS.findall(sample) if _HIGH.search(word))
    pieces: dict[str, None] = {}
    for word in list(words)[:MAX_WORDS]:
        text = word.decode(encoding, "replace").lstrip("„")
        found = [
            piece
            for piece in _BETWEEN_WORDS.split(text)
            if not piece.isascii() and len(piece) > 1 and not _NO_WORD.fullmatch(piece)
        ]
        # a word of signs alone is one of another code page
        pieces |= dict.fromkeys(found or ([text] if len(_HIGH.sub(b"", word)) + 2 < len(word) else []))
    return list(pieces)


def _latin(sample: bytes) -> tuple[str, float]:
    """(code page, share of the words that it makes of a text as one language writes them); 1 where there is none."""
    words = {page: _pieces(sample, page) for page in dict.fromkeys(a.page for a in ALPHABETS)}
    if not words["cp1252"]:
        return "cp1252", 1.0
    known = [{word for word in words[a.page] if _is_word(word, a)} for a in ALPHABETS]
    shares = [len(found) / max(1, len(words[a.page])) for found, a in zip(known, ALPHABETS, strict=True)]
    best = max(range(len(shares)), key=shares.__getitem__)
    return ALPHABETS[best].page, shares[best]


def _is_word(word: str, alphabet: Alphabet) -> bool:
    beyond = [letter for letter in word if not letter.isascii()]
    return (
        alphabet.letters.issuperset(beyond)
        and len(beyond) <= MAX_BEYOND * len(word)
        and not any(found[1].isupper() for found in _INNER_CAPITAL.finditer(word))
        and (alphabet.never is None or not alphabet.never.search(word))
    )


def _of_one_case(sample: bytes) -> tuple[str, bool]:
    """(code page, whether all of its words are of one case) of a Cyrillic or Greek text by its words, ("", False) where
    no page makes any: a capital begins them, or all letters are."""
    best, most, in_capitals = "", FREQUENT_LETTERS, False
    runs = [run for run in dict.fromkeys(_LETTERS.findall(sample)) if _HIGH.search(run)][:MAX_WORDS]
    for encoding, frequent in (*CYRILLIC.items(), *GREEK.items()):
        words = [run.decode(encoding, "replace") for run in runs]
        words = [w for w in words if len(w) > 2] or [w for w in words if len(w) > 1]
        is_language = _is_greek if encoding in GREEK else _is_cyrillic
        good = [w for w in words if _is_in_case(w) and is_language(w)]
        letters = "".join(good).casefold()
        if len(good) < SURE * len(words) or not letters:
            continue
        share = sum(letter in frequent for letter in letters) / len(letters) * len(good) / len(words)
        if share > most:
            best, most = encoding, share
            in_capitals = all(w.isupper() or w.islower() for w in good)
    return best, in_capitals


def _is_in_case(word: str) -> bool:
    return word.isalpha() and not re.search("[A-Za-z]", word) and (word[1:].islower() or word.isupper())


def _is_cyrillic(word: str) -> bool:
    """A vowel in every word that is no abbreviation."""
    return len(word) < 4 or word.isupper() or bool(_CYRILLIC_VOWELS.search(word))


def _is_greek(word: str) -> bool:
    """One accent, except in capitals, and the two forms of sigma where they stand."""
    return word.isupper() or (len(_GREEK_ACCENTS.findall(word)) == 1 and not _GREEK_SIGMA.search(word))


def _asian(data: bytes, sample: bytes, whole: bool) -> tuple[str, float]:
    """(encoding, share of frequent characters) of an East Asian text; "" where it is none."""
    fitting = [encoding for encoding, _ in _ASIAN if fits(data, encoding, whole)]
    found = next((e for e, looks_like in _ASIAN if e in fitting and looks_like(sample, whole)), "")
    counts = {encoding: _frequent(sample, encoding) for encoding in fitting}
    shares = {encoding: hits / max(1, letters) for encoding, (hits, letters) in counts.items()}
    best = max(shares, key=lambda encoding: (shares[encoding], encoding == found), default="")
    if not found:
        return (best, shares[best]) if best and shares[best] > FREQUENT_CHARACTERS else ("", 0.0)
    better = shares[best] > shares[found] + MORE_FREQUENT and counts[best][0] >= counts[found][0] + MORE_HITS
    return (best, shares[best]) if better else (found, shares[found])


def _frequent(sample: bytes, encoding: str) -> tuple[int, int]:
    """(characters that are frequent in names of the language of an encoding, all beyond ASCII)."""
    text = _text(sample, encoding)
    return (
        sum(letter in CHARACTERS[encoding] for letter in _CHARACTER.findall(text)),
        sum(not letter.isascii() for letter in text),
    )


def _text(data: bytes, encoding: str) -> str:
    return codecs.getincrementaldecoder(encoding)("ignore").decode(data)


def _is_shift_jis(data: bytes, whole: bool) -> bool:
    """Kana and kanji, hardly a half-width one: those are what the bytes of all other encodings here become. Kanji alone
    stand in rows that the others leave free."""
    text = _text(data, "cp932")
    kana, half, kanji = (len(found.findall(text)) for found in (_KANA, _HALF_WIDTH, _KANJI))
    if kana + kanji <= 20 * half:
        return False
    return kana > 0.05 * (kana + kanji) or _in_rows(data, 0x88, 0x9F, 0.9, 0x40)


def _is_euc_jp(data: bytes, whole: bool) -> bool:
    """Kana stand in the same place in EUC-JP and GB 2312, and Chinese has none."""
    text = _text(data, "euc_jp")
    kana = len(_KANA.findall(text))
    return kana > 0.03 * len(_KANJI.findall(text)) and kana > 0 and _in_rows(data, 0xA1, 0xF4, 0.98, 1)


def _is_big5(data: bytes, whole: bool) -> bool:
    """Of the frequent characters of Big5 many have a letter as their second byte, of GB 2312 none."""
    doubles = _DOUBLE.findall(data)
    low = sum(d[1] < 0x80 for d in doubles)
    return low > 0.15 * len(doubles) and _in_rows(data, 0xA1, 0xC9, 0.9, 0x40)


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
