"""What an executor needs of a program: to copy it, transform it, compile it and say why it failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self

import torch

from ...ir import Graph, Node, TensorType
from ...ir.conditions import Circumstance
from ...passes.base import Pass
from ..codegen import CompiledGraph

Bindings = Callable[[Node], Callable[..., Any] | None]
"""Gives the function that makes a node's call; None leaves it to the compiler."""


class Program(Protocol):
    """A program whose copies can be changed without changing it.

    Attributes:
        graph: what it runs.
        circumstances: what around it a run must find as it was.
    """

    graph: Graph
    circumstances: tuple[Circumstance, ...]

    def copy(self) -> Self:
        """Return the program with a graph and a state of its own, on the same tensors."""
        ...

    def apply(self, *passes: str | Pass) -> Any:
        """Run passes on the graph."""
        ...

    def compiled(self, bindings: Bindings = ...) -> CompiledGraph:
        """Compile the graph; ``bindings`` are asked for the function of each node first."""
        ...

    def explained(self, compiled: CompiledGraph, error: ValueError) -> Exception:
        """Return what to raise where the function of the graph raised an error."""
        ...

    def type_of(self, tensor: torch.Tensor) -> TensorType:
        """Return the type of a tensor."""
        ...

    def input_dimensions(self) -> Sequence[tuple[str, frozenset[int]] | None]:
        """Return a name per input of the graph, and which of its sizes may differ; None for no tensor."""
        ...
