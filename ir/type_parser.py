"""Reads types and literals, the leaves of the text form."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from .cursor import QUOTED, Cursor
from .dtype import DType
from .literals import Device, FunctionRef, Layout, Literal, MemoryFormat
from .types import (
    DictType,
    Dim,
    GroupType,
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
_RANKS = re.compile(r"([0-9]{1,7})(?::([0-9]{1,7}))?(?::([1-9][0-9]{0,6}))?(?![0-9])")
_OWN_RANK = re.compile(r"rank=([0-9]+)")
_DEVICE = re.compile(r"(\w+)(?::([0-9]+))?")
SIMPLE_TYPE: Final = r"\w+(?:\[[\w, *]*\])?(?:\{[^{}\"\n]*\})?"
"""Matches a type without parts, whose text is its key among the types read before."""

_SIMPLE_TYPE = re.compile(rf"[ \t]*({SIMPLE_TYPE}(?![\w\[{{]))")
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
_GROUP_ADVICE = "write a group as group[0:8]{gloo, rank=3}: its ranks, backend and the traced rank"
_FACT_ADVICE = (
    "write facts as {strides=[3, 1], device=cuda:0, layout=sparse_coo, class=Quantized, grad}"
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
    """Reads types at a cursor, each text once.

    Attributes:
        known: types without parts by their texts.
    """

    __slots__ = ("_cursor", "known")

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self.known: dict[str, Type] = {}

    def type(self) -> Type:
        """Read the type that stands at the cursor."""
        cursor = self._cursor
        simple = _SIMPLE_TYPE.match(cursor.text, cursor.position)
        if simple is None:
            return self._new_type()
        known = self.known.get(simple[1])
        if known is not None:
            cursor.position = simple.end()
            return known
        type_ = self._new_type()
        if cursor.position == simple.end():
            self.known[simple[1]] = type_
        return type_

    def _new_type(self) -> Type:
        cursor = self._cursor
        match = cursor.expect(_WORD, "a type", _TYPE_ADVICE)
        word = match[0]
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
        if word == "group":
            return self._group()
        if word == "tensor" or word in _DTYPES:
            if word != "tensor" and not has_parts:
                raise cursor.unexpected(f'"[" after {word}', f"write {word}[*] for any shape")
            shape = self._shape() if has_parts else None
            return self._tensor(_DTYPES.get(word), shape)
        raise cursor.error(f"{word} is not a type", _TYPE_ADVICE, match.start(), len(word))

    def _parts(self, word: str, count: int | None) -> tuple[Type, ...]:
        cursor = self._cursor
        start = cursor.position
        cursor.demand("[", f"after {word}", _TYPE_ADVICE)
        parts = [self.type() for _ in cursor.items("]", _TYPE_ADVICE)]
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
        for _ in cursor.items("]", _TYPE_ADVICE):
            field = cursor.name("the name of a field", _TYPE_ADVICE)
            cursor.demand(":", "after the name of a field", _TYPE_ADVICE)
            fields.append((field, self.type()))
        return RecordType(name, tuple(fields), is_tuple)

    def _group(self) -> GroupType:
        cursor = self._cursor
        cursor.demand("[", "before the ranks of a group", _GROUP_ADVICE)
        ranks: list[int] = []
        for _ in cursor.items("]", _GROUP_ADVICE):
            start, end, step = cursor.expect(_RANKS, "ranks", _GROUP_ADVICE).groups()
            first = int(start)
            ranks += range(first, int(end) if end else first + 1, int(step or 1))
        cursor.demand("{", "before the facts about a group", _GROUP_ADVICE)
        backend = ""
        match = cursor.accept(_OWN_RANK)
        if match is None:
            backend = cursor.name("a backend", _GROUP_ADVICE)
            cursor.demand(",", "after the backend", _GROUP_ADVICE)
            match = cursor.expect(_OWN_RANK, "the rank of the traced process", _GROUP_ADVICE)
        cursor.demand("}", "after the facts about a group", _GROUP_ADVICE)
        return GroupType(tuple(ranks), int(match[1]), backend)

    def _shape(self) -> tuple[Dim, ...] | None:
        cursor = self._cursor
        cursor.take("[")
        if cursor.take("*"):
            cursor.demand("]", "after *", _TYPE_ADVICE)
            return None
        return tuple([self._size() for _ in cursor.items("]", _TYPE_ADVICE)])

    def _size(self) -> Dim:
        cursor = self._cursor
        match = cursor.expect(_DIM, "a size", "write a number, a name, or * for any shape")
        if match[1]:
            return int(match[1])
        return SymDim(match[2] or cursor.unquote(match[3], match.start()))

    def _tensor(self, dtype: DType | None, shape: tuple[Dim, ...] | None) -> TensorType:
        type_ = TensorType(dtype, shape)
        cursor = self._cursor
        if not cursor.text.startswith("{", cursor.position):
            return type_
        cursor.take("{")
        for _ in cursor.items("}", _FACT_ADVICE):
            type_ = self._with_fact(type_)
        return type_

    def _with_fact(self, type_: TensorType) -> TensorType:
        """Read one fact about a tensor and return the type with it."""
        cursor = self._cursor
        fact = cursor.expect(_WORD, "a fact about the tensor", _FACT_ADVICE)
        if fact[0] == "grad":
            return replace(type_, requires_grad=True)
        if fact[0] not in ("strides", "device", "layout", "class"):
            what = f"{fact[0]} is no fact about a tensor"
            raise cursor.error(what, _FACT_ADVICE, fact.start(), len(fact[0]))
        cursor.demand("=", f"after {fact[0]}", _FACT_ADVICE)
        if fact[0] == "device":
            match = cursor.expect(_DEVICE, "a device", _FACT_ADVICE)
            return replace(type_, device=_device(match[1], match[2]))
        if fact[0] == "class":
            return replace(type_, class_name=cursor.name("the name of a class", _FACT_ADVICE))
        if fact[0] == "layout":
            layout = cursor.expect(_WORD, "a layout", _FACT_ADVICE)
            return replace(type_, layout=Layout(layout[0]))
        cursor.demand("[", "before strides", _FACT_ADVICE)
        strides = [
            int(cursor.expect(_INTEGER, "a stride", _FACT_ADVICE)[0])
            for _ in cursor.items("]", _FACT_ADVICE)
        ]
        return replace(type_, strides=tuple(strides))


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
    word = cursor.expect(_WORD, "an argument", _LITERAL_ADVICE)
    if word[0] in _CONSTANTS:
        return _CONSTANTS[word[0]]
    if word[0] == "complex":
        return _complex(cursor)
    raise cursor.error(f"{word[0]} is not a literal", _LITERAL_ADVICE, word.start(), len(word[0]))


def parse_dtype(cursor: Cursor) -> DType:
    """Read the element type that stands at the cursor."""
    advice = f"write one of {', '.join(list(_DTYPES)[:5])}, ..."
    word = cursor.expect(_WORD, "an element type", advice)
    if word[0] not in _DTYPES:
        raise cursor.error(f"{word[0]} is not an element type", advice, word.start(), len(word[0]))
    return _DTYPES[word[0]]


def _prefixed(cursor: Cursor, match: re.Match[str]) -> Literal:
    prefix, name, index = match.groups()
    if prefix == "device":
        return _device(name, index)
    if index is not None:
        what = f"{match[0]} has an index, which only devices have"
        raise cursor.error(what, f"write {prefix}.{name}", match.start(), len(match[0]))
    return Layout(name) if prefix == "layout" else MemoryFormat(name)


def _device(name: str, index: str | None) -> Device:
    return Device(name, None if index is None else int(index))


def _complex(cursor: Cursor) -> complex:
    advice = "write complex(1.0, 2.0)"
    cursor.demand("(", "after complex", advice)
    real = float(cursor.expect(_NUMBER, "the real part", advice)[0])
    cursor.demand(",", "after the real part", advice)
    imaginary = float(cursor.expect(_NUMBER, "the imaginary part", advice)[0])
    cursor.demand(")", "after the imaginary part", advice)
    return complex(real, imaginary)
