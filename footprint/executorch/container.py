"""The file around a program of ExecuTorch: its header, the data behind it, and inputs bundled with it."""

from __future__ import annotations

import struct
from typing import Final

from ...errors import FormatError
from .buffers import Buffer, Table

_KNOWN: Final = b"ET12"
_PROGRAM: Final = b"ET"
_BUNDLE: Final = b"BP"
_PROGRAM_IN_BUNDLE: Final = 2
_MARK: Final = b"eh00"
_HEADER: Final = struct.Struct("<4sIQQ")  # mark, its own length, of the program, where data begins
_DATA_SIZE: Final = struct.Struct("<Q")  # of the data; later writers add it
_MARK_AT: Final = 8


def is_program(head: bytes) -> bool:
    """Whether the first eight bytes of a file are those of a program, or of one bundled with inputs."""
    return head[4:6] in (_PROGRAM, _BUNDLE) and head[6:8].isdigit()


def is_bundle(head: bytes) -> bool:
    """Whether the first eight bytes of a file are those of a program that is bundled with inputs."""
    return is_program(head) and head[4:6] == _BUNDLE


def root_of(content: memoryview) -> Table:
    """Return the root of the program in a file.

    Raises:
        FormatError: there is none, or not all of it.
    """
    head = bytes(content[:8])
    if is_bundle(head):
        inner = Buffer(content).root().content(_PROGRAM_IN_BUNDLE)
        if inner is None:
            raise FormatError("it bundles inputs with no program")
        content, head = inner, bytes(inner[:8])
    if not is_program(head) or is_bundle(head):
        raise FormatError(
            "it does not begin as they do\n"
            "to_edge(torch.export.export(model, inputs)).to_executorch().save(path) writes one"
        )
    if head[4:] != _KNOWN:
        raise FormatError(
            f"it is of format {head[4:].decode()}, and {_KNOWN.decode()} is what can be read\n"
            "export the model again, with a release of ExecuTorch from 2023 or later"
        )
    return Buffer(_without_data(content)).root()


def _without_data(content: memoryview) -> memoryview:
    """Return the flatbuffer of a program, without the weights behind it.

    Raises:
        FormatError: a part of the file is missing.
    """
    if bytes(content[_MARK_AT : _MARK_AT + 4]) != _MARK:
        return content  # old files have all in the flatbuffer
    if len(content) < _MARK_AT + _HEADER.size:
        raise FormatError("it is cut off in its header")
    _, length, program, data = _HEADER.unpack_from(content, _MARK_AT)
    end = max(program, data)
    if length >= _HEADER.size + _DATA_SIZE.size and len(content) >= _MARK_AT + length:
        end += _DATA_SIZE.unpack_from(content, _MARK_AT + _HEADER.size)[0] if data else 0
    if end > len(content):
        raise FormatError(f"it is cut off: of {end} bytes there are {len(content)}; copy it again")
    return content[:program]
