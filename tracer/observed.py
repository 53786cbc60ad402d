"""A recorder that also shows what each operator gave, to compare one run with another."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

import torch

from ..ir import Node
from .blocks.higher_order import ProgramRecorder
from .dispatch.dispatcher import Kernels
from .functions.apply_call import ApplyCall
from .functions.callees import Callee
from .functions.function_calls import tensors_in
from .recorders.calls import CallRecorder
from .state import TracingState

Observer = Callable[[Node, Any, tuple[Any, ...], Mapping[str, Any]], None]
"""Is told of a node that was recorded, with what the operator returned and what it was called with."""


class ObservedRecorder(ProgramRecorder):
    """Records as a :class:`ProgramRecorder` does and tells an observer of every operator, after it ran.

    What the observer itself computes is not recorded.
    """

    def __init__(
        self, state: TracingState, kernels: Kernels, outer: CallRecorder | None, observe: Observer
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
        before = self._last_node()
        result = super().record(op, keyset, args, kwargs, frame)
        self._show(before, result, args, kwargs)
        return result

    def record_higher_order(
        self,
        op: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: FrameType | None = None,
    ) -> Any:
        """Run one operator that takes functions, record it, show it, and return its result."""
        if frame is None:
            frame = sys._getframe(2)
        before = self._last_node()
        result = super().record_higher_order(op, args, kwargs, frame)
        self._show(before, tensors_in(result), args, kwargs)
        return result

    def record_function(self, function: Any, call: ApplyCall, frame: FrameType) -> Any:
        """Run one custom autograd function, record it, show it, and return its result."""
        before = self._last_node()
        result = super().record_function(function, call, frame)
        self._show(before, tensors_in(result), call.args, {})
        return result

    def record_call(
        self, callee: Callee, leaves: list[Any], run: Callable[..., tuple[Any, ...]]
    ) -> tuple[Any, ...]:
        """Run a traced program, record that as a call, show it, and return what it returned."""
        before = self._last_node()
        results = super().record_call(callee, leaves, run)
        self._show(before, results, tuple(leaves), {})
        return results

    def _last_node(self) -> Node | None:
        return self.state.graph.block.last

    def _show(
        self, before: Node | None, result: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        node = self._last_node()
        if node is not None and node is not before:
            with self._excluded():
                self._observe(node, result, args, kwargs)
