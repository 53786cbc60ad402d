"""Nodes and scopes as records for programs, a JSON object each; ``docs/terminal.md`` lists the fields.

Fields are added here, and never taken away or given another meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ...ir import Graph, Node, SourceRange, TensorType, Value, value_names
from ...ir.printer import Statements
from ..search import Match
from .arguments import named_arguments
from .scope_tree import Branch, ScopeTree


def node_records(
    graph: Graph,
    nodes: Iterable[tuple[Node, Sequence[Match]]],
    function: str = "",
) -> Iterator[dict[str, Any]]:
    """Yield nodes of one graph, with what a search has found of each.

    Args:
        graph: the graph, or one of its functions.
        nodes: the nodes, in the order of the graph.
        function: the function's name; empty for the graph itself.
    """
    names = value_names(graph)
    statements = Statements(names.items())
    places = {node: place for place, node in enumerate(graph.walk())}
    for node, matches in nodes:
        record = {
            "function": function,
            "index": places[node],
            "op": node.operator.name,
            "results": [_value(value, names[value]) for value in node.outputs],
            "arguments": [
                {"name": name, "text": statements.argument(given)}
                for name, given in named_arguments(node)
            ],
            "operands": [names[value] for value in node.inputs],
            "state": [value.state.name for value in node.inputs if value.state is not None],
            "scope": node.scope.address,
            "class": node.scope.class_name,
            "modes": str(node.modes),
            "source": _source(node.source),
            "text": statements.statement(node),
        }
        if matches:
            record["matches"] = [{"key": match.key, "text": match.text} for match in matches]
        yield record


def scope_records(tree: ScopeTree, most_depth: int | None = None) -> Iterator[dict[str, Any]]:
    """Yield scopes, each before those in it."""
    return map(_scope, tree.walk(most_depth))


def _scope(branch: Branch) -> dict[str, Any]:
    parent = branch.parent
    return {
        "function": branch.function,
        "scope": branch.scope.address,
        "parent": None if parent is None else parent.scope.address,
        "kind": branch.scope.kind.value,
        "name": branch.scope.name if parent is not None else branch.name,
        "class": branch.scope.class_name,
        "call": branch.scope.call,
        "nodes": branch.node_count,
        "parameters": branch.parameter_count,
    }


def _value(value: Value, name: str) -> dict[str, Any]:
    record: dict[str, Any] = {"name": name, "type": str(value.type)}
    if isinstance(value.type, TensorType):
        dtype, shape = value.type.dtype, value.type.shape
        record["dtype"] = None if dtype is None else dtype.value
        record["shape"] = None if shape is None else [_dim(dim) for dim in shape]
    return record


def _dim(dim: Any) -> int | str:
    return dim if isinstance(dim, int) else dim.name


def _source(place: SourceRange | None) -> dict[str, Any] | None:
    if place is None:
        return None
    return {
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "function": place.function,
        "text": place.text.strip(),
    }
