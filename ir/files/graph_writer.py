"""Graphs to JSON: rows of numbers that point into tables of what many nodes share.

``docs/files.md`` describes the rows. Values are numbered per graph: state first, then inputs and results
in the order of definition, each owner before its blocks, as ``Graph.values`` has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...errors import FormatError, VerifyError
from ..arguments import Argument
from ..block import Block
from ..collector import paused_collector
from ..composites import Composite, noted_composites
from ..graph import Graph
from ..literals import Literal
from ..modes import Modes
from ..node import Node
from ..operator import Operator
from ..types import Type
from ..value import Value
from ..verify import verify
from .facts import literal_json, modes_json, operator_json, type_json
from .fields import MOST_BLOCKS
from .origins import OriginWriter


class GraphWriter:
    """Writes a graph with its functions, and knows the numbers that nodes and origins got.

    Attributes:
        origins: scopes, ranges and stacks.
        nodes: the number of the graph, and that of the node in it, for each node.
    """

    def __init__(self) -> None:
        self.origins = OriginWriter()
        self.nodes: dict[Node, tuple[int, int]] = {}
        self._types: dict[Type, int] = {}
        self._types_by_id: dict[int, int] = {}  # hashing is slow; the graph keeps its types
        self._type_rows: list[Any] = []
        self._literals: dict[Any, int] = {}
        self._literal_rows: list[Any] = []
        self._operators: dict[Operator, int] = {}
        self._operator_rows: list[Any] = []
        self._modes: dict[Modes, int] = {}
        self._keywords: dict[tuple[str, ...], int] = {}

    def write(self, graph: Graph) -> dict[str, Any]:
        """Return the JSON of a graph. O(size).

        Raises:
            FormatError: the graph does not verify, or nests blocks too deeply.
        """
        try:
            verify(graph)
        except (VerifyError, RecursionError) as error:
            raise FormatError(f"graph {graph.name} is broken, and is not saved\n{error}") from error
        with paused_collector():
            parts = [("", graph), *graph.functions.items()]
            graphs = [self._graph(number, *part) for number, part in enumerate(parts)]
        return {
            "types": self._type_rows,
            "literals": self._literal_rows,
            "operators": self._operator_rows,
            "modes": list(map(modes_json, self._modes)),
            "keywords": list(map(list, self._keywords)),
            **self.origins.tables(),
            "graphs": graphs,
        }

    def type(self, type_: Type) -> int:
        """Return the number of a type."""
        known = self._types_by_id.get(id(type_))
        if known is None:
            known = self._types.get(type_)
            if known is None:
                row = type_json(type_, self.type)
                known = self._types[type_] = len(self._type_rows)
                self._type_rows.append(row)
            self._types_by_id[id(type_)] = known
        return known

    def _graph(self, number: int, key: str, graph: Graph) -> dict[str, Any]:
        values: dict[Value, int] = {}
        state = []
        for entry in graph.state.values():
            values[entry.value] = len(values)
            state.append(
                [entry.kind.name.lower(), list(entry.names), self.type(entry.value.type)]
                + ([] if entry.value.name == entry.name else [entry.value.name])
            )
        first = len(self.nodes)
        block = self._block(graph.block, values, number, first, 0)
        made = {
            "key": key,
            "name": graph.name,
            "modes": self._number(self._modes, graph.modes),
            "root": self.origins.scope(graph.root_scope),
            "state": state,
            "block": block,
        }
        noted = noted_composites(graph)
        if noted:
            made["composites"] = [
                self._composite(graph, scope, each, values) for scope, each in noted.items()
            ]
        return made

    def _block(
        self, block: Block, values: dict[Value, int], graph: int, first: int, depth: int
    ) -> dict[str, Any]:
        if depth > MOST_BLOCKS:
            raise FormatError("the graph nests blocks too deeply to be saved")
        inputs: list[Any] = []
        for value in block.inputs:
            values[value] = len(values)
            inputs += (self.type(value.type), value.name)
        rows = []
        nodes, type_, stack, scope = self.nodes, self.type, self.origins.stack, self.origins.scope
        for node in block:
            nodes[node] = (graph, len(nodes) - first)
            if node._args is node._inputs:
                args: list[Any] = [values[arg] for arg in node._inputs]
            else:
                args = [self._argument(arg, values) for arg in node._args]
            results: list[Any] = []
            for value in node.outputs:
                values[value] = len(values)
                results += (type_(value.type), value.name)
            row = [
                self._operator(node.operator),
                scope(node.scope),
                stack(node.stack),
                self._number(self._modes, node.modes),
                args,
                self._number(self._keywords, node._keywords),
                results,
            ]
            if node._groups is not None or node._blocks:
                row.append(None if node._groups is None else list(node._groups))
                row.append([self._block(b, values, graph, first, depth + 1) for b in node._blocks])
            rows.append(row)
        outputs = [values[value] for value in block.outputs]
        return {"inputs": inputs, "nodes": rows, "outputs": outputs}

    def _operator(self, operator: Operator) -> int:
        known = self._operators.get(operator)
        if known is None:
            row = operator_json(operator, self._operator)
            known = self._operators[operator] = len(self._operator_rows)
            self._operator_rows.append(row)
        return known

    def _number(self, table: dict[Any, int], key: Any) -> int:
        known = table.get(key)
        if known is None:
            known = table[key] = len(table)
        return known

    def _argument(self, arg: Argument, values: Mapping[Value, int]) -> Any:
        if isinstance(arg, Value):
            return values[arg]
        if isinstance(arg, tuple) and _has_value(arg):
            return [self._argument(part, values) for part in arg]
        return ~self._literal(arg)  # type: ignore[arg-type]  # no value is in it

    def _literal(self, literal: Literal | tuple[Literal, ...]) -> int:
        # Equal ones of several classes are told apart by what they print as, and -0.0 from 0.0.
        key = (literal.__class__, repr(literal))
        known = self._literals.get(key)
        if known is None:
            known = self._literals[key] = len(self._literal_rows)
            self._literal_rows.append(literal_json(literal))
        return known

    def _composite(
        self, graph: Graph, scope: Any, composite: Composite, values: Mapping[Value, int]
    ) -> list[Any]:
        results = [
            values[result] if isinstance(result, Value) else ~self.type(result)
            for result in composite.results
        ]
        return [
            self.origins.scope(scope),
            self.nodes[composite.nodes[0]][1],
            self._operator(composite.operator),
            self.origins.stack(composite.stack),
            self._number(self._modes, composite.modes),
            [self._argument(arg, values) for arg in composite.args],
            self._number(self._keywords, composite.keywords),
            results,
            None if composite.groups is None else list(composite.groups),
        ]


def _has_value(args: Iterable[Any]) -> bool:
    return any(isinstance(a, Value) or (isinstance(a, tuple) and _has_value(a)) for a in args)
