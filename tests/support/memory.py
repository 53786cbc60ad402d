"""What a run needs of tensor memory, by torch's own reports."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import nn


def peak_bytes(run: Callable[[], Any]) -> int:
    """Return the peak of live tensor bytes during ``run`` above those alive before it."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # else the profiler notes that it starts
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        result = run()
    del result
    events = [e for e in profile.profiler.kineto_results.events() if e.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    live = peak = 0
    for event in events:
        live += event.nbytes()  # negative where memory is released
        peak = max(peak, live)
    return peak


def saved_bytes(
    model: nn.Module, run: Callable[[], Any], inputs: tuple[torch.Tensor, ...] = ()
) -> int:
    """Return the bytes of all memory that autograd saves in ``run``, state and inputs aside."""
    known = [*model.parameters(), *model.buffers(), *inputs]
    outside = {tensor.untyped_storage().data_ptr() for tensor in known}
    saved: dict[int, int] = {}
    alive = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in outside:
            saved[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor.detach())  # else its address would be taken again
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    return sum(saved.values())
