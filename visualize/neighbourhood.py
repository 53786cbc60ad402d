"""Neighbourhoods: the nodes from or to which data gets in a few steps."""

from __future__ import annotations

from difflib import get_close_matches

from ..errors import RenderError
from ..ir import Graph, Node, Value, value_names


def neighbourhood(graph: Graph, name: str, steps: int) -> dict[Node, None]:
    """Return the nodes that are at most so many steps before or behind a value, its own first.

    A step goes from a node to one that reads what it makes, or makes what it reads. O(size).

    Args:
        graph: where to look.
        name: the value, as the graph's text names it: ``%h`` or ``h``.
        steps: how far to go.

    Raises:
        RenderError: no value is called so.
    """
    value = _named(graph, name.removeprefix("%"))
    center = [node for node in (value.node, *_readers(value)) if node is not None]
    near = dict.fromkeys(center[:1] if value.node is not None else center)
    front = list(near)
    for _ in range(steps):
        found = [other for node in front for other in _beside(node) if other not in near]
        front = list(dict.fromkeys(found))
        near.update(dict.fromkeys(front))
    return near


def _named(graph: Graph, name: str) -> Value:
    names = {text: value for value, text in value_names(graph).items()}
    value = names.get(name)
    if value is None:
        close = get_close_matches(name, names, n=3, cutoff=0.4)
        close = close or [other for other in names if name and name in other][:3]
        hint = (
            f"; there are, for example, {', '.join(f'%{other}' for other in close)}"
            if close
            else ""
        )
        raise RenderError(f"no value of {graph.name!r} is called around='%{name}'{hint}")
    return value


def _beside(node: Node) -> list[Node]:
    makers = [value.node for value in node.inputs if value.node is not None]
    return [*makers, *(reader for value in node.outputs for reader in _readers(value))]


def _readers(value: Value) -> list[Node]:
    """Return the nodes that read a value; where a block hands it on, the block's owner."""
    readers = []
    for user in value.users:
        reader = user if isinstance(user, Node) else user.owner
        if reader is not None:
            readers.append(reader)
    return readers
