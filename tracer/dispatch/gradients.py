"""Gradients that are there when a program starts: ``weight.grad`` is read from ``weight`` at each run."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from .dispatcher import quiet


def owner_of_gradient(
    tensor: torch.Tensor, candidates: Iterable[torch.Tensor]
) -> torch.Tensor | None:
    """Return the one of some tensors whose ``.grad`` a tensor is; None if there is none."""
    with quiet():  # subclasses have a say in reading attributes
        for owner in candidates:
            # Reading the ``.grad`` of what is not a leaf makes torch warn.
            if owner.is_leaf and owner.grad is tensor:
                return owner
    return None
