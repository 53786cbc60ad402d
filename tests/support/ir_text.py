"""Finding in a graph what text written in tests names."""

from __future__ import annotations

from opscope.ir import Graph, Node, Value, value_names


def value_named(graph: Graph, name: str) -> Value:
    """Return the value that text calls by this name."""
    return next(value for value, other in value_names(graph).items() if other == name)


def node_named(graph: Graph, name: str) -> Node:
    """Return the node whose result text calls by this name."""
    node = value_named(graph, name).node
    assert node is not None, f"%{name} is the result of a node"
    return node
