"""The arguments of a node with the names that its operator's schema has for them."""

from __future__ import annotations

from ...ir import Argument, Node


def named_arguments(node: Node) -> list[tuple[str, Argument]]:
    """Return the arguments in order with their names; an empty name where the schema is not known."""
    names = [p.name for p in node.operator.parameters if not p.is_keyword]
    named: list[tuple[str, Argument]] = []
    for position, given in enumerate(node.args):
        named.append((names[position] if position < len(names) else "", given))
    named.extend(node.kwargs.items())
    return named
