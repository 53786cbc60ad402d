"""Graphs from JSON, as ``graph_writer.py`` writes it: every number is looked at before it is used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ...errors import FormatError, IRError, VerifyError
from ..arguments import Argument
from ..block import Block
from ..collector import paused_collector
from ..composites import Composite, nodes_of_scope, noted_composites
from ..graph import Graph
from ..node import Node
from ..source import Frame, SourceText
from ..types import Type
from ..value import StateKind, Value
from ..verify import verify
from .facts import literal_of, modes_of, operators_of, types_of
from .fields import MOST_BLOCKS, MOST_DEEP, fields, item, listed, text, whole, wrong
from .origins import OriginReader

_TABLES: Final = (
    "types", "literals", "operators", "modes", "keywords", "scopes", "strings", "ranges", "frames",
)  # fmt: skip
_KINDS: Final = {kind.name.lower(): kind for kind in StateKind}


class GraphReader:
    """What a file says of a graph and its functions.

    Attributes:
        graph: the graph.
        origins: its scopes, ranges and stacks.
        nodes: the nodes of each of the graphs, by their numbers.
    """

    def __init__(self, content: Any, sources: Iterable[SourceText]) -> None:
        """Read all of it. O(size).

        Raises:
            FormatError: it is no graph, or one that does not verify.
        """
        tables = fields(content, "graph", (*_TABLES, "graphs"))
        self.origins = OriginReader(tables, sources)
        self.nodes: list[list[Node]] = []
        self.types = types_of(tables["types"], "types")
        self._literals = _read_each(tables, "literals", literal_of)
        # By number, in dictionaries, for which a negative number stands for nothing.
        self._operators = _numbered(operators_of(tables["operators"], "operators"))
        self._modes = _numbered(_read_each(tables, "modes", modes_of))
        self._keywords = _numbered(_read_each(tables, "keywords", _keywords_of))
        self._scopes = _numbered(self.origins.scopes)
        self._stacks: dict[int, Frame | None] = {-1: None, **_numbered(self.origins.frames)}
        self._known_types = _numbered(self.types)
        with paused_collector():
            self.graph = self._read(listed(tables["graphs"], "graphs"))

    def _read(self, contents: list[Any]) -> Graph:
        if not contents:
            raise FormatError("graphs is empty")
        keys = ("key", "name", "modes", "root", "state", "block")
        graph = None
        for number, content in enumerate(contents):
            where = f"graphs[{number}]"
            parts = fields(content, where, keys, ("composites",))
            made = self._graph(parts, where)
            key = text(parts["key"], where)
            if graph is None:
                graph = made
            elif key in graph.functions:
                raise FormatError(f"{where} is function {key}, which there is already")
            else:
                graph.functions[key] = made
        assert graph is not None, "there is a graph"
        try:
            verify(graph)
        except VerifyError as error:
            raise FormatError(f"the graph is broken\n{error}") from error
        for number, part in enumerate((graph, *graph.functions.values())):
            if len(noted_composites(part)) < len(part.composites):
                raise FormatError(f"graphs[{number}].composites do not fit the nodes")
        return graph

    def _graph(self, parts: Mapping[str, Any], where: str) -> Graph:
        root = item(parts["root"], self.origins.scopes, f"{where}.root", "scopes")
        if root.parent is not None:
            raise FormatError(f"{where}.root is not the root of scopes")
        modes = self._modes.get(whole(parts["modes"], f"{where}.modes"))
        if modes is None:
            raise FormatError(f"{where}.modes is no number of modes")
        graph = Graph(text(parts["name"], where), modes, root)
        values: list[Value] = []
        for number, row in enumerate(listed(parts["state"], f"{where}.state")):
            values.append(self._state(graph, row, f"{where}.state[{number}]"))
        nodes: list[Node] = []
        self.nodes.append(nodes)
        self._block(graph.block, parts["block"], values, nodes, where, 0)
        for number, row in enumerate(listed(parts.get("composites", []), where)):
            self._composite(graph, row, values, nodes, f"{where}.composites[{number}]")
        return graph

    def _state(self, graph: Graph, row: Any, where: str) -> Value:
        if row.__class__ is not list or len(row) not in (3, 4):
            raise wrong(where, "a list of 3 or 4", row)
        kind, names, type_, *other = row
        if kind.__class__ is not str or kind not in _KINDS:
            raise wrong(where, "a kind of state", kind)
        called = [text(name, where) for name in listed(names, where)]
        if not called or called[0] in graph.state:
            raise FormatError(f"{where} has no name of its own")
        value = graph.add_state(called, item(type_, self.types, where, "types"), _KINDS[kind])
        if other:
            value.name = None if other[0] is None else text(other[0], where)
        return value

    def _block(
        self,
        block: Block,
        content: Any,
        values: list[Value],
        nodes: list[Node],
        where: str,
        depth: int,
    ) -> None:
        if depth > MOST_BLOCKS:
            raise FormatError(f"{where} nests blocks too deeply")
        where = f"{where}.block"
        parts = fields(content, where, ("inputs", "nodes", "outputs"))
        types, names = self._declared(parts["inputs"], f"{where}.inputs")
        for type_, name in zip(types, names, strict=True):
            values.append(block.add_input(type_, name))
        with block.graph.inserting(block):
            for row in listed(parts["nodes"], f"{where}.nodes"):
                try:
                    self._node(block.graph, row, values, nodes, where, depth)
                except (KeyError, IndexError, ValueError, TypeError) as error:
                    what = f"{type(error).__name__} {error}"
                    raise FormatError(f"{where} has no node {len(nodes)}: {what}") from error
        where = f"{where}.outputs"
        outputs = [item(n, values, where, "values") for n in listed(parts["outputs"], where)]
        try:
            block.set_outputs(outputs)
        except IRError as error:
            raise FormatError(f"{where}: {error}") from error

    def _node(
        self, graph: Graph, row: Any, values: list[Value], nodes: list[Node], where: str, depth: int
    ) -> None:
        """Append a node, and what it defines; a row that is not one raises whatever that leads to."""
        operator, scope, stack, modes, args, keywords, results, *more = row
        groups = blocks = None
        if more:
            groups, blocks = more
        types, names = self._declared(results, where)
        node = graph.append(
            self._operators[operator],
            self._arguments(args, values, 0),
            types,
            keywords=self._keywords[keywords],
            groups=None if groups is None else _groups_of(groups, where),
            scope=self._scopes[scope],
            stack=self._stacks[stack],
            modes=self._modes[modes],
        )
        nodes.append(node)
        outputs = node.outputs
        for value, name in zip(outputs, names, strict=True):
            value.name = name
        values += outputs
        for inner in listed(blocks, where) if blocks is not None else ():
            self._block(node.add_block(), inner, values, nodes, where, depth + 1)

    def _declared(self, row: Any, where: str) -> tuple[list[Type], list[str | None]]:
        """Return the types and names of inputs or results."""
        pairs = listed(row, where)
        types, names = pairs[::2], pairs[1::2]
        for name in names:
            if name is not None and name.__class__ is not str:
                raise wrong(where, "a name or null", name)
        if len(types) != len(names):
            raise FormatError(f"{where} has a type without a name")
        known = self._known_types
        try:
            return [known[number] for number in types], names
        except (KeyError, TypeError) as error:
            raise FormatError(f"{where} has no type {error}") from error

    def _arguments(self, row: Any, values: list[Value], depth: int) -> tuple[Argument, ...]:
        if row.__class__ is not list or depth > MOST_DEEP:
            raise wrong("arguments", "lists, not nested too deeply", row)
        literals = self._literals
        args: list[Argument] = []
        for number in row:
            if number.__class__ is int:
                args.append(values[number] if number >= 0 else literals[~number])
            else:
                args.append(self._arguments(number, values, depth + 1))
        return tuple(args)

    def _composite(
        self, graph: Graph, row: Any, values: list[Value], nodes: list[Node], where: str
    ) -> None:
        scope, first, operator, stack, modes, args, keywords, results, groups = listed(
            row, where, 9
        )
        start = item(first, nodes, where, "nodes")
        within = item(scope, self.origins.scopes, where, "scopes")
        assert start.block is not None, "it has just been put there"
        try:
            graph.composites[within] = Composite(
                self._operators[operator],
                self._arguments(args, values, 0),
                self._keywords[keywords],
                tuple([self._result(number, values) for number in listed(results, where)]),
                None if groups is None else _groups_of(groups, where),
                self._stacks[stack],
                self._modes[modes],
                tuple(nodes_of_scope(start.block, start._previous, within)),
            )
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise FormatError(f"{where} is none: {type(error).__name__} {error}") from error

    def _result(self, number: Any, values: list[Value]) -> Value | Type:
        if number.__class__ is int and number < 0:
            type_: Type = self._known_types[~number]
            return type_
        return item(number, values, "results", "values")


def _read_each(tables: Mapping[str, Any], name: str, read: Any) -> list[Any]:
    return [
        read(entry, f"{name}[{number}]") for number, entry in enumerate(listed(tables[name], name))
    ]


def _numbered(table: Iterable[Any]) -> dict[int, Any]:
    return dict(enumerate(table))


def _keywords_of(value: Any, where: str) -> tuple[str, ...]:
    return tuple([text(name, where) for name in listed(value, where)])


def _groups_of(value: Any, where: str) -> tuple[int | None, ...]:
    return tuple([None if n is None else whole(n, where) for n in listed(value, where)])
