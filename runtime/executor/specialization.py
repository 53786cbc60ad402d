"""Specialization: a program made one that holds only where guards do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ...ir import Graph, Node, ScalarType, Value
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
    known: dict[SymDim, Value] = {}
    with graph.inserting_after(graph.block):
        for fact in facts:
            value = graph.inputs[fact.number]
            for dimension, size in enumerate(fact.shape or ()):
                first = known.get(size) if isinstance(size, SymDim) else None
                read = graph.append(_READ_SIZE, (value, dimension), (ScalarType.INT,)).output
                if isinstance(size, int):
                    guards.append(graph.append(GUARD_OPERATOR, (read, size)))
                elif first is None:
                    known[size] = read
                else:
                    equal = graph.append(_EQUAL, (read, first), (ScalarType.BOOL,)).output
                    guards.append(graph.append(GUARD_OPERATOR, (equal, True)))
    return guards


def _tell_types(program: Program, facts: Sequence[InputFact]) -> None:
    """Have the types of inputs say what guards promise, and those of other values no sizes."""
    graph = program.graph
    for fact in facts:
        watch(graph, graph.inputs[fact.number]).output.type = fact.type
    if facts:
        program.apply(SpecializeTypes())
