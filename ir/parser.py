"""Reads graphs from text: the inverse of ``ir/printer.py``, whose note describes the form.

Text written by hand may leave out what the printer always writes: the graph's name, the types after
``->``, and comments. Names are those of the text; a number as a name means that there is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from ..errors import IRError, ParseError
from .arguments import Argument
from .block import Block
from .collector import paused_collector
from .composites import Composite, nodes_of_scope
from .cursor import NAME, QUOTED, Cursor
from .graph import Graph
from .literals import FunctionRef
from .modes import Autocast, Modes
from .names import is_number
from .node import Node
from .operator import Operator, OperatorTable, unknown_operator
from .scope import ADDRESS, Scope, ScopeKind, ScopeTable
from .source import Frame, SourceRange
from .type_parser import TypeParser, parse_dtype, parse_literal
from .types import Type
from .value import StateKind, Value

_VALUE = re.compile(rf"%(?:(\w+(?:\.\w+)*)|({QUOTED}))")
_DECLARATION = re.compile(r"[ \t]*%(\w+(?:\.\w+)*)[ \t]*:")  # the usual form, read in one go
_OPERATOR = re.compile(rf"(?:([\w.]+(?:::[\w.]+)*)|({QUOTED}))[ \t]*\(")
_STATEMENT = re.compile(
    r"(?P<end>->|return[ \t]*(?=\())|(?P<block>block([0-9]+)[ \t]*\()"
    r"|(?P<mode>mode[ \t]+(?=\w))|(?P<scope>scope[ \t]+(?=\S))"
)
# An argument that needs no thought: a value, a word, or a list of words. Its text is its key.
_SIMPLE_ARGUMENT = re.compile(
    r"[ \t]*(?:(\w+)=)?(%\w+(?:\.\w+)*|-?\w[\w.:+-]*|\[[\w.:+, -]*\])[ \t]*([,)])"
)
_KEYWORD = re.compile(rf"(?:(\w+)|({QUOTED}))[ \t]*=")
_END_OF_LINE = re.compile(r"[ \t\r]*(?:#[ \t]*([^\n]*))?(?:\n|\Z)")
_STATE = re.compile(rf"({'|'.join(kind.value for kind in StateKind)})[ \t]+(?=%)")
_AMBIENT = re.compile(r"ambient[ \t]+(?=\w)")
_GRAPH = re.compile(r"graph\b")
_FUNCTION = re.compile(r"function\b")
_WORD = re.compile(r"\w+")
_UNCACHED = re.compile(r"uncached\b")
_SCOPE = re.compile(rf"(?P<address>{ADDRESS})(?:[ \t]+\((?P<class>{NAME.pattern})\))?")
_IS = re.compile(r"is\b")
_RESULTS = re.compile(r"[ \t]*(?:[%\[]|_[ \t]*:)")
_NO_VALUE = re.compile(r"_[ \t]*:")
_SCOPE_PARENT = re.compile(rf"at[ \t]+top\b|in[ \t]+({ADDRESS})")
_PROVENANCE = re.compile(
    rf"(?:\?|(?P<file>{QUOTED}|[^\s\"?][^\s\"]*?)"
    r":(?P<line>[0-9]+)(?::(?P<column>[0-9]+))?)"
    rf"(?:[ ]+(?P<address>{ADDRESS})(?:[ ]+\((?P<class>{NAME.pattern})\))?)?\s*\Z"
)

_HEADER_ADVICE = "write graph Name(%x : f32[2, 3], %y : int):"
_STATEMENT_ADVICE = (
    "write a node as %y : f32[2, 3] = aten::neg(%x), and end a graph with return (%y)"
)
_MODES_ADVICE = (
    "write grad, no_grad or inference, then autocast(cuda, f16) where it is on, then fixed(grad)"
)
_SCOPE_ADVICE = "write the address and the class of a scope: encoder.0 (Layer)"
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
    """What the graph of a text and its functions share: the cursor and all that was read once."""

    def __init__(self, text: str, operators: OperatorTable) -> None:
        self.cursor = Cursor(text)
        self.types = TypeParser(self.cursor)
        self.literals: dict[str, Argument] = {}
        self.calls: dict[FunctionRef, int] = {}  # where each function is named first
        self._operators: dict[str, Operator] = {}
        self._table = operators

    def read(self) -> Graph:
        cursor = self.cursor
        cursor.skip_gap()
        cursor.expect(_GRAPH, '"graph"', _HEADER_ADVICE)
        name = "graph" if cursor.sees("(") else self._name()
        graph = _GraphParser(self, Graph(name)).read()
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
            graph.functions[name] = _GraphParser(self, Graph(name)).read()
            cursor.skip_gap()
        for reference, position in self.calls.items():
            if reference.name not in graph.functions:
                raise cursor.error(
                    f"{reference} names a function that the text does not define",
                    f"add function {reference.name}(...): below the graph",
                    position,
                    len(str(reference)),
                )
        return graph

    def _name(self) -> str:
        return self.cursor.name("the name of a graph", _HEADER_ADVICE)

    def operator(self, name: str) -> Operator:
        operator = self._operators.get(name)
        if operator is None:
            operator = self._operators[name] = self._table(name)
        return operator


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

    def __init__(self, program: _Program, graph: Graph) -> None:
        self._program = program
        self._graph = graph
        self._cursor = program.cursor
        self._text = program.cursor.text
        self._type = program.types.type
        self._literals = program.literals
        self._values: dict[str, Value] = {}  # by name with its %, those visible where we read
        self._defined: list[str] = []  # those names in order, so that a block's end drops its own
        self._scopes = ScopeTable(graph.root_scope)
        self._modes = graph.modes  # those in force where we read
        self._places: dict[str, tuple[Frame | None, Scope]] = {}  # by comment
        self._frames: dict[SourceRange, Frame] = {}
        self._composites: list[_Call] = []  # whose nodes are still to come

    def read(self) -> Graph:
        """Read the graph from behind its name on."""
        cursor = self._cursor
        cursor.demand("(", "after the graph's name", _HEADER_ADVICE)
        self._declare_inputs(self._graph.block)
        promised = self._promised_types()
        cursor.demand(":", "at the end of the header", _HEADER_ADVICE)
        self._end_line()
        self._read_state()
        self._modes = self._graph.modes
        start = self._read_nodes(self._graph.block)
        if promised is not None:
            self._check_promise(promised, start)
        return self._graph

    def _declare_inputs(self, block: Block) -> None:
        """Read ``%x : int, %y : str)``, the inputs of a block."""
        for _ in self._cursor.items(")", _HEADER_ADVICE):
            name, start, type_ = self._declaration()
            self._define(block.add_input(type_, None), name, start)

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
            names = [self._name()]
            while True:
                if cursor.take("="):
                    names.append(self._name())
                    continue
                cursor.demand(":", "between state and its type", "write state %weight : f32[2, 3]")
                self._add_state(names, self._type(), kind)
                if not cursor.take(","):
                    break
                cursor.skip_gap()
                names = [self._name()]
            self._end_line()
            cursor.skip_gap()
        if cursor.accept(_AMBIENT):
            self._graph.modes = self._read_modes()
            cursor.skip_gap()

    def _add_state(self, names: list[tuple[str, int]], type_: Type, kind: StateKind) -> None:
        self._refuse_taken(*names[0])
        value = self._graph.add_state([name for name, _ in names], type_, kind)
        for name, start in names:
            self._define(value, name, start)

    def _read_nodes(self, block: Block) -> int:
        """Read nodes and directives into a block, its end too; return where the end starts."""
        cursor = self._cursor
        text = self._text
        node: Node | None = None
        count = 0  # blocks of the node so far
        with self._graph.inserting(block):
            while True:
                cursor.skip_gap()
                match = _STATEMENT.match(text, cursor.position)
                if match is None:
                    node = self._read_node()
                    count = 0
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
        cursor.demand("(", f"after {match['end']}", _STATEMENT_ADVICE)
        block.set_outputs([self._operand() for _ in cursor.items(")", _STATEMENT_ADVICE)])
        self._end_line()
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
        count = len(owner.outputs)
        own = {name: self._values.pop(name) for name in self._defined[len(self._defined) - count :]}
        mark = len(self._defined)
        block = owner.add_block()
        self._declare_inputs(block)
        self._cursor.demand(":", "after the inputs of a block", "write block0(%x : int):")
        self._end_line()
        self._read_nodes(block)
        for name in self._defined[mark:]:
            del self._values[name]
        del self._defined[mark:]
        self._values.update(own)

    def _read_node(self) -> Node:
        cursor = self._cursor
        names: list[tuple[str, int]] = []
        types: list[Type] = []
        groups: tuple[int | None, ...] | None = None
        if self._text.startswith(("%", "["), cursor.position):
            groups = self._results(names, types)
        operator = self._operator()
        args: list[Argument] = []
        keywords = self._arguments(args)
        stack, scope = self._place()
        node = self._graph.append(
            operator,
            tuple(args),
            types,
            keywords=keywords,
            groups=groups,
            scope=scope,
            stack=stack,
            modes=self._modes,
        )
        for value, (name, start) in zip(node.outputs, names, strict=True):
            self._define(value, name, start)
        return node

    def _results(
        self, names: list[tuple[str, int]], types: list[Type]
    ) -> tuple[int | None, ...] | None:
        """Read what stands before a call into ``names`` and ``types``, and return its groups."""
        return self._grouped(lambda: self._result(names, types))

    def _grouped(self, read: Callable[[], None]) -> tuple[int | None, ...] | None:
        """Read results, each by ``read``, up to the equals sign, and return how they are grouped."""
        cursor = self._cursor
        groups: list[int | None] = []
        while True:
            if cursor.take("["):
                count = 0
                for _ in cursor.items("]", _STATEMENT_ADVICE):
                    read()
                    count += 1
                groups.append(count)
            else:
                read()
                groups.append(None)
            if cursor.take("="):
                break
            cursor.demand(",", 'or "=" after a result', _STATEMENT_ADVICE)
            cursor.skip_gap()
        return None if groups == [None] * len(groups) else tuple(groups)

    def _result(self, names: list[tuple[str, int]], types: list[Type]) -> None:
        name, start, type_ = self._declaration()
        names.append((name, start))
        types.append(type_)

    def _declaration(self) -> tuple[str, int, Type]:
        """Read ``%x : int`` and return name, where it starts, and type."""
        cursor = self._cursor
        match = _DECLARATION.match(self._text, cursor.position)
        if match is not None:
            cursor.position = match.end()
            return match[1], match.start(1) - 1, self._type()
        name, start = self._name()
        cursor.demand(":", "between a value and its type", "write %x : f32[2, 3]")
        return name, start, self._type()

    def _name(self) -> tuple[str, int]:
        """Read ``%x`` and return the name and where it starts."""
        cursor = self._cursor
        match = cursor.expect(_VALUE, "a value", 'write %name, or %"any text"')
        return match[1] or cursor.unquote(match[2], match.start(2)), match.start()

    def _refuse_taken(self, name: str, start: int) -> None:
        if f"%{name}" in self._values:
            raise self._cursor.error(
                f"%{name} is defined already",
                "give one of the two another name",
                start,
                len(name) + 1,
            )

    def _define(self, value: Value, name: str, start: int) -> None:
        key = f"%{name}"
        if key in self._values:
            self._refuse_taken(name, start)
        self._values[key] = value
        self._defined.append(key)
        if value.state is None and not is_number(name):
            value.name = name

    def _operator(self) -> Operator:
        cursor = self._cursor
        match = cursor.expect(_OPERATOR, "an operator and its arguments", _STATEMENT_ADVICE)
        return self._program.operator(match[1] or cursor.unquote(match[2], match.start(2)))

    def _arguments(self, args: list[Argument]) -> tuple[str, ...]:
        """Read arguments up to the closing parenthesis, and return the names of the last ones."""
        cursor = self._cursor
        text = self._text
        values = self._values
        keywords: list[str] = []
        if cursor.take(")"):
            return ()
        mark = ","
        while mark != ")":
            match = _SIMPLE_ARGUMENT.match(text, cursor.position)
            if match is None:
                keyword, arg, mark = self._long_argument()
            else:
                keyword, word, mark = match.groups()
                arg = values.get(word) or self._literal(word, match.start(2))
                cursor.position = match.end()
            if keyword is not None:
                if keyword in keywords:
                    raise self._misplaced(f"{keyword} is given twice", "drop one of them")
                keywords.append(keyword)
            elif keywords:
                raise self._misplaced(
                    f"an argument without a name stands after {keywords[-1]}=",
                    "put arguments with names last",
                )
            args.append(arg)
        return tuple(keywords)

    def _misplaced(self, what: str, advice: str) -> ParseError:
        return self._cursor.error(what, advice, self._cursor.position - 1)

    def _literal(self, word: str, start: int) -> Argument:
        """Return the literal that a word at ``start`` stands for, or a list of them."""
        if word in self._literals:
            return self._literals[word]
        self._cursor.position = start
        arg = self._argument()
        if self._cursor.position != start + len(word):
            raise self._cursor.unexpected('"," or ")" after an argument', _STATEMENT_ADVICE)
        self._literals[word] = arg
        return arg

    def _long_argument(self) -> tuple[str | None, Argument, str]:
        cursor = self._cursor
        cursor.skip_gap()
        keyword = None
        match = cursor.accept(_KEYWORD)
        if match is not None:
            keyword = match[1] or cursor.unquote(match[2], match.start(2))
        arg = self._argument()
        cursor.skip_gap()
        if cursor.take(")"):
            return keyword, arg, ")"
        cursor.demand(",", 'or ")" after an argument', _STATEMENT_ADVICE)
        return keyword, arg, ","

    def _argument(self) -> Argument:
        cursor = self._cursor
        cursor.skip_gap()
        start = cursor.position
        if self._text.startswith("%", start):
            return self._operand()
        if cursor.take("["):
            return tuple([self._argument() for _ in cursor.items("]", _STATEMENT_ADVICE)])
        literal = parse_literal(cursor)
        if isinstance(literal, FunctionRef):
            self._program.calls.setdefault(literal, start)
        return literal

    def _operand(self) -> Value:
        """Read ``%x`` and return the value that it names."""
        return self._named(*self._name())

    def _named(self, name: str, start: int) -> Value:
        """Return the value of a name that stands at ``start``."""
        value = self._values.get(f"%{name}")
        if value is None:
            raise self._undefined(name, start)
        return value

    def _undefined(self, name: str, start: int) -> ParseError:
        cursor = self._cursor
        definition = re.compile(rf"%{re.escape(name)}[ \t]*:").search(self._text)
        if definition is None:
            what, advice = "is not defined", "define it, or correct the name"
        elif definition.start() > start:
            line = cursor.line_number(definition.start())
            what, advice = "is used before it is defined", f"it is defined in line {line}"
        else:
            line = cursor.line_number(definition.start())
            what = "is not visible here"
            advice = f"it is defined in line {line}, in another block or graph"
        return cursor.error(f"%{name} {what}", advice, start, len(name) + 1)

    def _end_line(self) -> re.Match[str]:
        """Move past the end of the line; the match's group 1 is the comment on it."""
        return self._cursor.expect(
            _END_OF_LINE, "the end of the line", "put each statement on a line of its own"
        )

    def _place(self) -> tuple[Frame | None, Scope]:
        """Read the end of a node's line, and return what the comment says of where it comes from."""
        end = self._end_line()
        comment = end[1]
        if comment is None:
            return None, self._graph.root_scope
        place = self._places.get(comment)
        if place is None:
            place = self._places[comment] = self._read_place(comment, end.start(1))
        return place

    def _read_place(self, comment: str, start: int) -> tuple[Frame | None, Scope]:
        match = _PROVENANCE.match(comment)
        if match is None:
            return None, self._graph.root_scope
        scope = self._graph.root_scope
        if match["address"]:
            class_name = self._unquoted(match["class"] or "", start + match.start("class"))
            scope = self._scope(match["address"], class_name, start + match.start("address"))
        if match["line"] is None:
            return None, scope
        file = self._unquoted(match["file"], start)
        source = SourceRange(file, int(match["line"]), int(match["column"] or 0))
        frame = self._frames.get(source)
        if frame is None:
            frame = self._frames[source] = Frame.resolved(source)
        return frame, scope

    def _unquoted(self, text: str, start: int) -> str:
        return self._cursor.unquote(text, start) if text.startswith('"') else text

    def _read_scope(self, block: Block) -> None:
        """Read a scope that is introduced before its first node; its parent and call if these are said."""
        cursor = self._cursor
        match = cursor.expect(_SCOPE, "the address of a scope", _SCOPE_ADVICE)
        class_name = self._unquoted(match["class"] or "", match.start("class"))
        where = cursor.accept(_SCOPE_PARENT)
        parent = None
        if where is not None:
            parent = self._scope(where[1] or "", "", where.start())
        scope = self._scope(match["address"], class_name, match.start(), parent)
        if cursor.accept(_IS):
            self._read_composite(scope, block, match.start())
        else:
            self._end_line()

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
            groups = self._grouped(lambda: results.append(self._composite_result()))
        operator = self._operator()
        args: list[Argument] = []
        keywords = self._arguments(args)
        stack, _ = self._place()
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
        return self._name()

    def _made(self, reference: tuple[str, int], made: Collection[Value]) -> Value:
        """Return the value of a name, one of those that the nodes of a call made."""
        name, start = reference
        value = self._named(name, start)
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

    def _scope(
        self, address: str, class_name: str, start: int, parent: Scope | None = None
    ) -> Scope:
        try:
            if parent is not None:
                return self._scopes.below(parent, address, class_name)
            return self._scopes.at(address, class_name)
        except IRError as error:
            raise self._cursor.error(str(error), _SCOPE_ADVICE, start, len(address)) from error

    def _read_modes(self) -> Modes:
        """Read ``no_grad, autocast(cuda, bf16)``."""
        cursor = self._cursor
        grad = inference = False
        autocast: list[Autocast] = []
        fixed: tuple[str, ...] = ()
        while True:
            word = cursor.expect(_WORD, "a mode", _MODES_ADVICE)
            if word[0] == "grad":
                grad = True
            elif word[0] == "inference":
                inference = True
            elif word[0] == "autocast":
                autocast.append(self._autocast())
            elif word[0] == "fixed":
                fixed = self._fixed_modes()
            elif word[0] != "no_grad":
                raise cursor.error(
                    f"{word[0]} is not a mode", _MODES_ADVICE, word.start(), len(word[0])
                )
            if not cursor.take(","):
                break
        self._end_line()
        return Modes(grad, inference, tuple(autocast), fixed)

    def _fixed_modes(self) -> tuple[str, ...]:
        cursor = self._cursor
        cursor.demand("(", "after fixed", _MODES_ADVICE)
        names = [cursor.expect(_WORD, "a mode or a kind of device", _MODES_ADVICE)[0]]
        while cursor.take(","):
            names.append(cursor.expect(_WORD, "a mode or a kind of device", _MODES_ADVICE)[0])
        cursor.demand(")", "at the end of fixed", _MODES_ADVICE)
        return tuple(names)

    def _autocast(self) -> Autocast:
        cursor = self._cursor
        cursor.demand("(", "after autocast", _MODES_ADVICE)
        device = cursor.expect(_WORD, "a kind of device", _MODES_ADVICE)[0]
        cursor.demand(",", "after the kind of device", _MODES_ADVICE)
        dtype = parse_dtype(cursor)
        caches = not cursor.take(",")
        if not caches:
            cursor.expect(_UNCACHED, '"uncached"', _MODES_ADVICE)
        cursor.demand(")", "at the end of autocast", _MODES_ADVICE)
        return Autocast(device, dtype, caches)
