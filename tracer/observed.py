"""A recorder that also shows what each operator gave, to compare one run with another."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

import torch

from ..ir import Node
from .dispatcher import Kernels
from .higher_order import ProgramRecorder
from .record import Recorder
from .state import TracingState

Observer = Callable[[Node, Any, tuple[Any, ...], Mapping[str, Any]], None]
"""Is told of a node that was recorded, with what the operator returned and what it was called with."""


class ObservedRecorder(ProgramRecorder):
    """Records as a :class:`ProgramRecorder` does and tells an observer of every operator, after it ran.

    What the observer itself computes is not recorded.
    """

    def __init__(
        self, state: TracingState, kernels: Kernels, outer: Recorder | None, observe: Observer
    ) -> None:
        super().__init__(state, kernels, outer)
        self._observe = observe

    def record(
        self,
        op: torch._ops.OpOverload,
        keyset: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: FrameType | None = None,
    ) -> Any:
        """Run one operator, record it, show it, and return what it returned."""
        if frame is None:
            frame = sys._getframe(2)
        block = self.state.graph.block
        before = next(reversed(block), None)
        result = super().record(op, keyset, args, kwargs, frame)
        node = next(reversed(block), None)
        if node is not None and node is not before:
            with self._excluded():
                self._observe(node, result, args, kwargs)
        return result
