"""What passes ask about torch's operators, answered by torch when the first of them asks."""

from __future__ import annotations

from functools import cached_property

from ..ir import Argument, Operator
from ..passes.torch_facts import AutogradFact, ResultFact, TorchFacts


class FactsWhenAsked:
    """Answers questions of passes; loads torch at the first, and knows nothing where there is none."""

    @cached_property
    def _facts(self) -> TorchFacts | None:
        try:
            from .operators import torch_facts  # loads torch, which most passes need not
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            return None
        return torch_facts()

    def overloads(self, base_name: str) -> tuple[Operator, ...]:
        """Return every overload of a name without overload; none if it is not known."""
        return () if self._facts is None else self._facts.overloads(base_name)

    def is_replaced(self, operator: Operator) -> bool:
        """Whether somebody has registered a kernel in Python for an operator of torch's."""
        return self._facts is not None and self._facts.is_replaced(operator)

    def outcome(
        self, operator: Operator, args: tuple[Argument, ...], keywords: tuple[str, ...]
    ) -> tuple[ResultFact, ...] | None:
        """Return what a call on values of these types gives, lists taken apart; None if unknown."""
        return None if self._facts is None else self._facts.outcome(operator, args, keywords)

    def is_differentiable(
        self, operator: Operator, args: tuple[Argument, ...], keywords: tuple[str, ...]
    ) -> bool:
        """Whether autograd can go back through a call."""
        return self._facts is None or self._facts.is_differentiable(operator, args, keywords)

    def autograd(
        self, operator: Operator, args: tuple[Argument, ...], keywords: tuple[str, ...]
    ) -> AutogradFact | None:
        """Return what autograd keeps of a call on values of these types; None if unknown."""
        return None if self._facts is None else self._facts.autograd(operator, args, keywords)
