"""The carriers that a text about technology and band names: "5GNR", "NR3500", "L1800", "n78", "4G+5G"."""

from __future__ import annotations

import re
from typing import NamedTuple

from planning.bands import band_at, band_named


class Carrier(NamedTuple):
    """What is stated of a carrier; "" and None for what is not."""

    technology: str  # "2G" .. "5G"
    band: str
    frequency_mhz: float | None


# the first that is found decides; on words of letters and digits in upper case
_GENERATIONS = (
    ("5G", r"5G|NR|GNB|GNODEB"),
    ("4G", r"LTE|4G|EUTRA|E-UTRA|EUTRAN|ENB|ENODEB|NBIOT|NB-IOT|EMTC|[TF]DL|[TF]DD"),
    ("3G", r"3G|UMTS|WCDMA|HS[DU]?PA|UTRA|NODEB|TDSCDMA|TD-SCDMA|CDMA2000|EVDO|EV-DO"),
    ("2G", r"2G|GSM|GPRS|EDGE|DCS|CDMA|IS-?95|PCS"),
)
_LETTERS = {"N": "5G", "L": "4G", "U": "3G", "G": "2G", "W": "3G", "E": "2G"}  # N3500, L1800, U2100, G900
_TDD_LETTERS = {"A": 34, "D": 41, "E": 40, "F": 39}  # Chinese names of bands of TD-LTE
_SEPARATORS = re.compile(r"[+/,;&|、]|\s+and\s+|\s+et\s+", re.IGNORECASE)


_GENERATION = re.compile(
    r"(?<![\w.])([2-5])\.\d{1,2} ?G(?![\w.])(?! ?Hz)", re.IGNORECASE
)  # 4.5G is a kind of 4G


# names of bands that tell no technology beside one that is stated
_BAND_WORDS = {
    "AWS": "B66",
    "PCS": "B2",
    "DCS": "B3",
    "CBRS": "B48",
    "EGSM": "B8",
    "E-GSM": "B8",
    "IMT": "B1",
    "APT": "B28",
}
_BAND_WORD = re.compile(rf"({'|'.join(_BAND_WORDS)})(?:[- ]?\d+)?")


def carriers_of(technology: str, band: str) -> tuple[Carrier, ...]:
    """The carriers that the texts of a row name, at least one; technology "" where neither says it.

    A band that tells its technology (n78, L1800) belongs to that one; of equally many technologies and bands each goes
    with its own.
    """
    kinds = _parts(_GENERATION.sub(r"\1G", technology))
    bands = _parts(band, bool(kinds))
    kinds = [_with_band(k.technology, k) for k in kinds]
    if not bands:
        return tuple(dict.fromkeys(kinds)) or (Carrier("", "", None),)
    stated = list(dict.fromkeys(k.technology for k in kinds if k.technology))
    out: list[Carrier] = []
    for place, named in enumerate(bands):
        kind = named.technology
        if not kind and len(stated) == len(bands):
            kind = stated[place]
        elif not kind and stated:
            kind = stated[0]
        out.append(_with_band(kind, named))
    covered = {c.technology for c in out}
    rest = [k for k in kinds if k.technology and k.technology not in covered]
    return tuple(dict.fromkeys([*out, *rest]))


def _parts(text: str, stated: bool = False) -> list[Carrier]:
    """A carrier for each part of a text that says anything. stated: whether the technology is known without it."""
    found = [_part(p, stated) for p in _SEPARATORS.split(text) if p.strip()]
    return [c for c in found if c != Carrier("", "", None)]


def _part(text: str, stated: bool) -> Carrier:
    upper = " ".join(text.upper().replace("_", " ").split())
    if stated and (word := _BAND_WORD.fullmatch(upper)):
        return Carrier("", _BAND_WORDS[word[1]], None)
    if match := re.fullmatch(r"(N|B|BAND ?)(\d{1,3})", upper):
        nr = match[1] == "N"
        if band := band_named(f"{'n' if nr else 'B'}{match[2]}"):
            return Carrier("5G" if band.name[0] == "n" else "", band.name, None)
    if upper in {f"{letter}频段" for letter in _TDD_LETTERS} or upper in {f"{x} BAND" for x in _TDD_LETTERS}:
        return Carrier("4G", f"B{_TDD_LETTERS[upper[0]]}", None)
    if upper in ("C-BAND", "C BAND", "CBAND"):
        return Carrier("5G", "n78", None)
    kind = next(
        (g for g, pattern in _GENERATIONS if re.search(rf"(?<![A-Z])(?:{pattern})(?![A-Z]{{3}})", upper)), ""
    )
    if not kind and (match := re.match(r"([NLUGWE]) ?-?(\d{3,5})\b", upper)):
        kind = _LETTERS[match[1]]
    named = re.search(r"(?<![A-Z0-9])([NB])(\d{1,3})(?!\d)", upper)
    if named and (band := band_named(named[0])):
        return Carrier(kind or ("5G" if band.name[0] == "n" else ""), band.name, None)
    frequency = _frequency(upper)
    if not kind and frequency is None:
        if upper in ("SA", "NSA", "NR-SA", "NR-NSA"):
            return Carrier("5G", "", None)
        band = band_named(upper)
        return Carrier("", band.name if band else "", None)
    return Carrier(kind, "", frequency)


def _frequency(upper: str) -> float | None:
    """MHz that a text such as "NR3500", "2.6 GHz" or "1800" names, or None."""
    if match := re.search(r"(\d+(?:\.\d+)?) ?GHZ|(?<![\d.])(\d\.\d+) ?G(?![A-Z])", upper):
        return 1000.0 * float(match[1] or match[2])
    for digits in re.findall(r"(?<![\d.])(\d{3,5})(?![\d.])", upper):
        if 400 <= int(digits) <= 40_000:
            return float(digits)
    return None


def _with_band(technology: str, named: Carrier) -> Carrier:
    """The band of a carrier whose technology is known now: "41" is B41 in 4G and n41 in 5G, 1800 is B3 or n3."""
    if named.band:
        band = band_named(named.band.lstrip("Bn"), technology) if technology else band_named(named.band)
        return Carrier(technology or named.technology, band.name if band else named.band, None)
    if named.frequency_mhz is not None and technology:
        band = band_at(named.frequency_mhz, technology)
        return Carrier(technology, band.name if band else "", None if band else named.frequency_mhz)
    return Carrier(technology, "", named.frequency_mhz)
