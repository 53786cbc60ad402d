"""Where in a graph tensors may get other sizes in place: from there on a size read before is not theirs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache

from ..ir import CALL, Effect, FunctionRef, Graph, Node, Operator, Value
from .alias_analysis import AliasAnalysis, Memory


class Reshaping:
    """The places of one graph behind which tensors may have other sizes. O(size).

    Args:
        graph: the graph, or a function of one.
        harmless: names of the functions that give no tensor another size.
    """

    def __init__(self, graph: Graph, harmless: Collection[str]) -> None:
        self._places: dict[Node, int] = {}
        self._first: dict[Memory, int] = {}
        if not any(_may_reshape(node, harmless) for node in graph.walk()):
            return
        self._memory = AliasAnalysis(graph)
        for place, node in enumerate(graph.block):
            self._note(node, place, harmless)
            for block in node.blocks:
                for inner in block.walk():
                    # Blocks may run several times, so what is done in one is done before all of it.
                    self._note(inner, place, harmless)

    def has_changed(self, value: Value, node: Node) -> bool:
        """Whether a tensor may have other sizes where a node stands than where it was defined."""
        if not self._first:
            return False
        first = self._first.get(self._memory.memory_of(value))
        return first is not None and self._places.get(node, first) >= first

    def _note(self, node: Node, place: int, harmless: Collection[str]) -> None:
        self._places[node] = place
        if _may_reshape(node, harmless):
            for memory in self._memory.written_by(node):
                self._first.setdefault(memory, place)
            for value in node.inputs:
                self._first.setdefault(self._memory.memory_of(value), place)


def harmless_functions(functions: Mapping[str, Graph]) -> set[str]:
    """Return the functions that give no tensor another size, nor do those that they call. O(size)."""
    harmful: dict[str, None] = {}
    callers: dict[str, list[str]] = {}
    for name, function in functions.items():
        for node in function.walk():
            if _may_reshape(node, functions):
                harmful[name] = None
            called = _called_by(node)
            if called is not None:
                callers.setdefault(called, []).append(name)
    pending = list(harmful)
    while pending:
        for caller in callers.get(pending.pop(), ()):
            if caller not in harmful:
                harmful[caller] = None
                pending.append(caller)
    return functions.keys() - harmful.keys()


def _may_reshape(node: Node, harmless: Collection[str]) -> bool:
    return _is_reshaping(node.operator) and _called_by(node) not in harmless


def _called_by(node: Node) -> str | None:
    """Return the name of the function that a node calls; None if it calls none of the graph's."""
    if node.kind != CALL:
        return None
    callee = node.all_args[0] if node.all_args else None
    return callee.name if isinstance(callee, FunctionRef) else None


@lru_cache(maxsize=4096)
def _is_reshaping(operator: Operator) -> bool:
    if operator.effects & (Effect.RESHAPES | Effect.UNKNOWN):
        return True
    return any(
        p.is_written and p.is_keyword for p in operator.parameters
    )  # ``out=`` of another size
