"""The books of a comparison: which node and which value of one graph is which of the other, so far."""

from __future__ import annotations

from collections.abc import Iterator

from ..ir import Block, Node, StateEntry, Value
from .scopes import ScopePairs
from .side import Side

NOWHERE = 0
"""The atom of a value that has no counterpart."""


class Matching:
    """Pairs nodes, and with them the values they produce.

    Values that are each other's counterpart have one *atom*, a number below zero.

    Attributes:
        before: the first graph.
        after: the second graph.
        scopes: which scope is which.
        state: which piece of state is which.
        atoms: the atom of each value of the first graph that has a counterpart.
        other_atoms: the same for the second graph.
        moved: places in the first graph of nodes that stand in another order now.
    """

    def __init__(
        self,
        before: Side,
        after: Side,
        scopes: ScopePairs,
        state: list[tuple[StateEntry, StateEntry]],
        inputs: list[tuple[Value, Value]],
    ) -> None:
        self.before = before
        self.after = after
        self.scopes = scopes
        self.inputs = inputs
        self.state = dict(state)
        self.atoms: dict[Value, int] = {}
        self.other_atoms: dict[Value, int] = {}
        self.moved: dict[int, None] = {}
        self._last_atom = NOWHERE
        for entry, other in state:
            self.pair_values(entry.value, other.value)
        for value, twin in inputs:
            self.pair_values(value, twin)

    def pair_values(self, value: Value, twin: Value) -> None:
        """Make two values each other's counterpart."""
        self._last_atom -= 1
        self.atoms[value] = self.other_atoms[twin] = self._last_atom

    def pair(self, at: int, other_at: int) -> None:
        """Match two nodes, their results, and what comes into their blocks."""
        before, after = self.before, self.after
        before.partners[at], after.partners[other_at] = other_at, at
        for value, twin in self._of_nodes(before.nodes[at], after.nodes[other_at]):
            self.pair_values(value, twin)

    def unpair(self, at: int) -> None:
        """Take back that a node is matched."""
        before, after = self.before, self.after
        other_at = before.partners[at]
        before.partners[at] = after.partners[other_at] = -1
        for value, twin in self._of_nodes(before.nodes[at], after.nodes[other_at]):
            del self.atoms[value], self.other_atoms[twin]

    def _of_nodes(self, node: Node, other: Node) -> Iterator[tuple[Value, Value]]:
        yield from zip(node.outputs, other.outputs, strict=False)
        for block, twin in self.blocks_of(node, other):
            yield from zip(block.inputs, twin.inputs, strict=False)

    def blocks_of(self, node: Node, other: Node) -> Iterator[tuple[Block, Block]]:
        """Yield the blocks of two nodes that belong together."""
        if node.blocks:
            yield from zip(node.blocks, other.blocks, strict=False)

    def is_same(self, value: Value, twin: Value) -> bool:
        """Whether two values are each other's counterpart."""
        return self.atoms.get(value, 1) == self.other_atoms.get(twin, 2)

    def reads_same(self, node: Node, other: Node) -> bool:
        """Whether two nodes read values that are each other's counterparts."""
        inputs, other_inputs = node.inputs, other.inputs
        if len(inputs) != len(other_inputs):
            return False
        atoms, other_atoms = self.atoms, self.other_atoms
        for value, twin in zip(inputs, other_inputs, strict=True):
            if atoms.get(value, 1) != other_atoms.get(twin, 2):
                return False
        return True

    def agreement(self, at: int, other_at: int) -> tuple[int, int]:
        """Return how many operands of two nodes, and how many readers of them, are each other's."""
        node, other = self.before.nodes[at], self.after.nodes[other_at]
        operands = sum(
            self.is_same(value, twin)
            for value, twin in zip(node.inputs, other.inputs, strict=False)
        )
        return operands, self.shared_readers(at, other_at)

    def shared_readers(self, at: int, other_at: int) -> int:
        """Return how many readers of two nodes are each other's."""
        partners = self.before.partners
        theirs = dict.fromkeys(self.after.readers[other_at])
        return sum(
            (partners[reader] if reader >= 0 else -1, operand) in theirs
            for reader, operand in self.before.readers[at]
            if reader < 0 or partners[reader] >= 0
        )

    def reversed(self) -> Matching:
        """Return the same with the second graph for the first."""
        scopes = {other: scope for scope, other in self.scopes.items()}
        turned = Matching(self.after, self.before, scopes, [], [])
        turned.inputs = [(twin, value) for value, twin in self.inputs]
        turned.state = {other: entry for entry, other in self.state.items()}
        turned.atoms, turned.other_atoms = self.other_atoms, self.atoms
        turned.moved = dict.fromkeys(sorted(self.before.partners[at] for at in self.moved))
        return turned
