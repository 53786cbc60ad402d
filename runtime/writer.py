"""The text of compiled graphs: functions of graphs and of blocks, line by line, and their globals."""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from ..errors import ReplayError
from ..ir import (
    CALL,
    Argument,
    Block,
    DType,
    FunctionRef,
    Graph,
    Literal,
    Modes,
    Node,
    ScalarType,
    Value,
    provenance,
    value_names,
)
from ..ir.conditions import DimensionNames
from ..ir.own_operators import SET_NUMBER
from ..ir.places import HeldPlace
from ..ir.scalars import GUARD, Expression, scalar_form, write_expression, write_number
from ..ir.spelling import SpelledCall
from ..passes.liveness import dying_in, outer_values
from .blocks import Convention, convention_of
from .guards import GuardFailures
from .literals import torch_literal
from .modes import mode_contexts
from .operators import RUNS_BLOCKS_ITSELF, callable_of

_COMMENT_COLUMN = 60
_PYTHON_NAMES = frozenset(
    (
        "None",
        "abs",
        "bool",
        "del",
        "float",
        "int",
        "math",
        "max",
        "min",
        "repr",
        "round",
        "slice",
    )
)
"""What generated code calls by these names, so that no value may take them."""
_NOTHING: Mapping[Value, Any] = {}
_NUMBERS = (ScalarType.INT, ScalarType.FLOAT, ScalarType.BOOL)


