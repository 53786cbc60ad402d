"""What a graph does around a match: who writes, keeps or hands on what the match reads and gives.

Note [When a rewrite is sound]
    A rule says that its replacement computes what its pattern computes. Whether nobody can tell the two
    apart is decided for each match, from schemas and shared memory:

    * all nodes of the match stand in one block and run in the same modes;
    * all but the root only compute, and nothing else reads what they give, unless the rule lets them stay;
    * nothing between them writes memory that they read, or sets something of torch's;
    * the root writes what the replacement writes, and draws random numbers if that does;
    * the result is as new as it was: on memory of its own, or on the memory of the same operands. Where it
      is not, as when a copy gives way to what it is a copy of, nobody may write either of the two afterwards,
      hold the result beyond the graph, or run in other modes what reads it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Final

from ...ir import Effect, Graph, Node, Operator, Value
from ...ir.own_operators import ENTER_MODE, LITERAL
from ...ir.scalars import GUARD
from ..alias_analysis import (
    AliasAnalysis,
    Memory,
    handed_on,
    has_memory,
    has_untracked_effects,
    is_pure,
)
from ..certainty import CertainTypes
from ..hidden_writes import may_write, written_parameters
from ..storages import may_share

_SEES_NO_TENSOR: Final = frozenset((GUARD, LITERAL.name))


class Surroundings:
    """What of one graph decides whether matches in it may be replaced. O(size) to make.

    It is kept true while matches are replaced: :meth:`take_in` and :meth:`give_way` are told of them.

    Args:
        graph: the graph.
        is_function: whether other graphs call it.
    """

    def __init__(self, graph: Graph, *, is_function: bool = False) -> None:
        self.memory = AliasAnalysis(graph)
        self.certain = CertainTypes(graph, self.memory, is_function=is_function)
        self._graph = graph
        self._places = {node: place for place, node in enumerate(graph.walk())}
        self._pure: dict[Operator, bool] = {}
        self._leaving = self.memory.reaching(_sees_objects)

    @cached_property
    def is_observed(self) -> bool:
        """Whether the program has torch's own modes see every operator, so that none may go."""
        return any(node.operator is ENTER_MODE for node in self._graph.walk())

    def place_of(self, node: Node) -> int:
        """Return a number that is larger for nodes that stand later."""
        return self._places[node]

    def is_pure(self, node: Node) -> bool:
        """Whether a node does nothing but compute its results."""
        operator = node.operator
        if operator not in self._pure:
            self._pure[operator] = is_pure(operator)
        return self._pure[operator] and not node.blocks

    def is_disturbed(self, nodes: Sequence[Node]) -> bool:
        """Whether something before the last of some nodes changes what they read, or torch's settings."""
        first = min(self._places[node] for node in nodes)
        last = self._places[nodes[-1]]
        if _any_between(self._settings, first, last):
            return True
        memories = {self.memory.memory_of(v): None for node in nodes for v in node.inputs}
        return any(_any_between(self._writes.get(m, ()), first, last) for m in memories)

    def is_written_after(self, value: Value, node: Node) -> bool:
        """Whether a node behind ``node`` may write the memory of a value."""
        writes = self._writes.get(self.memory.memory_of(value), [])
        return bool(writes) and writes[-1] > self._places[node]

    def leaves(self, value: Value) -> bool:
        """Whether a value itself, or a view of it, leaves the graph or a block, or is seen as an object.

        An operator that gives a view may give the very tensor: ``contiguous`` of what is.
        """
        return value in self._leaving

    def memory_leaves(self, value: Value) -> bool:
        """Whether anything on the memory of a value does."""
        return self.memory.memory_of(value) in self._leaving

    def shared_with(self, node: Node, value: Value) -> frozenset[Memory]:
        """Return the memory that a result of a node may be on, besides its own."""
        return frozenset(
            self.memory.memory_of(operand)
            for result, operand in may_share(node)
            if result is value and has_memory(operand)
        )

    def take_in(self, nodes: Iterable[Node], place: int) -> None:
        """Take in nodes that were inserted in the place of others."""
        for node in nodes:
            self._places[node] = place
            for result, operand in may_share(node):
                self._join(operand, result)

    def give_way(self, value: Value, other: Value) -> None:
        """Have everything that read a value read another one, which is on its memory from now on."""
        leaves, memory_leaves = self.leaves(value), self.memory_leaves(value)
        if has_memory(value):
            self._join(other, value)
        value.replace_all_uses_with(other)
        if leaves:
            self._note_leaving(other)
        if memory_leaves:
            self._leaving.add(self.memory.memory_of(other))

    def drop(self, node: Node) -> None:
        """Forget a node that is no more."""
        self._places.pop(node, None)

    def _join(self, one: Value, other: Value) -> None:
        if not has_memory(one) or not has_memory(other):
            return
        before = (self.memory.memory_of(one), self.memory.memory_of(other))
        if before[0] == before[1]:
            return
        self.memory.join(one, other)
        joined = self.memory.memory_of(one)
        writes = [self._writes.pop(memory) for memory in before if memory in self._writes]
        if writes:
            self._writes[joined] = writes[0] if len(writes) == 1 else sorted(writes[0] + writes[1])
        if any(memory in self._leaving for memory in before):
            self._leaving.add(joined)

    @cached_property
    def _writes(self) -> dict[Memory, list[int]]:
        """The places of the nodes that may write to memory, by the memory, in order."""
        return {
            memory: [self._places[node] for node in nodes]
            for memory, nodes in self.memory.writers.items()
        }

    @cached_property
    def _settings(self) -> list[int]:
        """The places of nodes that may set something that is no operand of theirs, in order."""
        setting: dict[Operator, bool] = {}
        places = []
        for node, place in self._places.items():
            operator = node.operator
            if operator not in setting:
                setting[operator] = (
                    has_untracked_effects(operator) and operator.effects != Effect.CHECKS
                )
            if setting[operator]:
                places.append(place)
        return sorted(places)

    def _note_leaving(self, value: Value) -> None:
        """Note that a value leaves, and all that it is a view of."""
        waiting = [value]
        while waiting:
            leaving = waiting.pop()
            self._leaving.add(leaving)
            if leaving.node is not None:
                found = handed_on(leaving.node, {leaving})
                waiting += [other for other in found if other not in self._leaving]


def _sees_objects(operator: Operator) -> bool:
    """Whether an operator keeps what it is given, or asks of tensors what is theirs alone."""
    if operator.name == GUARD:
        return False
    is_own = operator.name.startswith("prim::") and operator.name not in _SEES_NO_TENSOR
    return is_own or has_untracked_effects(operator)


def written_values(node: Node) -> set[Value]:
    """Return the values that a node writes, as far as it says."""
    if not may_write(node.operator):
        return set()
    return {value for name in written_parameters(node) for value in node.values_of(name)}


def _any_between(places: Sequence[int], first: int, last: int) -> bool:
    """Whether one of the places lies behind the first of two and before the second. O(log of places)."""
    position = bisect_right(places, first)
    return position < len(places) and places[position] < last
