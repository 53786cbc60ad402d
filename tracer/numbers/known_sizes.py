"""Sizes as a trace knows them while it records: plain, numbers of the graph, or still to be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ...ir import Argument, Value
from ..dispatch.number import Number


@dataclass(frozen=True, slots=True, eq=False)
class SizeRead:
    """A size of which nothing is known but where it can be read; there is one object for each place.

    Attributes:
        value: the tensor that has it.
        dimension: which of its sizes.
        plain: what it was in the run; None if it was no number.
    """

    value: Value
    dimension: int
    plain: int | None


Dimension: TypeAlias = int | Number | SizeRead
Dimensions: TypeAlias = tuple[Dimension, ...]


class KnownNumbers:
    """What numbers among an operator's arguments are as sizes."""

    def __init__(self, numbers: Mapping[Value, Number]) -> None:
        self._numbers = numbers
        self.reads: dict[Number, SizeRead] = {}

    def size(self, argument: Argument) -> Dimension | None:
        """Return an argument as a size; None if it is none."""
        if not isinstance(argument, Value):
            return argument if type(argument) is int else None
        number = self._numbers.get(argument)
        if number is None or not number.is_int():
            return None
        return self.reads.get(number, number)
