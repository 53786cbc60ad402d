"""Aliases to canonical operators: on text, and on every alias that torch has, bit by bit."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

import opscope
from opscope.ir import parse
from opscope.passes.normalize_ops import NormalizeOps
from opscope.testing import check_pass


def test_aliases_go_by_the_name_of_what_they_are() -> None:
    result = check_pass(
        NormalizeOps(),
        """
        graph(%x : f32[2, 4]):
          %a : f32[2, 4] = aten::multiply.Tensor(%x, 2)           # net.py:4:8 act (Act)
          %b : f32[4, 2]{strides=[1, 4]} = aten::swapaxes(%a, 0, axis1=1)
          %c : f32[4, 2]{strides=[1, 4]} = aten::clip(%b, max=1)
          %d : f32[4, 2]{strides=[1, 4]} = aten::negative_(%c)
          %e : f32[4, 4] = aten::concat([%d, %c], 1)
          %f : f32[4, 4] = aten::subtract.out(%e, 1, out=%e)
          return (%f)
        """,
        """
        graph(%x : f32[2, 4]):
          %a : f32[2, 4] = aten::mul.Tensor(%x, 2)                # net.py:4:8 act (Act)
          %b : f32[4, 2]{strides=[1, 4]} = aten::transpose.int(%a, 0, dim1=1)
          %c : f32[4, 2]{strides=[1, 4]} = aten::clamp(%b, max=1)
          %d : f32[4, 2]{strides=[1, 4]} = aten::neg_(%c)
          %e : f32[4, 4] = aten::cat([%d, %c], 1)
          %f : f32[4, 4] = aten::sub.out(%e, 1, out=%e)
          return (%f)
        """,
    )
    assert result.stats == {"renamed": 6}


def test_names_of_names_and_other_defaults() -> None:
    check_pass(
        NormalizeOps(),
        """
        graph(%x : f32[2]):
          %a : f32[2] = aten::special_psi(%x)
          %b : f32[2] = aten::special_round(%a)
          return (%b)
        """,
        """
        graph(%x : f32[2]):
          %a : f32[2] = aten::digamma(%x)
          %b : f32[2] = aten::round.decimals(%a, decimals=0)
          return (%b)
        """,
    )


def test_inside_blocks_and_functions() -> None:
    body = "%y : f32[2] = prim::call(@inner, %x)\n return (%y)\nfunction inner(%x : f32[2]):\n"
    inner = " %y : f32[2] = aten::{}(%x)\n return (%y)"
    head = "graph(%x : f32[2]):\n "
    check_pass(
        NormalizeOps(), head + body + inner.format("arccos"), head + body + inner.format("acos")
    )


def test_a_graph_that_was_read_without_torch_has_no_aliases() -> None:
    graph = parse("graph(%x : f32[2]):\n %y : f32[2] = aten::absolute(%x)\n return (%y)")
    assert not NormalizeOps().run(graph).changed


PROGRAMS: dict[str, Callable[..., Any]] = {
    "numbers": lambda x, y: [
        torch.absolute(x), torch.arccos(x), torch.divide(x, y), torch.divide(x, y, rounding_mode="floor"),
        torch.true_divide(x, 3), torch.subtract(x, y, alpha=2), torch.special.expit(x),
        torch.fix(x * 9), torch.clip(x, -0.5, 0.5), torch.clip(x, max=y), torch.greater(x, y),
        torch.less_equal(x, 0),
        torch.special.xlogy(y.abs(), x.abs()), torch.special.gammainc(x.abs(), y.abs()),
        torch.special.sinc(x), torch.special.round(x * 9, decimals=1), torch.negative(x),
        torch.not_equal(x, y),
    ],
    "views": lambda x, y: [
        torch.swapaxes(x, 0, 1), x.swapdims(-1, 0), torch.moveaxis(x, 0, -1),
        torch.moveaxis(x, (0, 1), (1, 0)), torch.linalg.diagonal(x),
    ],
    "writes": lambda x, y: [
        z := x * 1, z.multiply_(y), z.swapaxes(0, 1).subtract_(1), z.absolute_(), z.clip_(0, 1),
        z.greater_(0.5), w := torch.empty(3, 3), torch.multiply(x, y, out=w),
        torch.concat([x, y], out=torch.empty(6, 3)),
    ],
    "matrices": lambda x, y: [
        torch.linalg.matmul(x, y), torch.ger(x[0], y[0]), torch.det(x), torch.inverse(x),
        *torch.slogdet(x), torch.matrix_power(x, 3), torch.matrix_exp(x), torch.concatenate([x, y], -1),
        torch.row_stack([x, y]), torch.trapz(x, y), torch.orgqr(x, y[0]), torch.special.logsumexp(x, 0),
    ],
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*deprecated:UserWarning")
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_replay_bit_for_bit(name: str) -> None:
    program = PROGRAMS[name]

    def inputs() -> list[torch.Tensor]:
        torch.manual_seed(3)
        return [torch.rand(3, 3) - 0.5, torch.rand(3, 3) - 0.5]

    traced = opscope.trace(program, tuple(inputs()), warn=False)
    kinds = [node.kind for node in traced.graph.block]
    assert traced.apply("normalize_ops", verify_each=True).changed
    renamed = [n.kind for n, k in zip(traced.graph.block, kinds, strict=True) if n.kind != k]
    assert len(renamed) > len(kinds) / 3, "the program is about aliases"
    assert all(node.operator.canonical is None for node in traced.graph.block)
    ours, theirs = inputs(), inputs()
    for one, other in zip(traced(*ours), program(*theirs), strict=True):
        assert one.stride() == other.stride()
        assert torch.equal(one.isnan(), other.isnan())
        assert torch.equal(one.nan_to_num(), other.nan_to_num())
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one, other)


def test_gradients_are_the_same() -> None:
    weight = torch.nn.Parameter(torch.rand(3, 3))
    twin = copy.deepcopy(weight)

    def program(w: torch.Tensor) -> torch.Tensor:
        return torch.multiply(torch.swapaxes(w, 0, 1), w).clip(0.1, 0.9).sum()

    traced = opscope.trace(program, weight)
    traced.apply("normalize_ops", verify_each=True)
    traced(weight).backward()
    program(twin).backward()
    assert weight.grad is not None
    assert twin.grad is not None
    assert torch.equal(weight.grad, twin.grad)
