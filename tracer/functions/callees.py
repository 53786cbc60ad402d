"""Traced programs that a program under trace calls: each one function, each call one node."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any, Protocol, TypeAlias

import torch

from ...errors import CaptureError
from ...ir import (
    Argument,
    Frame,
    FunctionRef,
    Graph,
    Modes,
    Node,
    Scope,
    StateEntry,
    TupleType,
    take_in,
)
from ...ir.conditions import Circumstance
from ...ir.own_operators import CALL_FUNCTION, SET_GRADIENT
from ...ir.places import HeldPlace
from ...ir.updates import Stored
from ..diagnostics import Diagnostic
from ..dispatch.dispatcher import current_recorder, kernels, plain_shape, recorder_here
from ..dispatch.gradients import gradient_of
from ..dispatch.tensors import type_of_value
from ..numbers.sizes import Sizes
from ..numbers.traced_numbers import is_traced
from ..program.circumstances import Circumstances
from ..program.gradients import Gradients
from ..program.inputs import InputSpec
from ..program.program_state import ProgramState, name_in_globals

Place: TypeAlias = tuple[Scope, Frame | None, Modes]


class Callee(Protocol):
    """What a call needs of a traced program."""

    @property
    def graph(self) -> Graph:
        """What it runs."""
        ...

    @property
    def inputs(self) -> InputSpec:
        """What it takes."""
        ...

    @property
    def state(self) -> Mapping[str, Any]:
        """The tensors and objects behind the graph's state, by name."""
        ...

    @property
    def stored(self) -> Sequence[Stored]:
        """What it puts into objects that it holds."""
        ...

    @property
    def diagnostics(self) -> Sequence[Diagnostic]:
        """What its own trace could not record exactly."""
        ...

    @property
    def circumstances(self) -> Sequence[Circumstance]:
        """What around it must be as it was."""
        ...


class _Trace(Protocol):
    """What calls need of the trace that they are part of."""

    graph: Graph
    kept: ProgramState
    sizes: Sizes
    circumstances: Circumstances
    gradients: Gradients

    def report_again(self, diagnostic: Diagnostic, node: Node) -> None: ...


def run_recorded(
    callee: Callee, leaves: list[Any], run: Callable[..., tuple[Any, ...]]
) -> tuple[Any, ...]:
    """Run a traced program on its leaves; where a trace is running, as a call that it records."""
    if current_recorder() is None:
        return run(*leaves)
    recorder = recorder_here(kernels())
    if recorder is None:  # inside an operator that is being recorded
        return run(*leaves)
    if callee.stored or any(isinstance(part, HeldPlace) for part in callee.state.values()):
        # It reads and stores from Python, so it is recorded as if it were Python.
        traces = [recorder.state]
        while recorder.outer is not None:
            recorder = recorder.outer
            traces.append(recorder.state)
        for trace in reversed(traces):  # a trace inside another one follows what that follows
            _know_state(trace.kept, callee, sys._getframe(1))
        traces[0].circumstances.include(callee.circumstances)
        return run(*leaves)
    results: tuple[Any, ...] = recorder.record_call(callee, leaves, run)
    return results


def _know_state(kept: ProgramState, callee: Callee, frame: FrameType) -> None:
    """Make known what a program keeps: its tensors, and the objects that hold something at a place."""
    prefix = kept.name_of(callee) or name_in_globals(callee, frame) or callee.graph.name
    entries = [(entry, callee.state[entry.name]) for entry in callee.graph.state.values()]
    for entry, part in entries:
        if isinstance(part, torch.Tensor):
            kept.register_as(f"{prefix}.{entry.name}", part, entry.kind)
    places = (*callee.state.values(), *(stored.place for stored in callee.stored))
    for place in places:
        if isinstance(place, HeldPlace):
            kept.register_holder(f"{prefix}.{place.owner_name}".removesuffix("."), place.owner)
    for entry, part in entries:
        held = part.find() if isinstance(part, HeldPlace) else None
        if isinstance(held, torch.Tensor):
            kept.register_as(f"{prefix}.{entry.name}", held, entry.kind)