class Writer:
    """Writes functions line by line and collects what their names stand for.

    Attributes:
        namespace: the globals of the functions.
        lines: the text so far.
        nodes: the node of each line that runs one, by line number.
    """

    def __init__(
        self,
        names: Mapping[Value, str],
        binding_of: Callable[[Node], Callable[..., Any] | None],
        dimension_names: DimensionNames,
    ) -> None:
        self.namespace: dict[str, Any] = {}
        self.nodes: dict[int, Node] = {}
        self.namespace["math"] = math
        self.lines: list[str] = []
        self._binding_of = binding_of
        self._dimension_names = dimension_names
        self._names = dict(names)
        self._functions: dict[str, str] = {}  # Python's names of functions, by those in the graph
        self._scope: set[str] = set()  # local names of the function being written
        self._all_locals: set[str] = set()  # of any function; none of them is global
        self._taken: set[str] = set(keyword.kwlist) | _PYTHON_NAMES
        self._objects: dict[Any, str] = {}
        self._guards: dict[Graph, list[Node]] = {}
        self._locals: dict[Value, str] = {}
        self._places: dict[Value, HeldPlace] = {}  # of state that is read at each run

    def write_graph(self, graph: Graph, state: Mapping[str, Any], name: str) -> str:
        """Write the function of a graph, and give it the state that it reads; return its Python name.

        Raises:
            ReplayError: a piece of state is missing.
        """
        for value, kept in self.take_state(graph, state).items():
            self.give(value, kept)
        return self.write_function(name, graph.block, (), (), graph.modes, reads=self._places)

    def take_state(self, graph: Graph, state: Mapping[str, Any]) -> dict[Value, Any]:
        """Note the places of a graph's state that are read at each run; return all other state in use.

        Raises:
            ReplayError: a piece of state is missing.
        """
        kept: dict[Value, Any] = {}
        for entry in graph.state.values():
            if not entry.value.is_used:
                continue
            if entry.name not in state:
                raise ReplayError(f"the program needs state {entry.name!r}, which was not given")
            part = state[entry.name]
            if isinstance(part, HeldPlace):
                self._places[entry.value] = part
            else:
                kept[entry.value] = part
        self._scope = set()
        return kept

    def places_read(self, graph: Graph) -> dict[Value, HeldPlace]:
        """Return the places of a graph's state, taken before, whose content it reads."""
        values = [entry.value for entry in graph.state.values()]
        return {v: self._places[v] for v in values if v in self._places and is_read(v)}

    def write_step(self, node: Node) -> tuple[str, list[Value]]:
        """Write a function that runs one node; return its name, and the values that it takes, in order.

        It returns a tuple of what the node makes.
        """
        read = dict.fromkeys(node.inputs)
        if node.kind not in RUNS_BLOCKS_ITSELF:
            read.update(dict.fromkeys(outer_values(node.blocks)))
        takes = [value for value in read if not _only_stores(node, value)]
        name = self.reserve(f"run_{readable(node.kind.rpartition('::')[2])}")
        self.lines.append(f"def {name}({', '.join(self._named(takes))}):")
        self._write_node(node, "    ", ())
        made = "".join(f"{output}, " for output in self._named(node.outputs)).rstrip()
        self.lines += [f"    return ({made})", ""]
        return name, takes

    def write_callees(self, graph: Graph, state: Mapping[str, Any]) -> list[str]:
        """Write the functions that a graph calls; return their Python names."""
        for name in graph.functions:
            self._functions[name] = self.reserve(name)
        for name, function in graph.functions.items():
            self._names.update(value_names(function))
            self.write_graph(function, state, self._functions[name])
            self.lines += ["", ""]
        return list(self._functions.values())

    def give(self, value: Value, bound: Any) -> None:
        """Make a value, such as a piece of state, a global name that stands for an object."""
        name = self._locals[value] = self.reserve(self._names.get(value) or value.name or "v")
        self.namespace[name] = bound

    def write_function(
        self,
        name: str,
        block: Block,
        lifted: Sequence[Value],
        dropped: Collection[int],
        ambient: Modes,
        *,
        indent: str = "",
        bound: Sequence[Value] = (),
        returns_one: bool = False,
        reads: Mapping[Value, Any] = _NOTHING,
    ) -> str:
        """Write the function of a block under a name that was reserved for it; return the name.

        Args:
            name: what to call it.
            block: what it does.
            lifted: outer values that it takes as further arguments.
            dropped: the numbers of the block's inputs that it does not take.
            ambient: the modes in force when it is entered.
            indent: what its lines start with.
            bound: outer values that it keeps from its definition on.
            returns_one: whether it returns its only result rather than a tuple.
            reads: the places that it reads when it begins, by the value that each is.
        """
        inputs = [value for n, value in enumerate(block.inputs) if n not in dropped]
        parameters = [self._local(value) for value in (*inputs, *lifted)]
        parameters += [f"{self._local(value)}={self._local(value)}" for value in bound]
        self.lines.append(f"{indent}def {name}({', '.join(parameters)}):")
        for value, held in reads.items():
            if is_read(value):
                local = self._local(value)
                self.lines.append(
                    f"{indent}    {local} = {self._bind(f'read_{local}', held.read)}()"
                )
        self._write_body(block, ambient, f"{indent}    ")
        outputs = self._named(block.outputs)
        returned = outputs[0] if returns_one else f"({''.join(f'{o}, ' for o in outputs).rstrip()})"
        self.lines.append(f"{indent}    return {returned}")
        return name

    def _write_body(self, block: Block, ambient: Modes, base: str) -> None:
        dying = dying_in(block)
        modes = ambient
        indent = base
        for node in block:
            if node.modes != modes:
                modes = node.modes
                indent = self._open_modes(ambient, modes, base)
            self._write_node(node, indent, dying.get(node, ()))

    def _write_node(self, node: Node, indent: str, dying: tuple[Value, ...]) -> None:
        if node.blocks and node.kind not in RUNS_BLOCKS_ITSELF:
            self._write_blocks(node, indent, dying)
        else:
            self._write_line(node, self._statement(node), indent, self._freed(dying))

    def _open_modes(self, ambient: Modes, modes: Modes, indent: str) -> str:
        contexts = mode_contexts(ambient, modes)
        if not contexts:
            return indent
        names = []
        for text, make in contexts:
            name = self._bind(text, make)
            names.append(f"{name}()")
        self.lines.append(f"{indent}with {', '.join(names)}:")
        return f"{indent}    "

    def _write_blocks(self, node: Node, indent: str, dying: tuple[Value, ...]) -> None:
        """Write the blocks of a node as functions, then the call of what runs them."""
        convention = convention_of(node.kind)
        dropped = convention.dropped(node.blocks)
        outer = outer_values(node.blocks)
        functions, free = [], []
        for number, block in enumerate(node.blocks):
            lifted = convention.lifted(node.blocks, number)
            # Torch counts the parameters of what it lifts values for, so there numbers are closed over.
            bound = [] if convention.lifts else [v for v in outer if v.state is None]
            functions.append(
                self.write_function(
                    self._local_name(f"{node.kind.rpartition('::')[2]}_{number}"),
                    block,
                    lifted,
                    dropped,
                    convention.ambient(node.modes),
                    indent=indent,
                    bound=bound,
                    returns_one=number in convention.single,
                )
            )
            free.append(f"[{', '.join(self._named(lifted))}]")
        binding = self._binding_of(node)
        key = ("blocks", node.kind) if binding is None else (node.kind, binding)
        run = self._bind(readable(node.kind), binding or convention.run, key=key)
        args = [f"[{', '.join(functions)}]", f"[{', '.join(free)}]"]
        args += self._arguments(node, convention, dropped)
        call = f"{self._targets(node)}{run}({', '.join(args)})"
        self._write_line(node, call, indent, [*functions, *self._freed(dying)])

    def _write_line(self, node: Node, statement: str, indent: str, dying: Sequence[str]) -> None:
        ending = f"del {', '.join(dying)}" if dying else ""
        line = f"{indent}{statement}"
        if ending and node.kind != GUARD:
            line += f"; {ending}"
        comment = provenance(node)
        if comment:
            line = f"{line:<{_COMMENT_COLUMN}}  # {_one_line(comment)}"
        self.lines.append(line)
        self.nodes[len(self.lines)] = node
        if ending and node.kind == GUARD:  # behind a semicolon it would be part of the branch
            self.lines.append(f"{indent}{ending}")

    def _arguments(
        self, node: Node, convention: Convention | None = None, dropped: Collection[int] = ()
    ) -> list[str]:
        args = node.args[1:] if node.kind == CALL else node.args
        if convention is not None:
            args = convention.without_dropped(args, dropped)
        texts = [self._argument(arg) for arg in args]
        return texts + [f"{name}={self._argument(arg)}" for name, arg in node.kwargs.items()]

    def _named(self, values: Iterable[Value]) -> list[str]:
        return [self._local(value) for value in values]

    def _freed(self, dying: Iterable[Value]) -> list[str]:
        """Return the names to give up: not those of numbers, which functions may close over."""
        return self._named(value for value in dying if value.type not in _NUMBERS)

    def _local(self, value: Value) -> str:
        name = self._locals.get(value)
        if name is None:
            wanted = self._names.get(value) or value.name or "v"
            name = self._locals[value] = self._local_name(wanted)
        return name

    def _statement(self, node: Node) -> str:
        if node.kind == GUARD:
            return self._guard(node)
        if node.kind == SET_NUMBER.name:
            return self._store(node)
        form = scalar_form(node.kind)
        if form is not None:
            operands = [self._operand(arg) for arg in node.all_args]
            return self._targets(node) + write_expression(form, operands).text
        binding = None if node.kind == CALL else self._binding_of(node)
        if isinstance(binding, SpelledCall):
            call = self._spelled(node, binding)
        else:
            call = f"{self._function(node)}({', '.join(self._arguments(node))})"
        return self._targets(node) + call

    def _spelled(self, node: Node, call: SpelledCall) -> str:
        """Return a call whose arguments are not written as the schema has them."""
        key = (node.kind, call.function, call.spelling)
        name = self._bind(readable(node.kind), call.function, key=key)
        texts = []
        for arg in call.spelling.spell(node.args, is_whole_number):
            if isinstance(arg, slice):
                ends = [self._argument(end) for end in (arg.start, arg.stop, arg.step)]
                texts.append(f"slice({', '.join(ends[: 2 if arg.step is None else 3])})")
            else:
                texts.append(self._argument(arg))
        texts += [f"{name}={self._argument(arg)}" for name, arg in node.kwargs.items()]
        return f"{name}({', '.join(texts)})"

    def _guard(self, node: Node) -> str:
        """Return the check of a condition; the node is found again by its number when it fails."""
        actual, expected = node.all_args
        graph = node.graph
        assert graph is not None, "nodes that are written stand in a graph"
        guards = self._guards.setdefault(graph, [])
        guards.append(node)
        failures = GuardFailures(graph, guards, self._dimension_names)
        fail = self._bind("fail", failures, key=(GuardFailures, graph))
        text = self._argument(actual)
        if isinstance(expected, bool):
            condition = f"not {text}" if expected else text
        elif isinstance(expected, float) and (expected == 0 or not math.isfinite(expected)):
            # Zero has a sign, infinity no literal, and NaN is not equal to itself.
            condition = f"repr({text}) != {repr(expected)!r}"
        else:
            condition = f"{text} != {expected!r}"
        return f"if {condition}: {fail}({len(guards) - 1}, {text})"

    def _store(self, node: Node) -> str:
        """Return the statement that puts a number in its place."""
        value, number = node.all_args
        assert isinstance(value, Value), "it stores into a piece of state"
        held = self._places[value]
        place = self._bind(f"place_of_{self._local(value)}", held, key=held)
        return f"{self._function(node)}({place}, {self._argument(number)})"

    def _operand(self, arg: Argument) -> Expression:
        if isinstance(arg, bool | int | float) and math.isfinite(arg):  # others have no literal
            return write_number(arg)
        return Expression(self._argument(arg))

    def _function(self, node: Node) -> str:
        if node.kind == CALL:
            callee = node.args[0]
            assert isinstance(callee, FunctionRef), "a call names its function"
            function = self._functions[callee.name]
            wrap = self._binding_of(node)
            return (
                function if wrap is None else f"{self._bind('wrapped', wrap, key=wrap)}({function})"
            )
        binding = self._binding_of(node)
        if binding is None:
            return self._bind(readable(node.kind), callable_of(node.kind), key=node.kind)
        return self._bind(readable(node.kind), binding, key=(node.kind, binding))

    def _targets(self, node: Node) -> str:
        if not node.groups:
            return ""
        if node.kind == CALL:  # functions return a tuple
            return "".join(f"{self._local(value)}, " for value in node.outputs).rstrip() + " = "
        results = iter(node.outputs)
        parts = []
        for group in node.groups:
            if group is None:
                parts.append(self._local(next(results)))
            else:
                parts.append(
                    "[" + ", ".join(self._local(next(results)) for _ in range(group)) + "]"
                )
        return ", ".join(parts) + " = "

    def _argument(self, arg: Argument) -> str:
        if isinstance(arg, Value):
            return self._local(arg)
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
        return self._bind(readable(text), torch_literal(literal), key=(type(literal), text))

    def _bind(self, name: str, bound: Any, key: Any = None) -> str:
        """Return the global name under which the function finds an object; one name per key."""
        key = name if key is None else key
        known = self._objects.get(key)
        if known is None:
            known = self._objects[key] = self.reserve(name)
            self.namespace[known] = bound
        return known

    def reserve(self, wanted: str) -> str:
        """Return a global name like the one wanted, and keep it."""
        name = _free(wanted, self._taken, self._all_locals)
        self._taken.add(name)
        return name

    def _local_name(self, wanted: str) -> str:
        name = _free(wanted, self._taken, self._scope)
        self._scope.add(name)
        self._all_locals.add(name)
        return name


def is_whole_number(arg: Any) -> bool:
    """Whether an argument of a node is an integer, known or not."""
    return arg.type is ScalarType.INT if isinstance(arg, Value) else type(arg) is int


def is_read(value: Value) -> bool:
    """Whether anything reads a place of state, and does not only store into it."""
    return any(not _only_stores(user, value) for user in value.users)


def _only_stores(user: Node | Block, value: Value) -> bool:
    """Whether what uses a number only puts another one in its place."""
    return (
        isinstance(user, Node)
        and user.kind == SET_NUMBER.name
        and user.inputs[0] is value
        and value not in user.inputs[1:]
    )


def _free(wanted: str, *taken: set[str]) -> str:
    """Return an identifier like the one wanted that is in none of some sets."""
    name = base = readable(wanted)
    suffix = 0
    while any(name in names for names in taken):
        suffix += 1
        name = f"{base}_{suffix}"
    return name


def readable(text: str) -> str:
    """Return a Python identifier close to ``text``: ``aten::add.Tensor`` becomes ``aten_add_Tensor``."""
    name = re.sub(r"\W+", "_", text, flags=re.ASCII)
    return name if name and not name[0].isdigit() else f"v{name}"


def _one_line(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]", "?", text)
