"""Sizes of jagged nested tensors that are no numbers: what they are called, and where they come from.

Torch gives every set of offsets a symbolic size of its own, ``j0``, ``j1`` and so on in the order in
which the process met them. A graph counts them in the order in which it does.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import torch

from ...ir import Graph, SymDim, TensorType, Type, Value
from ...ir.types import Dim

_RAGGED = re.compile(r"((?:[0-9]+\*)?)j([0-9]+)\Z")


def is_ragged_size(size: Any) -> bool:
    """Whether a size is that of the dimension in which the rows of a nested tensor differ."""
    return isinstance(size, torch.SymInt) and bool(size.node.is_nested_int())


def number_ragged_sizes(graph: Graph) -> None:
    """Name the ragged sizes of a graph ``j0``, ``j1``, ... in the order in which they appear."""
    numbers: dict[str, int] = {}
    for value in graph.inputs:
        value.type = _renumbered(value.type, numbers)
    for entry in graph.state.values():
        entry.value.type = _renumbered(entry.value.type, numbers)
    for node in graph.walk():
        for value in node.outputs:
            value.type = _renumbered(value.type, numbers)


def as_expected(actual: TensorType, expected: TensorType, known: dict[str, str]) -> TensorType:
    """Return a type with its ragged sizes called as in the type expected, as far as both have them there.

    Args:
        actual: the type of an argument.
        expected: the type it should have.
        known: what ragged sizes of the trace are called now; grows.
    """
    if actual.shape is None or expected.shape is None:
        return actual
    if len(actual.shape) != len(expected.shape) or not any(
        isinstance(size, SymDim) for size in actual.shape
    ):
        return actual
    dims: list[Dim] = []
    for ours, theirs in zip(actual.shape, expected.shape, strict=True):
        both = isinstance(ours, SymDim) and isinstance(theirs, SymDim)
        is_same = both and known.setdefault(str(theirs), str(ours)) == str(ours)
        dims.append(theirs if is_same else ours)
    return replace(actual, shape=tuple(dims))


def _renumbered(type_: Type, numbers: dict[str, int]) -> Type:
    if not isinstance(type_, TensorType) or type_.shape is None:
        return type_
    if all(isinstance(size, int) for size in type_.shape):
        return type_
    return replace(type_, shape=tuple([_named(size, numbers) for size in type_.shape]))


def _named(size: Dim, numbers: dict[str, int]) -> Dim:
    match = _RAGGED.match(size.name) if isinstance(size, SymDim) else None
    if match is None:
        return size
    factor, number = match.groups()
    return SymDim(f"{factor}j{numbers.setdefault(number, len(numbers))}")


class RaggedSizes:
    """Knows of which value each ragged size is a size."""

    def __init__(self) -> None:
        self._sources: dict[str, tuple[Value, int]] = {}

    def __bool__(self) -> bool:
        return bool(self._sources)

    def note(self, tensor: torch.Tensor, value: Value) -> None:
        """Take note of the ragged sizes of a tensor."""
        if tensor.layout is torch.jagged:
            for dim, size in enumerate(tensor.shape):
                if is_ragged_size(size):
                    self._sources[str(size)] = (value, dim)

    def source(self, size: torch.SymInt) -> tuple[Value, int] | None:
        """Return the value and the dimension that a size was last seen at."""
        return self._sources.get(str(size))
