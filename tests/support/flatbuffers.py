"""Writes flatbuffers as tests want them, right or wrong."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(eq=False)
class Table:
    """A table; of its fields whole numbers are written in place, all else is pointed to."""

    fields: Mapping[int, Part]


@dataclass(eq=False)
class Byte:
    """A whole number of one byte."""

    value: int


@dataclass(eq=False)
class Tables:
    """A list of tables."""

    items: Sequence[Table]


@dataclass(eq=False)
class Raw:
    """A list whose elements are given as bytes."""

    content: bytes
    length: int


Part = Table | Byte | Tables | Raw | int


def text(value: str) -> Raw:
    content = value.encode()
    return Raw(content + b"\0", len(content))


def int32s(*values: int) -> Raw:
    return Raw(struct.pack(f"<{len(values)}i", *values), len(values))


def octets(content: bytes) -> Raw:
    return Raw(content, len(content))


def flatbuffer(root: Table, identifier: bytes) -> bytes:
    """Return the bytes of a flatbuffer; a part that stands in two places is written once."""
    return _Writer(identifier).written(root)


@dataclass
class _Writer:
    identifier: bytes
    out: bytearray = field(default_factory=bytearray)
    places: dict[int, int] = field(default_factory=dict)
    pending: list[tuple[int, Table | Tables | Raw]] = field(default_factory=list)

    def written(self, root: Table) -> bytes:
        self.out += bytes(4) + self.identifier
        self.pending.append((0, root))
        while self.pending:
            place, part = self.pending.pop(0)
            if id(part) not in self.places:
                self.out += bytes(-len(self.out) % 4)
                self._write(part)
            struct.pack_into("<I", self.out, place, self.places[id(part)] - place)
        return bytes(self.out)

    def _write(self, part: Table | Tables | Raw) -> None:
        if isinstance(part, Table):
            self._write_table(part)
            return
        self.places[id(part)] = len(self.out)
        if isinstance(part, Raw):
            self.out += struct.pack("<I", part.length) + part.content
            return
        self.out += struct.pack("<I", len(part.items))
        for item in part.items:
            self.pending.append((len(self.out), item))
            self.out += bytes(4)

    def _write_table(self, table: Table) -> None:
        slots = max(table.fields, default=-1) + 1
        size = 4 + 2 * slots
        offsets = [0] * slots
        for number, slot in enumerate(sorted(table.fields)):
            offsets[slot] = 4 + 4 * number
        directory = len(self.out)
        self.out += struct.pack(f"<HH{slots}H", size, 4 + 4 * len(table.fields), *offsets)
        self.out += bytes(-len(self.out) % 4)
        place = self.places[id(table)] = len(self.out)
        self.out += struct.pack("<i", place - directory)
        for slot in sorted(table.fields):
            value = table.fields[slot]
            if isinstance(value, int):
                self.out += struct.pack("<i", value)
            elif isinstance(value, Byte):
                self.out += struct.pack("<B3x", value.value)
            else:
                self.pending.append((len(self.out), value))
                self.out += bytes(4)
