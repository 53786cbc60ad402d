"""Products with a transposed matrix as ``aten::linear``."""

import pytest
import torch
from torch import nn

import opscope
from opscope.passes.base import Pass
from opscope.passes.registry import read_passes
from opscope.runtime import torch_literal
from opscope.testing import check_pass
from opscope.tracer import MetaFacts


def lift() -> Pass:
    return read_passes("lift_linear")[0].with_facts(MetaFacts(torch_literal))


HEAD = "graph(%x : f32[2, 4], %w : f32[3, 4], %b : f32[3]):\n"
T = "%t : f32[4, 3]{strides=[1, 4]} = "


@pytest.mark.parametrize(
    "transpose",
    ["aten::t(%w)", "aten::numpy_T(%w)", "aten::mT(%w)", "aten::transpose.int(%w, -1, 0)"],
)
def test_products_and_their_bias(transpose: str) -> None:
    for product, linear in {
        "aten::matmul(%x, %t)": "aten::linear(%x, %w)",
        "aten::mm(%x, %t)": "aten::linear(%x, %w)",
        "aten::addmm(%b, %x, %t)": "aten::linear(%x, %w, %b)",
    }.items():
        result = check_pass(
            lift(),
            HEAD + f"{T}{transpose}\n %y : f32[2, 3] = {product}\n return (%y)",
            HEAD + f"%y : f32[2, 3] = {linear}\n return (%y)",
        )
        assert result.stats == {"lifted": 1}


def test_a_transposed_weight_that_others_read_stays() -> None:
    check_pass(
        lift(),
        HEAD + f"{T}aten::t(%w)\n %y : f32[2, 3] = aten::mm(%x, %t)\n return (%y, %t)",
        HEAD + f"{T}aten::t(%w)\n %y : f32[2, 3] = aten::linear(%x, %w)\n return (%y, %t)",
    )


@pytest.mark.parametrize(
    "product",
    [
        "aten::addmm(%b, %x, %t, beta=2)",
        "aten::addmm(%x, %x, %t)",  # which is no bias
        "aten::mm(%t, %x)",
        "aten::bmm(%x, %t)",
    ],
)
def test_other_products_stay(product: str) -> None:
    text = HEAD + f"{T}aten::t(%w)\n %y : f32[2, 3] = {product}\n return (%y)"
    check_pass(lift(), text, text)


def test_a_write_to_the_weight_in_between() -> None:
    text = (
        HEAD + f"{T}aten::t(%w)\n %v : f32[3, 4] = aten::zero_(%w)\n"
        " %y : f32[2, 3] = aten::mm(%x, %t)\n return (%y)"
    )
    check_pass(lift(), text, text)


class Tied(nn.Module):
    """Layers written out by hand, one weight read by two of them, once the other way round."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(6, 6))
        self.v = nn.Parameter(torch.randn(5, 6))
        self.b = nn.Parameter(torch.randn(6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.addmm(self.b, x.flatten(0, -2), self.w.t()).relu()
        h = h.view(x.shape) @ self.w.T @ self.w
        return h @ self.v.transpose(0, 1)


@pytest.mark.parametrize("shape", [(3, 6), (2, 3, 6), (2, 2, 3, 6)])
def test_a_model_written_by_hand_trains_bit_for_bit(shape: tuple[int, ...]) -> None:
    model = Tied()
    x = torch.randn(shape)
    traced = opscope.trace(model, x)
    report = traced.apply("lift_linear,dce", verify_each=True)
    assert report.runs[0].result.stats == {"lifted": 3}
    x = torch.randn(7, *shape[1:])
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(traced(x), model(x))
    assert torch.equal(traced(x), model(x))
    expected = torch.autograd.grad(model(x).sin().sum(), list(model.parameters()))
    found = torch.autograd.grad(traced(x).sin().sum(), list(model.parameters()))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_what_came_apart_is_put_together_where_nothing_noted_what_it_was() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)).eval()
    x = torch.randn(3, 4)
    with torch.no_grad():
        traced = opscope.trace(model, x, depth="deep")
        expected = traced(x)
        assert traced.apply("lift_linear", verify_each=True).runs[0].result.stats == {"lifted": 2}
        assert [node.kind for node in traced.graph.nodes(op="aten::*") if "sym" not in node.kind] == [
            "aten::linear", "aten::relu", "aten::linear"
        ]  # fmt: skip
        assert torch.equal(traced(x), expected)


def test_without_torch_at_hand_it_says_so() -> None:
    graph = opscope.parse(
        HEAD + f"{T}aten::t(%w)\n %y : f32[2, 3] = aten::mm(%x, %t)\n return (%y)"
    )
    with pytest.raises(opscope.PassError, match="makes a node of aten::linear"):
        read_passes("lift_linear")[0].run(graph)
