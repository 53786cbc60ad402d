"""Memory that a program allocates and has not written yet: what it holds means nothing."""

from __future__ import annotations

from ..ir import Graph, Node


def undefined_nodes(graph: Graph) -> set[Node]:
    """Return the nodes that give memory nobody has written yet, whose content means nothing."""
    undefined: set[Node] = set()
    for node in graph.block:
        name = node.operator.base_name.partition("::")[2]
        is_view = node.operator.is_view and any(v.node in undefined for v in node.inputs)
        if is_view or name.startswith(("empty", "new_empty", "all_gather_copy_in")):
            undefined.add(node)
    return undefined
