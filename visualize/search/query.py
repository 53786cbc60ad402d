"""Queries: what is searched for, read from text and found in graphs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...ir import Graph, value_names
from .finding import Finder, Hit
from .looks import Names
from .terms import Term, read_terms


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for: nodes that fit all of its terms.

    Attributes:
        text: as it was written.
        terms: its words and filters; without any, every node fits.
    """

    text: str
    terms: tuple[Term, ...]

    def find(self, graph: Graph) -> list[Hit]:
        """Return the nodes that fit, those of the graph, then those of functions it calls. O(size)."""
        return list(self._hits(graph))

    def finder(self, names: Names, function: str = "") -> Finder:
        """Return what looks at one node of a graph after the other; see :class:`Finder`."""
        return Finder(self.terms, names, function)

    def _hits(self, graph: Graph) -> Iterator[Hit]:
        for function, part in (("", graph), *graph.functions.items()):
            finder = self.finder(value_names(part), function)
            for node in part.walk():
                hit = finder.hit(node)
                if hit is not None:
                    yield hit


def parse_query(text: str) -> Query:
    """Read what to search for.

    Words are looked for in names, operators, scopes, classes, state, types, places and source lines;
    ``"quoted phrases"`` too, with spaces, and ``*`` in them stands for itself. ``op:conv2d`` and the
    other ``FILTERS`` ask for one of these. Nodes fit that fit all; ``-`` before a word or filter asks
    for nodes that it does not fit. ``*`` is any text, and the case of letters does not matter.

    Raises:
        QueryError: there is no such filter, a value is missing or cannot be, or quotes are not closed.
    """
    return Query(text, tuple(read_terms(text)))
