"""What it costs to print, copy and check graphs of real networks, against those of torch.export."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final

import torch

import opscope
from opscope import ir

from .harness import Claim, Comparison, Effort, Report, interleave
from .models import Program, resnet50, small_gpt2
from .peer_graphs import fx_copy

_FX: Final = "torch.fx"
_TYPED: Final = "with types"
_TURN_S: Final = 0.05  # these graphs are small: several calls make a turn


def network_graphs(effort: Effort) -> Report:
    """Do with the graphs of two networks what every user of a graph does."""
    return Report(
        "Graphs of networks",
        "ms",
        (*_rows("GPT-2", small_gpt2(), effort), *_rows("ResNet-50", resnet50(), effort)),
        (
            "GPT-2 of transformers with 12 small layers, and ResNet-50 of examples/; in brackets how many",
            "nodes opscope and torch.export.export(strict=False) make of them. torch.fx: str(graph), which",
            "has no types and no lines; python_code(verbose=True), which has both; graph_copy; lint. Time",
            "of the processor, for calls in a row.",
        ),
    )


def _rows(name: str, program: Program, effort: Effort) -> list[Comparison]:
    module, args = program
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = opscope.trace(module, args).graph
        fx = torch.export.export(module, args, strict=False).graph
    nodes = f"{name} ({len(ours.block)}, {len(fx.nodes)})"
    texts = {_FX: lambda: str(fx), _TYPED: lambda: fx.python_code("self", verbose=True)}
    rows = [
        (f"print {nodes}", lambda: str(ours), texts, {_TYPED: 3}),
        ("copy", ours.copy, {_FX: lambda: fx_copy(fx)}, {_FX: 3}),
        ("verify", lambda: ir.verify(ours), {_FX: fx.lint}, {}),
    ]
    return [_row(*row, effort) for row in rows]


def _row(
    what: str,
    ours: Callable[[], Any],
    theirs: Mapping[str, Callable[[], Any]],
    at_least: Mapping[str, float],
    effort: Effort,
) -> Comparison:
    both = {"opscope": ours, **theirs}
    samples = interleave(both, effort.budget_s / 4, clock=time.process_time, turn_s=_TURN_S)
    claims = [
        Claim(
            f"{name} / opscope",
            samples.ratio(name, "opscope"),
            limit=at_least.get(name),
            is_at_least=True,
        )
        for name in theirs
    ]
    return Comparison(what, {name: samples.median(name) * 1e3 for name in both}, tuple(claims))
