"""Reads types and literals, the leaves of the text form."""

from __future__ import annotations

import re
from typing import Final

from ..errors import ParseError
from .cursor import QUOTED, Cursor
from .dtype import DType
from .literals import CPU, STRIDED, Device, FunctionRef, Layout, Literal, MemoryFormat
from .types import (
    DictType,
    Dim,
    ListType,
    RecordType,
    ScalarType,
    SymDim,
    TensorType,
    TupleType,
    Type,
)

_WORD = re.compile(r"\w+")
_INTEGER = re.compile(r"-?[0-9]+")
_DIM = re.compile(rf"([0-9]+)(?!\w)|([^\W\d]\w*(?:\.\w+)*)|({QUOTED})")
_DEVICE = re.compile(r"(\w+)(?::([0-9]+))?")
# A type without parts: its text is its key among the types read before.
_SIMPLE_TYPE = re.compile(r"[ \t]*(\w+(?:\[[\w, *]*\])?(?:\{[^{}\"\n]*\})?(?![\w\[{]))")
_NUMBER = re.compile(r"-?(?:[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?|(inf|nan))(?![\w.])")
_QUOTED = re.compile(QUOTED)
_PREFIXED = re.compile(r"(device|layout|memory)\.(\w+)(?::([0-9]+))?")
_FUNCTION = re.compile(r"@")

_DTYPES: Final = {str(dtype): dtype for dtype in DType}
_SCALARS: Final = {str(scalar): scalar for scalar in ScalarType}
_CONSTANTS: Final[dict[str, Literal]] = {"True": True, "False": False, "None": None, **_DTYPES}

_TYPE_ADVICE = (
    "write a type as f32[2, 3], f32[*], tensor, int, list[int], tuple[int, str], dict[str, int]"
    " or record Name[field: int]"
)
_LITERAL_ADVICE = (
    'write %name for a value, or a literal: 1, 2.5, True, None, f32, device.cpu, [1, 2] or "text"'
)


def parse_type(text: str) -> Type:
    """Return the type that a text such as ``f32[2, 3]`` stands for.

    Raises:
        ParseError: it stands for none; the message points at what is wrong.
    """
    cursor = Cursor(text)
    cursor.skip_gap()
    type_ = TypeParser(cursor).type()
    cursor.skip_gap()
    if cursor.position < len(text):
        raise cursor.unexpected("the end of the type", _TYPE_ADVICE)
    return type_


class TypeParser:
    """Reads types at a cursor, each text once."""

    __slots__ = ("_cursor", "_known")

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._known: dict[str, Type] = {}

    def type(self) -> Type:
        """Read the type that stands at the cursor."""
        cursor = self._cursor
        simple = _SIMPLE_TYPE.match(cursor.text, cursor.position)
        if simple is None:
            return self._new_type()
        known = self._known.get(simple[1])
        if known is not None:
            cursor.position = simple.end()
            return known
        type_ = self._new_type()
        if cursor.position == simple.end():
            self._known[simple[1]] = type_
        return type_

    def _new_type(self) -> Type:
        cursor = self._cursor
        start = cursor.position
        word = cursor.expect(_WORD, "a type", _TYPE_ADVICE)[0]
        if word in ("record", "namedtuple"):
            return self._record(is_tuple=word == "namedtuple")
        has_parts = cursor.text.startswith("[", cursor.position)
        if word in _SCALARS and not has_parts:
            return _SCALARS[word]
        if word == "list":
            return ListType(*self._parts(word, 1))
        if word == "dict":
            return DictType(*self._parts(word, 2))
        if word == "tuple":
            return TupleType(self._parts(word, None))
        if word == "tensor" or word in _DTYPES:
            if word != "tensor" and not has_parts:
                raise cursor.unexpected(f'"[" after {word}', f"write {word}[*] for any shape")
            shape = self._shape() if has_parts else None
            return self._tensor(_DTYPES.get(word), shape)
        raise cursor.error(f"{word} is not a type", _TYPE_ADVICE, start, len(word))

    def _parts(self, word: str, count: int | None) -> tuple[Type, ...]:
        cursor = self._cursor
        start = cursor.position
        cursor.demand("[", f"after {word}", _TYPE_ADVICE)
        parts: list[Type] = []
        while not cursor.take("]"):
            if parts:
                cursor.demand(",", f"or ] between the parts of a {word}", _TYPE_ADVICE)
                cursor.skip_gap()
            parts.append(self.type())
        if count is not None and len(parts) != count:
            raise cursor.error(
                f"{word} has {len(parts)} parts, not {count}",
                _TYPE_ADVICE,
                start,
                cursor.position - start,
            )
        return tuple(parts)

    def _record(self, *, is_tuple: bool) -> RecordType:
        cursor = self._cursor
        name = cursor.name("the name of a class", _TYPE_ADVICE)
        cursor.demand("[", "after the name of a class", _TYPE_ADVICE)
        fields: list[tuple[str, Type]] = []
        while not cursor.take("]"):
            if fields:
                cursor.demand(",", "or ] between fields", _TYPE_ADVICE)
                cursor.skip_gap()
            field = cursor.name("the name of a field", _TYPE_ADVICE)
            cursor.demand(":", "after the name of a field", _TYPE_ADVICE)
            fields.append((field, self.type()))
        return RecordType(name, tuple(fields), is_tuple)

    def _shape(self) -> tuple[Dim, ...] | None:
        cursor = self._cursor
        cursor.take("[")
        if cursor.take("*"):
            cursor.demand("]", "after *", _TYPE_ADVICE)
            return None
        shape: list[Dim] = []
        while not cursor.take("]"):
            if shape:
                cursor.demand(",", "or ] between sizes", _TYPE_ADVICE)
            match = cursor.expect(_DIM, "a size", "write a number, a name, or * for any shape")
            shape.append(
                int(match[1])
                if match[1]
                else SymDim(match[2] or cursor.unquote(match[3], match.start()))
            )
        return tuple(shape)

    def _tensor(self, dtype: DType | None, shape: tuple[Dim, ...] | None) -> TensorType:
        cursor = self._cursor
        strides: tuple[int, ...] | None = None
        device = CPU
        layout = STRIDED
        requires_grad = False
        advice = "write facts as {strides=[3, 1], device=cuda:0, layout=sparse_coo, grad}"
        if cursor.text.startswith("{", cursor.position):
            cursor.take("{")
            while True:
                start = cursor.position
                fact = cursor.expect(_WORD, "a fact about the tensor", advice)[0]
                if fact == "grad":
                    requires_grad = True
                elif fact == "strides":
                    cursor.demand("=", "after strides", advice)
                    strides = self._strides(advice)
                elif fact == "device":
                    cursor.demand("=", "after device", advice)
                    device = _device(cursor.expect(_DEVICE, "a device", advice))
                elif fact == "layout":
                    cursor.demand("=", "after layout", advice)
                    layout = Layout(cursor.expect(_WORD, "a layout", advice)[0])
                else:
                    raise cursor.error(
                        f"{fact} is no fact about a tensor", advice, start, len(fact)
                    )
                if not cursor.take(","):
                    break
            cursor.demand("}", "after the facts about a tensor", advice)
        return TensorType(dtype, shape, strides, device, layout, requires_grad)

    def _strides(self, advice: str) -> tuple[int, ...]:
        cursor = self._cursor
        cursor.demand("[", "before strides", advice)
        strides: list[int] = []
        while not cursor.take("]"):
            if strides:
                cursor.demand(",", "or ] between strides", advice)
            strides.append(int(cursor.expect(_INTEGER, "a stride", advice)[0]))
        return tuple(strides)


