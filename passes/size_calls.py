"""One call of an operator as the rules for sizes see it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Protocol, TypeAlias

from ..errors import IRError
from ..ir import Argument, Node, TensorType, Value
from ..ir.types import Dim

Dimension: TypeAlias = Hashable
"""One size: an ``int``, or what stands for one that varies; equal for sizes that are."""

Dimensions: TypeAlias = tuple[Dimension, ...]


class SizeNumbers(Protocol):
    """Tells what numbers among an operator's arguments are as sizes."""

    def size(self, argument: Argument) -> Dimension | None:
        """Return an argument as a size; None if it is none."""
        ...


def shape_of(value: Value) -> tuple[Dim, ...]:
    """Return the sizes that a value had in the run, empty where they are not known."""
    type_ = value.type
    return (type_.shape or ()) if isinstance(type_, TensorType) else ()


def plain_size(size: Dim) -> int | None:
    """Return a size that was a number; None for any other."""
    return size if isinstance(size, int) else None


def tensors_read(node: Node) -> list[Value]:
    """Return the tensors among a node's inputs."""
    return [value for value in node.inputs if value.type.__class__ is TensorType]


class SizeCall:
    """One call of an operator, as its rule sees it: sizes for tensors, numbers for values that are."""

    __slots__ = ("_known", "_numbers", "_reads", "node", "position")

    def __init__(
        self,
        node: Node,
        position: int,
        reads: Sequence[Value],
        known: Mapping[Value, Dimensions],
        numbers: SizeNumbers,
    ) -> None:
        self.node = node
        self.position = position  # of the result that is asked for
        self._reads = reads
        self._known = known
        self._numbers = numbers

    def sizes(self, name: str = "self") -> Dimensions:
        """Return the sizes of a tensor argument."""
        argument = self.node.argument(name)
        assert isinstance(argument, Value), "rules ask for the sizes of tensors"
        return self._known[argument]

    def sizes_of(self, argument: Value) -> Dimensions:
        """Return the sizes of a tensor among the arguments."""
        return self._known[argument]

    def all_sizes(self) -> list[Dimensions]:
        """Return the sizes of every tensor that is read."""
        return [self._known[value] for value in self._reads]

    def argument(self, name: str) -> Argument:
        """Return an argument by the name its schema gives it; None if this overload has none."""
        try:
            return self.node.argument(name)
        except IRError:
            return None

    def number(self, argument: Argument) -> Dimension | None:
        """Return a number among the arguments, as the size that it is."""
        return self._numbers.size(argument)

    def integer(self, name: str) -> int | None:
        """Return an argument that is a plain ``int``."""
        argument = self.argument(name)
        return argument if type(argument) is int else None


Derived: TypeAlias = tuple[Dimension | None, ...] | None
"""Sizes of a result, None where a size, or all, is not known."""

Rule: TypeAlias = Callable[[SizeCall], Derived]
