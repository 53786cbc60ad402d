"""Words for what differs: what values and nodes are called, and facts as three short texts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from ..ir import (
    Argument,
    Graph,
    Node,
    Scope,
    StateEntry,
    TensorType,
    Type,
    Value,
    literal_text,
    value_names,
)
from ..ir.operator import Missing
from ..ir.printer import node_text, operator_text, scope_text, value_text
from ..ir.types import quote_name
from .changes import ChangeKind
from .facts import (
    AddressChange,
    ArgumentChange,
    BlocksChange,
    ClassChange,
    CompositeChange,
    Fact,
    GroupsChange,
    KindChange,
    ModesChange,
    NameChange,
    NamesChange,
    OperatorChange,
    OrderChange,
    ScopeChange,
    SourceChange,
    TypeChange,
)

TO: Final = "→"
_NOTHING: Final = "nothing"
_TOP: Final = "top"  # what the top scope is called, whose address is empty
_NUMBER = re.compile(r"[0-9]+")


class Words(NamedTuple):
    """A fact as text: what differs, how it was, and how it is."""

    what: str
    before: str
    after: str

    def __str__(self) -> str:
        return (
            f"{self.what}: {self.before} {TO} {self.after}"
            if self.after
            else f"{self.what}: {self.before}"
        )


class Naming:
    """What nodes and values of two graphs are called.

    Args:
        kinds: the nodes that were added or removed, with which of it they were.
        is_anonymous: whether names, and the numbers in those of state, are left out, so that equal changes
            in different layers read equal.
    """

    def __init__(self, kinds: Mapping[Node, ChangeKind], *, is_anonymous: bool = False) -> None:
        self._kinds = kinds
        self._is_anonymous = is_anonymous
        self._names: dict[Graph, dict[Value, str]] = {}

    def statement(self, node: Node) -> str:
        """Return a node as its graph's text shows it."""
        values = (*node.inputs, *node.outputs)
        return node_text(node, {value: self.name(value) for value in values})

    def name(self, value: Value) -> str:
        """Return the name of a value."""
        if value.state is not None:
            name = value.state.name
            return without_numbers(name) if self._is_anonymous else name
        if self._is_anonymous:
            return "_"
        graph = None if value.block is None else value.block.graph
        if graph is None:
            return value.name or "?"
        if graph not in self._names:
            self._names[graph] = value_names(graph)
        return self._names[graph].get(value) or value.name or "?"

    def value(self, value: Value, reader: Scope | None = None) -> str:
        """Return a value with what makes it: ``%h (aten::relu, added)``.

        Args:
            value: the value.
            reader: the scope of what reads it; that of the maker is told if it is another.
        """
        node = value.node
        if node is None:
            is_input = value.state is None and value.block is not None and value.block.owner is None
            return f"{'input ' if is_input else ''}{value_text(self.name(value))}"
        parts = [operator_text(node.kind)]
        kind = self._kinds.get(node)
        if kind is not None:
            parts.append(kind.value)
        if reader is not None and node.scope is not reader and node.scope.parent is not None:
            address = node.scope.address
            parts.append(f"in {without_numbers(address) if self._is_anonymous else address}")
        return f"{value_text(self.name(value))} ({', '.join(parts)})"

    def argument(self, arg: Argument | Missing, reader: Scope | None = None) -> str:
        """Return an argument: a literal, a value with what makes it, or a list."""
        if isinstance(arg, Missing):
            return _NOTHING
        if isinstance(arg, Value):
            return self.value(arg, reader)
        if isinstance(arg, tuple):
            return f"[{', '.join(self.argument(item) for item in arg)}]"
        return literal_text(arg)

    def words(self, fact: Fact, reader: Scope | None = None) -> Words:
        """Return a fact as text.

        Args:
            fact: in what something differs.
            reader: the scope of the node that the fact is about.
        """
        match fact:
            case OperatorChange(before, after):
                return Words("operator", operator_text(before), operator_text(after))
            case ArgumentChange(name, old, new):
                texts = self.argument(old, reader), self.argument(new, reader)
                return Words(shown(name), *texts)
            case TypeChange(of, old_type, new_type):
                return Words(of, str(old_type or _NOTHING), str(new_type or _NOTHING))
            case GroupsChange(lists, new_lists):
                return Words("lists among the results", str(list(lists)), str(list(new_lists)))
            case ModesChange(modes, new_modes):
                return Words("modes", str(modes), str(new_modes))
            case ScopeChange(scope, new_scope):
                return Words("scope", scope_text(scope) or _TOP, scope_text(new_scope) or _TOP)
            case OrderChange(by):
                return Words("order", _passed(by), "")
            case BlocksChange(count, new_count):
                return Words("blocks", str(count), str(new_count))
            case SourceChange(place, new_place):
                return Words("source", shown(str(place or "?")), shown(str(new_place or "?")))
            case NameChange(before, after):
                return Words("name", shown(before), shown(after))
            case AddressChange(before, after):
                return Words("address", before or _TOP, after or _TOP)
            case ClassChange(before, after):
                return Words("class", quote_name(before), quote_name(after))
            case KindChange(before, after):
                return Words("kind", before, after)
            case NamesChange(names, new_names):
                return Words(
                    "names", *[" = ".join(map(value_text, each)) for each in (names, new_names)]
                )
            case CompositeChange(before, after):
                return Words(
                    "stands for", *[operator_text(n) if n else _NOTHING for n in (before, after)]
                )


