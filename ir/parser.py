"""Reads graphs from text: the inverse of ``ir/printer.py``, whose note describes the form.

Text written by hand may leave out what the printer always writes: the graph's name, the types after
``->``, and comments. Names are those of the text; a number as a name means that there is none.

A friend of nodes and blocks, for speed; see Note [One set of books] in ``value.py``.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from ..errors import ParseError
from .arguments import Argument
from .block import Block
from .collector import paused_collector
from .composites import Composite, nodes_of_scope
from .cursor import Cursor
from .graph import Graph
from .mode_parser import parse_modes
from .modes import Modes
from .node import Node
from .operator import Operator, OperatorTable, unknown_operator
from .place_parser import END_OF_LINE, PlaceParser
from .scope import Scope, ScopeKind
from .source import Frame
from .statement_parser import ADVICE, StatementParser, Vocabulary
from .type_parser import SIMPLE_TYPE
from .types import Type
from .value import StateKind, Value

_STATEMENT = re.compile(
    r"(?P<end>->|return[ \t]*(?=\())|(?P<block>block([0-9]+)[ \t]*\()"
    r"|(?P<mode>mode[ \t]+(?=\w))|(?P<scope>scope[ \t]+(?=\S))"
)
# The whole line of a node with one result, if nothing in it is quoted, nested or called with functions.
_USUAL_NODE = re.compile(
    rf"[ \t]*%(\w+(?:\.\w+)*) : ({SIMPLE_TYPE}) = ([\w.:]+)\(([\w.:%=+\-\[\], ]*)\){END_OF_LINE}"
)
_STATE = re.compile(rf"({'|'.join(kind.value for kind in StateKind)})[ \t]+(?=%)")
_AMBIENT = re.compile(r"ambient[ \t]+(?=\w)")
_GRAPH = re.compile(r"graph\b")
_FUNCTION = re.compile(r"function\b")
_IS = re.compile(r"is\b")
_RESULTS = re.compile(r"[ \t]*(?:[%\[]|_[ \t]*:)")
_NO_VALUE = re.compile(r"_[ \t]*:")

_HEADER_ADVICE = "write graph Name(%x : f32[2, 3], %y : int):"
_COMPOSITE_ADVICE = (
    "write the call that the nodes below stand for: "
    "scope linear<operator> is %y = aten::linear(%x, %w)"
)


def parse(text: str, operators: OperatorTable = unknown_operator) -> Graph:
    """Return the graph that a text describes, so that printing it gives the text again. O(text).

    Args:
        text: what ``str(graph)`` gives, or the like written by hand; it may be indented.
        operators: gives the operator of each name, and is asked once per name.

    Raises:
        ParseError: the text is no graph; the message points at the place.
    """
    try:
        with paused_collector():
            return _Program(text, operators).read()
    except RecursionError as error:
        raise ParseError(
            "the text nests types, lists, scopes or blocks too deeply to be read"
        ) from error


class _Program:
    """Reads a graph and the functions that it calls."""

    def __init__(self, text: str, operators: OperatorTable) -> None:
        self._cursor = Cursor(text)
        self._vocabulary = Vocabulary(self._cursor, operators)

    def read(self) -> Graph:
        cursor = self._cursor
        cursor.skip_gap()
        cursor.expect(_GRAPH, '"graph"', _HEADER_ADVICE)
        name = "graph" if cursor.sees("(") else self._name()
        graph = self._graph(name)
        cursor.skip_gap()
        while cursor.position < len(cursor.text):
            cursor.expect(_FUNCTION, '"function" or the end of the text', _HEADER_ADVICE)
            name = self._name()
            if name in graph.functions:
                raise cursor.error(
                    f"function {name} is defined already",
                    "rename one of them",
                    cursor.position - 1,
                )
            graph.functions[name] = self._graph(name)
            cursor.skip_gap()
        for reference, position in self._vocabulary.calls.items():
            if reference.name not in graph.functions:
                raise cursor.error(
                    f"{reference} names a function that the text does not define",
                    f"add function {reference.name}(...): below the graph",
                    position,
                    len(str(reference)),
                )
        return graph

    def _name(self) -> str:
        return self._cursor.name("the name of a graph", _HEADER_ADVICE)

    def _graph(self, name: str) -> Graph:
        return _GraphParser(self._cursor, self._vocabulary, Graph(name)).read()


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that a scope stands for, as it was read: its results are names, and its nodes are to come."""

    scope: Scope
    block: Block
    after: Node | None  # the last node before its own
    operator: Operator
    args: tuple[Argument, ...]
    keywords: tuple[str, ...]
    results: list[tuple[str, int] | Type]
    groups: tuple[int | None, ...] | None
    stack: Frame | None
    modes: Modes
    start: int


