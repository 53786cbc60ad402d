"""What a node of the graph is in torch.fx where it is one call: operators of torch, and those on numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from ...ir.scalars import scalar_form
from ...passes.scalar_evaluation import FUNCTIONS

METHODS: Final[Mapping[str, str]] = {
    "aten::dim": "dim",
    "aten::is_contiguous": "is_contiguous",
    "prim::is_view": "_is_view",
    "prim::is_inference": "is_inference",
    "prim::is_shared": "is_shared",
    "prim::is_conj": "is_conj",
    "prim::is_neg": "is_neg",
}
"""Facts of tensors that a method gives."""

ATTRIBUTES: Final[Mapping[str, str]] = {
    "prim::requires_grad": "requires_grad",
    "prim::is_leaf": "is_leaf",
    "prim::retains_grad": "retains_grad",
    "prim::version": "_version",
}
"""Facts of tensors that an attribute is."""

ABSENCES: Final[Mapping[str, str]] = {
    "prim::has_no_history": "grad_fn",
    "prim::has_no_gradient": "grad",
    "prim::is_no_view": "_base",
}
"""Facts of tensors that an attribute is None."""


def arithmetic(kind: str) -> Callable[..., Any] | None:
    """Return Python's function for an operator on numbers; None for all other operators."""
    if scalar_form(kind) is None:
        return None
    return FUNCTIONS.get(kind.partition(".")[0])
