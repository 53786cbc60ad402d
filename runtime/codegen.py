"""A graph as one Python function: its source, and the function compiled from it."""

from __future__ import annotations

import itertools
import linecache
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType, FunctionType
from typing import Any

from ..ir import (
    Block,
    Graph,
    Modes,
    Node,
    Value,
    value_names,
)
from ..ir.conditions import DimensionNames
from ..passes.liveness import outer_values
from .blocks import convention_of
from .writer import Writer, readable

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
    dimension_names: DimensionNames | None = None,
) -> CompiledGraph:
    """Compile a graph to a Python function that frees every intermediate after its last use.

    Args:
        graph: what to compile.
        state: the tensors and objects behind the graph's state, by name; bound once, here.
        binding_of: gives a function that makes exactly a node's call, where it knows a better one than the
            usual; of a node that calls a function of the graph, one that takes that function first, and
            returns what is called with the arguments.
        dimension_names: what sizes of inputs are called where a guard fails.

    Raises:
        ReplayError: an operator is not registered in this process, or state is missing.
    """
    writer = Writer(value_names(graph), binding_of, dimension_names or {})
    callees = writer.write_callees(graph, state)
    function_name = writer.write_graph(graph, state, writer.reserve(graph.name))
    return _compiled(writer, graph.name, [function_name, *callees])


def run_blocks(
    kind: str,
    blocks: Sequence[Block],
    modes: Modes,
    objects: Mapping[Value, Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Any:
    """Run an operator on functions made of blocks, as a replay of a node that owns them would.

    Args:
        kind: the operator's name.
        blocks: what its functions do.
        modes: those in force.
        objects: what stands for each value that the blocks read from around them.
        args: the operator's arguments without its functions.
        kwargs: those passed by name.

    Raises:
        ReplayError: no operator of this name calls blocks.
    """
    convention = convention_of(kind)
    writer = Writer({}, lambda node: None, {})
    lifted = [convention.lifted(blocks, number) for number in range(len(blocks))]
    # Tensors are passed, not kept: a function and its globals hold each other until they are collected.
    passed = {value for values in lifted for value in values}
    for value in outer_values(blocks):
        if value not in passed:
            writer.give(value, objects[value])
    name = readable(kind.rpartition("::")[2])
    dropped = convention.dropped(blocks)
    functions = []
    for number, block in enumerate(blocks):
        function_name = writer.write_function(
            writer.reserve(f"{name}_{number}"),
            block,
            lifted[number],
            dropped,
            convention.ambient(modes),
            returns_one=number in convention.single,
        )
        functions.append(_compiled(writer, name, [function_name]).function)
        writer.lines.clear()
    free = [[objects[value] for value in values] for values in lifted]
    args = convention.without_dropped(args, dropped)
    return convention.run(functions, free, *args, **kwargs)


def _compiled(writer: Writer, name: str, function_names: list[str]) -> CompiledGraph:
    source, filename = run_source(writer, name)
    function = _take_out(writer.namespace, function_names)[function_names[0]]
    compiled = CompiledGraph(source, function, filename, writer.nodes)
    weakref.finalize(compiled.function, linecache.cache.pop, filename, None)
    return compiled


def run_source(writer: Writer, name: str) -> tuple[str, str]:
    """Define in a writer's namespace what it has written; return the text, and the name of its file."""
    source = "\n".join(writer.lines) + "\n"
    filename = f"<opscope {name} {next(_program_numbers)}>"
    code = compile(source, filename, "exec")
    exec(code, writer.namespace)  # the source is our own, made from the graph
    # Tracebacks show the line that failed, as long as the function lives.
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    return source, filename


def _take_out(namespace: dict[str, Any], names: list[str]) -> dict[str, FunctionType]:
    """Take functions out of a namespace; no globals of any of them lead back to it.

    So functions, and the state that they read, go as soon as nobody needs them.
    """
    made: dict[str, FunctionType] = {name: namespace.pop(name) for name in names}
    return made if len(made) == 1 else apart(made, namespace)


def apart(made: dict[str, FunctionType], namespace: dict[str, Any]) -> dict[str, FunctionType]:
    """Return functions that call one another, each with globals of its own: a namespace and what it calls."""
    made = {
        name: FunctionType(function.__code__, dict(namespace), name)
        for name, function in made.items()
    }
    for function in made.values():
        called = _names_in(function.__code__) & made.keys()
        function.__globals__.update((name, made[name]) for name in called)
    return made


def _names_in(code: CodeType) -> set[str]:
    """Return the global names that a function, or one defined inside it, reads."""
    inner = [const for const in code.co_consts if isinstance(const, CodeType)]
    return set(code.co_names).union(*map(_names_in, inner))
