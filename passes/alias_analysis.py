"""Which values of a graph may share memory, and which nodes write to it.

Note [Sets of memory]
    Values that may be on one memory are in one set, however many steps lie between them. All inputs and
    all state are in one, since a caller may pass two views of one tensor, or a parameter. Most values
    are alone, the results of operators that return new tensors, and cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable
from functools import cached_property, lru_cache
from typing import Final, TypeAlias

from ..ir import Block, Effect, Graph, Node, Operator, ScalarType, Value
from ..ir.own_operators import GRADIENT
from .hidden_writes import may_write, may_write_untold, written_values
from .storages import sharing_of

Memory: TypeAlias = Hashable
"""Stands for a set of values that may be on one memory; equal for values of one set."""

EXTERNAL: Final[Memory] = "external"
"""The memory of inputs and state, which outlives a run."""


class AliasAnalysis:
    """What may share memory in a graph. O(size) to make; it holds for the graph as it is then.

    Args:
        graph: the graph.
        private: state that nobody but the graph has, and that shares memory with no other.
    """

    def __init__(self, graph: Graph, private: Collection[Value] = ()) -> None:
        self._graph = graph
        # In which set a value or another set is; for what is alone, nothing.
        self._above: dict[Memory, Memory] = dict.fromkeys(graph.inputs, EXTERNAL)
        state = [entry.value for entry in graph.state.values()]
        self._above.update((value, EXTERNAL) for value in state if value not in private)
        self._add(graph.block)

    def memory_of(self, value: Value) -> Memory:
        """Return the set of a value; ``EXTERNAL`` for what may be the caller's."""
        above = self._above
        root = above.get(value)
        if root is None:
            return value
        further = above.get(root)
        if further is None:
            return root
        while further is not None:
            root, further = further, above.get(further)
        step: Memory = value
        while step is not root:  # the next time is one step, however many sets were joined
            above[step], step = root, above[step]
        return root

    def may_alias(self, one: Value, other: Value) -> bool:
        """Whether a write to one of two values may change the other."""
        return self.memory_of(one) == self.memory_of(other)

    def written_by(self, node: Node) -> list[Memory]:
        """Return the memory that a node may write to, each set once; not that of its blocks."""
        if _is_unknown(node.operator):
            return list({self.memory_of(value): None for value in node.inputs} | {EXTERNAL: None})
        return list(dict.fromkeys(map(self.memory_of, written_values(node))))

    def writers_of(self, value: Value) -> tuple[Node, ...]:
        """Return the nodes that may write to the memory of a value, in order."""
        return tuple(self.writers.get(self.memory_of(value), ()))

    def join(self, one: Value, other: Value) -> None:
        """Put two values, and all that may share memory with either, into one set. O(1) amortized."""
        self._join(one, other)

    @cached_property
    def writers(self) -> dict[Memory, list[Node]]:
        """The nodes that may write to memory, by the memory, in order."""
        writers: dict[Memory, list[Node]] = {}
        for node in self._graph.walk():
            if may_write(node.operator):
                for memory in self.written_by(node):
                    writers.setdefault(memory, []).append(node)
        return writers

    @cached_property
    def leaving(self) -> set[Memory]:
        """The values that leave the graph or a block, or that somebody keeps, and their memory.

        Those too that an operator may hand on as what leaves: ``contiguous`` gives what it was given.
        """
        return self.reaching(has_untracked_effects)

    def reaching(self, keeps: Callable[[Operator], bool]) -> set[Memory]:
        """Return the values that leave the graph or a block, or reach certain operators, and their memory.

        Args:
            keeps: whether an operator holds what it is given, or sees which objects these are.
        """
        leaving: set[Memory] = {EXTERNAL}
        values = list(self._graph.outputs)
        known: dict[Operator, bool] = {}
        for node in self._graph.walk():
            operator = node.operator
            if operator not in known:
                known[operator] = keeps(operator)
            if known[operator]:
                values += node.inputs
            for block in node.blocks:
                values += block.outputs
        for value in filter(has_memory, values):
            leaving.update((value, self.memory_of(value)))
        for node in self._graph.walk(reverse=True):
            leaving.update(handed_on(node, leaving))
        return leaving

    def _add(self, block: Block) -> None:
        for node in block:
            if node.blocks:
                self._add_owner(node)
                continue
            sharing = sharing_of(node.operator)
            if sharing is not None and node.inputs:
                for result, operand in sharing(node):
                    self._join(operand, result)  # the result is new, and goes to what is there
            if _reshapes(node.operator):  # ``set_`` puts a tensor on another's memory
                self._join_all(node.inputs)
            if _hands_over(node.operator):
                self._give_away((*node.inputs, *node.outputs))

    def _add_owner(self, node: Node) -> None:
        """Take in a node with blocks: what goes into them and comes out may be any of its operands."""
        passed = [*node.inputs, *node.outputs]
        for block in node.blocks:
            self._add(block)
            passed += (*block.inputs, *block.outputs)
        self._join_all(passed)

    def _give_away(self, values: Iterable[Value]) -> None:
        """Put values into the set of what others hold."""
        memories = [self.memory_of(value) for value in values if has_memory(value)]
        self._above.update((memory, EXTERNAL) for memory in memories if memory is not EXTERNAL)

    def _join(self, one: Value, other: Value) -> None:
        """Put the set of the second value into that of the first, unless one of them is a number."""
        if has_memory(one) and has_memory(other):
            joined, memory = self.memory_of(one), self.memory_of(other)
            if memory is EXTERNAL:
                joined, memory = memory, joined
            if memory is not joined:
                self._above[memory] = joined

    def _join_all(self, values: Iterable[Value]) -> None:
        """Put values into one set, numbers left out."""
        held = [value for value in values if has_memory(value)]
        for value in held[1:]:
            self._join(held[0], value)


