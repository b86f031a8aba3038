"""The smallest .osm.pbf: nodes and closed ways with tags (protocol buffers written by hand, uncompressed).

Format: https://wiki.openstreetmap.org/wiki/PBF_Format
"""

import struct


def varint(number):
    out = bytearray()
    while True:
        byte, number = number & 0x7F, number >> 7
        out.append(byte | (0x80 if number else 0))
        if not number:
            return bytes(out)


def zigzag(number):
    return varint(number << 1 if number >= 0 else (-number << 1) - 1)


def field(number, content):
    """A varint for an int, else a length-delimited field."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def signed(number, value):
    return varint(number << 3) + zigzag(value)


def blob(kind, content):
    body = field(1, content) + field(2, len(content))
    header = field(1, kind) + field(3, len(body))
    return struct.pack(">I", len(header)) + header + body


def write_pbf(path, nodes, ways=()):
    """nodes: (lon, lat, tags); ways: (list of (lon, lat) corners, tags), closed here."""
    strings = [b""]

    def text(value):
        if value.encode() not in strings:
            strings.append(value.encode())
        return strings.index(value.encode())

    def packed(values):
        return b"".join(map(varint, values))

    groups = []

    def add_node(number, lon, lat, tags):
        position = signed(8, round(lat * 1e7)) + signed(9, round(lon * 1e7))
        words = (
            field(2, packed(map(text, tags))) + field(3, packed(map(text, tags.values()))) if tags else b""
        )
        groups.append(field(1, signed(1, number) + words + position))

    number = 0
    for lon, lat, tags in nodes:
        number += 1
        add_node(number, lon, lat, tags)
    drawn = []
    for corners, tags in ways:
        members = []
        for lon, lat in corners:
            number += 1
            add_node(number, lon, lat, {})
            members.append(number)
        drawn.append(([*members, members[0]], tags))
    way_groups = []
    for index, (members, tags) in enumerate(drawn):
        steps = b"".join(zigzag(b - a) for a, b in zip([0, *members], members, strict=False))
        words = field(2, packed(map(text, tags))) + field(3, packed(map(text, tags.values())))
        way_groups.append(field(3, field(1, index + 1) + words + field(8, steps)))
    table = field(1, b"".join(field(1, value) for value in strings))
    granularity = field(17, 100)
    block = (
        table + field(2, b"".join(groups)) + (field(2, b"".join(way_groups)) if drawn else b"") + granularity
    )
    header = field(4, b"OsmSchema-V0.6") + field(4, b"DenseNodes")
    path.write_bytes(blob(b"OSMHeader", header) + blob(b"OSMData", block))
    return path
