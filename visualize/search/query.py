"""Queries: what is searched for, read from text and found in graphs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from ...errors import QueryError
from ...ir import Graph, value_names
from .finding import Finder, Hit
from .looks import Names, named_values
from .terms import Term, read_terms

_OF_VALUES: Final = ("user", "from")  # filters that name a value, of which there is one or none


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
        """Return the nodes that fit, those of the graph, then those of functions it calls. O(size).

        Raises:
            QueryError: a value is asked for that there is not.
        """
        parts = {"": graph, **graph.functions}
        names = {function: value_names(part) for function, part in parts.items()}
        self._require_values(list(names.values()))
        return list(self._hits(parts, names))

    def finder(self, names: Names, function: str = "") -> Finder:
        """Return what looks at one node of a graph after the other; see :class:`Finder`."""
        return Finder(self.terms, names, function)

    def _require_values(self, names: Sequence[Names]) -> None:
        """Raise a QueryError where a filter names no value, which a list of no nodes would not tell."""
        for term in self.terms:
            if term.filter.key not in _OF_VALUES or "*" in term.text:
                continue
            if any(named_values(term.pattern, each) for each in names):
                continue
            known = [name for each in names for name in each.values()]
            wanted = term.text.partition(":")[2].strip('%"')
            near = get_close_matches(wanted, known, n=1, cutoff=0.6)
            hint = (
                f"did you mean %{near[0]}?" if near else "values are called as --graph prints them"
            )
            raise QueryError(f"{term.text}: there is no value %{wanted}; {hint}")

    def _hits(self, parts: Mapping[str, Graph], names: Mapping[str, Names]) -> Iterator[Hit]:
        for function, part in parts.items():
            finder = self.finder(names[function], function)
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
