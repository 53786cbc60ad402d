"""Bindings are used where they make exactly the operator's call, and nowhere else."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

import opscope
from opscope.runtime import compile_graph, find_overload, torch_literal
from opscope.tracer import ExactBindings
from support.replays import check_replay


def binding(text: str) -> Callable[..., Any] | None:
    graph = opscope.parse(text)
    (node,) = graph.walk()
    return ExactBindings(torch_literal)(node)


def test_a_function_that_makes_the_same_call_is_found() -> None:
    found = binding(
        "graph(%x : f32[2], %y : f32[2]):\n  %z : f32[2] = aten::add.Tensor(%x, %y, alpha=2)\n  return (%z)"
    )
    assert found is not None
    assert found.__name__ == "add"
    assert torch.equal(found(torch.ones(2), torch.ones(2), alpha=2), torch.full((2,), 3.0))


@pytest.mark.parametrize(
    "statement",
    [
        "%z : f32[2] = aten::add.Scalar(%x, 2)",  # Python's ``add`` calls ``add.Tensor`` for a number
        "%z : f32[2] = aten::_to_copy(%x, dtype=f32)",  # has no binding
        "%z : f32[2] = aten::no_such_operator(%x)",
        "%z : f32[2] = prim::make_subclass(%x, %x, False)",
    ],
)
def test_another_overload_or_no_binding_gives_none(statement: str) -> None:
    assert binding(f"graph(%x : f32[2]):\n  {statement}\n  return (%z)") is None


def test_nothing_runs_while_bindings_are_sought() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    text = "graph():\n  %z : f32[1000] = aten::rand([1000], device=device.cpu)\n  return (%z)"
    assert binding(text) is not None
    assert torch.equal(torch.rand(1), expected)
    assert not opscope.is_tracing()


def test_replays_through_bindings_are_exact() -> None:
    def program(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        values, indices = x.max(dim=1, keepdim=True)
        scaled = torch.addmm(x[:, 0], x, x.t(), beta=0.5, alpha=2) + 1
        parts = torch.cat([values, scaled], dim=-1).split([1, 2], dim=1)
        filled = torch.zeros(2, 2, dtype=torch.float64).masked_fill_(x[:, :2] > 0, 3.5)
        kept = torch.nn.functional.dropout(filled, 0.5) + torch.arange(2)
        return (
            indices,
            kept,
            *parts,
            torch.linalg.norm(x),
            x.clamp(min=0),
            x[..., None].to(torch.half),
        )

    traced = check_replay(program, torch.randn(2, 2))
    names = [
        f.__name__
        for k, f in traced._compiled.function.__globals__.items()
        if k.startswith("aten_")
    ]
    assert {"max", "addmm", "cat", "masked_fill_"} <= set(names)


@pytest.mark.parametrize(
    ("statement", "call"),
    [
        ("%z : f32[4] = aten::view(%x, [4])", "aten_view(x, 4)"),
        ("%z : f32[4, 1] = aten::view(%x, [4, 1])", "aten_view(x, 4, 1)"),
        ("%z : f32[4, 1] = aten::view(%x, [%n, 1])", "aten_view(x, n, 1)"),
        ("%z : f32[1] = aten::sum.dim_IntList(%x, [0], True)", "aten_sum_dim_IntList(x, 0, True)"),
        ("%z : f32[2] = aten::slice.Tensor(%x, 0, 1, %n)", "aten_slice_Tensor(x, slice(1, n))"),
        # Of another dimension, an index leaves the operator out where it takes all there is.
        ("%z : f32[4] = aten::slice.Tensor(%x, -1, 0, 4)", "aten_slice_Tensor(x, -1, 0, 4)"),
        ("%z : f32[4] = aten::roll(%x, [1], [0])", "aten_roll(x, 1, 0)"),
    ],
)
def test_numbers_are_spelled_as_torch_reads_them_soonest(statement: str, call: str) -> None:
    graph = opscope.parse(f"graph(%x : f32[4], %n : int):\n  {statement}\n  return (%z)")
    compiled = compile_graph(graph, {}, ExactBindings(torch_literal))
    assert f"z = {call}; del x" in compiled.source
    (node,) = graph.walk()
    x, n = torch.arange(4.0), 4
    args = [{"x": x, "n": n}.get(getattr(arg, "name", ""), arg) for arg in node.args]
    args = [[n, 1] if isinstance(arg, tuple) and "%n, 1" in statement else arg for arg in args]
    expected = find_overload(node.kind)._op(*map(_plain, args))
    assert torch.equal(compiled.function(x, n)[0], expected)


def _plain(arg: Any) -> Any:
    return list(arg) if isinstance(arg, tuple) else arg
