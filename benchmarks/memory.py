"""What a trace needs in tensor memory at its peak, against the same run without it.

Note [Counting tensor memory]
    Torch's allocators report every allocation and release to torch's profiler. Their running sum
    has the exact peak of live tensor bytes above those that lived before, the same at each run,
    and nothing else that the process holds blurs it. The graph itself is Python objects and is
    not counted.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch

import opscope

from .harness import Claim, Comparison, Effort, Report
from .models import Program, resnet50, small_gpt, vit_b_16

_MIB = 1 << 20


def memory(effort: Effort) -> Report:
    """Compare the peaks of a run and of a trace, with and without gradients."""
    rows: list[tuple[str, Callable[[], Program]]] = [
        ("ResNet-50", resnet50),
        ("ViT-B/16", vit_b_16),
        ("GPT, 12 small layers", small_gpt),
    ]
    comparisons = []
    for name, build in rows[-1:] if effort.is_quick else rows:
        program = build()
        comparisons.append(_compare(f"{name}, no_grad", program, grad=False))
        comparisons.append(_compare(f"{name}, grad", program, grad=True))
    return Report(
        "Peak tensor memory",
        "MiB",
        tuple(comparisons),
        (
            "Bytes of live tensors above those alive before, from the allocator's own reports to",
            "torch's profiler: exact, and the same at each run. The graph's Python objects do not count.",
        ),
    )


def peak_bytes(run: Callable[[], Any]) -> int:
    """Return the peak of live tensor bytes during ``run`` above those alive before it."""
    os.environ.setdefault(
        "KINETO_LOG_LEVEL", "6"
    )  # else the profiler notes on stderr that it starts
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


def _compare(what: str, program: Program, *, grad: bool) -> Comparison:
    module, args = program
    with torch.set_grad_enabled(grad):
        module(*args)
        opscope.trace(module, args)
        eager = peak_bytes(lambda: module(*args))
        traced = peak_bytes(lambda: opscope.trace(module, args))
    return Comparison(
        what,
        {"eager": eager / _MIB, "opscope": traced / _MIB},
        (Claim("opscope / eager", traced / eager, "x", 1.05),),
    )
