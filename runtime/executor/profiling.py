"""Profiling: a program that notes the types of its values as it runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch._subclasses.functional_tensor import FunctionalTensor

from ...ir import Graph, Node, TensorType, Value
from ...ir.literals import CPU
from ...ir.profiles import Profile, watch
from .libraries import calls_library
from .program import Program


@dataclass(slots=True)
class Run:
    """What one run was like.

    Attributes:
        found: nodes that watch, in order, with the types of what came by.
        seconds: how long the run took until something came by them, since something had come by another one.
        clock: when something came by last.
    """

    found: list[tuple[Node, TensorType]] = field(default_factory=list)
    seconds: dict[Node, float] = field(default_factory=dict)
    clock: float = 0.0

    def note(self, node: Node, tensor: torch.Tensor, type_of: Callable[..., TensorType]) -> None:
        """Take note of a tensor that comes by."""
        passed = time.perf_counter() - self.clock
        self.seconds[node] = self.seconds.get(node, 0.0) + passed
        self.found.append((node, type_of(tensor)))
        self.clock = time.perf_counter()


class _Noting(threading.local):
    """The run of this thread."""

    run: Run | None = None


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
        numbers = {value: number for number, value in enumerate(graph.inputs)}
        self._inputs: dict[Node, int] = {}
        self._makers: dict[Node, Node] = {}
        for part, value in _watched(graph):
            node = watch(part, value)
            if value in numbers:
                self._inputs[node] = numbers[value]
            elif value.node is not None:
                self._makers[node] = value.node
        self.profile = Profile(graph)
        self._watching = frozenset(self.profile.nodes)
        self._followed: dict[int, set[bool]] = {}  # whether autograd followed an input, run by run
        self._seconds: dict[Node, float] = {}
        self._noting = _Noting()
        self._compiled = self.program.compiled(self._binding_of)

    def run(self, given: Sequence[Any]) -> tuple[tuple[Any, ...], Run]:
        """Run the program; return what it gives and what was found, which is not merged yet."""
        with self._notes() as run:
            try:
                return self._compiled.function(*given), run
            except ValueError as error:
                explained = self.program.explained(self._compiled, error)
                if explained is error:
                    raise
                raise explained from error

    def add(self, run: Run) -> None:
        """Merge what a run found."""
        self.profile.add_run(run.found)
        for node, seconds in run.seconds.items():
            self._seconds[node] = self._seconds.get(node, 0.0) + seconds
        for node, type_ in run.found:
            if node in self._inputs:
                self._followed.setdefault(self._inputs[node], set()).add(type_.requires_grad)

    def inputs(self) -> Iterator[tuple[int, TensorType, bool | None]]:
        """Yield of each input that was read its number, its type, and whether autograd followed it."""
        for node, number in self._inputs.items():
            type_, followed = node.output.type, self._followed.get(number, set())
            if isinstance(type_, TensorType):
                yield number, type_, followed.pop() if len(followed) == 1 else None

    def library_share(self) -> float | None:
        """Return which part of the time went to operators that an engine leaves to libraries.

        None where nobody can say: on devices that work on when a call has returned.
        """
        types = [node.output.type for node in self._seconds]
        if not types or any(
            not isinstance(type_, TensorType) or type_.device != CPU for type_ in types
        ):
            return None
        in_libraries = sum(
            seconds
            for node, seconds in self._seconds.items()
            if node in self._makers and calls_library(self._makers[node].kind)
        )
        return in_libraries / (sum(self._seconds.values()) or 1.0)

    @contextmanager
    def _notes(self) -> Iterator[Run]:
        outer, run = self._noting.run, Run(clock=time.perf_counter())
        self._noting.run = run
        try:
            yield run
        finally:
            self._noting.run = outer

    def _binding_of(self, node: Node) -> Callable[[torch.Tensor], torch.Tensor] | None:
        if node not in self._watching:
            return None
        noting, type_of = self._noting, self.program.type_of

        def note(tensor: torch.Tensor) -> torch.Tensor:
            run = noting.run
            # Operators that call functions trace them for autograd, with stand-ins that have no values.
            if run is not None and not isinstance(tensor, (FakeTensor, FunctionalTensor)):
                run.note(node, tensor, type_of)
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
