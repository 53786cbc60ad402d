"""A traced program as a ``torch.fx.GraphModule``: its inputs, its state, its nodes, what it returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch.fx.graph_module import GraphModule

from ...errors import ReplayError
from ...ir import CALL, Graph, Node, StateEntry, StateKind, value_names
from ...ir.conditions import ConditionWriter, DimensionNames
from ...ir.places import HeldPlace
from ...ir.structure import Structure
from ...passes.inline import Inline
from ...runtime import ObjectsAfter
from ...runtime.writer import is_read
from ...tracer import InputSpec
from .attributes import Attributes
from .calls import found_objects, leave_objects, read_place
from .emitter import Emitter
from .inputs import Inputs
from .metadata import Metadata
from .outputs import output_argument


class Program(Protocol):
    """What is asked of a traced program to convert it."""

    graph: Graph
    state: dict[str, Any]
    inputs: InputSpec
    outputs: Structure
    mutations: Any

    @property
    def lengths(self) -> tuple[Node, ...]:
        """The nodes that give lists of a certain length."""
        ...

    @property
    def objects_after(self) -> ObjectsAfter | None:
        """What the program leaves in objects."""
        ...


def graph_module_of(program: Program, names: DimensionNames, *, checks: bool = True) -> GraphModule:
    """Return a program as a module of torch.fx that does what a replay does.

    Args:
        program: what to convert; it stays as it is.
        names: what sizes of inputs are called where a guard fails.
        checks: whether the module checks its inputs and the program's guards.

    Raises:
        ReplayError: something in the program has no counterpart in torch.fx.
    """
    if program.mutations:
        raise ReplayError(
            "a functional graph returns new contents of inputs and state, which torch.fx would not write "
            "back\n  trace the program without force_outplace"
        )
    graph, lengths = _inlined(program)
    emitter = Emitter(
        value_names(graph),
        Metadata(),
        Attributes(),
        ConditionWriter(graph, _names_on(graph, program.graph, names)) if checks else None,
        lengths,
    )
    inputs = Inputs(emitter, program.inputs, checks=checks)
    emitter.bind_inputs(graph.inputs, inputs.leaves)
    _bind_state(emitter, graph, program.state)
    after = program.objects_after
    if after is not None:
        kept = emitter.attribute("objects_after", after)
        objects = emitter.call(found_objects, (kept, inputs.arguments), name="objects")
        emitter.block(graph.block, graph.modes)
        results = emitter.leaves(graph.outputs)
        returned: Any = emitter.call(
            leave_objects, (kept, results, inputs.arguments, objects), name="returned"
        )
    else:
        emitter.block(graph.block, graph.modes)
        returned = output_argument(emitter, program.outputs, emitter.leaves(graph.outputs))
    emitter.graph.output(returned)
    return emitter.module(graph.name)


def _inlined(program: Program) -> tuple[Graph, frozenset[Node]]:
    """Return a copy of the graph that calls no functions, and the nodes whose lists have a length to hold."""
    graph = program.graph.copy()
    twins = dict(zip(program.graph.walk(), graph.walk(), strict=True))
    lengths = frozenset(twins[node] for node in program.lengths if node in twins)
    if any(node.kind == CALL for node in graph.walk()):
        Inline().run(graph)
    return graph, lengths


def _bind_state(emitter: Emitter, graph: Graph, state: Mapping[str, Any]) -> None:
    used: Sequence[StateEntry] = [e for e in graph.state.values() if e.value.is_used]
    missing = next((entry.name for entry in used if entry.name not in state), None)
    if missing is not None:
        raise ReplayError(f"the program needs state {missing!r}, which was not given")
    constants: list[str] = []
    for entry in used:
        held = state[entry.name]
        node = emitter.attribute(entry.name, held, entry.value)
        if isinstance(held, HeldPlace):
            emitter.places[entry.value] = node
            if is_read(entry.value):
                name = emitter.name_of(entry.value)
                emitter.values[entry.value] = emitter.call(read_place, (node,), name=name)
        else:
            emitter.values[entry.value] = node
            if entry.kind is StateKind.CONSTANT and isinstance(held, torch.Tensor):
                constants.append(str(node.target))
    emitter.constants = constants


def _names_on(graph: Graph, original: Graph, names: DimensionNames) -> DimensionNames:
    """Return the names of sizes of inputs by the inputs of a copy."""
    copies = dict(zip(original.inputs, graph.inputs, strict=True))
    return {(copies[value], dimension): name for (value, dimension), name in names.items()}
