"""Graphs as text: typed, canonical, and read back by ``ir/parser.py``.

Note [The text form]
    graph Net(%x : f32[2, 16]) -> (f32[2, 4]):
      state %fc.weight : f32[4, 16], %fc.bias : f32[4]
      ambient no_grad
      scope encoder (Encoder)
      mode grad
      %h : f32[2, 4] = aten::linear(%x, %fc.weight, %fc.bias)    # net.py:12:15 encoder.fc (Linear)
      [%a : f32[2, 2], %b : f32[2, 2]] = aten::split.Tensor(%h, 2, 1)
      return (%a)

``state``, ``buffer`` and ``constant`` lines name what the program keeps; ``=`` between two names says
that they are one entry. ``ambient`` gives the modes in force at entry and ``mode`` those from here on;
both are left out where nothing changes; ``fixed`` lists the modes that the program set itself to what
they were at entry. ``scope`` introduces a scope that has parts before its own first node, and says
``in`` which scope it stands, or ``at top``, where its address would tell otherwise. One that stands for
a call of a composite operator says ``is`` which; see ``ir/composites.py``. Brackets around results mean
that the operator returns them as one list. The comment holds the innermost line of the user's code
(``?`` if unknown) and the node's scope. Nothing depends on object ids, time or the machine. Payloads of
state and whole stacks stay outside.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, Final

from ..errors import IRError
from .arguments import Argument
from .block import Block
from .composites import Composite, noted_composites
from .dtype import DType
from .graph import Graph
from .literals import Device, FunctionRef, Layout, Literal, MemoryFormat
from .modes import DEFAULT_MODES, Modes
from .names import named_values, value_names
from .node import Node
from .operator import Operator
from .scope import Scope, ScopeTable
from .source import Frame
from .types import Type, quote_name
from .value import StateKind, Value

_WIDTH = 100  # characters after which state and graph inputs go on on a new line
_ONLY_INT = frozenset({int})
_NAMES_AT_ONCE = 128  # values whose names are made together
_LINES_AT_ONCE = 512  # after so many lines the text so far becomes one string
_COMMENT_COLUMN = 72  # where provenance starts, unless the statement is longer
_PLAIN_OPERATOR = re.compile(r"(?!(?:block[0-9]+|return)\Z)[\w.]+(::[\w.]+)*\Z")
_PLAIN_KEYWORD = re.compile(r"\w+\Z")
_PLAIN_VALUE = re.compile(r"\w+(\.\w+)*\Z")
_PLAIN_FILE = re.compile(r"(?!\?)(?:[^\s\":]|:(?![0-9]+\Z))+\Z")  # does not end like a line number


def print_graph(graph: Graph) -> str:
    """Return the text of a graph and of the functions it calls, ending in a line feed. O(size)."""
    texts = [_GraphPrinter(graph).text("graph", graph.name)]
    texts.extend(
        _GraphPrinter(function).text("function", name) for name, function in graph.functions.items()
    )
    return "\n".join(texts)


def print_node(node: Node) -> str:
    """Return one node as the text of its graph shows it, without its blocks. O(graph)."""
    graph = node.graph
    return node_text(node, {} if graph is None else value_names(graph))


def node_text(node: Node, names: Mapping[Value, str]) -> str:
    """Return one node as text, its values called by ``names``."""
    return Statements(names.items()).statement(node)


def block_end_text(block: Block, names: Mapping[Value, str]) -> str:
    """Return the end of a block as text on one line, its values called by ``names``."""
    outputs = ", ".join(Statements(names.items()).outputs(block))
    return f"return ({outputs})" if block.owner is None else f"-> ({outputs})"


def value_text(name: str) -> str:
    """Return how text refers to the value of this name."""
    return f"%{_quote(name, _PLAIN_VALUE)}"


def operator_text(name: str) -> str:
    """Return the name of an operator as text shows it."""
    return _quote(name, _PLAIN_OPERATOR)


def literal_text(arg: Argument) -> str:
    """Return a literal, or a nested list of them, as text shows it."""
    return Statements(()).argument(arg)


def provenance(node: Node) -> str:
    """Return where a node comes from: ``net.py:12:15 encoder.fc (Linear)``; empty if nothing is known."""
    return _provenance(_place(node.stack), node.scope)


def place_text(stack: Frame | None) -> str:
    """Return the innermost line of the user's code as text shows it; empty where it is not known."""
    return _place(stack)


