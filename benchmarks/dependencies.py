"""What tracing which Python modules run costs, beside torch.package's own tracer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Final

import torch
from torch.package.analyze.trace_dependencies import (
    trace_dependencies as torch_trace_dependencies,
)

from opscope.footprint import trace_dependencies

from .harness import Claim, Comparison, Effort, Report, interleave

_CALLS: Final = 20  # a single one takes too little to be told from what a cold cache costs


def dependencies(effort: Effort) -> Report:
    """Trace the modules of networks that compute little, and of code in Python alone."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more would wait for each other, which takes time of the processor
    try:
        return _report(effort)
    finally:
        torch.set_num_threads(threads)


def _report(effort: Effort) -> Report:
    layer = torch.nn.TransformerEncoderLayer(32, 2, 64, batch_first=True)
    encoder = torch.nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
    linears = torch.nn.Sequential(*(torch.nn.Linear(8, 8) for _ in range(50)))
    document = {"a": [1, 2, {"b": [None, True, "text"]}] * 40}
    rows: list[tuple[str, Callable[..., Any], tuple[Any, ...]]] = [
        ("encoder, 4 small layers", encoder, (torch.randn(2, 8, 32),)),
        ("50 small linear layers", linears, (torch.randn(2, 8),)),
        ("JSON, written in Python", json.JSONEncoder(indent=1).encode, (document,)),
        ("a function that calls itself", _fibonacci, (16,)),
    ]
    return Report(
        "Tracing which Python modules run",
        "ms",
        tuple(_compare(*row, effort) for row in rows),
        (
            f"{_CALLS} calls, no_grad, one thread, time of the processor. The ratio is that of what each"
            " takes longer than the calls alone.",
            "A function that only calls itself is all overhead: before 3.12, that Python calls a profile"
            " function at each call and return is half of what torch.package takes there, whatever it does.",
        ),
    )


def _compare(
    what: str, function: Callable[..., Any], args: tuple[Any, ...], effort: Effort
) -> Comparison:
    contestants: dict[str, Callable[[], Any]] = {
        "calls": lambda: [function(*args) for _ in range(_CALLS)],
        "opscope": lambda: trace_dependencies(function, [args] * _CALLS),
        "torch.package": lambda: torch_trace_dependencies(function, [args] * _CALLS),
    }
    with torch.no_grad():
        samples = interleave(contestants, effort.budget_s, clock=time.process_time)
    return Comparison(
        what,
        {name: samples.median(name) * 1e3 for name in contestants},
        (
            Claim(
                "slowdown / torch.package",
                samples.ratio("opscope", "torch.package", "calls"),
                "x",
                0.5,
            ),
            Claim("opscope / calls", samples.ratio("opscope", "calls")),
        ),
    )


def _fibonacci(n: int) -> int:
    return n if n < 2 else _fibonacci(n - 1) + _fibonacci(n - 2)
