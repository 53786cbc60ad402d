"""Tuples as values: the operators that make them and take them apart, and what lies flat inside them.

A trace has none, since what a program takes and returns is taken apart before it is recorded. They come in
with text, with graphs of other systems, and with passes that bundle values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from .node import Node
from .operator import Effect, Operator
from .type_fit import argument_fits, type_fits
from .types import ScalarType, TupleType, Type
from .value import Value

Part = TypeVar("Part")

TUPLE_CONSTRUCT: Final = Operator("prim::TupleConstruct", effects=Effect.NONE)
"""``prim::TupleConstruct(*parts)``: a tuple of its arguments."""

TUPLE_UNPACK: Final = Operator("prim::TupleUnpack", effects=Effect.NONE)
"""``prim::TupleUnpack(tuple)``: every part of a tuple, as a result each."""

TUPLE_INDEX: Final = Operator("prim::TupleIndex", effects=Effect.NONE)
"""``prim::TupleIndex(tuple, index)``: one part, counted from the end where the index is negative."""

TUPLE_SLICE: Final = Operator("prim::TupleSlice", effects=Effect.NONE)
"""``prim::TupleSlice(tuple, begin, end)``: a tuple of some parts, as Python slices; None is an end."""

TUPLE_OPERATORS: Final[Mapping[str, Operator]] = {
    operator.name: operator
    for operator in (TUPLE_CONSTRUCT, TUPLE_UNPACK, TUPLE_INDEX, TUPLE_SLICE)
}
"""Each of them by its name."""


def tuple_fault(node: Node) -> str | None:
    """Say what is wrong with a node of a tuple operator; None if it is as it must be. O(arguments)."""
    if node.keywords or node.gives_lists or node.blocks:
        return f"{node.kind} takes neither names nor blocks, and gives no lists"
    args, types = node.all_args, [value.type for value in node.outputs]
    if node.kind == TUPLE_CONSTRUCT.name:
        made = types[0] if len(types) == 1 else None
        if not isinstance(made, TupleType):
            return f"{node.kind} gives one tuple"
        is_fit = len(args) == len(made.elements) and all(map(argument_fits, args, made.elements))
        return None if is_fit else f"the parts of {node.kind} are not of the types of its result"
    taken = args[0].type if args and isinstance(args[0], Value) else None
    if not isinstance(taken, TupleType):
        return f"the first argument of {node.kind} is not a tuple"
    given = _types_of_parts(node, taken)
    if given is None:
        return f"{node.kind} has not the arguments that it takes"
    if len(given) != len(types) or not all(map(type_fits, given, types)):
        return f"the results of {node.kind} are not of the types of the parts"
    return None


def _types_of_parts(node: Node, taken: TupleType) -> Sequence[Type] | None:
    """Return the types that a node gives of a tuple; None if its other arguments are wrong."""
    others = node.all_args[1:]
    if node.kind == TUPLE_UNPACK.name:
        return None if others else taken.elements
    if node.kind == TUPLE_INDEX.name:
        if len(others) != 1 or not argument_fits(others[0], ScalarType.INT):
            return None
        # Beyond the end it fails when it runs, as Python does.
        return chosen_parts(node, taken.elements) or (ScalarType.ANY,)
    if len(others) != 2 or any(arg is not None and type(arg) is not int for arg in others):
        return None
    return (TupleType(chosen_parts(node, taken.elements) or ()),)


def chosen_parts(node: Node, parts: tuple[Part, ...]) -> tuple[Part, ...] | None:
    """Return which parts of its tuple a node gives, of a slice those that it is made of.

    None for one that is chosen when the node runs, or beyond the end.
    """
    if node.kind == TUPLE_UNPACK.name:
        return parts
    places: Any = node.all_args[1:]  # verified to be numbers, or None for an end of a slice
    if node.kind == TUPLE_SLICE.name:
        return parts[places[0] : places[1]]
    (index,) = places
    return (parts[index],) if type(index) is int and -len(parts) <= index < len(parts) else None


def flat_types(types: Iterable[Type]) -> Iterator[Type]:
    """Yield types with those of a tuple's parts in the place of each tuple."""
    for type_ in types:
        if isinstance(type_, TupleType):
            yield from flat_types(type_.elements)
        else:
            yield type_


def flattened(types: Iterable[Type], given: Iterable[Any]) -> list[Any]:
    """Return objects with their parts in the place of tuples, as far as the types say tuples. O(parts)."""
    flat: list[Any] = []
    for type_, one in zip(types, given, strict=True):
        if isinstance(type_, TupleType):
            flat += flattened(type_.elements, one)
        else:
            flat.append(one)
    return flat


def nested(types: Iterable[Type], parts: Iterator[Any]) -> list[Any]:
    """Return one object per type, with tuples made of as many parts as they hold. O(parts)."""
    return [
        tuple(nested(type_.elements, parts)) if isinstance(type_, TupleType) else next(parts)
        for type_ in types
    ]
