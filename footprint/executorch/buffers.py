"""FlatBuffers, read without their library, and without trust in a single offset.

A flatbuffer is made of tables that point to each other. Whatever a file says, nothing outside it is read, no
more parts are read than a program may have, and nothing is allocated for what it merely claims to hold.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ...errors import FormatError

_MOST_PARTS: Final = (
    1 << 21
)  # tables, and elements of lists; large language models have some 100,000
_MOST_TEXT: Final = 4096  # bytes of one name

_TEXT_OF_PART: Final = 16  # bytes, so that many names that are one cannot fill the memory

_U8: Final = struct.Struct("<B")
_U16: Final = struct.Struct("<H")
_I32: Final = struct.Struct("<i")
_U32: Final = struct.Struct("<I")


@dataclass(slots=True)
class Buffer:
    """The bytes of one flatbuffer.

    Attributes:
        content: where they are; a view, so that large files stay where they lie.
        parts: how many tables and elements have been read so far.
    """

    content: memoryview
    parts: int = field(default=0)

    def root(self) -> Table:
        """Return the table that all others hang from.

        Raises:
            FormatError: it lies outside.
        """
        return Table(self, self.follow(0))

    def read(self, form: struct.Struct, position: int) -> int:
        """Return a whole number.

        Raises:
            FormatError: it lies outside.
        """
        if not 0 <= position <= len(self.content) - form.size:
            raise FormatError(
                f"it points to byte {position}, and what is there to read has {len(self.content)}"
            )
        value: int = form.unpack_from(self.content, position)[0]
        return value

    def follow(self, position: int) -> int:
        """Return the place that an offset leads to; it is relative to its own place."""
        return position + self.read(_U32, position)

    def count(self, parts: int) -> None:
        """Count parts that are about to be read.

        Raises:
            FormatError: there are more than any program has: they point to each other in circles, or to the
                same places again and again.
        """
        self.parts += parts
        if self.parts > _MOST_PARTS:
            raise FormatError(f"it has more than {_MOST_PARTS} parts, as no program has")

    def extent(self, position: int, width: int) -> tuple[int, int]:
        """Return where the elements of a list begin, and how many there are.

        Raises:
            FormatError: they do not all lie inside.
        """
        length = self.read(_U32, position)
        begin = position + _U32.size
        if length * width > len(self.content) - begin:
            raise FormatError(f"a list claims {length} elements at byte {position}, and is cut off")
        return begin, length


@dataclass(frozen=True, slots=True)
class Table:
    """One table: fields in numbered slots, any of which may be absent."""

    buffer: Buffer
    position: int

    def byte(self, slot: int) -> int:
        """Return a field of one byte, from 0 to 255; 0 if it is absent."""
        return self._number(slot, _U8)

    def int32(self, slot: int) -> int:
        """Return a whole number of four bytes; 0 if it is absent."""
        return self._number(slot, _I32)

    def table(self, slot: int) -> Table | None:
        """Return the table that a field points to; None if it is absent."""
        place = self._place(slot)
        if place is None:
            return None
        self.buffer.count(1)
        return Table(self.buffer, self.buffer.follow(place))

    def text(self, slot: int) -> str:
        """Return a text; empty if it is absent.

        Raises:
            FormatError: it is too long for a name, or no UTF-8.
        """
        place = self._place(slot)
        if place is None:
            return ""
        begin, length = self.buffer.extent(self.buffer.follow(place), 1)
        if length > _MOST_TEXT:
            raise FormatError(f"a name has {length} bytes, where {_MOST_TEXT} are the most")
        self.buffer.count(1 + length // _TEXT_OF_PART)
        try:
            return str(self.buffer.content[begin : begin + length], "utf-8")
        except UnicodeDecodeError as error:
            raise FormatError(f"the name at byte {begin} is no text") from error

    def content(self, slot: int) -> memoryview | None:
        """Return a list of bytes without a copy; None if it is absent."""
        place = self._place(slot)
        if place is None:
            return None
        begin, length = self.buffer.extent(self.buffer.follow(place), 1)
        return self.buffer.content[begin : begin + length]

    def int32s(self, slot: int) -> tuple[int, ...]:
        """Return a list of whole numbers; empty if it is absent."""
        begin, length = self._list(slot, _I32.size)
        self.buffer.count(length)
        return struct.unpack_from(f"<{length}i", self.buffer.content, begin)

    def tables(self, slot: int) -> TableList:
        """Return a list of tables; empty if it is absent."""
        begin, length = self._list(slot, _U32.size)
        return TableList(self.buffer, begin, length)

    def _list(self, slot: int, width: int) -> tuple[int, int]:
        place = self._place(slot)
        return (0, 0) if place is None else self.buffer.extent(self.buffer.follow(place), width)

    def _number(self, slot: int, form: struct.Struct) -> int:
        place = self._place(slot)
        return 0 if place is None else self.buffer.read(form, place)

    def _place(self, slot: int) -> int | None:
        """Return where a field stands, which the table's directory of fields says; None if it is absent."""
        directory = self.position - self.buffer.read(_I32, self.position)
        size = self.buffer.read(_U16, directory)
        entry = 4 + 2 * slot  # after the sizes of the directory and of the table
        if entry + _U16.size > size:
            return None  # the file was written before there was such a field
        offset = self.buffer.read(_U16, directory + entry)
        return self.position + offset if offset else None


@dataclass(frozen=True, slots=True)
class TableList:
    """Tables that are read when they are asked for."""

    buffer: Buffer
    begin: int
    length: int

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Table]:
        return (self[index] for index in range(self.length))

    def __getitem__(self, index: int) -> Table:
        if not 0 <= index < self.length:
            raise FormatError(f"it names number {index} of a list of {self.length}")
        self.buffer.count(1)
        return Table(self.buffer, self.buffer.follow(self.begin + index * _U32.size))
