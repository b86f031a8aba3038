"""Azimuths as people write them: numbers, lists of them, and compass points in several languages."""

from __future__ import annotations

import re
import unicodedata

_POINTS = (
    "N", "NNE", "NE", "ENE", "E", "ESE", "SE", "SSE", "S", "SSW", "SW", "WSW", "W", "WNW", "NW", "NNW",
)  # fmt: skip
DEGREES = {name: 22.5 * place for place, name in enumerate(_POINTS)}
# Chinese names the side before the pole
DEGREES |= {"EN": 45.0, "ES": 135.0, "WS": 225.0, "WN": 315.0}
# the longer words first: "ouest" holds "est". A bare O is East in German and West in French, so it is not read
_WORDS = (
    ("W", ("western", "west", "ouest", "oeste", "ovest", "西", "запад")),
    ("N", ("northern", "north", "norden", "nord", "norte", "noord", "北", "север")),
    ("S", ("southern", "south", "suden", "sued", "sud", "sur", "sul", "zuid", "南", "юг")),
    ("E", ("eastern", "east", "osten", "oost", "ost", "este", "est", "leste", "东", "東", "восток")),
)
_OMNI = (
    "omni",
    "omnidirectional",
    "omnidirectionnel",
    "omnidireccional",
    "omnidirecional",
    "rundstrahler",
    "全向",
)
_QUADRANT = re.compile(
    r"([NS])\s*(\d{1,2}(?:[.,]\d+)?)\s*°?\s*([EW])", re.IGNORECASE
)  # N30E, as surveyors write
_FROM_NORTH = re.compile(r"(?<!\w)N\s*(?=\d)(?!\d+\s*[:=])", re.IGNORECASE)  # N120: clockwise from north
_ONE_WITH_COMMA = re.compile(r"\d{1,3},\d°?")  # 120,5: no two sectors are so near
_MINUTES = re.compile(r"(\d{1,3})\s*°\s*(\d{1,2})\s*['′’](?:\s*(\d{1,2})\s*(?:\"|″|''))?")
_NUMBERS = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?![\w.]*\d)")
_SEPARATORS = re.compile(r"[/,;|&+]")


def azimuths_of(text: str) -> list[float]:
    """The azimuths in a text, degrees clockwise from north, in its order; empty where it holds none."""
    text = _FROM_NORTH.sub("", _QUADRANT.sub(_of_quadrant, _MINUTES.sub(_of_minutes, text.strip())))
    if _ONE_WITH_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    numbers = [float(n) for n in _NUMBERS.findall(text.replace("°", " "))]
    if numbers or not text:
        return numbers
    points = [compass_point(part) for part in _SEPARATORS.split(text) if part.strip()]
    return [p for p in points if p is not None] if None not in points else []


def is_omni(text: str) -> bool:
    """Whether a text says, instead of an azimuth, that an antenna has none."""
    # ND is how Germans write it; "n.d." is no data in other languages
    return text.strip() == "ND" or re.sub(r"[\s\-_.()]", "", text.casefold()) in _OMNI


def _of_quadrant(found: re.Match[str]) -> str:
    angle = float(found[2].replace(",", "."))
    pole, side = found[1].upper(), found[3].upper()
    return f"{(angle if pole == 'N' else 180 - angle) * (1 if side == 'E' else -1) % 360:g}"


def _of_minutes(found: re.Match[str]) -> str:
    return f"{int(found[1]) + int(found[2]) / 60 + int(found[3] or 0) / 3600:.6g}"


def compass_point(text: str) -> float | None:
    """Degrees of a compass point such as "SW", "north-east", "Sud-Est" or "东北", None for anything else."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(c for c in apart if unicodedata.category(c) != "Mn")
    plain = re.sub(r"[\s\-_.()°]", "", plain)
    if plain.upper() in DEGREES:
        return DEGREES[plain.upper()]
    letters = "".join(
        next((letter for letter, words in _WORDS if part in words), "?")
        for part in re.findall("|".join(w for _, words in _WORDS for w in words) + "|.", plain)
    )
    return DEGREES.get(letters)
