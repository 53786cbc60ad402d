"""Constants that stand directly in a node's arguments.

Numbers, strings, ``True``, ``False`` and ``None`` are Python's own. The classes here are the torch
constants that have no Python counterpart, kept as plain data so that a graph needs no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from .dtype import DType


@dataclass(frozen=True, slots=True)
class Device:
    """Where a tensor lives: ``cpu``, ``cuda:0``, ``meta``."""

    type: str
    index: int | None = None

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"


@dataclass(frozen=True, slots=True)
class Layout:
    """How a tensor's elements are stored: ``strided``, ``sparse_coo``, ``jagged``."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class MemoryFormat:
    """An order of dimensions in memory: ``contiguous_format``, ``channels_last``."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class FunctionRef:
    """The name of a graph in ``graph.functions``, as a callee."""

    name: str

    def __str__(self) -> str:
        return f"@{self.name}"


PYTHON_LITERALS: Final = frozenset({type(None), bool, int, float, complex, str})
"""The classes of literals that are Python's own, in which there is nothing more to look for."""

CPU = Device("cpu")
STRIDED = Layout("strided")

Literal: TypeAlias = (
    bool | int | float | complex | str | DType | Device | Layout | MemoryFormat | FunctionRef | None
)
