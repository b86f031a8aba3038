"""XML from strangers: plain elements only, in an encoding in which that can be seen."""

from __future__ import annotations

import re

from intake.text import Refused

ENCODINGS = (b"utf-8", b"us-ascii", b"ascii", b"iso-8859-1", b"windows-1252")
DECLARED = re.compile(rb"(?:\xef\xbb\xbf)?\s*<\?xml[^>]*encoding\s*=\s*[\"']([^\"']*)")


def check_plain(data: bytes) -> None:
    """Raise `Refused` for a document type, entities, zero bytes, or an encoding that could hide them."""
    upper = data.upper()
    if b"\x00" in data or b"<!DOCTYPE" in upper or b"<!ENTITY" in upper:
        raise Refused("declares a document type or entities, which is not accepted")
    declared = DECLARED.match(data)
    if declared and declared[1].lower() not in ENCODINGS:
        raise Refused(f"is encoded as {declared[1].decode('ascii', 'replace')[:40]}")
