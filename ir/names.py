"""The names under which values appear in text and in generated code."""

from __future__ import annotations

from collections.abc import Iterator

from .graph import Graph, definitions
from .value import Value


def is_number(name: str) -> bool:
    """Whether a name is a number, as only values that have no name of their own are shown."""
    return name.isascii() and name.isdigit()


def value_names(graph: Graph) -> dict[Value, str]:
    """Return a unique name for every value of a graph, in the order of definition. O(values).

    State keeps its own names. Another value keeps the name it has if it is free, and gets ``.1``,
    ``.2`` behind it if it is not. Values without a name, or with a number for one, are numbered. The
    result depends on the graph alone, so equal graphs read equal.
    """
    return dict(named_values(graph))


def named_values(graph: Graph) -> Iterator[tuple[Value, str]]:
    """Yield every value of a graph with its name, as :func:`value_names` gives them."""
    taken: set[str] = set()
    for entry in graph.state.values():
        yield entry.value, entry.name
        taken.update(entry.names)
    numbers = set(filter(is_number, taken))  # of state alone: no other value has one for a name
    suffixes: dict[str, int] = {}
    count = 0
    for value in definitions(graph.block):
        wanted = value.name
        if wanted is None or is_number(wanted):
            number = str(count)
            while number in numbers:
                count += 1
                number = str(count)
            yield value, number
            count += 1
            continue
        if wanted in taken:
            suffix = suffixes.get(wanted, 0) + 1
            while f"{wanted}.{suffix}" in taken:
                suffix += 1
            suffixes[wanted] = suffix
            wanted = f"{wanted}.{suffix}"
        taken.add(wanted)
        yield value, wanted
