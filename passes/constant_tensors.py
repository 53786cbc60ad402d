"""The tensors behind a graph's constants, which passes compute with and never look into.

Passes import no torch. Whoever runs them on a program that can be replayed hands in an object that has the
tensors, knows who else has them, and computes; ``Pass.with_tensors`` takes it.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from ..ir import Literal, Node, StateEntry, TensorType, Value


@dataclass(frozen=True, slots=True, eq=False)
class ConstantTensor:
    """A tensor that is the same at every run.

    Attributes:
        type: its type.
        tensor: itself, for those who made it.
    """

    type: TensorType
    tensor: object


Constant: TypeAlias = ConstantTensor | Literal
"""What is the same at every run: a tensor, or a plain value."""


class ConstantTensors(Protocol):
    """Has the tensors of a program's constants, and computes with them."""

    def constant(self, entry: StateEntry) -> ConstantTensor | None:
        """Return the tensor that a piece of state is; None unless the program alone has its memory.

        The memory of two of them is not the same, unless one was computed from the other.
        """
        ...

    def compute(self, node: Node, known: Mapping[Value, Constant]) -> tuple[Constant, ...] | None:
        """Return what a pure node gives, whoever replays it and in whatever modes; None if that is open.

        A result that is the very tensor that was an operand is the same object as that.
        """
        ...

    def is_free(self, name: str) -> bool:
        """Whether the program keeps nothing of a name yet."""
        ...

    def keep(self, name: str, constant: ConstantTensor) -> None:
        """Have a tensor be what a new constant of the graph stands for."""
        ...

    def drop(self, name: str) -> None:
        """Let go of a constant that the graph has no more."""
        ...

    def contents(self, constant: ConstantTensor) -> Hashable | None:
        """Return what tensors have in common that nobody can tell apart; None if that cannot be told."""
        ...
