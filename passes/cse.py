"""Common subexpression elimination: compute what is the same once."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Hashable, MutableMapping
from dataclasses import dataclass
from types import NoneType
from typing import ClassVar

from ..ir import (
    Argument,
    Block,
    Device,
    DType,
    Effect,
    Graph,
    Modes,
    Node,
    Operator,
    Value,
)
from ..ir.collector import paused_collector
from ..ir.own_operators import GRADIENT
from .alias_analysis import EXTERNAL, AliasAnalysis, Memory, has_memory, is_pure
from .base import Pass, PassResult
from .gradient_sums import was_followed
from .hidden_writes import may_write, may_write_untold

_EXACT = (str, NoneType, DType, Device)
"""Classes of literals that are equal only to what is the same: ``1`` equals ``True`` and ``1.0``."""

_WHOLE = (int, bool)
"""Classes of literals that are equal within their class only to what is the same: ``0.0`` equals ``-0.0``."""


@dataclass(frozen=True, slots=True)
class CommonSubexpressionElimination(Pass):
    """Replace what a node computes by what an earlier, equal node has computed, and erase the node.

    Nodes are equal that run one operator on the same values and literals, in the same modes, if nothing
    may have written to their operands in between. A guard that an earlier one makes needless goes too.

    Keeps inputs, state, outputs, the order of what stays, and every random operator. Keeps apart what a
    caller may tell apart: results that are written to, results on memory of their own of which more than
    one leaves the graph, and results that autograd followed in the trace: gradients would flow through one
    of them, added up in another order, and differ in the last bits.

    Sound for any graph that verifies. Values are equal bit by bit, and so are gradients of what the trace
    followed. A block may use what the blocks around it have computed, and never the other way round.
    Cost: O(nodes + operands).

    Attributes:
        reorder_gradients: whether results that autograd follows are merged as well.
    """

    name: ClassVar[str] = "cse"

    reorder_gradients: bool = False

    @paused_collector()
    def run(self, graph: Graph) -> PassResult:
        """Merge equal nodes of a graph, and of its functions."""
        merged = 0
        for part in (graph, *graph.functions.values()):
            search = _Search(part, self.reorder_gradients)
            search.merge(part.block, {})
            merged += search.merged
        return PassResult.of(merged=merged)


class _Search:
    """One walk through a graph, which remembers what was computed."""

    def __init__(self, graph: Graph, reorder_gradients: bool) -> None:
        self.merged = 0
        self._reorders = reorder_gradients
        operators = {node.operator for node in graph.walk()}
        self._mergeable = {operator for operator in operators if _is_mergeable(operator)}
        self._writers = {operator for operator in operators if may_write(operator)}
        self._memory = AliasAnalysis(graph)
        self._leaving = self._memory.leaving
        self._writes: dict[Memory, int] = {}  # how often memory was written so far
        self._known_modes: dict[Modes, int] = {}
        self._modes: Modes | None = None  # those of the last node
        self._in_modes = 0  # their number, since they take long to compare

    def merge(self, block: Block, known: MutableMapping[Hashable, Node]) -> None:
        """Merge the nodes of a block with those before them, which are added to those that are known."""
        for node in block:
            operator = node.operator
            if operator in self._mergeable and not node.blocks:
                key = self._key(node)
                first = known.get(key)
                if first is None:
                    known[key] = node
                elif self._may_merge(first, node):
                    for ours, theirs in zip(node.outputs, first.outputs, strict=True):
                        ours.replace_all_uses_with(theirs)
                    node.erase()
                    self.merged += 1
                    continue
            if operator in self._writers:
                self._note_writes(node)
            for inner in node.blocks:
                # It may run again after it has written.
                for writer in inner.walk():
                    self._note_writes(writer)
                self.merge(inner, ChainMap({}, known))

    def _note_writes(self, node: Node) -> None:
        if node.operator in self._writers:
            for memory in self._memory.written_by(node):
                self._writes[memory] = self._writes.get(memory, 0) + 1
            if may_write_untold(node.operator):
                self._writes[EXTERNAL] = self._writes.get(EXTERNAL, 0) + 1

    def _key(self, node: Node) -> Hashable:
        """Return what equal nodes have in common."""
        args: Hashable = node.all_args
        if args is not node.inputs:  # not all are values
            args = tuple([arg if arg.__class__ is Value else _part(arg) for arg in node.all_args])
        if node.modes is not self._modes:
            self._modes = node.modes
            self._in_modes = self._known_modes.setdefault(node.modes, len(self._known_modes))
        key = node.operator, args, node.keywords, self._in_modes
        if not self._writes:
            return key
        memory_of, writes = self._memory.memory_of, self._writes
        return (*key, *[writes.get(memory_of(value)) for value in node.inputs])

    def _may_merge(self, first: Node, second: Node) -> bool:
        """Whether nobody can tell the results of two equal nodes apart."""
        if first.groups != second.groups:
            return False
        memory_of, writers = self._memory.memory_of, self._memory.writers
        for one, other in zip(first.outputs, second.outputs, strict=True):
            if one.type != other.type:
                return False
            if not has_memory(one):
                continue
            if was_followed(one) and not self._reorders:
                return False
            memory, also = memory_of(one), memory_of(other)
            if memory in writers or also in writers:
                return False
            if memory == also:  # views of one tensor: only the objects are two
                memory, also = one, other
            if memory in self._leaving and also in self._leaving:
                return False
        return True


def _is_mergeable(operator: Operator) -> bool:
    if operator.effects & Effect.CHECKS:
        return operator.effects == Effect.CHECKS
    return is_pure(operator) and operator is not GRADIENT  # which others may set meanwhile


def _part(arg: Argument) -> Hashable:
    """Return an argument as part of a key: numbers that are equal are not the same in every type."""
    if isinstance(arg, Value):
        return arg
    if isinstance(arg, tuple):
        return tuple([_part(item) for item in arg])
    class_ = arg.__class__
    return arg if class_ in _EXACT else (class_, arg if class_ in _WHOLE else repr(arg))
