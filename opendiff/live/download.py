"""Large files from other people's servers: streamed to the disk, and gone on with where the connection was cut.

What came before a cut is kept beside the file (`NAME.part`, and `NAME.part.json`, which says of which version of what
address it is). The next attempt, in this run or another, goes on from there where the server allows it (status 206 for
the same version), else it starts again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests

from opendiff.errors import SourceError
from opendiff.live.http import Client, Passing
from opendiff.storage.atomic import locked, replacing, storage_error
from plannerbase.progress import Progress


def download(
    client: Client,
    url: str,
    path: Path,
    kinds: tuple[str, ...],
    max_bytes: int,
    progress: Progress | None = None,
    check: Callable[[Path], None] | None = None,
) -> None:
    """Stream an answer into `path`, which appears only when it is whole. Raises as `Client.get` does.

    kinds, max_bytes: as of `Client.get`; progress: told bytes so far and bytes in all, 0 where the server does not say;
    check: raises ValueError when the file is damaged. One process at a time downloads a file; another waits and finds
    it there.
    """
    with locked(path.with_name(f"{path.name}.lock"), client.check_cancelled):
        if path.is_file():
            return
        part = _Part(path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.part.json"), url)

        def attempt() -> None:
            have, total = _stream(client, part, kinds, max_bytes, progress)
            if total and have != total:
                raise Passing(f"the file ended after {have:,} of {total:,} bytes")
            try:
                if check:
                    check(part.content)
            except ValueError as error:
                part.content.unlink(missing_ok=True)
                raise Passing(f"the file is damaged ({error})") from None

        try:
            client.patiently(url, attempt)
            part.content.replace(path)
            part.label.unlink(missing_ok=True)
        except OSError as error:  # of a disk; those of the network are told apart before
            raise storage_error(path, error.strerror or error, "make room, or set OPENDIFF_CACHE") from error


@dataclass(frozen=True)
class _Part:
    """The beginning of a file, and beside it the label that says which version of what address it belongs to."""

    content: Path
    label: Path
    url: str

    def begun(self) -> tuple[int, str]:
        """Bytes that an earlier attempt left, and the version of the file they belong to; 0 where they cannot be
        used."""
        try:
            kept = json.loads(self.label.read_text(encoding="utf-8"))
            if kept["url"] == self.url and kept["version"]:
                return self.content.stat().st_size, str(kept["version"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return 0, ""

    def begin(self, answer: requests.Response) -> None:
        """Start anew, and note which version of the file the answer is; a weak ETag cannot vouch for bytes."""
        tag = answer.headers.get("ETag", "")
        version = answer.headers.get("Last-Modified", "") if tag.startswith("W/") or not tag else tag
        self.content.unlink(missing_ok=True)
        with replacing(self.label) as temporary:
            temporary.write_text(json.dumps({"url": self.url, "version": version}), encoding="utf-8")


def _stream(
    client: Client, part: _Part, kinds: tuple[str, ...], max_bytes: int, progress: Progress | None
) -> tuple[int, int]:
    """Add what is missing to the part; returns the bytes that it has then, and those in all (0: not known)."""
    have, version = part.begun()
    asked = {"Range": f"bytes={have}-", "If-Range": version} if have else {}
    with client.answer(part.url, kinds, headers=asked) as answer:
        if answer.status_code == 416:  # there is nothing after what we have, so it is not what we think
            part.content.unlink(missing_ok=True)
            raise Passing("the server does not have the rest of the file")
        resumed = answer.status_code == 206 and _starts_at(answer, have)
        if answer.status_code == 206 and not resumed:
            part.content.unlink(missing_ok=True)
            raise Passing("the server sent another part of the file than was asked for")
        have = have if resumed else 0
        length = int(answer.headers.get("Content-Length") or 0)
        total = have + length if length and not answer.headers.get("Content-Encoding") else 0
        _require_room(part.content.parent, total - have, urlsplit(part.url).netloc)
        if not resumed:
            part.begin(answer)
        with part.content.open("ab" if resumed else "wb") as file:
            for chunk in client.chunks(answer, part.url, max_bytes - have, client.patience.whole_file):
                file.write(chunk)
                have += len(chunk)
                if progress:
                    progress(have, total, "download")
    return have, total


def _starts_at(answer: requests.Response, have: int) -> bool:
    return answer.headers.get("Content-Range", "").strip().startswith(f"bytes {have}-")


def _require_room(folder: Path, needed: int, host: str) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise SourceError(
            f"The file of {host} needs {needed / 1e9:.1f} GB and {folder} has {free / 1e9:.1f} GB free; free space "
            "or set OPENDIFF_CACHE to another folder."
        )
