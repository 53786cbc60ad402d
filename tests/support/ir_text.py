"""Comparing graphs with text written in tests."""

from __future__ import annotations

from opscope.ir import Graph, Node, Value, parse, value_names, verify


def check_text(graph: Graph, expected: str) -> None:
    """Check that a graph verifies and reads as ``expected``, which may be indented and uncommented."""
    verify(graph)
    assert str(graph) == str(parse(expected))


def value_named(graph: Graph, name: str) -> Value:
    """Return the value that text calls by this name."""
    return next(value for value, other in value_names(graph).items() if other == name)


def node_named(graph: Graph, name: str) -> Node:
    """Return the node whose result text calls by this name."""
    node = value_named(graph, name).node
    assert node is not None, f"%{name} is the result of a node"
    return node
