"""Dead code elimination: erase the nodes that nothing observes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..ir import Block, Effect, Graph, Node, Operator, Value
from .alias_analysis import EXTERNAL, AliasAnalysis, Memory, has_untracked_effects, is_pure
from .base import Pass, PassResult
from .hidden_writes import may_write


@dataclass(frozen=True, slots=True)
class DeadCodeElimination(Pass):
    """Erase every node whose results nothing reads and that changes nothing that anything observes.

    A write is observed if a node behind it that stays, or the caller, may read that memory; so a chain of
    in-place operators on a tensor that nobody reads falls, and so does a write behind the last read.

    Keeps inputs, state and outputs, the order of what stays, guards, settings, and collectives of several
    processes. Keeps random operators too, since those behind them draw what comes next; ``drop_random``
    lets dead ones go.

    Sound for any graph that verifies: what has no schema is kept. One walk from the end visits what reads a
    value before what makes it, so that dead chains fall at once. Cost: O(nodes + operands).

    Attributes:
        drop_random: whether dead random operators go as well.
    """

    name: ClassVar[str] = "dce"

    drop_random: bool = False

    def run(self, graph: Graph) -> PassResult:
        """Erase what is dead in a graph and in its functions."""
        erased = sum(self._run(part) for part in (graph, *graph.functions.values()))
        return PassResult.of(erased=erased)

    def _run(self, graph: Graph) -> int:
        sweep = _Sweep(graph, self.drop_random)
        sweep.clean(graph.block)
        return sweep.erased


class _Sweep:
    """One walk through a graph, from its end."""

    def __init__(self, graph: Graph, drop_random: bool) -> None:
        self.erased = 0
        self._drops_random = drop_random
        operators = {node.operator for node in graph.walk()}
        self._pure = {operator for operator in operators if is_pure(operator)}
        self._kept = {operator for operator in operators if self._is_kept(operator)}
        # Where nothing is written, who shares memory with whom does not matter.
        self._memory = AliasAnalysis(graph) if any(map(may_write, operators)) else None
        self._observed: set[Memory] = {EXTERNAL}
        self._read: list[Value] = []  # values whose memory is observed, before it is looked up

    def clean(self, block: Block) -> None:
        """Erase the dead nodes of a block."""
        self._read += block.outputs
        for node in reversed(block):
            if not node.is_read and not self._acts(node):
                self.erased += 1 + sum([1 for inner in node.blocks for _ in inner.walk()])
                node.erase()
                continue
            for inner in node.blocks:
                for reader in inner.walk():  # it may run again after it has written
                    self._read += reader.inputs
                self.clean(inner)
            self._read += node.inputs

    def _acts(self, node: Node) -> bool:
        """Whether a node does something that is observed besides giving results."""
        if node.operator in self._kept:
            return True
        if node.operator not in self._pure and self._writes_to_observed(node):
            return True
        return bool(node.blocks) and any(self._acts(n) for block in node.blocks for n in block)

    def _is_kept(self, operator: Operator) -> bool:
        """Whether nodes of an operator stay whatever becomes of what they compute and write."""
        draws = Effect.RANDOM in operator.effects and not self._drops_random
        return draws or has_untracked_effects(operator)

    def _writes_to_observed(self, node: Node) -> bool:
        memory = self._memory
        if memory is None:
            return False
        self._observed.update(map(memory.memory_of, self._read))
        self._read.clear()
        return not self._observed.isdisjoint(memory.written_by(node))
