"""What a replay says when it comes to a guard that does not hold."""

from __future__ import annotations

from typing import Any, NoReturn

from ..errors import GuardError
from ..ir import Graph, Node
from ..ir.conditions import ConditionWriter
from ..ir.scalars import GUARD


class GuardFailures:
    """Raises the error for a guard, by its number in the compiled function."""

    def __init__(self, graph: Graph, nodes: list[Node]) -> None:
        self._graph = graph
        self._nodes = nodes

    def __call__(self, number: int, actual: Any) -> NoReturn:
        """Raise the error for a guard that found ``actual``."""
        raise guard_error(self._graph, self._nodes[number], actual)


def guard_error(graph: Graph, node: Node, actual: Any = None) -> GuardError:
    """Return the error that says which condition does not hold and which line made it one."""
    condition = ConditionWriter(graph, {}).condition(node)
    lines = [f"this run cannot follow the trace: {condition} does not hold"]
    if node.kind == GUARD and not isinstance(actual, bool):
        lines[0] += f", it is {actual!r} now"
    stack = node.stack
    if stack is not None:
        source = stack.user.range
        where = f"  from {source} in {source.function}"
        lines.append(where + (f", scope {node.scope.address}" if node.scope.address else ""))
        lines += [f"    {line}" for line in source.underlined().splitlines()]
    lines.append(
        "  trace again with inputs like these; a trace holds for one way through the program"
    )
    return GuardError("\n".join(lines))
