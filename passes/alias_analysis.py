"""Which values of a graph may share memory, and which nodes write to it.

Note [Sets of memory]
    Values that may be on one memory are in one set, however many steps lie between them. All inputs and
    all state are in one, since a caller may pass two views of one tensor, or a parameter. Most values
    are alone, the results of operators that return new tensors, and cost nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from functools import cache, cached_property
from typing import Final, TypeAlias

from ..ir import Block, Effect, Graph, Node, Operator, ScalarType, StateEntry, Value
from ..ir.own_operators import GRADIENT
from .hidden_writes import may_write, may_write_untold, written_parameters
from .storages import may_share

Memory: TypeAlias = Hashable
"""Stands for a set of values that may be on one memory; equal for values of one set."""

EXTERNAL: Final[Memory] = "external"
"""The memory of inputs and state, which outlives a run."""


class AliasAnalysis:
    """What may share memory in a graph. O(size) to make; it holds for the graph as it is then.

    Args:
        graph: the graph.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._above: dict[Memory, Memory] = {}  # in which set a value or another set is
        self._add(graph.block)

    def memory_of(self, value: Value) -> Memory:
        """Return the set of a value; ``EXTERNAL`` for what may be the caller's."""
        above = self._above
        found: Memory | None = above.get(value)
        if found is None:
            definer = value.definer
            return EXTERNAL if definer is self._graph.block or _is_state(definer) else value
        while (further := above.get(found)) is not None:
            found = further
        above[value] = found  # the next time is one step, however many sets were joined
        return found

    def may_alias(self, one: Value, other: Value) -> bool:
        """Whether a write to one of two values may change the other."""
        return self.memory_of(one) == self.memory_of(other)

    def written_by(self, node: Node) -> list[Memory]:
        """Return the memory that a node may write to, each set once; not that of its blocks."""
        if Effect.UNKNOWN in node.operator.effects:
            return list({self.memory_of(value): None for value in node.inputs} | {EXTERNAL: None})
        written: dict[Memory, None] = {}
        for name in written_parameters(node):
            written.update((self.memory_of(value), None) for value in node.values_of(name))
        return list(written)

    def writers_of(self, value: Value) -> tuple[Node, ...]:
        """Return the nodes that may write to the memory of a value, in order."""
        return tuple(self.writers.get(self.memory_of(value), ()))

    @cached_property
    def writers(self) -> dict[Memory, list[Node]]:
        """The nodes that may write to memory, by the memory, in order."""
        writers: dict[Memory, list[Node]] = {}
        for node in self._graph.walk():
            if may_write(node.operator):
                for memory in self.written_by(node):
                    writers.setdefault(memory, []).append(node)
        return writers

    def _add(self, block: Block) -> None:
        for node in block:
            if node.blocks:
                self._add_owner(node)
                continue
            for result, operand in may_share(node):
                self._join((operand, result))  # the result is new, and goes to what is there
            if _hands_over(node.operator):
                self._give_away((*node.inputs, *node.outputs))
            if (
                Effect.RESHAPES in node.operator.effects
            ):  # ``set_`` puts a tensor on another's memory
                self._join(node.inputs)

    def _add_owner(self, node: Node) -> None:
        """Take in a node with blocks: what goes into them and comes out may be any of its operands."""
        passed = [*node.inputs, *node.outputs]
        for block in node.blocks:
            self._add(block)
            passed += (*block.inputs, *block.outputs)
        self._join(passed)

    def _give_away(self, values: Iterable[Value]) -> None:
        """Put values into the set of what others hold."""
        memories = [self.memory_of(value) for value in values if has_memory(value)]
        self._above.update((memory, EXTERNAL) for memory in memories if memory != EXTERNAL)

    def _join(self, values: Iterable[Value]) -> None:
        """Put values into one set, numbers left out."""
        memories = {self.memory_of(value): None for value in values if has_memory(value)}
        if len(memories) < 2:
            return
        joined = EXTERNAL if EXTERNAL in memories else next(iter(memories))
        self._above.update((memory, joined) for memory in memories if memory != joined)


def is_pure(operator: Operator) -> bool:
    """Whether an operator does nothing but compute its results, whatever it is called with."""
    return not (
        Effect.RANDOM in operator.effects or has_untracked_effects(operator) or may_write(operator)
    )


def has_untracked_effects(operator: Operator) -> bool:
    """Whether an operator does more than its schema says of its operands.

    It checks something, sets something of torch's, takes part in the work of several processes, or nothing
    is known of it.
    """
    return bool(operator.effects & (Effect.CHECKS | Effect.UNKNOWN)) or (
        sets_something(operator) or may_write_untold(operator) or _is_collective(operator)
    )


def sets_something(operator: Operator) -> bool:
    """Whether an operator writes something that is no operand, such as a setting or a gradient."""
    return Effect.WRITES in operator.effects and not any(p.is_written for p in operator.parameters)


@cache
def _hands_over(operator: Operator) -> bool:
    """Whether others may hold what an operator is given or gives: a gradient, or what something keeps."""
    return (
        operator is GRADIENT
        or Effect.UNKNOWN in operator.effects
        or (sets_something(operator) and bool(operator.parameters))
    )


def _is_collective(operator: Operator) -> bool:
    """Whether an operator is given a group of processes, all of which must call it."""
    return any("ProcessGroup" in p.type or p.name == "group_name" for p in operator.parameters)


def has_memory(value: Value) -> bool:
    """Whether a value may be a tensor or hold one; numbers and strings are the same wherever they are."""
    type_ = value.type
    return not isinstance(type_, ScalarType) or type_ is ScalarType.OBJECT


def _is_state(definer: object) -> bool:
    return isinstance(definer, StateEntry)
