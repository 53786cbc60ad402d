"""A graph as one Python function: its source, and the function compiled from it."""

from __future__ import annotations

import itertools
import keyword
import linecache
import math
import re
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

from ..errors import ReplayError
from ..ir import (
    CALL,
    Argument,
    DType,
    FunctionRef,
    Graph,
    Literal,
    Modes,
    Node,
    Value,
    provenance,
    value_names,
)
from ..ir.scalars import GUARD, Expression, scalar_form, write_expression, write_number
from ..passes.liveness import dying_after
from .guards import GuardFailures
from .literals import torch_literal
from .modes import mode_contexts
from .operators import RUNS_BLOCKS_ITSELF, callable_of

_COMMENT_COLUMN = 60
_PYTHON_NAMES = frozenset(
    ("None", "abs", "bool", "del", "float", "int", "math", "max", "min", "round")
)
"""What generated code calls by these names, so that no value may take them."""

_program_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class CompiledGraph:
    """A graph compiled to Python.

    Attributes:
        source: the function's text.
        function: takes the graph's inputs as positional arguments, returns its outputs as a tuple.
        filename: the name under which tracebacks find the source.
        nodes: the node of each source line that runs one, by line number.
    """

    source: str
    function: Callable[..., tuple[Any, ...]]
    filename: str
    nodes: Mapping[int, Node] = field(repr=False)


def compile_graph(
    graph: Graph,
    state: Mapping[str, Any],
    binding_of: Callable[[Node], Callable[..., Any] | None] = lambda node: None,
) -> CompiledGraph:
    """Compile a graph to a Python function that frees every intermediate after its last use.

    Args:
        graph: what to compile.
        state: the tensors and objects behind the graph's state, by name; bound once, here.
        binding_of: gives a quicker function that makes exactly a node's call, where it knows one.

    Raises:
        ReplayError: an operator is not registered in this process, or state is missing.
    """
    program = _Program(binding_of)
    writer = _Writer(graph, program)
    writer.bind_state(state)
    names = [writer.function_name]
    for name, function in graph.functions.items():
        callee = _Writer(function, program, name)
        callee.bind_state(state)
        callee.write()
        names.append(callee.function_name)
    source = writer.write()
    filename = f"<opscope {graph.name} {next(_program_numbers)}>"
    code = compile(source, filename, "exec")
    exec(code, program.namespace)  # the source is our own, made from the graph
    # Tracebacks show the line that failed, as long as the function lives.
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    made = _take_out(program.namespace, names)
    compiled = CompiledGraph(source, made, filename, program.nodes)
    weakref.finalize(compiled.function, linecache.cache.pop, filename, None)
    return compiled


def _take_out(namespace: dict[str, Any], names: list[str]) -> FunctionType:
    """Return the first of the functions of a namespace; no globals of any of them lead back to it.

    So functions, and the state that they read, go as soon as nobody needs them.
    """
    made: dict[str, FunctionType] = {name: namespace.pop(name) for name in names}
    if len(made) > 1:
        made = {
            name: FunctionType(function.__code__, dict(namespace), name)
            for name, function in made.items()
        }
        for function in made.values():
            called = [name for name in function.__code__.co_names if name in made]
            function.__globals__.update((name, made[name]) for name in called)
    return made[names[0]]


class _Program:
    """The text of all functions, one for a graph and one for each that it calls, and their globals."""

    def __init__(self, binding_of: Callable[[Node], Callable[..., Any] | None]) -> None:
        self.binding_of = binding_of
        self.namespace: dict[str, Any] = {}
        self.nodes: dict[int, Node] = {}
        self.lines: list[str] = []
        self.functions: dict[str, str] = {}  # the Python names of functions, by those in the graph
        self._reserved: set[str] = set(keyword.kwlist) | _PYTHON_NAMES
        self.namespace["math"] = math
        self._locals: set[str] = set()  # of any function; none of them is global
        self._objects: dict[Any, str] = {}

    @property
    def source(self) -> str:
        """The whole text."""
        return "\n".join(self.lines) + "\n"

    def function(self, name: str) -> str:
        """Return the Python name of a function of the graph."""
        known = self.functions.get(name)
        if known is None:
            known = self.functions[name] = self.name(name)
        return known

    def bind(self, name: str, bound: Any, key: Any = None) -> str:
        """Return the global name under which functions find an object; one name per key."""
        key = name if key is None else key
        known = self._objects.get(key)
        if known is None:
            known = self._objects[key] = self.name(name)
            self.namespace[known] = bound
        return known

    def name(self, wanted: str) -> str:
        """Return a global name like the one wanted."""
        name = _free(wanted, self._locals, self._reserved)
        self._reserved.add(name)
        return name

    def local(self, wanted: str, taken: set[str]) -> str:
        """Return a name like the one wanted for a function that has taken some; it takes this one."""
        name = _free(wanted, taken, self._reserved)
        taken.add(name)
        self._locals.add(name)
        return name


