"""Profiling: a program that notes the types of its values as it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch._subclasses.functional_tensor import FunctionalTensor

from ...ir import Graph, Node, TensorType, Type, Value
from ...ir.literals import CPU
from ...ir.profiles import Profile, watch
from .libraries import library_share
from .program import Program

Found = list[tuple[Node, TensorType]]


class _Noting(threading.local):
    """Where the run of this thread notes what it finds."""

    found: Found | None = None


class Profiling:
    """What the runs of a program that was not optimized yet were like.

    Attributes:
        program: the program, each of whose tensors is watched.
        profile: what the runs have in common.

    Args:
        program: what to watch; it is copied.
    """

    def __init__(self, program: Program) -> None:
        self.program = program.copy()
        graph = self.program.graph
        self._values = [v for part in (graph, *graph.functions.values()) for v in part.values()]
        numbers = {value: number for number, value in enumerate(graph.inputs)}
        self._inputs: dict[Node, int] = {}
        self._makers: dict[Node, Node] = {}
        self._watchers: dict[Value, Node] = {}
        for part, value in _watched(graph):
            node = self._watchers[value] = watch(part, value)
            if value in numbers:
                self._inputs[node] = numbers[value]
            elif value.node is not None:
                self._makers[node] = value.node
        self.profile = Profile(graph)
        self._watching = frozenset(self.profile.nodes)
        self._followed: dict[int, set[bool]] = {}  # whether autograd followed an input, run by run
        self._noting = _Noting()
        self._compiled = self.program.compiled(self._binding_of)

    def run(self, given: Sequence[Any]) -> tuple[tuple[Any, ...], Found]:
        """Run the program; return what it gives and what was found, which is not merged yet."""
        with self._notes() as found:
            try:
                return self._compiled.function(*given), found
            except ValueError as error:
                explained = self.program.explained(self._compiled, error)
                if explained is error:
                    raise
                raise explained from error

    def add(self, found: Found) -> None:
        """Merge what a run found."""
        self.profile.add_run(found)
        for node, type_ in found:
            if node in self._inputs:
                self._followed.setdefault(self._inputs[node], set()).add(type_.requires_grad)

    def inputs(self) -> Iterator[tuple[int, TensorType, bool | None]]:
        """Yield of each input that was read its number, its type, and whether autograd followed it."""
        for node, number in self._inputs.items():
            type_, followed = node.output.type, self._followed.get(number, set())
            if isinstance(type_, TensorType):
                yield number, type_, followed.pop() if len(followed) == 1 else None

    def types(self) -> tuple[Type, ...]:
        """Return the type of each value of the graph, and then of its functions, if no run had another one.

        Of values that were not watched it is that of the trace. Nothing is returned where the runs differ, or
        none came by a value.
        """
        found = {value: node.output.type for value, node in self._watchers.items()}
        if not all(isinstance(type_, TensorType) and type_.is_exact for type_ in found.values()):
            return ()
        return tuple([found.get(value, value.type) for value in self._values])

    def library_share(self) -> float | None:
        """Return which part of the time goes to operators that an engine leaves to libraries, by estimation.

        None on devices that nobody has estimates for.
        """
        found = []
        for node, maker in self._makers.items():
            made, taken = node.output.type, [value.type for value in maker.inputs]
            if isinstance(made, TensorType):
                if made.device != CPU:
                    return None
                found.append((maker, made, taken))
        return library_share(found)

    @contextmanager
    def _notes(self) -> Iterator[Found]:
        outer, found = self._noting.found, list[tuple[Node, TensorType]]()
        self._noting.found = found
        try:
            yield found
        finally:
            self._noting.found = outer

    def _binding_of(self, node: Node) -> Callable[[torch.Tensor], torch.Tensor] | None:
        if node not in self._watching:
            return None
        noting, type_of = self._noting, self.program.type_of

        def note(tensor: torch.Tensor) -> torch.Tensor:
            found = noting.found
            # Operators that call functions trace them for autograd, with stand-ins that have no values.
            if found is not None and not isinstance(tensor, (FakeTensor, FunctionalTensor)):
                found.append((node, type_of(tensor)))
            return tensor

        return note


def _watched(graph: Graph) -> list[tuple[Graph, Value]]:
    """Return the tensors that a graph, blocks in it and functions that it calls make, with whose they are."""
    return [
        (part, value)
        for part in (graph, *graph.functions.values())
        for value in part.values()
        if value.is_used and isinstance(value.type, TensorType)
    ]
