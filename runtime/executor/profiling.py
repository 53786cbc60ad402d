"""Profiling: a program that notes the types of its values as it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from ...ir import Node, TensorType
from ...ir.profiles import Profile, watch
from .program import Program

Found = list[tuple[Node, TensorType]]


class _Noting(threading.local):
    """Where the run of this thread notes what it finds."""

    found: Found | None = None


class Profiling:
    """What the runs of a program that was not optimized yet were like.

    Attributes:
        program: the program, each of whose tensors is watched.
        grad_modes: the gradient modes that runs found.
        profile: what the runs have in common.

    Args:
        program: what to watch; it is copied.
    """

    def __init__(self, program: Program) -> None:
        self.program = program.copy()
        self.grad_modes: set[bool] = set()
        graph = self.program.graph
        numbers = {value: number for number, value in enumerate(graph.inputs)}
        self._inputs: dict[Node, int] = {}
        for value in [*graph.inputs, *(value for node in graph.block for value in node.outputs)]:
            if value.is_used and isinstance(value.type, TensorType):
                node = watch(graph, value)
                if value in numbers:
                    self._inputs[node] = numbers[value]
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

    def add(self, found: Found, grad: bool) -> None:
        """Merge what a run found, and the gradient mode that it ran in."""
        self.profile.add_run(found)
        self.grad_modes.add(grad)
        for node, type_ in found:
            if node in self._inputs:
                self._followed.setdefault(self._inputs[node], set()).add(type_.requires_grad)

    def inputs(self) -> Iterator[tuple[int, TensorType, bool | None]]:
        """Yield of each input that was read its number, its type, and whether autograd followed it."""
        for node, number in self._inputs.items():
            type_, followed = node.output.type, self._followed.get(number, set())
            if isinstance(type_, TensorType):
                yield number, type_, followed.pop() if len(followed) == 1 else None

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
            if noting.found is not None:
                noting.found.append((node, type_of(tensor)))
            return tensor

        return note