def _note_gradients(gradients: Gradients, callee: Callee, leaves: list[Any]) -> None:
    """Note the gradients that a call of a traced program has stored, as each replay of it does."""
    inputs = dict(zip(callee.graph.inputs, leaves, strict=True))
    for node in callee.graph.nodes(op=SET_GRADIENT.name):
        owner = node.inputs[0]
        tensor = inputs.get(owner) if owner.state is None else callee.state[owner.state.name]
        if isinstance(tensor, torch.Tensor):
            gradients.stored(tensor, gradient_of(tensor))


def hold_sizes(sizes: Sizes, callee: Callee, leaves: list[Any]) -> None:
    """Guard the sizes of arguments as the callee does, which has fixed some and has named some alike."""
    named: dict[str, Any] = {}
    for leaf, varying in zip(leaves, callee.inputs.dimensions, strict=True):
        value = sizes.value_of(leaf)
        if value is None:
            continue
        for dimension, plain in enumerate(plain_shape(leaf)):
            size = sizes.size(value, dimension, plain)
            name = varying.get(dimension)
            if name is None and is_traced(size):
                size.plain("is fixed by a traced program that is called with it")
            elif name:
                bool(size == named.setdefault(name, size))  # a branch, which makes a guard


def _require_flat(graph: Graph) -> None:
    for value in (*graph.inputs, *graph.outputs):
        if isinstance(value.type, TupleType):
            raise CaptureError(
                f"the graph of {graph.name}, which is called in a trace, takes or returns a tuple, "
                f"{value.type}\n  run the pass lower_all_tuples on it before"
            )


class Callees:
    """The traced programs that one trace has called so far."""

    def __init__(self) -> None:
        # By address; programs are held, so that their addresses stay theirs.
        self._known: dict[int, tuple[Callee, str, tuple[StateEntry, ...]]] = {}

    def record(
        self,
        trace: _Trace,
        callee: Callee,
        leaves: list[Any],
        make_call: Callable[[], tuple[Any, ...]],
        argument: Callable[[torch.Tensor], Argument],
        place: Place,
        frame: FrameType,
    ) -> tuple[Node, tuple[Any, ...]]:
        """Make a call, add its node, and return both the node and the results.

        Args:
            trace: the trace that this is part of.
            callee: the program.
            leaves: what it is given.
            make_call: runs it.
            argument: gives the argument that a tensor is.
            place: where the node stands.
            frame: whose globals, and those above, may name the program.
        """
        _require_flat(callee.graph)
        hold_sizes(trace.sizes, callee, leaves)
        name, entries = self._function(trace.graph, trace.kept, callee, frame)
        arguments = [argument(leaf) for leaf in leaves]
        for entry in entries:
            part = callee.state[entry.name]
            is_tensor = isinstance(part, torch.Tensor)
            arguments.append(argument(part) if is_tensor else trace.kept.constant(part, entry.name))
        results = make_call()
        scope, stack, modes = place
        node = trace.graph.append(
            CALL_FUNCTION,
            (FunctionRef(name), *arguments),
            map(type_of_value, results),
            scope=scope,
            stack=stack,
            modes=modes,
        )
        _note_gradients(trace.gradients, callee, leaves)
        trace.circumstances.include(callee.circumstances)
        for diagnostic in callee.diagnostics:
            trace.report_again(diagnostic, node)
        return node, results

    def _function(
        self, graph: Graph, kept: ProgramState, callee: Callee, frame: FrameType | None
    ) -> tuple[str, tuple[StateEntry, ...]]:
        """Return the function that a program is in the graph, and the state that it must be passed.

        Its parameters become known to ``kept`` under the name by which the caller knows the program.
        """
        known = self._known.get(id(callee))
        if known is None:
            name, entries = take_in(graph, callee.graph)
            prefix = kept.name_of(callee) or name_in_globals(callee, frame) or name
            for entry in entries:
                part = callee.state[entry.name]
                if isinstance(part, torch.Tensor):
                    kept.register_as(f"{prefix}.{entry.name}", part, entry.kind)
            known = self._known[id(callee)] = (callee, name, entries)
        return known[1:]
