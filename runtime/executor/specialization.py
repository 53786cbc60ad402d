"""Specialization: a program made one that holds only where guards do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ...ir import Argument, Graph, Node, ScalarType, Value
from ...ir.profiles import watch
from ...ir.scalars import GUARD_OPERATOR, read_operator, scalar_operator
from ...ir.types import SymDim
from ...passes.base import Pass
from ...passes.registry import read_passes
from ...passes.specialize_types import SpecializeTypes
from .facts import InputFact
from .program import Program

_REORDERS_GRADIENTS: Final = ("cse", "peephole")
"""Passes after which gradients may be added up in another order, so that last bits of them differ."""

_READ_SIZE: Final = read_operator("aten::sym_size.int", ("Tensor", "int"), ScalarType.INT)
_EQUAL: Final = scalar_operator("aten::eq", (ScalarType.INT, ScalarType.INT), ScalarType.BOOL)


def specialize(program: Program, facts: Sequence[InputFact], grad: bool | None) -> None:
    """Optimize a program for inputs of which facts hold, in place.

    Args:
        program: what to optimize.
        facts: what guards see to before it runs.
        grad: the gradient mode that guards see to; None if it may be on.
    """
    graph = program.graph
    program.apply("inline")
    promised = _state_sizes(graph, facts)
    program.apply(*_pipeline("profiled", graph, grad))
    if _may_reorder(graph, grad):
        program.apply("no_grad")
    for node in promised:
        if node.block is not None:
            node.erase()
    program.apply("dce")
    _tell_types(program, facts)


def optimize(program: Program, pipeline: str) -> None:
    """Optimize a program with a pipeline for all inputs and gradient modes, in place."""
    program.apply(*_pipeline(pipeline, program.graph, None))


def _pipeline(name: str, graph: Graph, grad: bool | None) -> list[Pass]:
    passes = read_passes(name)
    if _may_reorder(graph, grad):
        return list(passes)
    return [pass_ for pass_ in passes if pass_.name not in _REORDERS_GRADIENTS]


def _may_reorder(graph: Graph, grad: bool | None) -> bool:
    """Whether autograd follows nothing, neither in the mode of the caller nor in one that the graph sets."""
    if grad is not False:
        return False
    ambient = graph.modes
    return all(
        not node.modes.grad or (ambient.grad and "grad" not in node.modes.fixed)
        for part in (graph, *graph.functions.values())
        for node in part.walk()
    )


def _state_sizes(graph: Graph, facts: Sequence[InputFact]) -> list[Node]:
    """State what is promised of sizes as guards of the graph, for passes to go by; return these guards."""
    guards: list[Node] = []
    reads = _Reads(graph)
    known: dict[SymDim, tuple[Value, int]] = {}
    with graph.inserting_after(graph.block):
        for fact in facts:
            value = graph.inputs[fact.number]
            for dimension, size in enumerate(fact.shape or ()):
                if isinstance(size, int):
                    read = reads.read(value, dimension)
                    guards.append(graph.append(GUARD_OPERATOR, (read, size)))
                elif size in known:
                    pair = reads.read(value, dimension), reads.read(*known[size])
                    equal = graph.append(_EQUAL, pair, (ScalarType.BOOL,)).output
                    guards.append(graph.append(GUARD_OPERATOR, (equal, True)))
                else:
                    known[size] = value, dimension
    return guards


class _Reads:
    """Nodes that read sizes where a graph begins, with names and lines of those further down."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._later: dict[tuple[Argument, ...], Node] = {}
        for node in graph.walk():
            if node.kind == _READ_SIZE.name:
                self._later.setdefault(node.all_args, node)
        self._made: dict[tuple[Argument, ...], Value] = {}

    def read(self, value: Value, dimension: int) -> Value:
        """Return a size of an input."""
        args = (value, dimension)
        if args not in self._made:
            like = self._later.get(args)
            made = self._graph.append(
                _READ_SIZE,
                args,
                (ScalarType.INT,),
                scope=None if like is None else like.scope,
                stack=None if like is None else like.stack,
            ).output
            made.name = made.name if like is None else like.output.name
            self._made[args] = made
        return self._made[args]


def _tell_types(program: Program, facts: Sequence[InputFact]) -> None:
    """Have the types of inputs say what guards promise, and those of other values no sizes."""
    graph = program.graph
    for fact in facts:
        watch(graph, graph.inputs[fact.number]).output.type = fact.type
    if facts:
        program.apply(SpecializeTypes())
