"""What a pass must be told about torch's operators, since passes never import torch.

Schemas stand in the graph. What they leave open (which overloads there are, what memory a result is on,
how its elements are laid out) is answered by an object that whoever runs the pass hands in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..ir import Argument, Operator, TensorType


@dataclass(frozen=True, slots=True)
class ResultFact:
    """What is known of one result of a call.

    Attributes:
        type: its type; None for a result that is not a tensor.
        operand: the operand whose memory it is on, as a position in ``Node.inputs``; None if its
            memory is its own.
        offset: how many bytes behind that operand's first element its own first element lies.
        is_operand: whether it is the very tensor, as ``contiguous()`` of a contiguous one is.
    """

    type: TensorType | None
    operand: int | None = None
    offset: int = 0
    is_operand: bool = False


class TorchFacts(Protocol):
    """Answers questions about operators of the torch that runs."""

    def overloads(self, base_name: str) -> tuple[Operator, ...]:
        """Return every overload of a name without overload, ``aten::add``; none if it is not known."""
        ...

    def outcome(
        self, operator: Operator, args: tuple[Argument, ...], keywords: tuple[str, ...]
    ) -> tuple[ResultFact, ...] | None:
        """Return what a call on values of these types gives, lists taken apart; None if unknown."""
        ...

    def is_differentiable(
        self, operator: Operator, args: tuple[Argument, ...], keywords: tuple[str, ...]
    ) -> bool:
        """Whether autograd can go back through a call."""
        ...
