"""A search that goes on in small steps, so that keys are answered meanwhile."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from time import perf_counter

from ...ir import Graph, Node
from ..search import Finder, Hit, Query
from .subject import Subject

_NODES_PER_LOOK = 200  # at the clock


class Search:
    """Looks for the nodes that fit a query: from one on to the last, then from the first.

    Attributes:
        query: what is searched for.
        is_done: whether all nodes were looked at.

    Args:
        subject: where.
        query: what is searched for.
        start: the number of the node to start at.
    """

    def __init__(self, subject: Subject, query: Query, start: int = 0) -> None:
        self.query = query
        self.is_done = not subject.nodes
        self._subject = subject
        self._start = start
        self._seen = 0
        self._behind: list[int] = []  # numbers of hits from the start on, and those before it
        self._before: list[int] = []
        self._hits: dict[int, Hit] = {}
        self._finders: dict[Graph, Finder] = {}

    def __len__(self) -> int:
        return len(self._hits)

    def look(self, seconds: float) -> None:
        """Look at nodes for some time."""
        nodes = self._subject.nodes
        end = perf_counter() + seconds
        while not self.is_done and perf_counter() < end:
            for seen in range(self._seen, min(self._seen + _NODES_PER_LOOK, len(nodes))):
                self._look_at((self._start + seen) % len(nodes))
            self._seen = min(self._seen + _NODES_PER_LOOK, len(nodes))
            self.is_done = self._seen == len(nodes)

    def has(self, node: Node) -> bool:
        """Whether a node was found."""
        return self._subject.place(node) in self._hits

    def number(self, node: Node) -> int | None:
        """Return which hit a node is, in the order of nodes and from 1; None if it is none."""
        place = self._subject.place(node)
        return bisect_left(self._places, place) + 1 if place in self._hits else None

    def hit(self, node: Node) -> Hit | None:
        """Return what was found of a node."""
        return self._hits.get(self._subject.place(node))

    def from_here(self) -> Hit | None:
        """Return the first hit from the start on; None if there is none so far."""
        places = self._behind or self._before
        return self._hits[places[0]] if places else None

    def next(self, place: int, *, is_back: bool = False) -> Hit | None:
        """Return the hit behind a node, or before it; around the end if need be."""
        places = self._places
        if not places:
            return None
        if is_back:
            return self._hits[places[bisect_left(places, place) - 1]]
        return self._hits[places[bisect_right(places, place) % len(places)]]

    @property
    def _places(self) -> list[int]:
        return self._before + self._behind

    def _look_at(self, place: int) -> None:
        node = self._subject.nodes[place]
        graph = node.graph
        assert graph is not None, "a node that is browsed stands in a graph"
        finder = self._finders.get(graph)
        if finder is None:
            finder = self._finders[graph] = self.query.finder(self._subject.names(graph))
        hit = finder.hit(node)
        if hit is not None:
            self._hits[place] = hit
            (self._behind if place >= self._start else self._before).append(place)
