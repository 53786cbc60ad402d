"""Liveness: where each value is read for the last time."""

from __future__ import annotations

from ..ir import Graph, Node, Value


def dying_after(graph: Graph) -> dict[Node, tuple[Value, ...]]:
    """Return, per node of the top block, the values that nothing reads after it. O(operands).

    Values that a node makes and nothing reads die at that node. Graph inputs count, so that a caller
    who gives them up frees them early; graph outputs and state never die. A value read inside a
    node's blocks is read at that node.
    """
    alive: set[Value] = set(graph.outputs)
    alive.update(entry.value for entry in graph.state.values())
    dying: dict[Node, tuple[Value, ...]] = {}
    for node in reversed(graph.block):
        ends: dict[Value, None] = {}
        for value in (*_read_by(node), *node.outputs):
            if value not in alive:
                ends[value] = None
                alive.add(value)
        if ends:
            dying[node] = tuple(ends)
    return dying


def _read_by(node: Node) -> tuple[Value, ...]:
    if not node.blocks:
        return node.inputs
    read = list(node.inputs)
    for block in node.blocks:
        made = set(block.inputs)
        for inner in block:
            read.extend(value for value in _read_by(inner) if value not in made)
            made.update(inner.outputs)
        read.extend(value for value in block.outputs if value not in made)
    return tuple(read)
