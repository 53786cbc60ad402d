"""Gradients that are there when a program starts, and what autograd's engine tells of its work."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import CodeType
from typing import Any, Final, cast

import torch
from torch.autograd.graph import _engine_run_backward

from .dispatcher import plain_is_leaf, quiet

sequence_number: Callable[[], int] = torch._C._autograd._get_sequence_nr
"""Return the number that the next node of autograd's graph made by this thread will have."""

running_history: Callable[[], Any] = torch._C._current_autograd_node
"""Return the node of autograd's graph that this thread's engine runs; None outside a backward pass."""

ENGINE_CODE: Final[CodeType] = _engine_run_backward.__code__
"""The code of the function that calls the engine, below which its operators run."""


def leaf_of(history: Any) -> torch.Tensor | None:
    """Return the tensor for which a node of autograd's graph collects gradients; None for other nodes."""
    leaf = getattr(history, "variable", None)
    return leaf if isinstance(leaf, torch.Tensor) else None


_base: Any = cast(Any, torch._C).TensorBase
_plain_gradient: Any = _base.grad.__get__
plain_retains_grad: Callable[[torch.Tensor], bool] = _base.retains_grad.__get__
"""Return ``tensor.retains_grad`` itself, whatever stands before it while a trace runs."""


def gradient_of(tensor: torch.Tensor) -> torch.Tensor | None:
    """Return the gradient of a tensor; None where it has none, or can have none."""
    if not (plain_is_leaf(tensor) or plain_retains_grad(tensor)):
        return None  # reading ``.grad`` would make torch warn
    return cast("torch.Tensor | None", _plain_gradient(tensor))


def owner_of_gradient(
    tensor: torch.Tensor, candidates: Iterable[torch.Tensor]
) -> torch.Tensor | None:
    """Return the one of some tensors whose ``.grad`` a tensor is; None if there is none."""
    with quiet():  # subclasses have a say in reading attributes
        return next((owner for owner in candidates if gradient_of(owner) is tensor), None)
