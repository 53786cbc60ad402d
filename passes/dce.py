"""Dead code elimination: erase the nodes that nothing observes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..ir import Block, Effect, Graph, Node, Value
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
        # Where nothing is written, who shares memory with whom does not matter.
        self._memory = AliasAnalysis(graph) if any(map(may_write, operators)) else None
        self._observed: set[Memory] = {EXTERNAL}

    def clean(self, block: Block) -> None:
        """Erase the dead nodes of a block."""
        self._observe(block.outputs)
        for node in reversed(block):
            is_read = any([value.is_used for value in node.outputs])
            if not is_read and not self._acts(node):
                self.erased += 1 + sum([1 for inner in node.blocks for _ in inner.walk()])
                node.erase()
                continue
            for inner in node.blocks:
                for reader in inner.walk():  # it may run again after it has written
                    self._observe(reader.inputs)
                self.clean(inner)
            self._observe(node.inputs)

    def _acts(self, node: Node) -> bool:
        """Whether a node does something that is observed besides giving results."""
        operator = node.operator
        if operator not in self._pure:
            if has_untracked_effects(operator):
                return True
            if Effect.RANDOM in operator.effects and not self._drops_random:
                return True
            memory = self._memory
            if memory is not None and not self._observed.isdisjoint(memory.written_by(node)):
                return True
        return any(self._acts(inner) for block in node.blocks for inner in block)

    def _observe(self, values: Sequence[Value]) -> None:
        if self._memory is not None:
            self._observed.update(map(self._memory.memory_of, values))