class _GraphParser:
    """Reads one graph: its header, its state, and the statements of its blocks."""

    def __init__(self, cursor: Cursor, vocabulary: Vocabulary, graph: Graph) -> None:
        self._graph = graph
        self._cursor = cursor
        self._text = cursor.text
        self._type = vocabulary.types.type
        self._statements = StatementParser(cursor, vocabulary)
        self._places = PlaceParser(cursor, graph.root_scope)
        self._known_types = vocabulary.types.known
        self._known_operators = vocabulary.operators
        self._modes = graph.modes  # those in force where we read
        self._composites: list[_Call] = []  # whose nodes are still to come

    def read(self) -> Graph:
        """Read the graph from behind its name on."""
        cursor = self._cursor
        cursor.demand("(", "after the graph's name", _HEADER_ADVICE)
        self._declare_inputs(self._graph.block)
        promised = self._promised_types()
        cursor.demand(":", "at the end of the header", _HEADER_ADVICE)
        self._places.end_line()
        self._read_state()
        self._modes = self._graph.modes
        start = self._read_nodes(self._graph.block)
        if promised is not None:
            self._check_promise(promised, start)
        return self._graph

    def _declare_inputs(self, block: Block) -> None:
        """Read ``%x : int, %y : str)``, the inputs of a block."""
        for _ in self._cursor.items(")", _HEADER_ADVICE):
            name, start, type_ = self._statements.declaration()
            self._statements.define(block.add_input(type_, None), name, start)

    def _promised_types(self) -> list[Type] | None:
        cursor = self._cursor
        if not cursor.take("->"):
            return None
        cursor.demand("(", "after ->", "write -> (f32[2, 3]), or nothing")
        return [self._type() for _ in cursor.items(")", _HEADER_ADVICE)]

    def _check_promise(self, promised: list[Type], start: int) -> None:
        returned = [value.type for value in self._graph.outputs]
        if promised != returned:
            raise self._cursor.error(
                f"the header promises ({', '.join(map(str, promised))}),"
                f" and this returns ({', '.join(map(str, returned))})",
                "correct the header, or leave its -> (...) out",
                start,
                len("return"),
            )

    def _read_state(self) -> None:
        cursor = self._cursor
        cursor.skip_gap()
        while match := cursor.accept(_STATE):
            kind = StateKind(match[1])
            names = [self._statements.name()]
            while True:
                if cursor.take("="):
                    names.append(self._statements.name())
                    continue
                cursor.demand(":", "between state and its type", "write state %weight : f32[2, 3]")
                self._add_state(names, self._type(), kind)
                if not cursor.take(","):
                    break
                cursor.skip_gap()
                names = [self._statements.name()]
            self._places.end_line()
            cursor.skip_gap()
        if cursor.accept(_AMBIENT):
            self._graph.modes = self._read_modes()
            cursor.skip_gap()

    def _add_state(self, names: list[tuple[str, int]], type_: Type, kind: StateKind) -> None:
        self._statements.refuse_taken(*names[0])
        value = self._graph.add_state([name for name, _ in names], type_, kind)
        for name, start in names:
            self._statements.define(value, name, start)

    def _read_nodes(self, block: Block) -> int:
        """Read nodes and directives into a block, its end too; return where the end starts."""
        cursor = self._cursor
        text = self._text
        node: Node | None = None
        count = 0  # blocks of the node so far
        while True:
            usual = self._read_usual_node(block)
            if usual is not None:
                node, count = usual, 0
                continue
            cursor.skip_gap()
            match = _STATEMENT.match(text, cursor.position)
            if match is None:
                node, count = self._read_node(block), 0
                continue
            cursor.position = match.end()
            match match.lastgroup:
                case "end":
                    break
                case "mode":
                    self._modes = self._read_modes()
                case "scope":
                    self._read_scope(block)
                case _:
                    self._read_block(node, count, match)
                    count += 1
        self._check_end(block, match)
        self._note_composites(block)
        cursor.demand("(", f"after {match['end']}", ADVICE)
        block.set_outputs([self._statements.operand() for _ in cursor.items(")", ADVICE)])
        self._places.end_line()
        return match.start()

    def _check_end(self, block: Block, match: re.Match[str]) -> None:
        expected = "return" if block.owner is None else "->"
        if not match["end"].startswith(expected):
            where = "a graph" if block.owner is None else "a block"
            raise self._cursor.error(
                f'{where} ends with "{expected}", not with "{match["end"].strip()}"',
                f"write {expected} (%y)",
                match.start(),
                len(match["end"]),
            )

    def _read_block(self, owner: Node | None, number: int, match: re.Match[str]) -> None:
        """Read one block of a node, which ends with ``-> (...)``."""
        if owner is None or match[3] != str(number):
            raise self._cursor.error(
                f"block{match[3]} does not follow "
                + ("a node" if owner is None else f"block{number - 1}" if number else owner.kind),
                f"number the blocks below their node from 0: block{number}(...):",
                match.start(),
                len(match[0]) - 1,
            )
        # The node's own results are not there yet when its blocks run.
        statements = self._statements
        mark = len(statements.defined)
        own = statements.hide(statements.defined[mark - len(owner.outputs) :])
        block = owner.add_block()
        self._declare_inputs(block)
        self._cursor.demand(":", "after the inputs of a block", "write block0(%x : int):")
        self._places.end_line()
        self._read_nodes(block)
        statements.leave_block(mark)
        statements.show(own)

    def _read_usual_node(self, block: Block) -> Node | None:
        """Read a node whose line is as most are, if its words were met before: in one match."""
        match = _USUAL_NODE.match(self._text, self._cursor.position)
        if match is None:
            return None
        name, type_, operator, arguments, comment = match.groups()
        known_type = self._known_types.get(type_)
        known_operator = self._known_operators.get(operator)
        known = self._statements.known_arguments(arguments)
        if known_type is None or known_operator is None or known is None:
            return None
        args, keywords = known
        stack, scope = self._places.of(comment, match.start(5))
        node = Node(known_operator, args, keywords, (known_type,), None, scope, stack, self._modes)
        block._link(node, None)
        self._statements.define(node.output, name, match.start(1) - 1)
        self._cursor.position = match.end()
        return node

    def _read_node(self, block: Block) -> Node:
        cursor = self._cursor
        names: list[tuple[str, int]] = []
        types: list[Type] = []
        groups: tuple[int | None, ...] | None = None
        if self._text.startswith(("%", "["), cursor.position):
            groups = self._statements.results(names, types)
        operator = self._statements.operator()
        args: list[Argument] = []
        keywords = self._statements.arguments(args)
        stack, scope = self._places.place()
        node = Node(operator, tuple(args), keywords, types, groups, scope, stack, self._modes)
        block._link(node, None)
        for value, (name, start) in zip(node.outputs, names, strict=True):
            self._statements.define(value, name, start)
        return node

    def _read_scope(self, block: Block) -> None:
        """Read a scope that is introduced before its first node; its parent and call if these are said."""
        scope, start = self._places.scope()
        if self._cursor.accept(_IS):
            self._read_composite(scope, block, start)
        else:
            self._places.end_line()

    def _read_composite(self, scope: Scope, block: Block, start: int) -> None:
        """Read the call that a scope stands for; its results are defined below."""
        cursor = self._cursor
        if scope.kind is not ScopeKind.OPERATOR:
            raise cursor.error(
                f"{scope.address} is not the scope of an operator",
                _COMPOSITE_ADVICE,
                start,
                len(scope.address),
            )
        results: list[tuple[str, int] | Type] = []
        groups = None
        if _RESULTS.match(cursor.text, cursor.position):
            groups = self._statements.grouped(lambda: results.append(self._composite_result()))
        operator = self._statements.operator()
        args: list[Argument] = []
        keywords = self._statements.arguments(args)
        stack, _ = self._places.place()
        call = _Call(
            scope,
            block,
            block.last,
            operator,
            tuple(args),
            keywords,
            results,
            groups,
            stack,
            self._modes,
            start,
        )
        self._composites.append(call)

    def _composite_result(self) -> tuple[str, int] | Type:
        if self._cursor.accept(_NO_VALUE):
            return self._type()
        return self._statements.name()

    def _made(self, reference: tuple[str, int], made: Collection[Value]) -> Value:
        """Return the value of a name, one of those that the nodes of a call made."""
        name, start = reference
        value = self._statements.named(name, start)
        if value not in made:
            raise self._cursor.error(
                f"%{name} is no result of the nodes in this scope",
                _COMPOSITE_ADVICE,
                start,
                len(name) + 1,
            )
        return value

    def _note_composites(self, block: Block) -> None:
        """Note the calls that scopes in a block stand for, now that their nodes are there."""
        for call in self._composites:
            if call.block is not block:
                continue
            nodes = tuple(nodes_of_scope(block, call.after, call.scope))
            if not nodes:
                raise self._cursor.error(
                    f"no node of scope {call.scope.address} follows, which stands for a call",
                    _COMPOSITE_ADVICE,
                    call.start,
                    len(call.scope.address),
                )
            made = {value for node in nodes for value in node.outputs}
            results = [self._made(r, made) if isinstance(r, tuple) else r for r in call.results]
            self._graph.composites[call.scope] = Composite(
                call.operator,
                call.args,
                call.keywords,
                tuple(results),
                call.groups,
                call.stack,
                call.modes,
                nodes,
            )
        self._composites = [call for call in self._composites if call.block is not block]

    def _read_modes(self) -> Modes:
        modes = parse_modes(self._cursor)
        self._places.end_line()
        return modes
