"""Functional graphs: the pass on text, and functional replay against eager, bit by bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import opscope
from opscope.ir import Effect
from opscope.ir.mutation import Mutation
from opscope.testing import check_text
from support.replays import tensors_of


def check_functionalize(before: str, after: str) -> tuple[Mutation, ...]:
    """Run the pass on a graph's text; its result must read as ``after`` and change no more."""
    graph = opscope.parse(before)
    mutations = opscope.functionalize(graph)
    check_text(graph, after)
    assert writes_of(graph) == []
    assert opscope.functionalize(graph) == ()
    check_text(graph, after)
    return mutations


def writes_of(graph: opscope.Graph) -> list[str]:
    """Return the operators in a graph that write or may write."""
    return [n.kind for n in graph.walk() if n.effects & (Effect.WRITES | Effect.UNKNOWN)]


def check_functional(
    function: Callable[..., Any], *args: Any, gradients: bool = True
) -> opscope.TracedProgram:
    """Trace to a functional graph, replay it, and run eagerly: all must agree bit by bit.

    That means results with their strides, what inputs contain afterwards, whether they require grad,
    the random numbers drawn, and the gradients of what was differentiable before.
    """
    ours, theirs, traced_with = _copies(args), _copies(args), _copies(args)
    torch.manual_seed(11)
    expected = function(*_passed(theirs))
    after_eager = torch.rand(1)
    torch.manual_seed(11)
    traced = opscope.trace(function, tuple(_passed(traced_with)), warn=False, force_outplace=True)
    assert torch.equal(torch.rand(1), after_eager), "tracing drew other random numbers"
    assert writes_of(traced.graph) == []
    torch.manual_seed(11)
    actual = traced(*_passed(ours))
    assert torch.equal(torch.rand(1), after_eager), "the replay drew other random numbers"
    results = list(zip(tensors_of(actual), tensors_of(expected), strict=True))
    inputs = list(zip(tensors_of(_passed(ours)), tensors_of(_passed(theirs)), strict=True))
    for one, other in (*results, *inputs):
        assert_same(one, other)
    if gradients:
        _check_gradients(results, ours, theirs)
    opscope.verify(traced.graph)
    assert str(opscope.parse(str(traced.graph))) == str(traced.graph)
    return traced


def assert_same(one: torch.Tensor, other: torch.Tensor) -> None:
    """Check that two tensors agree bit by bit, and in type, strides and requirement of gradients."""
    assert one.dtype == other.dtype
    assert one.shape == other.shape
    assert one.stride() == other.stride()
    assert one.requires_grad == other.requires_grad
    if one.is_floating_point():
        assert torch.equal(one.isnan(), other.isnan())
        one, other = one.nan_to_num(), other.nan_to_num()
    assert torch.equal(one, other)


def _copies(args: tuple[Any, ...]) -> list[tuple[Any, Any]]:
    """Return each argument's leaf and what to pass: a leaf that requires grad cannot be written."""
    pairs = []
    for arg in args:
        if not isinstance(arg, torch.Tensor):
            pairs.append((arg, arg))
            continue
        leaf = arg.detach().clone().requires_grad_(arg.requires_grad)
        pairs.append((leaf, leaf if arg.is_leaf else leaf * 1))
    return pairs


def _passed(pairs: list[tuple[Any, Any]]) -> list[Any]:
    return [passed for _, passed in pairs]


def _check_gradients(
    results: list[tuple[torch.Tensor, torch.Tensor]],
    ours: list[tuple[Any, Any]],
    theirs: list[tuple[Any, Any]],
) -> None:
    after = list(zip(_passed(ours), _passed(theirs), strict=True))
    pairs = [
        (a, b) for a, b in (*results, *after) if isinstance(a, torch.Tensor) and b.requires_grad
    ]
    try:
        expected = _gradients([b for _, b in pairs], theirs)
    except RuntimeError:  # the program writes what its own backward needs
        return
    actual = _gradients([a for a, _ in pairs], ours)
    for one, other in zip(actual, expected, strict=True):
        # No gradient and a gradient of zero are the same to whatever comes next.
        if one is not None or other is not None:
            one = torch.zeros_like(other) if one is None and other is not None else one
            other = torch.zeros_like(one) if other is None and one is not None else other
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def _gradients(
    results: list[torch.Tensor], leaves: list[tuple[Any, Any]]
) -> tuple[torch.Tensor | None, ...]:
    tensors = [x for x, _ in leaves if isinstance(x, torch.Tensor)]
    wanted = [x for x in tensors if x.requires_grad and x.is_leaf]
    if not wanted or not results:
        return ()
    weighted = [x * torch.arange(1.0, x.numel() + 1).view(x.shape) for x in results]
    total = torch.stack([part.sum().to(torch.float64) for part in weighted]).sum()
    return torch.autograd.grad(total, wanted, allow_unused=True)
