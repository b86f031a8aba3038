"""Checksums of the files that ship with the product or were trained, and the list of them beside the files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from opendiff.errors import ModelError
from opendiff.storage.atomic import replacing

CHECKSUMS = "SHA256SUMS"


def verify(path: Path, listed: bool = True) -> str:
    """The checksum of a file, which must be the one that the list in its folder states.

    listed: whether the list must name the file. Raises ModelError where the checksum is another or missing, OSError
    where the file cannot be read.
    """
    checksum = file_checksum(path)
    stated = _listed_checksum(path)
    if stated is None and listed:
        raise ModelError(
            f"{path} is not in the list {CHECKSUMS} of its folder; install it again, or, if you trust the file, "
            f"write the list there with 'sha256sum *.safetensors > {CHECKSUMS}'."
        )
    if stated is not None and stated != checksum:
        raise ModelError(f"{path} is damaged: its checksum is not the one in {CHECKSUMS}; install it again.")
    return checksum


def file_checksum(path: Path) -> str:
    """`sha256:` and the hexadecimal digest of a file."""
    with open(path, "rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def write_checksums(folder: Path) -> None:
    """List the checksum of every safetensors file of a folder, in the format of `sha256sum`."""
    lines = [f"{file_checksum(path)[7:]}  {path.name}\n" for path in sorted(folder.glob("*.safetensors"))]
    with replacing(folder / CHECKSUMS) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


def _listed_checksum(path: Path) -> str | None:
    checksums = path.parent / CHECKSUMS
    if not checksums.is_file():
        return None
    for line in checksums.read_text(encoding="utf-8").splitlines():
        digest, _, name = line.strip().partition(" ")
        if name.lstrip(" *") == path.name:  # an asterisk marks binary files
            return f"sha256:{digest.lower()}"
    return None
