"""The data of tensors in the safetensors format: its header, written and read without torch.

The format (github.com/huggingface/safetensors) is a length, a JSON header with dtype, shape and place of
each tensor, and their data one after the other. Each memory of a program's state is one tensor there.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ...errors import FormatError
from ..dtype import DType
from .archive import Readable
from .fields import fields, listed, load_json, text, whole

_NAMES: Final = {
    DType.BOOL: "BOOL", DType.U8: "U8", DType.I8: "I8", DType.U16: "U16", DType.I16: "I16",
    DType.F16: "F16", DType.BF16: "BF16", DType.U32: "U32", DType.I32: "I32", DType.F32: "F32",
    DType.U64: "U64", DType.I64: "I64", DType.F64: "F64", DType.C64: "C64",
    DType.F8_E4M3FN: "F8_E4M3", DType.F8_E5M2: "F8_E5M2", DType.F8_E8M0FNU: "F8_E8M0",
}  # fmt: skip
_SIZES: Final = {name: dtype.nbytes for dtype, name in _NAMES.items()}
_LENGTH: Final = struct.Struct("<Q")
_MOST_HEADER: Final = 100_000_000  # bytes, as safetensors itself has it
_ALIGNMENT: Final = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """One memory: what it is called, and what others are to see in it.

    Attributes:
        name: what it is called.
        nbytes: its size.
        dtype: that of its elements, if it is all of one tensor.
        shape: the sizes of that, in elements.
    """

    name: str
    nbytes: int
    dtype: DType | None = None
    shape: tuple[int, ...] = ()


def header_bytes(entries: Sequence[Entry]) -> bytes:
    """Return what stands before the data of some memories."""
    header: dict[str, Any] = {}
    start = 0
    for entry in entries:
        name = None if entry.dtype is None else _NAMES.get(entry.dtype)
        header[entry.name] = {
            "dtype": name or "U8",
            "shape": list(entry.shape) if name else [entry.nbytes],
            "data_offsets": [start, start + entry.nbytes],
        }
        start += entry.nbytes
    content = json.dumps(header, separators=(",", ":")).encode("ascii")
    content += b" " * (-len(content) % _ALIGNMENT)
    return _LENGTH.pack(len(content)) + content


def read_header(stream: Readable, size: int) -> dict[str, tuple[int, int]]:
    """Return where the data of each memory lies: its start in the stream, and its size, in order.

    Args:
        stream: at its start.
        size: how many bytes it has.

    Raises:
        FormatError: it is no header, or one that does not fit the size.
    """
    start = stream.read(_LENGTH.size)
    if len(start) < _LENGTH.size:
        raise FormatError("it ends before its header")
    (length,) = _LENGTH.unpack(start)
    if length > min(_MOST_HEADER, size - _LENGTH.size):
        raise FormatError(f"its header is to have {length:,} bytes, which it cannot have")
    header = load_json(stream.read(length), "its header")
    if header.__class__ is not dict:
        raise FormatError("its header is no object")
    header.pop("__metadata__", None)
    origin = _LENGTH.size + length
    spans = {name: _span(name, facts) for name, facts in header.items()}
    end = 0
    for name, (first, last) in sorted(spans.items(), key=lambda span: span[1]):
        if first != end:
            raise FormatError(f"{name} begins at {first}, and what is before it ends at {end}")
        end = last
    if origin + end != size:
        raise FormatError(f"its tensors have {end:,} bytes, and there are {size - origin:,}")
    return {name: (origin + first, last - first) for name, (first, last) in spans.items()}


def _span(name: str, facts: Any) -> tuple[int, int]:
    parts = fields(facts, name, ("dtype", "shape", "data_offsets"))
    dtype = text(parts["dtype"], name)
    if dtype not in _SIZES:
        raise FormatError(f"{name} has elements {dtype}, which this version does not know")
    shape = [whole(size, name) for size in listed(parts["shape"], name)]
    first, last = [whole(place, name) for place in listed(parts["data_offsets"], name, 2)]
    if last < first or last - first != math.prod(shape) * _SIZES[dtype]:
        raise FormatError(f"{name} has {last - first} bytes, which its shape does not have")
    return first, last
