"""What tracing a whole training step costs over running it once, in time and in memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import opscope

from .harness import Claim, Comparison, Effort, Report, interleave
from .memory import peak_bytes
from .models import TrainingStep, gpt_step, resnet50_step, small_gpt_step


def steps(effort: Effort) -> Report:
    """Trace training steps once each, on the CPU."""
    rows: list[tuple[str, Callable[[], TrainingStep], float | None]] = [
        ("GPT, 12 small layers, AdamW", small_gpt_step, None),
        ("ResNet-50, SGD with momentum", resnet50_step, 2),
        ("GPT, 12 layers of GPT-2's size, AdamW", gpt_step, 2),
    ]
    return Report(
        "One trace of a training step",
        "ms",
        tuple(
            _compare(name, build(), limit, effort)
            for name, build, limit in (rows[:1] if effort.is_quick else rows)
        ),
        (
            "Forward, loss, backward and optimizer; in brackets, how many nodes that is, all levels deep.",
            "ResNet takes 4 images of 224 x 224, the GPTs one sentence of 128 tokens.",
            "Peak: bytes of live tensors above those alive before the step.",
        ),
    )


def _compare(what: str, program: TrainingStep, limit: float | None, effort: Effort) -> Comparison:
    step, inputs, model = program

    def eager() -> Any:
        return step(*inputs)

    def trace() -> Any:
        return opscope.trace(step, inputs)

    def peak_of(run: Callable[[], Any]) -> int:
        model.zero_grad()  # else the step releases gradients that it has not made
        return peak_bytes(run)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = trace()
        nodes = sum(1 for _ in traced.graph.walk())
        samples = interleave(
            {"eager": eager, "opscope": trace, "replay": lambda: traced(*inputs)},
            effort.budget_s,
        )
        peak = peak_of(trace) / peak_of(eager)
    return Comparison(
        f"{what} ({nodes:,})",
        {name: samples.median(name) * 1e3 for name in ("eager", "opscope", "replay")},
        (
            Claim("opscope / eager", samples.ratio("opscope", "eager"), "x", limit),
            Claim("replay / eager", samples.ratio("replay", "eager")),
            Claim("peak / eager's", peak, "x", 1.05),
        ),
    )