def parse_literal(cursor: Cursor) -> Literal:
    """Read the literal that stands at the cursor."""
    number = cursor.accept(_NUMBER)
    if number is not None:
        is_float = number[1] or number[2] or number[3]
        return float(number[0]) if is_float else int(number[0])
    quoted = cursor.accept(_QUOTED)
    if quoted is not None:
        return cursor.unquote(quoted[0], quoted.start())
    prefixed = cursor.accept(_PREFIXED)
    if prefixed is not None:
        return _prefixed(cursor, prefixed)
    if cursor.accept(_FUNCTION):
        return FunctionRef(cursor.name("the name of a function after @", _LITERAL_ADVICE))
    start = cursor.position
    word = cursor.expect(_WORD, "an argument", _LITERAL_ADVICE)[0]
    if word in _CONSTANTS:
        return _CONSTANTS[word]
    if word == "complex":
        return _complex(cursor)
    raise cursor.error(f"{word} is not a literal", _LITERAL_ADVICE, start, len(word))


def parse_dtype(cursor: Cursor) -> DType:
    """Read the element type that stands at the cursor."""
    start = cursor.position
    advice = f"write one of {', '.join(list(_DTYPES)[:5])}, ..."
    word = cursor.expect(_WORD, "an element type", advice)[0]
    if word not in _DTYPES:
        raise cursor.error(f"{word} is not an element type", advice, start, len(word))
    return _DTYPES[word]


def _prefixed(cursor: Cursor, match: re.Match[str]) -> Literal:
    prefix, name, index = match.groups()
    if prefix == "device":
        return Device(name, None if index is None else int(index))
    if index is not None:
        raise _needless_index(cursor, match)
    return Layout(name) if prefix == "layout" else MemoryFormat(name)


def _needless_index(cursor: Cursor, match: re.Match[str]) -> ParseError:
    return cursor.error(
        f"{match[0]} has an index, which only devices have",
        f"write {match[1]}.{match[2]}",
        match.start(),
        len(match[0]),
    )


def _device(match: re.Match[str]) -> Device:
    return Device(match[1], None if match[2] is None else int(match[2]))


def _complex(cursor: Cursor) -> complex:
    advice = "write complex(1.0, 2.0)"
    cursor.demand("(", "after complex", advice)
    real = float(cursor.expect(_NUMBER, "the real part", advice)[0])
    cursor.demand(",", "after the real part", advice)
    imaginary = float(cursor.expect(_NUMBER, "the imaginary part", advice)[0])
    cursor.demand(")", "after the imaginary part", advice)
    return complex(real, imaginary)
