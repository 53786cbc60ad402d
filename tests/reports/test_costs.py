"""What runs how often: blocks, calls, batches; and what belongs to which phase and module."""

from typing import Any

import pytest
import torch

import opscope
from opscope import summarize
from opscope.ir import parse
from support.flops import counted_by_torch

MATMUL = 2 * 4 * 4 * 4


def test_the_arm_of_a_condition_that_costs_more_counts() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = torch.cond(x.sum() > 0, lambda x: x @ x, lambda x: x @ x @ x, (x,))
        return result

    summary = opscope.trace(program, torch.ones(4, 4), dynamic=False).summary()
    assert summary.flops == 2 * MATMUL
    assert summary.notes == ("higher_order::cond: the arm with more FLOPs counts",)


def test_a_while_loop_counts_once_and_says_so() -> None:
    def program(x: torch.Tensor) -> Any:
        def body(i: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return i + 1, x @ x

        return torch.while_loop(lambda i, x: i < 3, body, (torch.tensor(0), x))  # type: ignore[attr-defined]

    summary = opscope.trace(program, torch.ones(4, 4), dynamic=False, warn=False).summary()
    assert summary.flops == MATMUL
    assert "how often it turns is data" in summary.notes[0]


def test_a_scan_runs_once_per_slice() -> None:
    from torch._higher_order_ops import scan

    def program(x: torch.Tensor) -> Any:
        return scan(lambda c, x: (c + x @ x, c * 1), torch.zeros(4, 4), x)

    summary = opscope.trace(program, torch.ones(3, 4, 4), dynamic=False).summary()
    assert summary.flops == 3 * MATMUL


def test_vmap_runs_what_depends_on_its_batch_for_all_of_it() -> None:
    w = torch.ones(4, 4)

    def program(x: torch.Tensor) -> torch.Tensor:
        return torch.vmap(lambda row: (w @ w) @ row @ row)(x)

    x = torch.ones(3, 4, 4)
    summary = opscope.trace(program, x, dynamic=False).summary()
    assert summary.flops == (1 + 3 + 3) * MATMUL == counted_by_torch(lambda: program(x))


def test_gradients_inside_a_transform_are_said_not_to_count() -> None:
    traced = opscope.trace(torch.func.grad(lambda x: (x @ x).sum()), torch.ones(4, 4))
    summary = traced.summary()
    assert summary.flops == MATMUL
    assert "not counted" in summary.notes[0]


def test_a_custom_function_counts_by_its_forward() -> None:
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return x @ x

        @staticmethod
        def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
            return grad

    def program(x: torch.Tensor) -> Any:
        return Square.apply(x)  # type: ignore[no-untyped-call]

    x = torch.ones(4, 4, requires_grad=True)
    summary = opscope.trace(program, x, dynamic=False).summary()
    assert summary.flops == MATMUL
    assert summary.uncounted == {}
    assert "prim::autograd_function" in summary.notes[0]


CALLS = """
    graph Outer(%x : f32[4, 4]) -> (f32[4, 4]):
      state %inner.weight : f32[4, 4]{grad}
      scope a (Wrapper)
      %0 : f32[4, 4] = prim::call(@Inner, %x, %inner.weight)        # n.py:1:1 a (Wrapper)
      %1 : f32[4, 4] = prim::call(@Inner, %0, %inner.weight)        # n.py:2:1 a (Wrapper)
      return (%1)

    function Inner(%x : f32[4, 4], %w : f32[4, 4]) -> (f32[4, 4]):
      scope fc (Linear)
      %0 : f32[4, 4] = aten::linear(%x, %w)                         # m.py:5:1 fc (Linear)
      %1 : f32[4, 4] = aten::linear(%0, %w)                         # m.py:6:1 fc#2 (Linear)
      return (%1)
"""


def test_a_function_costs_what_it_does_at_each_call() -> None:
    summary = summarize(parse(CALLS))
    assert summary.flops == 4 * MATMUL
    found = [(r["path"], r["calls"], r["flops"], r["parameters"]) for r in summary.rows]
    assert found == [
        ("", 1, 4 * MATMUL, 16),
        ("a", 1, 4 * MATMUL, 16),
        ("a.@Inner", 2, 4 * MATMUL, 16),
        ("a.@Inner.fc", 4, 4 * MATMUL, 16),
    ]
    lines = [(r["name"], r["flops"]) for r in summarize(parse(CALLS), by="line").rows[1:]]
    assert lines == [
        ("m.py:5", 2 * MATMUL), ("m.py:6", 2 * MATMUL), ("n.py:1", 0), ("n.py:2", 0)
    ]  # fmt: skip


def test_a_function_that_calls_itself_ends() -> None:
    graph = parse(
        """
        graph(%x : f32[4, 4]) -> (f32[4, 4]):
          %0 : f32[4, 4] = prim::call(@f, %x)
          return (%0)
        function f(%x : f32[4, 4]) -> (f32[4, 4]):
          %0 : f32[4, 4] = aten::mm(%x, %x)
          %1 : f32[4, 4] = prim::call(@f, %0)
          return (%1)
        """
    )
    assert summarize(graph).flops == MATMUL


def test_backward_scopes_are_the_backward_of_their_module() -> None:
    graph = parse(
        """
        graph Net(%x : f32[4, 4], %g : f32[4, 4]) -> (f32[4, 4]):
          state %fc.weight : f32[4, 4]{grad}
          scope fc (Linear)
          %0 : f32[4, 4]{grad} = aten::linear(%x, %fc.weight)          # n.py:1:1 fc (Linear)
          mode no_grad
          %1 : f32[4, 4] = aten::mm(%g, %fc.weight)        # n.py:2:1 backward<backward>/fc (Linear)
          %2 : f32[4, 4] = aten::mm(%g, %x)                # n.py:2:1 backward<backward>/fc (Linear)
          return (%2)
        """
    )
    summary = summarize(graph)
    assert (summary.forward_flops, summary.backward_flops) == (MATMUL, 2 * MATMUL)
    assert summary.notes == ()
    row = summary.rows[1]
    assert (row["path"], row["calls"]) == ("fc", 1)
    assert (row["forward_flops"], row["backward_flops"]) == (MATMUL, 2 * MATMUL)


def test_the_phases_of_a_training_step() -> None:
    model = torch.nn.Linear(4, 4)
    optimizer = torch.optim.Adam(model.parameters())

    def step(x: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss: torch.Tensor = model(x).sum()
        loss.backward()
        optimizer.step()
        return loss

    traced = opscope.trace(step, torch.ones(4, 4), warn=False)
    summary = traced.summary()
    assert (summary.forward_flops, summary.backward_flops) == (MATMUL, MATMUL)
    assert summary.optimizer_nodes > 5
    assert summary.notes == ()
    ours = next(row for row in summary.rows if row["class"] == "Linear")
    assert (ours["calls"], ours["forward_flops"], ours["backward_flops"]) == (1, MATMUL, MATMUL)


def test_backward_without_scopes_is_told_by_its_lines_and_a_note_says_what_is_missing() -> None:
    graph = parse(
        """
        graph Net(%x : f32[4, 4], %w : f32[4, 4]) -> (f32[4, 4]):
          %0 : f32[4, 4] = aten::mm(%x, %w)                    # n.py:1:1
          %1 : f32[4, 4] = aten::relu(%0)                      # n.py:1:9
          %2 : f32[4, 4] = aten::threshold_backward(%1, %0, 0) # n.py:2:1
          %3 : f32[4, 4] = aten::mm(%2, %w)                    # n.py:2:1
          return (%3)
        """
    )
    summary = summarize(graph)
    assert (summary.forward_flops, summary.backward_flops) == (MATMUL, MATMUL)
    assert "the trace does not tell its modules" in summary.notes[0]


def test_hooks_called_by_backward_are_backward_and_what_a_closure_does_is_not_the_optimizers() -> (
    None
):
    w = torch.ones(4, 4, requires_grad=True)
    optimizer = torch.optim.SGD([w])

    def step(x: torch.Tensor) -> Any:
        def closure() -> torch.Tensor:
            return (x @ w).sum()

        return optimizer.step(closure)  # type: ignore[arg-type]

    summary = opscope.trace(step, torch.ones(4, 4), warn=False).summary()
    assert summary.forward_flops == MATMUL


@pytest.mark.parametrize(
    ("operator", "moved"),
    [
        ("%r : f32[4, 4] = aten::add.Tensor(%x, %y)", 3 * 64),
        ("%r : f32[4, 4] = aten::add.Tensor(%x, %x)", 2 * 64),
        ("%r : f32[4, 4] = aten::add_.Tensor(%x, %y)", 3 * 64),
        ("%r : f32[4, 4] = aten::copy_(%x, %y)", 2 * 64),
        ("%r : f32[4, 4] = aten::zero_(%x)", 64),
        ("%r : f32[16] = aten::view(%x, [16])", 0),
        ("%r : f32[16]{strides=[0]} = aten::expand(%x, [16])", 0),
        ("%r : f32[2, 4] = aten::embedding(%x, %i)", 2 * 32 + 16),
        ("%r : f32[4, 4] = aten::index_put_(%x, [%i], %z)", 2 * (16 + 16)),
        ("%r : f32[9, 4] = aten::mul.Tensor(%e, %z)", 16 + 16 + 144),
        ("%r : f32[4, 4] = aten::zeros([4, 4])", 64),
    ],
)
def test_bytes_that_an_operator_moves(operator: str, moved: int) -> None:
    graph = parse(
        f"""
        graph(%x : f32[4, 4], %y : f32[4, 4], %z : f32[4], %i : i64[2], %e : f32[9, 4]{{strides=[0, 1]}}):
          {operator}
          return (%r)
        """
    )
    assert summarize(graph).moved_bytes == moved


def test_a_graph_without_writes_costs_what_its_program_does() -> None:
    def program(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        y = x @ w
        y.addmm_(x, w)
        y[0].mul_(2)
        return y

    inputs = (torch.ones(4, 4), torch.ones(4, 4))
    plain = opscope.trace(program, inputs, dynamic=False).summary()
    functional = opscope.trace(program, inputs, force_outplace=True).summary()
    assert plain.flops == functional.flops == 2 * MATMUL
    assert functional.uncounted == {}


def test_an_operator_run_on_copies_counts_as_itself() -> None:
    graph = parse(
        """
        graph(%x : f32[4, 4], %y : f32[4, 4]):
          [%a : f32[4, 4], %b : f32[4, 4]] = prim::outplace("aten::addmm_", ["self"], %x, %y, %y)
          %c : f32[4] = prim::outplace("mylib::f", [], %x)
          return (%b)
        """
    )
    summary = summarize(graph)
    assert summary.flops == MATMUL
    assert [found.operator for found in summary.uncounted] == ["mylib::f"]


def test_quantized_products_count_and_what_has_no_size_does_not() -> None:
    graph = parse(
        """
        graph(%x : qu8[2, 4], %p : object, %s : f32[4, 4]{layout=sparse_coo},
            %n : f32[2, j0, 4]{layout=jagged}, %w : f32[4, 4]):
          %a : qu8[2, 8] = quantized::linear(%x, %p, 0.1, 0)
          %b : qu8[2, 8] = quantized::conv2d(%x, %p, 0.1, 0)
          %c : f32[4, 4] = aten::mm(%s, %w)
          %d : f32[2, j0, 4]{layout=jagged} = aten::linear(%n, %w)
          return (%a)
        """
    )
    summary = summarize(graph)
    assert summary.flops == 2 * 2 * 4 * 8
    assert {(found.operator, found.reason) for found in summary.uncounted} == {
        ("quantized::conv2d", "no formula"),
        ("aten::mm", "sparse or ragged"),
        ("aten::linear", "sparse or ragged"),
    }
    assert "at least 128" in str(summary)
    assert "quantized::conv2d (no formula)" in " ".join(str(summary).split())
