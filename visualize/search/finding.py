"""Finding the nodes that fit a query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...ir import Node
from .looks import Look, Match, Names
from .terms import Term


class Hit(NamedTuple):
    """A node that fits a query.

    Attributes:
        node: the node.
        where: what of it fits each word and filter of the query, those with a minus left out.
        function: the function of the graph that it stands in; empty for the graph's own nodes.
    """

    node: Node
    where: tuple[Match, ...]
    function: str = ""


class Finder:
    """Looks at the nodes of one graph, as many as somebody wants to look at before others do something.

    What nodes share, such as scopes, is looked at once.

    Args:
        terms: the parts of a query.
        names: the names of the graph's values.
        function: what the graph is called where it is a function.
    """

    def __init__(self, terms: Sequence[Term], names: Names, function: str = "") -> None:
        self._wanted: list[Look] = []
        self._unwanted: list[Look] = []
        for term in terms:
            looks = self._unwanted if term.is_negated else self._wanted
            looks.append(term.filter.look(term.pattern, names))
        self._function = function

    def hit(self, node: Node) -> Hit | None:
        """Return where a node fits the query; None if it does not."""
        where = []
        for look in self._wanted:
            match = look(node)
            if match is None:
                return None
            where.append(match)
        for look in self._unwanted:
            if look(node) is not None:
                return None
        return Hit(node, tuple(where), self._function)