def scope_text(scope: Scope) -> str:
    """Return a scope's address and class as text shows them."""
    if not scope.class_name:
        return scope.address
    return f"{scope.address} ({quote_name(scope.class_name)})"


def _provenance(place: str, scope: Scope) -> str:
    return place if scope.parent is None else f"{place or '?'} {scope_text(scope)}"


def _place(stack: Frame | None) -> str:
    """Return the innermost line of the user's code; empty where it is not known."""
    if stack is None:
        return ""
    source = stack.user.range
    file = source.file if _PLAIN_FILE.match(source.file) else json.dumps(source.file)
    column = f":{source.column}" if source.column else ""
    return f"{file}:{source.line}{column}"


class _References(dict[Value, str]):
    """How text refers to each value; a value of no graph is shown by the name it has.

    Names are taken some at a time, when the first of them is asked for: what a statement defines and
    reads is then still in the processor's caches, where a large graph as a whole has no room.
    """

    __slots__ = ("_names",)

    def __init__(self, names: Iterable[tuple[Value, str]]) -> None:
        self._names = iter(names)

    def __missing__(self, value: Value) -> str:
        while value not in self:
            some = islice(self._names, _NAMES_AT_ONCE)
            # All that is alphanumeric is plain, and quicker to find out.
            named = [(v, f"%{name}" if name.isalnum() else value_text(name)) for v, name in some]
            if not named:
                return value_text(value.name or "?")
            self.update(named)
        return self[value]


class Statements:
    """Renders single nodes, with what it has rendered of types and operators kept at hand.

    Attributes:
        references: how text refers to each value: ``%x``.
    """

    def __init__(self, names: Iterable[tuple[Value, str]]) -> None:
        self.references = _References(names)
        self._types: dict[int, str] = {}  # by identity: the graph keeps them, and hashing is slow
        self._operators: dict[Operator, str] = {}

    def type(self, type_: Type) -> str:
        """Return a type as text."""
        text = self._types.get(id(type_))
        if text is None:
            text = self._types[id(type_)] = str(type_)
        return text

    def declaration(self, value: Value) -> str:
        """Return a value with its type: ``%x : f32[2]``."""
        return f"{self.references[value]} : {self.type(value.type)}"

    def argument(self, arg: Argument) -> str:
        """Return a value by its name, a literal, or a nested list of these."""
        render = _LITERAL_TEXTS.get(arg.__class__)
        if render is not None:
            return render(arg)
        if isinstance(arg, Value):
            return self.references[arg]
        if isinstance(arg, tuple):
            if _ONLY_INT.issuperset(map(type, arg)):
                return repr(list(arg))  # sizes and strides, the most usual lists by far
            return "[" + ", ".join([self.argument(item) for item in arg]) + "]"
        return _literal_text(arg)

    def operator(self, operator: Operator) -> str:
        """Return an operator's name, in quotes if need be."""
        text = self._operators.get(operator)
        if text is None:
            text = self._operators[operator] = operator_text(operator.name)
        return text

    def statement(self, node: Node) -> str:
        """Return one node, without its blocks and where it comes from."""
        references = self.references
        if node._args is node._inputs and not node._keywords:
            arguments = ", ".join(map(references.__getitem__, node._inputs))
        else:
            arguments = ", ".join(self._mixed_arguments(node._args, node._keywords))
        name = self._operators.get(node.operator) or self.operator(node.operator)
        result = node._results
        if node._groups is not None:
            results = map(self.declaration, node.outputs)
            return f"{', '.join(_grouped(results, node._groups))} = {name}({arguments})"
        if isinstance(result, Value):
            type_ = self._types.get(id(result.type)) or self.type(result.type)
            return f"{references[result]} : {type_} = {name}({arguments})"
        if result:
            return f"{', '.join(map(self.declaration, result))} = {name}({arguments})"
        return f"{name}({arguments})"

    def outputs(self, block: Block) -> list[str]:
        """Return what a block puts out, by name."""
        return [self.references[value] for value in block.outputs]

    def composite(self, composite: Composite) -> str:
        """Return the call that a scope stands for, its results by name alone."""
        results: Iterable[str] = [
            self.references[result] if isinstance(result, Value) else f"_ : {self.type(result)}"
            for result in composite.results
        ]
        if composite.groups is not None:
            results = _grouped(results, composite.groups)
        arguments = ", ".join(self._mixed_arguments(composite.args, composite.keywords))
        call = f"{self.operator(composite.operator)}({arguments})"
        return f"{', '.join(results)} = {call}" if composite.results or composite.groups else call

    def _mixed_arguments(self, args: tuple[Argument, ...], keywords: tuple[str, ...]) -> list[str]:
        references = self.references
        rendered = [
            references[arg] if arg.__class__ is Value else self.argument(arg) for arg in args
        ]
        if not keywords:
            return rendered
        named = range(len(rendered) - 1, -1, -1)
        for position, keyword in zip(named, reversed(keywords), strict=False):
            rendered[position] = f"{_quote(keyword, _PLAIN_KEYWORD)}={rendered[position]}"
        return rendered


