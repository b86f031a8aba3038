"""Messages of plain values between two processes, over a socket of this machine."""

from __future__ import annotations

import socket
import struct
from typing import Any

from plannerbase.plain import MAX_BUFFERS, MAX_TREE_BYTES, decode, encode

HEAD = struct.Struct("=cQI")  # kind, bytes of the tree, number of buffers


class Ended(Exception):
    """The other side closed the socket in the middle."""


class TooLarge(ValueError):
    """A message has more bytes than it may have."""


def send(channel: socket.socket, kind: bytes, value: Any) -> None:
    """Send a value. kind: one byte that says what it is. Raises ValueError for a value that is not plain."""
    tree, buffers = encode(value)
    lengths = struct.pack(f"={len(buffers)}Q", *(memoryview(b).nbytes for b in buffers))
    channel.sendall(HEAD.pack(kind, len(tree), len(buffers)) + lengths + tree)
    for buffer in buffers:
        channel.sendall(buffer)


def receive(channel: socket.socket, most_bytes: int) -> tuple[bytes, Any]:
    """(kind, value). Raises Ended, TooLarge, ValueError for what is no message, and TimeoutError of the socket."""
    kind, tree_bytes, count = HEAD.unpack(_exactly(channel, HEAD.size))
    if tree_bytes > MAX_TREE_BYTES or count > MAX_BUFFERS:
        raise TooLarge
    lengths = struct.unpack(f"={count}Q", _exactly(channel, 8 * count))
    if tree_bytes + sum(lengths) > most_bytes:
        raise TooLarge
    tree = _exactly(channel, tree_bytes)
    return kind, decode(tree, [_exactly(channel, length) for length in lengths])


def _exactly(channel: socket.socket, length: int) -> bytearray:
    data = bytearray(length)
    view, got = memoryview(data), 0
    while got < length:
        count = channel.recv_into(view[got:])
        if not count:
            raise Ended
        got += count
    return data
