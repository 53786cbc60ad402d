"""How long each node of a run takes."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from time import perf_counter
from typing import Any

import torch

from ..ir import Node, Value


class Clock:
    """Times nodes: on the CPU by Python's clock; on CUDA by events, so that no node waits for the device.

    Args:
        uses_cuda: whether tensors of the run are on CUDA devices.
    """

    def __init__(self, *, uses_cuda: bool) -> None:
        self._uses_cuda = uses_cuda
        self._seconds: dict[Node, list[float]] = {}
        self._events: list[tuple[Node, torch.cuda.Event, torch.cuda.Event]] = []
        self._start_event: torch.cuda.Event | None = None
        self._start = 0.0

    def begin(self, values: Mapping[Value, Any]) -> None:
        """Take no notice."""

    def before(self, node: Node) -> None:
        """Start the time of a node."""
        if self._uses_cuda:
            self._start_event = _now()
        self._start = perf_counter()

    def after(self, node: Node, values: Mapping[Value, Any]) -> None:
        """End the time of a node: that of the device if it works on tensors there."""
        seconds = perf_counter() - self._start
        start, self._start_event = self._start_event, None
        if start is not None and _is_on_cuda(node, values):
            self._events.append((node, start, _now()))
        else:
            self._seconds.setdefault(node, []).append(seconds)

    def forget(self) -> None:
        """Forget all that was measured."""
        self._settle()
        self._seconds.clear()

    def medians(self) -> dict[Node, float]:
        """Return the median of the times of each node, in seconds."""
        self._settle()
        return {node: median(times) for node, times in self._seconds.items()}

    def _settle(self) -> None:
        if self._events:
            torch.cuda.synchronize()
        for node, start, end in self._events:
            self._seconds.setdefault(node, []).append(start.elapsed_time(end) / 1000)
        self._events.clear()


def _now() -> torch.cuda.Event:
    event: torch.cuda.Event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    event.record()
    return event


def _is_on_cuda(node: Node, values: Mapping[Value, Any]) -> bool:
    found = (values.get(value) for value in (*node.outputs, *node.inputs))
    return any(isinstance(each, torch.Tensor) and each.is_cuda for each in found)