def _grouped(results: Iterable[str], groups: tuple[int | None, ...]) -> Iterable[str]:
    """Yield results with brackets around those that come as one list."""
    remaining = iter(results)
    for group in groups:
        if group is None:
            yield from islice(remaining, 1)
        else:
            yield "[" + ", ".join(islice(remaining, max(group, 0))) + "]"
    yield from remaining  # none, in a graph that verifies


class _GraphPrinter:
    """Prints one graph: a header, state, and the statements of its blocks."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._statements = Statements(named_values(graph))
        self._lines: list[str] = []
        self._pieces: list[
            str
        ] = []  # what came before these, so that few short strings live at a time
        self._comments: dict[Scope, dict[Frame | None, str]] = {}  # with the mark before them
        self._places: dict[Frame | None, str] = {}
        self._scope_texts: dict[Scope, str] = {}
        self._scopes = ScopeTable(graph.root_scope)  # those that the text so far has named
        self._mode: Modes = DEFAULT_MODES
        self._calls: dict[Node, list[tuple[Scope, Composite]]] = {}  # by the first node of each
        for scope, composite in noted_composites(graph).items():
            self._calls.setdefault(composite.nodes[0], []).append((scope, composite))

    def text(self, keyword: str, name: str) -> str:
        graph = self._graph
        declare = self._statements.declaration
        inputs = _wrap(
            f"{keyword} {quote_name(name)}(",
            [declare(value) for value in graph.inputs],
            indent="    ",
        )
        results = [self._statements.type(value.type) for value in graph.outputs]
        self._lines.append(_wrap(f"{inputs}) -> (", results, indent="    ") + "):")
        for kind in StateKind:
            self._print_state(kind)
        if graph.modes != DEFAULT_MODES:
            self._lines.append(f"  ambient {graph.modes}")
        self._mode = graph.modes
        self._print_nodes(graph.block, "  ")
        outputs = self._statements.outputs(graph.block)
        self._lines.append(_wrap("  return (", outputs, indent="    ") + ")")
        return "\n".join([*self._pieces, *self._lines, ""])

    def _print_state(self, kind: StateKind) -> None:
        entries = [
            " = ".join(map(value_text, entry.names))
            + f" : {self._statements.type(entry.value.type)}"
            for entry in self._graph.state.values()
            if entry.kind is kind
        ]
        if entries:
            self._lines.append(_wrap(f"  {kind.value} ", entries, indent="    "))

    def _print_nodes(self, block: Block, indent: str) -> None:
        statement = self._statements.statement
        lines = self._lines
        calls = self._calls
        scope: Scope | None = None
        comments: dict[Frame | None, str] = {}  # of nodes in that scope
        for node in block:
            if calls and node in calls:
                self._print_calls(node, indent)
            if node.modes is not self._mode and node.modes != self._mode:
                lines.append(f"{indent}mode {node.modes}")
                self._mode = node.modes
            if node.scope is not scope:
                scope = node.scope
                comments = self._comments.get(scope) or self._enter(scope, indent)
            comment = comments.get(node.stack)
            if comment is None:
                comment = comments[node.stack] = self._comment(node)
            line = indent + statement(node)
            lines.append(line.ljust(_COMMENT_COLUMN) + comment if comment else line)
            if len(lines) > _LINES_AT_ONCE:
                self._pieces.append("\n".join(lines))
                lines.clear()
            if node._blocks:
                for number, inner in enumerate(node._blocks):
                    self._print_block(inner, number, indent + "  ")

    def _print_calls(self, first: Node, indent: str) -> None:
        """Print what is noted of the scopes that begin with a node."""
        for scope, composite in self._calls[first]:
            if composite.modes != self._mode:
                self._lines.append(f"{indent}mode {composite.modes}")
                self._mode = composite.modes
            self._announce_around(scope, indent)
            line = self._scope_line(scope, indent)
            self._scopes.add(scope)
            line += f" is {self._statements.composite(composite)}"
            place = _place(composite.stack)
            self._lines.append(f"{line:<{_COMMENT_COLUMN}}  # {place}" if place else line)

    def _enter(self, scope: Scope, indent: str) -> dict[Frame | None, str]:
        """Name a scope before its first node, and return the comments on nodes there, none so far."""
        if scope not in self._comments:
            self._announce(scope, indent)
        return self._comments.setdefault(scope, {})

    def _comment(self, node: Node) -> str:
        """Return where a node comes from as a comment behind it."""
        place = self._places.get(node.stack)
        if place is None:
            place = self._places[node.stack] = _place(node.stack)
        scope = self._scope_texts.get(node.scope)
        if scope is None:
            text = "" if node.scope.parent is None else scope_text(node.scope)
            scope = self._scope_texts[node.scope] = text
        if scope:
            return f"  # {place or '?'} {scope}"
        return f"  # {place}" if place else ""

    def _print_block(self, block: Block, number: int, indent: str) -> None:
        inputs = ", ".join(map(self._statements.declaration, block.inputs))
        self._lines.append(f"{indent}block{number}({inputs}):")
        self._print_nodes(block, indent + "  ")
        outputs = ", ".join(self._statements.outputs(block))
        self._lines.append(f"{indent}  -> ({outputs})")

    def _announce(self, scope: Scope, indent: str) -> None:
        """Name the scopes around a new one, and its parent where the address implies another."""
        self._announce_around(scope, indent)
        if scope not in self._scopes:
            if not self._scopes.implies_parent(scope):
                self._lines.append(self._scope_line(scope, indent))
            self._scopes.add(scope)

    def _announce_around(self, scope: Scope, indent: str) -> None:
        """Name the scopes around one that have not been named; where one has, so have those around it."""
        unnamed = []
        part = scope.parent
        while part is not None and part not in self._scopes:
            unnamed.append(part)
            part = part.parent
        for part in reversed(unnamed):
            self._lines.append(self._scope_line(part, indent))
            self._scopes.add(part)

    def _scope_line(self, scope: Scope, indent: str) -> str:
        """Return the line that names a scope, and its parent where the address implies another."""
        line = f"{indent}scope {scope_text(scope)}"
        parent = scope.parent
        if parent is None or scope in self._scopes or self._scopes.implies_parent(scope):
            return line
        return f"{line} in {parent.address}" if parent.address else f"{line} at top"


def _wrap(start: str, items: list[str], indent: str) -> str:
    """Join items with commas after ``start``, going on on indented lines where one would get too long."""
    *lines, line = start.split("\n")
    for position, item in enumerate(items):
        piece = item if position == len(items) - 1 else item + ","
        if position and len(line) + len(piece) + 1 > _WIDTH:
            lines.append(line)
            line = indent + "  " + piece
        else:
            line += piece if not position else f" {piece}"
    return "\n".join([*lines, line])


def _quote(name: str, plain: re.Pattern[str]) -> str:
    return name if plain.match(name) else json.dumps(name)


def _literal_text(literal: Literal) -> str:
    """Return the text of a literal whose class is derived from a literal's."""
    for class_ in type(literal).__mro__:
        if class_ in _LITERAL_TEXTS:
            return _LITERAL_TEXTS[class_](literal)
    raise IRError(f"{literal!r} of class {type(literal).__name__} cannot stand in a graph")


def _complex_text(number: complex) -> str:
    return f"complex({number.real!r}, {number.imag!r})"


def _function_text(function: FunctionRef) -> str:
    return f"@{quote_name(function.name)}"


_LITERAL_TEXTS: Final[dict[type, Callable[[Any], str]]] = {
    type(None): repr,
    bool: repr,
    int: int.__repr__,
    float: float.__repr__,
    complex: _complex_text,
    str: json.dumps,
    DType: str,
    Device: "device.{}".format,
    Layout: "layout.{}".format,
    MemoryFormat: "memory.{}".format,
    FunctionRef: _function_text,
}