def handed_on(node: Node, leaving: Collection[Memory]) -> Iterable[Value]:
    """Return the operands of a node that a leaving result of it may be, or be a view of."""
    if not any([value in leaving for value in node.outputs]):
        return ()
    if node.blocks:
        return node.inputs
    sharing = sharing_of(node.operator) if node.inputs else None
    if sharing is None:
        return ()
    return [operand for result, operand in sharing(node) if result in leaving]


def is_pure(operator: Operator) -> bool:
    """Whether an operator does nothing but compute its results, whatever it is called with."""
    return not (
        Effect.RANDOM in operator.effects or has_untracked_effects(operator) or may_write(operator)
    )


def has_untracked_effects(operator: Operator) -> bool:
    """Whether an operator does more than its schema says of its operands.

    It checks something, sets something of torch's, takes part in the work of several processes, or nothing
    is known of it. One that gives nothing and writes nothing was called to check something, as
    ``aten::_assert_async`` is.
    """
    parameters = operator.parameters  # none are known of what takes functions
    if parameters and not operator.returns and not any(p.is_written for p in parameters):
        return True
    return bool(operator.effects & (Effect.CHECKS | Effect.UNKNOWN)) or (
        sets_something(operator) or may_write_untold(operator) or _is_collective(operator)
    )


def sets_something(operator: Operator) -> bool:
    """Whether an operator writes something that is no operand, such as a setting or a gradient."""
    return Effect.WRITES in operator.effects and not any(p.is_written for p in operator.parameters)


@lru_cache(maxsize=4096)
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
    return not isinstance(type_, ScalarType) or type_ in _MAY_HOLD


_MAY_HOLD: Final = (ScalarType.OBJECT, ScalarType.ANY)


@lru_cache(maxsize=4096)
def _is_unknown(operator: Operator) -> bool:
    return Effect.UNKNOWN in operator.effects


@lru_cache(maxsize=4096)
def _reshapes(operator: Operator) -> bool:
    return Effect.RESHAPES in operator.effects