def shown(text: str) -> str:
    """Return a name as it is if it can stand on a line, else in JSON quotes."""
    return text if text and text.isprintable() else json.dumps(text)


def of_function(name: str | None) -> str:
    """Return a phrase that says which function of a graph something belongs to; empty for None."""
    return "" if name is None else f" of function {quote_name(name)}"


def without_numbers(text: str) -> str:
    """Return text with ``N`` for each number, which is what members of a list have in common."""
    return _NUMBER.sub("N", text)


def entry_text(entry: StateEntry) -> str:
    """Return a piece of state: ``parameter %fc.weight : f32[4]``."""
    names = " = ".join(map(value_text, entry.names))
    return f"{entry.kind.name.lower()} {names} : {entry.value.type}"


def facets(fact: Fact) -> tuple[str, ...] | None:
    """Return the single things in which a type or modes changed; None for facts of other kinds."""
    if isinstance(fact, ModesChange):
        return (f"modes {fact.before} {TO} {fact.after}",)
    if not isinstance(fact, TypeChange) or fact.before is None or fact.after is None:
        return None
    return tuple(_of_types(fact.before, fact.after))


def _of_types(before: Type, after: Type) -> Iterator[str]:
    if not isinstance(before, TensorType) or not isinstance(after, TensorType):
        yield f"{before} {TO} {after}"
        return
    if before.dtype is not after.dtype:
        yield f"{before.dtype or 'unknown dtype'} {TO} {after.dtype or 'unknown dtype'}"
    if before.device != after.device:
        yield f"{before.device} {TO} {after.device}"
    if before.layout != after.layout:
        yield f"{before.layout} {TO} {after.layout}"
    if before.class_name != after.class_name:
        names = [quote_name(name or "Tensor") for name in (before.class_name, after.class_name)]
        yield f"class {names[0]} {TO} {names[1]}"
    if before.requires_grad != after.requires_grad:
        yield f"requires_grad {before.requires_grad} {TO} {after.requires_grad}"
    if before.strides != after.strides:
        yield "other strides"
    if before.shape is None or after.shape is None or before.rank != after.rank:
        if before.shape != after.shape:
            yield "another number of dimensions"
        return
    for number, (size, other) in enumerate(zip(before.shape, after.shape, strict=True)):
        if size != other:
            yield f"size {number}: {size} {TO} {other}"


def _passed(by: int) -> str:
    if by == 0:
        return "stands elsewhere among the others"
    nodes = "node" if abs(by) == 1 else "nodes"
    return f"{abs(by):,} {nodes} {'later' if by > 0 else 'earlier'}"
