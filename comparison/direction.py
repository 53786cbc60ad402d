"""Which of two graphs comes first.

Where several answers are equally good, which of them an alignment finds depends on the side it starts from.
So the nodes of two graphs are always matched in one direction, whichever way they are given, and a
comparison is that of the other direction turned round.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from ..ir import Argument, Node, Value, literal_text
from .side import Side


def is_in_order(before: Side, after: Side) -> bool:
    """Whether the first graph is the one to start from. O(size), mostly much less."""
    if len(before.nodes) != len(after.nodes):
        return len(before.nodes) < len(after.nodes)
    for node, other in zip(before.nodes, after.nodes, strict=True):
        if node.operator.name != other.operator.name:
            return node.operator.name < other.operator.name
    labels = zip(before.labels, after.labels, strict=True)
    for at, (label, other_label) in enumerate(labels):
        if label.strict != other_label.strict:
            return _spelled(before.nodes[at]) <= _spelled(after.nodes[at])
    for one, another in zip_longest(_wiring(before), _wiring(after), fillvalue=()):
        if one != another:
            return one < another
    return _names(before) <= _names(after)


def _names(side: Side) -> tuple[list[str], ...]:
    """Return what inputs, state and scopes are called, and the types of inputs."""
    inputs = side.graph.inputs
    return (
        [str(value.type) for value in inputs],
        [value.name or "" for value in inputs],
        list(side.graph.state),
        [node.scope.address for node in side.nodes],
        [node.scope.class_name for node in side.nodes],
    )


def _spelled(node: Node) -> list[str]:
    """Return the literals of a node, and the types of its results and of what its blocks take."""
    types = [str(value.type) for value in node.outputs]
    taken = [str([str(value.type) for value in block.inputs]) for block in node.blocks]
    return [*map(_literals, node.all_args), *node.keywords, *types, *taken, str(node.groups)]


def _literals(arg: Argument) -> str:
    if isinstance(arg, Value):
        return "%"
    if isinstance(arg, tuple):
        return f"[{', '.join(map(_literals, arg))}]"
    return literal_text(arg)


def _wiring(side: Side) -> Iterator[tuple[int, ...]]:
    """Yield what each node, and the graph at its end, reads: by number, in the order of definition."""
    numbers = {entry.value: number for number, entry in enumerate(side.graph.state.values())}
    numbers.update({value: -1 - number for number, value in enumerate(side.graph.values())})
    for node in side.nodes:
        yield tuple([numbers.get(value, 0) for value in node.inputs])
        for block in node.blocks:
            yield tuple([numbers.get(value, 0) for value in block.outputs])
    yield tuple([numbers.get(value, 0) for value in side.graph.outputs])
