"""Errors about a node: what is wrong, where in the graph, and whose line it was."""

from __future__ import annotations

from ..errors import PassError
from ..ir import Node, print_node


def complaint(node: Node, what: str, *advice: str) -> PassError:
    """Return the error that a pass cannot do with a node what it is for.

    Args:
        node: what is at fault.
        what: says it in a sentence.
        advice: lines that say what to do.
    """
    lines = [what, f"  in   {print_node(node)}"]
    source = node.source
    if source is not None:
        code = source.text.strip()
        lines.append(f"  from {source} in {source.function}" + (f":  {code}" if code else ""))
    return PassError("\n".join([*lines, *(f"  {line}" for line in advice)]))
