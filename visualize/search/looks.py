"""Looking at nodes: what of one fits a pattern. What many nodes share is looked at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from typing import NamedTuple, TypeAlias, TypeVar

from ...ir import Frame, Node, ScalarType, Scope, SourceRange, TensorType, Value
from ...ir.printer import value_text
from .shapes import sizes_text
from .type_parts import parts_of_type

_MOST_LINES = 20  # of one expression

Names: TypeAlias = Mapping[Value, str]
Shared = TypeVar("Shared", bound=Hashable)


class Match(NamedTuple):
    """Where a node fits one part of a query: the key of what was looked at, and its text."""

    key: str
    text: str


Look: TypeAlias = Callable[[Node], Match | None]
"""Tells where a node fits; None if it does not."""

Maker: TypeAlias = Callable[[re.Pattern[str], Names], Look]
"""Makes what looks at the nodes of one graph, whose values have these names."""


def _per(
    shared: Callable[[Node], Shared], look: Callable[[Shared], Match | None]
) -> Callable[[Node], Match | None]:
    """Look at what many nodes share, such as their scope, once for all of them."""
    known: dict[Shared, Match | None] = {}

    def looked(node: Node) -> Match | None:
        part = shared(node)
        try:
            return known[part]
        except KeyError:
            match = known[part] = look(part)
            return match

    return looked


def by_operator(pattern: re.Pattern[str], names: Names) -> Look:
    """Look at the operator."""
    return _per(
        lambda node: node.operator,
        lambda operator: Match("op", operator.name) if pattern.search(operator.name) else None,
    )


def by_scope(pattern: re.Pattern[str], names: Names) -> Look:
    """Look at the scope, whose address has those around it."""

    def look(scope: Scope) -> Match | None:
        address = scope.address
        is_found = pattern.search(address) or pattern.search(scope.path)
        return Match("scope", address) if is_found else None

    return _per(lambda node: node.scope, look)


def by_class(pattern: re.Pattern[str], names: Names) -> Look:
    """Look at the classes of the modules around a node, innermost first."""

    def look(scope: Scope) -> Match | None:
        part: Scope | None = scope
        while part is not None:
            if part.class_name and pattern.search(part.class_name):
                return Match("class", part.class_name)
            part = part.parent
        return None

    return _per(lambda node: node.scope, look)


def by_name(pattern: re.Pattern[str], names: Names) -> Look:
    """Look at the names of results."""

    def look(node: Node) -> Match | None:
        for value in node.outputs:
            name = names.get(value, "")
            if pattern.search(f"%{name}"):
                return Match("name", value_text(name))
        return None

    return look


def by_state(pattern: re.Pattern[str], names: Names) -> Look:
    """Look at the state that is read, by all of its names."""
    known: dict[Value, Match | None] = {}

    def look(node: Node) -> Match | None:
        for value in node.inputs:
            entry = value.state
            if entry is None:
                continue
            if value not in known:
                name = next(filter(pattern.search, entry.names), None)
                known[value] = None if name is None else Match("state", name)
            if known[value] is not None:
                return known[value]
        return None

    return look


def by_types(key: str, text_of: Callable[[TensorType | ScalarType], tuple[str, ...]]) -> Maker:
    """Return what looks at types, those of results first, by texts of their tensors and scalars."""

    def make(pattern: re.Pattern[str], names: Names) -> Look:
        known: dict[int, Match | None] = {}  # by identity: the graph keeps them, hashing is slow

        def look(node: Node) -> Match | None:
            for value in (*node.outputs, *node.inputs):
                type_ = value.type
                if id(type_) not in known:
                    texts = (text for part in parts_of_type(type_) for text in text_of(part))
                    is_found = any(map(pattern.search, texts))
                    known[id(type_)] = Match(key, str(type_)) if is_found else None
                match = known[id(type_)]
                if match is not None:
                    return match
            return None

        return look

    return make


def dtype_texts(part: TensorType | ScalarType) -> tuple[str, ...]:
    """Return the names of an element type."""
    if isinstance(part, ScalarType):
        return (part.value,)
    return () if part.dtype is None else (part.dtype.value, part.dtype.long_name)


def shape_texts(part: TensorType | ScalarType) -> tuple[str, ...]:
    """Return a shape as patterns of shapes read it."""
    if isinstance(part, ScalarType) or part.shape is None:
        return ()
    return (sizes_text(part.shape),)


def _type_texts(part: TensorType | ScalarType) -> tuple[str, ...]:
    if isinstance(part, ScalarType) or part.shape is None:
        return (str(part),)
    return (str(part), "x".join(map(str, part.shape)))


def by_source(pattern: re.Pattern[str], names: Names) -> Look:
    """Look at the lines of the user's expression."""

    def look(stack: Frame | None) -> Match | None:
        if stack is None:
            return None
        place = stack.user.range
        lines = (place.line_text(number) for number in _lines_of(place))
        line = next(filter(pattern.search, lines), None)
        return None if line is None else Match("source", line.strip())

    return _per(lambda node: node.stack, look)


def _lines_of(place: SourceRange) -> range:
    last = max(place.line, min(place.end_line, place.line + _MOST_LINES))
    return range(place.line, last + 1)


def by_any_line(pattern: re.Pattern[str], names: Names) -> Look:
    """Look at all places on the stack."""
    known: dict[Frame, Match | None] = {}

    def look(stack: Frame | None) -> Match | None:
        fresh: list[Frame] = []
        match: Match | None = None
        for frame in stack or ():
            if frame in known:
                match = known[frame]
                break
            fresh.append(frame)
            match = _at_line(pattern, frame.range)
            if match is not None:
                break
        known.update(dict.fromkeys(fresh, match))
        return match

    return _per(lambda node: node.stack, look)


def by_own_line(pattern: re.Pattern[str], names: Names) -> Look:
    """Look at the innermost place in the user's code."""
    return _per(
        lambda node: node.stack,
        lambda stack: None if stack is None else _at_line(pattern, stack.user.range),
    )


def _at_line(pattern: re.Pattern[str], place: SourceRange) -> Match | None:
    text = f"{place.file}:{place.line}"
    return Match("line", text) if pattern.search(text) else None


def named_values(pattern: re.Pattern[str], names: Names) -> set[Value]:
    """Return the values that a pattern names, state by any of its names."""
    found = {value for value, name in names.items() if pattern.search(name)}
    for value in names:
        entry = value.state
        if entry is not None and any(map(pattern.search, entry.names)):
            found.add(value)
    return found


def by_user(pattern: re.Pattern[str], names: Names) -> Look:
    """Look at whether values are read that the pattern names."""
    wanted = named_values(pattern, names)

    def look(node: Node) -> Match | None:
        value = next((value for value in node.inputs if value in wanted), None)
        return None if value is None else Match("user", value_text(names[value]))

    return look


def by_producer(pattern: re.Pattern[str], names: Names) -> Look:
    """Look at whether values are made that the pattern names."""
    wanted = named_values(pattern, names)

    def look(node: Node) -> Match | None:
        value = next((value for value in node.outputs if value in wanted), None)
        return None if value is None else Match("from", value_text(names[value]))

    return look


def by_everything(pattern: re.Pattern[str], names: Names) -> Look:
    """Look at all that words are looked for in."""
    makers = (by_operator, by_name, by_scope, by_class, by_state, by_types("shape", _type_texts))
    looks = [make(pattern, names) for make in (*makers, by_own_line, by_source)]

    def look(node: Node) -> Match | None:
        for part in looks:
            match = part(node)
            if match is not None:
                return match
        return None

    return look