class _Writer:
    """Writes one function line by line."""

    def __init__(self, graph: Graph, program: _Program, name: str | None = None) -> None:
        self.program = program
        self._graph = graph
        self._lines = program.lines
        self._guards: list[Node] = []
        self.function_name = program.name(graph.name) if name is None else program.function(name)
        self._locals: dict[Value, str] = {}
        taken: set[str] = set()
        for value, readable in value_names(graph).items():
            is_global = value.state is not None
            self._locals[value] = (
                program.name(readable) if is_global else program.local(readable, taken)
            )

    def bind_state(self, state: Mapping[str, Any]) -> None:
        """Make globals of the state that the graph reads.

        Raises:
            ReplayError: a piece is missing.
        """
        for entry in self._graph.state.values():
            if entry.value.is_used:
                if entry.name not in state:
                    raise ReplayError(
                        f"the program needs state {entry.name!r}, which was not given"
                    )
                self.program.namespace[self._locals[entry.value]] = state[entry.name]

    def write(self) -> str:
        graph = self._graph
        if self._lines:
            self._lines += ["", ""]
        inputs = ", ".join(self._locals[value] for value in graph.inputs)
        self._lines.append(f"def {self.function_name}({inputs}):")
        dying = dying_after(graph)
        modes: Modes = graph.modes
        indent = "    "
        for node in graph.block:
            if node.blocks and node.kind not in RUNS_BLOCKS_ITSELF:
                raise ReplayError(f"{node.kind} has blocks, which replay cannot run")
            if node.modes != modes:
                modes = node.modes
                indent = self._open_modes(modes)
            self._write_node(node, indent, dying.get(node, ()))
        outputs = "".join(f"{self._locals[value]}, " for value in graph.outputs)
        self._lines.append(f"    return ({outputs.rstrip()})" if outputs else "    return ()")
        return self.program.source

    def _open_modes(self, modes: Modes) -> str:
        contexts = mode_contexts(self._graph.modes, modes)
        if not contexts:
            return "    "
        names = []
        for text, make in contexts:
            name = self.program.bind(text, make)
            names.append(f"{name}()")
        self._lines.append(f"    with {', '.join(names)}:")
        return "        "

    def _write_node(self, node: Node, indent: str, dying: tuple[Value, ...]) -> None:
        line = indent + self._statement(node)
        freed = f"del {', '.join(self._locals[value] for value in dying)}" if dying else ""
        if freed and node.kind != GUARD:
            line += f"; {freed}"
        comment = provenance(node)
        if comment:
            line = f"{line:<{_COMMENT_COLUMN}}  # {_one_line(comment)}"
        self._lines.append(line)
        self.program.nodes[len(self._lines)] = node
        if freed and node.kind == GUARD:  # what follows a semicolon would be part of the branch
            self._lines.append(indent + freed)

    def _statement(self, node: Node) -> str:
        if node.kind == GUARD:
            return self._guard(node)
        form = scalar_form(node.kind)
        if form is not None:
            operands = [self._operand(arg) for arg in node.all_args]
            return self._targets(node) + write_expression(form, operands).text
        function = self._function(node)
        given = node.args[1:] if node.kind == CALL else node.args
        args = [self._argument(arg) for arg in given]
        args += [f"{name}={self._argument(arg)}" for name, arg in node.kwargs.items()]
        return f"{self._targets(node)}{function}({', '.join(args)})"

    def _guard(self, node: Node) -> str:
        """Return the check of a condition; the node is found again by its number when it fails."""
        actual, expected = node.all_args
        self._guards.append(node)
        failures = GuardFailures(self._graph, self._guards)
        fail = self.program.bind("fail", failures, key=(GuardFailures, self.function_name))
        text = self._argument(actual)
        if isinstance(expected, bool):
            condition = f"not {text}" if expected else text
        else:
            condition = f"{text} != {expected!r}"
        return f"if {condition}: {fail}({len(self._guards) - 1}, {text})"

    def _operand(self, arg: Argument) -> Expression:
        if isinstance(arg, bool | int | float):
            return write_number(arg)
        return Expression(self._argument(arg))

    def _function(self, node: Node) -> str:
        if node.kind == CALL:
            callee = node.args[0]
            assert isinstance(callee, FunctionRef), "a graph that verifies names what it calls"
            return self.program.function(callee.name)
        binding = self.program.binding_of(node)
        if binding is None:
            return self.program.bind(_readable(node.kind), callable_of(node.kind), key=node.kind)
        return self.program.bind(_readable(node.kind), binding, key=(node.kind, binding))

    def _targets(self, node: Node) -> str:
        if not node.groups:
            return ""
        if node.kind == CALL:  # functions return a tuple
            return "".join(f"{self._locals[value]}, " for value in node.outputs) + "= "
        results = iter(node.outputs)
        parts = []
        for group in node.groups:
            if group is None:
                parts.append(self._locals[next(results)])
            else:
                parts.append(
                    "[" + ", ".join(self._locals[next(results)] for _ in range(group)) + "]"
                )
        return ", ".join(parts) + " = "

    def _argument(self, arg: Argument) -> str:
        if isinstance(arg, Value):
            return self._locals[arg]
        if isinstance(arg, tuple):
            return "[" + ", ".join(map(self._argument, arg)) + "]"
        return self._literal(arg)

    def _literal(self, literal: Literal) -> str:
        if isinstance(literal, FunctionRef):
            raise ReplayError(f"replay cannot call the function {literal}")
        if literal is None or isinstance(literal, bool | int | str):
            return repr(literal)
        if isinstance(literal, float) and math.isfinite(literal):
            return repr(literal)
        text = literal.long_name if isinstance(literal, DType) else str(literal)
        return self.program.bind(_readable(text), torch_literal(literal), key=(type(literal), text))


def _free(wanted: str, *taken: set[str]) -> str:
    """Return a Python identifier like the one wanted that none of the sets has."""
    name = base = _readable(wanted)
    suffix = 0
    while any(name in names for names in taken):
        suffix += 1
        name = f"{base}_{suffix}"
    return name


def _readable(text: str) -> str:
    """Return a Python identifier close to ``text``: ``aten::add.Tensor`` becomes ``aten_add_Tensor``."""
    name = re.sub(r"\W+", "_", text, flags=re.ASCII)
    return name if name and not name[0].isdigit() else f"v{name}"


def _one_line(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]", "?", text)
