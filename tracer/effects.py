"""What a run changed without an operator: gradients, rebound buffers, the caller's containers.

A graph holds operators, so a replay does not do these things again. They are found by comparing what
there was before the run with what there is after it, and reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch

from .inputs import input_leaves
from .program_state import ProgramState


class Before:
    """What a program could change, noted before it runs."""

    def __init__(
        self, kept: ProgramState, bound: dict[str, Any], leaves: list[torch.Tensor]
    ) -> None:
        self._kept = kept
        self._bound = bound
        self._leaves = leaves
        self._paths = _leaf_paths(bound)[1]
        self._gradients = [
            (tensor, _gradient(tensor))
            for tensor in (*kept.candidates(), *leaves)
            if tensor.is_leaf
        ]

    def changes(self) -> Iterator[str]:
        """Yield, in words, each thing that the run changed and that a replay will not change."""
        written = sum(1 for tensor, before in self._gradients if _gradient(tensor) != before)
        if written:
            yield (
                f"backward() wrote the .grad of {written} tensor{'s' if written > 1 else ''}; a replay "
                "computes these gradients and does not store them"
            )
        rebound = list(self._kept.rebound())
        if rebound:
            yield (
                f"the program replaced {_listed(rebound)} by another tensor; a replay reads the one that "
                "was there at the trace"
            )
        leaves, paths = _leaf_paths(self._bound)
        if paths != self._paths or any(
            a is not b for a, b in zip(leaves, self._leaves, strict=True)
        ):
            yield (
                "the program changed a container or an object among its arguments; a replay leaves its "
                "arguments as they are, except for what operators write into tensors"
            )


def _leaf_paths(bound: dict[str, Any]) -> tuple[list[torch.Tensor], list[str]]:
    leaves, structure = input_leaves(bound)
    return leaves, structure.leaf_paths()


def _gradient(tensor: torch.Tensor) -> tuple[int, int] | None:
    """Return what tells one state of a leaf's gradient from another."""
    gradient = (
        tensor.grad if tensor.is_leaf else None
    )  # an input that was written is a leaf no more
    return None if gradient is None else (id(gradient), gradient._version)


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
