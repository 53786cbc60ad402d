"""Comparing programs and graphs, whether traced now or read from files; needs no torch."""

from __future__ import annotations

from typing import Protocol

from .comparison import GraphDiff, compare_graphs
from .ir import Graph


class _HasGraph(Protocol):
    @property
    def graph(self) -> Graph:
        """What it runs."""
        ...


def diff(
    before: _HasGraph | Graph, after: _HasGraph | Graph, *, sources: bool = False
) -> GraphDiff:
    """Compare two programs or graphs: which nodes both have, and in what they differ.

    ``print`` what it returns, or read its ``nodes``, ``scopes``, ``state`` and ``signature``. Two graphs
    are equal if their texts are, names of values and source lines aside. Contents of state are not
    compared.

    Args:
        before: a program, traced or loaded, or a graph.
        after: what it is compared with.
        sources: whether another source line is a difference too.

    Raises:
        TypeError: one is neither a program that was traced nor a graph.
    """
    return compare_graphs(_graph_of(before), _graph_of(after), sources=sources)


def _graph_of(program: _HasGraph | Graph) -> Graph:
    graph = program if isinstance(program, Graph) else getattr(program, "graph", None)
    if not isinstance(graph, Graph):
        raise TypeError(
            f"programs that were traced, and graphs, can be compared; this is {type(program).__name__}\n"
            "  trace it first, opscope.trace(model, inputs), or read it from its file, opscope.load(path)"
        )
    return graph
