"""What it costs to build, print, parse, verify and copy a large graph, against torch.fx."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch

from opscope import ir

from .harness import Claim, Comparison, Effort, Report, interleave

_SHAPE = (8, 64)


def graphs(effort: Effort) -> Report:
    """Do with 100,000 nodes of two operands each what every user of a graph does."""
    size = effort.size(100_000, 10_000)
    ours, theirs = build_graph(size), build_fx_graph(size)
    text = str(ours)
    return Report(
        f"Graphs of {size:,} nodes",
        "ms",
        (
            _compare("build", lambda: build_graph(size), lambda: build_fx_graph(size), effort),
            _compare("print", lambda: str(ours), lambda: str(theirs), effort, at_least=3),
            _compare("parse", lambda: ir.parse(text), None, effort),
            _compare("verify", lambda: ir.verify(ours), theirs.lint, effort, at_least=1),
            _compare("copy", ours.copy, lambda: _copy_fx_graph(theirs), effort, at_least=3),
        ),
        (
            "Every node adds two values and has a type, in torch.fx none. torch.fx builds with",
            "call_function, verifies with lint, which checks less, copies with graph_copy; it has no parser.",
        ),
    )


def build_graph(size: int) -> ir.Graph:
    """Return a graph in which each node adds the last two values."""
    graph = ir.Graph("adds")
    type_ = ir.TensorType(ir.DType.F32, _SHAPE)
    add = ir.Operator("aten::add.Tensor", effects=ir.Effect.NONE)
    one, other = graph.add_input(type_, "x"), graph.add_input(type_, "y")
    for _ in range(size):
        one, other = other, graph.append(add, (one, other), (type_,)).output
    graph.set_outputs([other])
    return graph


def build_fx_graph(size: int) -> torch.fx.Graph:
    """Return the same graph in torch.fx."""
    graph = torch.fx.Graph()
    one, other = graph.placeholder("x"), graph.placeholder("y")
    for _ in range(size):
        one, other = other, graph.call_function(operator.add, (one, other))
    graph.output(other)
    return graph


def _copy_fx_graph(graph: torch.fx.Graph) -> torch.fx.Graph:
    copy = torch.fx.Graph()
    copy.output(copy.graph_copy(graph, {}))
    return copy


def _compare(
    what: str,
    ours: Callable[[], Any],
    theirs: Callable[[], Any] | None,
    effort: Effort,
    at_least: float | None = None,
) -> Comparison:
    contestants = {"opscope": ours} if theirs is None else {"opscope": ours, "torch.fx": theirs}
    samples = interleave(contestants, effort.budget_s)
    figures: dict[str, float | None] = {name: samples.median(name) * 1e3 for name in contestants}
    claims = (
        ()
        if theirs is None
        else (
            Claim("torch.fx / opscope", samples.ratio("torch.fx", "opscope"), "x", at_least, True),
        )
    )
    return Comparison(what, figures, claims)
