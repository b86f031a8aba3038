"""XML from strangers: plain elements only, in an encoding in which that can be seen."""

from __future__ import annotations

import re

from plannerbase.text import Refused, encoding_of

ENCODINGS = (b"utf-8", b"us-ascii", b"ascii", b"iso-8859-1", b"windows-1252")
EAST_ASIAN = (
    "gb18030",
    "big5hkscs",
    "cp949",
    "cp932",
    "euc_jp",
)  # read where a document does not declare them
CHINESE = ("gb2312", "gbk", "gb18030", "cp936", "x-gbk")
DECLARED = re.compile(rb"(?:\xef\xbb\xbf)?\s*<\?xml[^>]*encoding\s*=\s*[\"']([^\"']*)")


def in_utf8(data: bytes) -> bytes:
    """The document in UTF-8: Chinese encodings that it declares, and those of East Asia that it is written in without
    saying so, are read; any other is left for `check_plain` to refuse."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data
    declared = DECLARED.match(data)
    name = declared[1].lower().decode("ascii", "replace") if declared else ""
    encoding = "gb18030" if name in CHINESE else ""
    if not encoding and name in ("", "utf-8", "utf8"):
        found = encoding_of(data)
        encoding = found if found in EAST_ASIAN else ""
    if not encoding:
        return data
    text = data.decode(encoding, "replace")
    return re.sub(
        r"^(\ufeff?\s*<\?xml[^>]*?)\s+encoding\s*=\s*[\"'][^\"']*[\"']", r"\1", text, count=1
    ).encode()


def check_plain(data: bytes) -> None:
    """Raise `Refused` for a document type, entities, zero bytes, or an encoding that could hide them."""
    upper = data.upper()
    if b"\x00" in data or b"<!DOCTYPE" in upper or b"<!ENTITY" in upper:
        raise Refused("declares a document type or entities, which is not accepted")
    declared = DECLARED.match(data)
    if declared and declared[1].lower() not in ENCODINGS:
        raise Refused(f"is encoded as {declared[1].decode('ascii', 'replace')[:40]}")
