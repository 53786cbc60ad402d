"""What the profiling executor adds to a call: guards, and what plans save of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import opscope
from opscope.runtime.executor import Kind
from opscope.runtime.executor.facts import facts_of
from opscope.runtime.executor.guard import PlanGuard

from .harness import Claim, Comparison, Effort, Report, interleave

_INPUTS = 20
_CALLS = 1000  # of a guard, within a round


def executor(effort: Effort) -> Report:
    """Check guards of 20 inputs, and run a program of many sizes with and without plans."""
    return Report(
        "Profiling executor",
        "µs",
        (*[_guard(kind, effort) for kind in (Kind.STATIC, Kind.DYNAMIC)], _sizes(effort)),
        (
            f"Guards: all of {_INPUTS} inputs of three dimensions are checked, and hold.",
            "Program: reshapes by sizes that it computes, 50 times on 4x4 tensors, without gradients.",
        ),
    )


def _guard(kind: Kind, effort: Effort) -> Comparison:
    inputs = [torch.randn(3, 4, 5) for _ in range(_INPUTS)]
    program = opscope.trace(lambda *inputs: [x * 2 for x in inputs], tuple(inputs))
    found = [(n, program.type_of(x), False) for n, x in enumerate(inputs)]
    admits = PlanGuard(_INPUTS, facts_of(program.input_dimensions(), found, kind), True).admits
    assert admits(*inputs)

    def check() -> None:
        for _ in range(_CALLS):
            admits(*inputs)

    samples = interleave({"guard": check}, effort.budget_s / 4)
    micros = samples.median("guard") * 1e6 / _CALLS
    return Comparison(
        f"{kind} guard, {_INPUTS} inputs",
        {"guard": micros},
        (Claim("guard", micros, "µs", 20),),
    )


def _sizes(effort: Effort) -> Comparison:
    function, x = _reshaping(50), torch.randn(4, 4)
    with torch.no_grad():
        traced = opscope.trace(function, x)
        static = opscope.ProfilingExecutor(traced)
        dynamic = opscope.ProfilingExecutor(traced, fusion_strategy=[("dynamic", 1)])
        for settle in (static, dynamic) * 2:
            settle(x)
        contestants: dict[str, Callable[[], Any]] = {
            "replay": lambda: traced(x),
            "static": lambda: static(x),
            "dynamic": lambda: dynamic(x),
        }
        samples = interleave(contestants, effort.budget_s)
    return Comparison(
        "program",
        {name: samples.median(name) * 1e6 for name in contestants},
        (
            Claim("static / replay", samples.ratio("static", "replay"), "x", 1),
            Claim("dynamic / replay", samples.ratio("dynamic", "replay")),
        ),
    )


def _reshaping(times: int) -> Callable[[torch.Tensor], torch.Tensor]:
    def reshape(x: torch.Tensor) -> torch.Tensor:
        for _ in range(times):
            rows, columns = x.shape
            x = (x + 1).view(rows * columns // 2, 2).view(rows, columns)
        return x

    return reshape
