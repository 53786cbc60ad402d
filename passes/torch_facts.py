"""What a pass must be told about torch's operators, since passes never import torch.

Schemas stand in the graph. What they leave open (which overloads there are, what memory a result is on,
how its elements are laid out) is answered by an object that whoever runs the pass hands in.
"""

from __future__ import annotations

from collections.abc import Hashable
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


@dataclass(frozen=True, slots=True)
class AutogradFact:
    """What autograd keeps of a call, if it follows everything that it can.

    Attributes:
        histories: for each result that is a tensor, the nodes of autograd's graph that the call leaves
            behind, by name, each with those before it.
        operands: the operands that it keeps the contents of, as positions in ``Node.inputs``.
        results: the results that it keeps the contents of, counted among those that are tensors.
        is_known: whether that is so on every device; if not, any operand and result may be kept.
    """

    histories: tuple[Hashable, ...]
    operands: frozenset[int] = frozenset()
    results: frozenset[int] = frozenset()
    is_known: bool = True


class TorchFacts(Protocol):
    """Answers questions about operators of the torch that runs."""

    def overloads(self, base_name: str) -> tuple[Operator, ...]:
        """Return every overload of a name without overload, ``aten::add``; none if it is not known."""
        ...

    def is_replaced(self, operator: Operator) -> bool:
        """Whether somebody has registered a kernel in Python for an operator of torch's."""
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

    def autograd(
        self, operator: Operator, args: tuple[Argument, ...], keywords: tuple[str, ...]
    ) -> AutogradFact | None:
        """Return what autograd keeps of a call on values of these types; None if unknown."""
        ...
