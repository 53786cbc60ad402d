"""What a checkpoint computes again in a backward pass is computed, and recorded, to its end.

Torch stops as soon as what the backward needs is there, by an error out of the operator whose result autograd
saves last. So the backward would read a tensor that no operator has returned.
"""

from __future__ import annotations

from contextlib import ExitStack

from torch.utils.checkpoint import set_checkpoint_early_stop

from ..dispatch.replacing import Undo


def recompute_to_the_end(undo: Undo) -> None:
    """Let no checkpoint stop early that a program makes from now on."""
    stack = ExitStack()
    undo.add(stack.close)
    stack.enter_context(set_checkpoint_early_stop(False))
