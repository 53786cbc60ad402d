"""Composite operators that were traced through: what each was called with, noted for its scope.

Note [A scope that stands for a call]
    In a deep trace the nodes of ``aten::linear`` stand in a scope of kind OPERATOR. The graph notes for that
    scope the call that a flat trace would have recorded as one node:

      scope fc/linear<operator> is %1 = aten::linear(%x, %fc.weight, %fc.bias)   # net.py:12:15
      %0 : f32[16, 4]{strides=[1, 16]} = aten::t(%fc.weight)    # net.py:12:15 fc/linear<operator>
      %1 : f32[2, 4] = aten::addmm(%fc.bias, %x, %0)            # net.py:12:15 fc/linear<operator>

    A note reads no value and keeps none alive. It counts as long as the nodes are, to the letter, those that
    it was made for; text and copies have only notes that count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

from .arguments import Argument, exchange_all, values_in
from .block import Block
from .modes import Modes
from .node import Node
from .operator import Operator
from .scope import Scope
from .source import Frame
from .types import Type
from .value import Value

if TYPE_CHECKING:
    from .graph import Graph  # which keeps the notes

Composites: TypeAlias = "dict[Scope, Composite]"
"""Calls of composite operators by the scopes that stand for them."""


@dataclass(eq=False, slots=True)
class Composite:
    """The call of a composite operator, and the nodes that stand for it.

    Attributes:
        operator: what was called.
        args: its arguments, those passed by name last.
        keywords: the names of these.
        results: the values that it gave, or the type of a result that no node gives and nothing reads.
        groups: how results map to what it returned, see ``Node.groups``; None where all are single.
        stack: the Python stack of the call.
        modes: those that it was called in.
        nodes: what it called, in order.
    """

    operator: Operator
    args: tuple[Argument, ...]
    keywords: tuple[str, ...]
    results: tuple[Value | Type, ...]
    groups: tuple[int | None, ...] | None
    stack: Frame | None
    modes: Modes
    nodes: tuple[Node, ...]
    _reads: tuple[tuple[Argument, ...], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._reads = tuple([node.all_args for node in self.nodes])

    @property
    def types(self) -> list[Type]:
        """The types of the results."""
        return [r.type if isinstance(r, Value) else r for r in self.results]

    def with_values(self, becomes: Mapping[Value, Value]) -> Composite:
        """Return the note for the same nodes after they were made to read other values."""
        args: tuple[Argument, ...] = exchange_all(self.args, becomes)
        return replace(self, args=args)

    def on(self, values: Mapping[Value, Argument], nodes: Mapping[Node, Node]) -> Composite:
        """Return the note for copies of its nodes, and for what stands in the place of its values there."""
        return replace(
            self,
            args=exchange_all(self.args, values),
            results=tuple([_copied(result, values) for result in self.results]),
            nodes=tuple([nodes[node] for node in self.nodes]),
        )

    def is_unchanged(self, scope: Scope) -> bool:
        """Whether the nodes are all that stands there for the scope, in one piece, as it was noted."""
        nodes = self.nodes
        block = nodes[0].block if nodes else None
        if block is None or any(
            node.block is not block or node.all_args is not read
            for node, read in zip(nodes, self._reads, strict=True)
        ):
            return False
        following = nodes[-1].next
        return (
            all(one.next is other for one, other in pairwise(nodes))
            and all(node.scope.is_within(scope) for node in nodes)
            and not (following is not None and following.scope.is_within(scope))
        )


def _copied(result: Value | Type, values: Mapping[Value, Argument]) -> Value | Type:
    if not isinstance(result, Value):
        return result
    copy = values[result]
    assert isinstance(copy, Value), "a result of a node has a copy that is one"
    return copy


def nodes_of_scope(block: Block, after: Node | None, scope: Scope) -> Iterator[Node]:
    """Yield the nodes behind one, or from the start of a block, as long as they stand in a scope."""
    node = block.first if after is None else after.next
    while node is not None and node.scope.is_within(scope):
        yield node
        node = node.next


def noted_composites(graph: Graph) -> Composites:
    """Return the notes of a graph that count, in the order in which their nodes stand, outer ones first.

    O(nodes of these), and O(size) where one reads a value that none of its nodes read.
    """
    order = _Order(graph)
    found = [
        (scope, composite)
        for scope, composite in graph.composites.items()
        if composite.is_unchanged(scope) and order.has_before(composite)
    ]
    if len(found) > 1:
        found.sort(key=lambda each: (order.of(each[1].nodes[0]), each[0].depth))
    return dict(found)


class _Order:
    """Where nodes stand in a graph; counted out when that is asked for first."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._places: dict[Node, int] | None = None

    def of(self, node: Node) -> int:
        if self._places is None:
            self._places = {each: place for place, each in enumerate(self._graph.walk())}
        return self._places.get(node, -1)

    def has_before(self, composite: Composite) -> bool:
        """Whether the graph has the nodes, and before them all that the call reads."""
        block = composite.nodes[0].block
        if block is None or block.graph is not self._graph or not block.is_in_graph:
            return False
        made = {value for node in composite.nodes for value in node.outputs}
        results = [result for result in composite.results if isinstance(result, Value)]
        if not made.issuperset(results) or len(set(results)) < len(results):
            return False
        read = {value for node in composite.nodes for value in node.inputs}
        return all(
            value in read or self._is_before(value, composite.nodes[0], block)
            for value in values_in(composite.args)
        )

    def _is_before(self, value: Value, node: Node, block: Block) -> bool:
        if not block.sees(value):
            return False
        return value.node is None or self.of(value.node) < self.of(node)
