"""What tells of optimizers that no name leads to: one that takes a step, or is made, while a program runs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from ..dispatch.dispatcher import Kernels, listeners
from ..dispatch.replacing import Patch, Undo


def optimizers(installed: Kernels) -> Iterator[Patch]:
    """Yield what tells of new optimizers, whose numbers are no state: each run makes them."""
    yield torch.optim.Optimizer, "__init__", functools.partial(_made, installed)


def _made(installed: Kernels, init: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(init)
    def __init__(self: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> None:
        for unseen in listeners(installed):
            unseen.optimizer_made(self)
        init(self, *args, **kwargs)

    return __init__


def tell_of_steps(installed: Kernels, undo: Undo) -> None:
    """Tell of each step before it is taken."""

    def stepping(optimizer: torch.optim.Optimizer, *arguments: Any) -> None:
        # Outer traces first: an inner one puts its numbers in the place of theirs.
        for unseen in reversed(listeners(installed)):
            unseen.optimizer_steps(optimizer)

    undo.add(register_optimizer_step_pre_hook(stepping).remove)
