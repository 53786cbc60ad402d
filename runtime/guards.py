"""What a replay says when it comes to a guard that does not hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from ..errors import GuardError
from ..ir import Graph, Node
from ..ir.conditions import Circumstance, ConditionWriter, DimensionNames
from ..ir.scalars import GUARD
from .left_behind import changed_before


class GuardFailures:
    """Raises the error for a guard, by its number in the compiled function."""

    def __init__(self, graph: Graph, nodes: list[Node], dimension_names: DimensionNames) -> None:
        self._graph = graph
        self._nodes = nodes
        self._dimension_names = dimension_names

    def __call__(self, number: int, actual: Any) -> NoReturn:
        """Raise the error for a guard that found ``actual``."""
        raise guard_error(self._graph, self._nodes[number], self._dimension_names, actual)


def guard_error(
    graph: Graph, node: Node, dimension_names: DimensionNames, actual: Any = None
) -> GuardError:
    """Return the error that says which condition does not hold and which line made it one."""
    condition = ConditionWriter(graph, dimension_names).condition(node)
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
    changed = changed_before(graph, node)
    if changed:
        lines.append(f"  this run has {changed} before it came there, which stays so")
    return GuardError("\n".join(lines))


def circumstance_error(circumstance: Circumstance, failing: str) -> GuardError:
    """Return the error that says what around a program is not as it was at the trace."""
    lines = [f"this run cannot follow the trace: {failing} there, and not now"]
    if circumstance.source is not None:
        source = circumstance.source
        lines.append(f"  from {source} in {source.function}")
        lines += [f"    {line}" for line in source.underlined().splitlines()]
    lines.append(f"  {circumstance.advice}")
    return GuardError("\n".join(lines))


def length_error(
    graph: Graph,
    nodes: Mapping[int, Node],
    dimension_names: DimensionNames,
    filename: str,
    error: ValueError,
) -> GuardError | None:
    """Return the error for a list that a node gave in another length than it did at the trace.

    None if that is not what ``error`` says.

    Args:
        graph: the graph that ran.
        nodes: the node of each line of its compiled function.
        dimension_names: what sizes of its inputs are called.
        filename: of that function.
        error: what the function raised.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or trace.tb_frame.f_code.co_filename != filename:
        return None
    node = nodes.get(trace.tb_lineno)
    if node is None or all(group is None for group in node.groups):
        return None
    return guard_error(graph, node, dimension_names)
