"""Which tuples have no parts to put in their place, and why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from ..errors import PassError
from ..ir import (
    CALL,
    Argument,
    Block,
    DictType,
    FunctionRef,
    Graph,
    ListType,
    Node,
    RecordType,
    ScalarType,
    TupleType,
    Type,
    Value,
)
from ..ir.arguments import values_in
from ..ir.rules import references_in
from ..ir.tuples import TUPLE_CONSTRUCT, TUPLE_OPERATORS, TUPLE_SLICE, chosen_parts
from .complaints import complaint

_PASS_ON: Final = frozenset(
    "prim::If prim::Loop higher_order::cond higher_order::switch higher_order::while_loop "
    "higher_order::while_loop_stack_output higher_order::scan higher_order::map_impl "
    "higher_order::associative_scan higher_order::strict_mode".split()
)
"""Operators whose blocks take operands and give results one by one, in their order."""

_LIST = re.compile(
    r"(?:Optional\[)?List\[|.*\[[0-9]*\]\??\Z"
)  # as torch prints types, and as schemas do
_LEAVE = "leave the pass lower_all_tuples out, or take the tuple apart before"

Nesting: TypeAlias = "tuple[Nesting, ...] | None"
"""How tuples are nested in a type; None for one that is no tuple."""


def tells_of_tuples(graph: Graph) -> bool:
    """Whether the type of any value is a tuple or has one inside. O(values)."""
    values = [*graph.values(), *(entry.value for entry in graph.state.values())]
    types = {id(value.type): value.type for value in values}  # many values share one
    return any(map(_holds_tuple, types.values()))


def require_lowerable(graph: Graph, functions: Mapping[str, Graph]) -> None:
    """Refuse a graph, which may call some functions, with a tuple that cannot be lowered. O(size).

    Raises:
        PassError: there is one; the message names the node and the user's line.
    """
    for entry in graph.state.values():
        if _nesting(entry.value.type) is not None or _hides_tuple(entry.value.type):
            raise PassError(
                f"state {entry.name} is or holds a tuple, {entry.value.type}, which cannot be lowered\n"
                "  make its parts pieces of state of their own"
            )
    for value in graph.inputs:
        if _hides_tuple(value.type):
            raise PassError(
                f"input {value.name} is {value.type}, and a tuple inside cannot be lowered"
            )
    for node in graph.walk():
        _require_plain_types(node)
        if node.kind in TUPLE_OPERATORS:
            _require_known(node)
        elif node.kind == CALL:
            _require_matching_call(node, functions)
        elif node.blocks:
            _require_passed_on(node)
        else:
            _require_list(node)
        if node.kind != CALL:
            _require_plain_functions(node, functions)


def _require_plain_types(node: Node) -> None:
    """Refuse tuples inside lists, dictionaries and records, and those that lists of arguments hold."""
    inner = [value for block in node.blocks for value in block.inputs]
    for value in (*node.outputs, *inner):
        if _hides_tuple(value.type):
            what = f"{node.kind} gives {value.type}, and a tuple inside cannot be lowered"
            raise complaint(node, what, _LEAVE)


def _require_known(node: Node) -> None:
    """Refuse a part that is not known, or that is a tuple without saying so."""
    args, results = node.all_args, [value.type for value in node.outputs]
    if node.kind == TUPLE_CONSTRUCT.name:
        (made,) = results
        assert isinstance(made, TupleType), "verified"
        _require_no_lists(node, args)
        pairs: Iterable[tuple[Nesting, Type]] = zip(map(_given, args), made.elements, strict=True)
    else:
        taken = node.inputs[0].type
        assert isinstance(taken, TupleType), "verified"
        chosen = chosen_parts(node, taken.elements)
        if chosen is None:
            what = f"{node.kind} takes a part of a tuple that is known only when it runs"
            raise complaint(node, what, _LEAVE)
        if node.kind == TUPLE_SLICE.name:
            chosen = (TupleType(chosen),)
        pairs = zip(map(_nesting, chosen), results, strict=True)
    for given, expected in pairs:
        _require_told(node, given, expected)


def _require_matching_call(node: Node, functions: Mapping[str, Graph]) -> None:
    reference = node.all_args[0]
    assert isinstance(reference, FunctionRef), "verified"
    function, args = functions[reference.name], node.all_args[1:]
    _require_no_lists(node, args)
    for arg, taken in zip(args, function.inputs, strict=True):
        _require_told(node, _given(arg), taken.type)
    for returned, result in zip(function.outputs, node.outputs, strict=True):
        _require_told(node, _nesting(returned.type), result.type)
    if any(map(_has_tuples, node.blocks)):
        raise complaint(node, f"a block of {node.kind} takes or returns a tuple", _LEAVE)


def _require_passed_on(node: Node) -> None:
    """Refuse tuples that go in or out of blocks, but where operands and results stand side by side."""
    touched = any(_nesting(value.type) is not None for value in (*node.inputs, *node.outputs))
    if not touched and not any(map(_has_tuples, node.blocks)):
        return
    if node.kind not in _PASS_ON:
        what = f"{node.kind} may tell a tuple from its parts, which go in or out of its blocks"
        raise complaint(node, what, _LEAVE)
    if any(_given(arg) is not None for arg in node.kwargs.values()):
        raise complaint(node, f"{node.kind} is passed a tuple by name", _LEAVE)
    border = [value.type for block in node.blocks for value in (*block.inputs, *block.outputs)]
    if ScalarType.ANY in border or any(value.type is ScalarType.ANY for value in node.outputs):
        what = f"a block of {node.kind} takes or returns any type, which may be a tuple or not"
        raise complaint(node, what, _LEAVE)


def _require_list(node: Node) -> None:
    """Refuse tuples that an operator returns, and those that it does not take for a list."""
    if any(_nesting(value.type) is not None for value in node.outputs):
        raise complaint(
            node, f"{node.kind} itself returns a tuple, whose parts are no values", _LEAVE
        )
    _require_no_lists(node, node.all_args)
    parameters = {parameter.name: parameter.type for parameter in node.operator.parameters}
    types = [parameter.type for parameter in node.operator.parameters]
    types = types[: len(node.args)] + [parameters.get(name, "") for name in node.keywords]
    for number, arg in enumerate(node.all_args):
        nesting = _given(arg)
        if nesting is None:
            continue
        if number >= len(types) or not _LIST.match(types[number]):
            what = f"{node.kind} is passed a tuple, and does not say that a list would do"
            raise complaint(node, what, _LEAVE)
        if any(part is not None for part in nesting):
            raise complaint(node, f"{node.kind} is passed a tuple of tuples for a list", _LEAVE)


def _require_plain_functions(node: Node, functions: Mapping[str, Graph]) -> None:
    for reference in references_in(node.all_args):
        if _has_tuples(functions[reference.name].block):
            what = f"{node.kind} is given function {reference.name}, which takes or returns a tuple"
            raise complaint(node, what, _LEAVE)


def _require_told(node: Node, given: Nesting, expected: Type) -> None:
    if given != _nesting(expected):
        what = f"{node.kind} has a value of type {expected} for what may be a tuple of another kind"
        raise complaint(node, what, "give the value the type that it has")


def _require_no_lists(node: Node, args: Iterable[Argument]) -> None:
    for arg in args:
        if isinstance(arg, tuple) and any(_nesting(v.type) is not None for v in values_in(arg)):
            raise complaint(node, f"{node.kind} is passed a list of tuples", _LEAVE)


def _has_tuples(block: Block) -> bool:
    return any(_nesting(value.type) is not None for value in (*block.inputs, *block.outputs))


def _given(arg: Argument) -> Nesting:
    return _nesting(arg.type) if isinstance(arg, Value) else None


def _nesting(type_: Type) -> Nesting:
    return tuple(map(_nesting, type_.elements)) if isinstance(type_, TupleType) else None


def _hides_tuple(type_: Type) -> bool:
    """Whether a tuple stands in a type where it cannot be lowered."""
    if isinstance(type_, TupleType):
        return any(map(_hides_tuple, type_.elements))
    if isinstance(type_, ListType):
        return _holds_tuple(type_.element)
    if isinstance(type_, DictType):
        return _holds_tuple(type_.key) or _holds_tuple(type_.value)
    return isinstance(type_, RecordType) and any(_holds_tuple(part) for _, part in type_.fields)


def _holds_tuple(type_: Type) -> bool:
    return isinstance(type_, TupleType) or _hides_tuple(type_)
