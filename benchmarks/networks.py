"""What tracing whole networks costs over running them once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch

import opscope

from .harness import Claim, Comparison, Effort, Report, interleave
from .models import Program, gpt2, resnet50, small_gpt, small_gpt2, torchscript, vit_b_16


def networks(effort: Effort) -> Report:
    """Trace real networks once each, on the CPU, without gradients."""
    rows: list[tuple[str, Callable[[], Program], float | None]] = [
        ("ResNet-50", resnet50, 1.25),
        ("ViT-B/16", vit_b_16, 1.25),
        ("GPT, 12 small layers", small_gpt, 1.8),
        ("GPT-2, 12 small layers", small_gpt2, 1.8),
    ]
    if not effort.is_quick:
        rows.append(("GPT-2", gpt2, None))
    return Report(
        "One trace of a network",
        "ms",
        tuple(_compare(name, build(), limit, effort) for name, build, limit in rows),
        (
            "One forward pass on one example, no_grad; in brackets, how many operators it runs.",
            "ResNet, ViT and GPT are those of examples/, GPT-2 is that of transformers.",
            "jit.trace: check_trace=False, strict=False, which lets it return dictionaries.",
        ),
    )


def _compare(what: str, program: Program, limit: float | None, effort: Effort) -> Comparison:
    module, args = program
    contestants: dict[str, Callable[[], Any]] = {
        "eager": lambda: module(*args),
        "opscope": lambda: opscope.trace(module, args),
        "jit.trace": lambda: torchscript(module, args),
    }
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        operators = len(opscope.trace(module, args).graph.block)
        failing = [name for name, run in contestants.items() if not _runs(run)]
        running = {name: run for name, run in contestants.items() if name not in failing}
        samples = interleave(running, effort.budget_s)
    claims = [Claim("opscope / eager", samples.ratio("opscope", "eager"), "x", limit)]
    if "jit.trace" in running:
        claims.append(Claim("jit.trace / eager", samples.ratio("jit.trace", "eager")))
    figures = {
        name: samples.median(name) * 1e3 if name in running else None for name in contestants
    }
    return Comparison(f"{what} ({operators})", figures, tuple(claims))


def _runs(run: Callable[[], Any]) -> bool:
    try:
        run()
    except (RuntimeError, ValueError):  # torch.jit.trace meets a value that it does not know
        return False
    return True
