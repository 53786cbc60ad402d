"""Nodes as lines for people: as the text of a graph has them, each with where it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...ir import Graph, Node, provenance
from ...ir.names import named_values
from ...ir.printer import Statements

_COMMENT_COLUMN = 70  # where the place starts, unless the statement is longer


def node_lines(graph: Graph, nodes: Iterable[Node]) -> Iterator[str]:
    """Yield nodes of one graph, or of one of its functions, as a line each."""
    statements = Statements(named_values(graph))
    for node in nodes:
        text = statements.statement(node)
        place = provenance(node)
        yield f"{text:<{_COMMENT_COLUMN}}  # {place}" if place else text
