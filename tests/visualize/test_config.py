"""What boxes say of their operators."""

import pytest

from opscope.ir import MISSING, Operator, Parameter, parse
from opscope.visualize.config import configuration

_CONV = "%x : f32[1, 8, 9, 9]", "%w : f32[16, 4, 3, 3]"
_CONV_1D = "%x : f32[1, 8, 9]", "%w : f32[8, 1, 3]"
_LSTM = "%x : f32[3, 2, 8]", "%h : f32[1, 2, 16]", "%w : f32[64, 8]"
_GRU = "%x : f32[2, 8]", "%h : f32[2, 4]", "%w : f32[12, 8]"
_Q = ("%q : f32[2, 12, 16, 64]",)
_X = ("%x : f32[2, 3, 8, 8]",)


@pytest.mark.parametrize(
    ("inputs", "statement", "expected"),
    [
        (_CONV, "aten::conv2d(%x, %w, None, [2, 2], [1, 1], [1, 1], 2)", "8→16 3×3 s2 g2"),
        (_CONV, "aten::conv2d(%x, %w, None, [2, 1], [1, 1], [2, 2], 1)", "4→16 3×3 s2×1 d2"),
        (_CONV, "aten::conv2d(%x, %w)", "4→16 3×3"),
        (_CONV_1D, "aten::conv1d(%x, %w, None, [1], [1], [1], 8)", "8→8 3 depthwise"),
        (_CONV, "aten::conv_transpose2d(%x, %w, None, [2, 2])", "16→4 3×3 s2"),
        (("%x : f32[2, 5]", "%w : f32[7, 5]"), "aten::linear(%x, %w)", "5→7"),
        (("%b : f32[7]", "%x : f32[2, 5]", "%w : f32[5, 7]"), "aten::addmm(%b, %x, %w)", "5→7"),
        (("%x : f32[4, 2, 5]", "%w : f32[4, 5, 7]"), "aten::bmm(%x, %w)", "2×5 · 5×7"),
        (("%w : f32[50257, 768]", "%i : i64[2, 3]"), "aten::embedding(%w, %i)", "50257×768"),
        (_X, "aten::layer_norm(%x, [8, 8])", "8×8"),
        (_X, "aten::batch_norm(%x)", "3"),
        (_X, "aten::group_norm(%x, 3)", "3 in 3 groups"),
        (_X, "aten::max_pool2d(%x, [3, 3], [2, 2], [1, 1])", "3×3 s2"),
        (_X, "aten::max_pool2d(%x, 2)", "2×2"),
        (_X, "aten::adaptive_avg_pool2d(%x, [1, 1])", "→ 1×1"),
        (_X, "aten::softmax.int(%x, -1)", "dim -1"),
        (_X, "aten::mean.dim(%x, [2, 3], True)", "dim 2,3"),
        (_X, "aten::sum(%x)", ""),
        (_X, "aten::dropout(%x, 0.1, True)", "p 0.1"),
        (_X, "aten::dropout(%x, 0.1, False)", "p 0.1, off"),
        (_X, "aten::view(%x, [2, 192])", "→ 4×4"),
        (_X, "aten::transpose.int(%x, 1, 2)", "1 ↔ 2"),
        (_X, "aten::permute(%x, [0, 2, 3, 1])", "dims 0,2,3,1"),
        (_X, "aten::cat([%x, %x], 1)", "2 on dim 1"),
        (_X, "aten::slice.Tensor(%x, 1, 0, 2)", "dim 1 [:2]"),
        (_X, "aten::slice.Tensor(%x, 1, 2, 9223372036854775807, 2)", "dim 1 [2::2]"),
        (_X, "aten::select.int(%x, 1, -1)", "dim 1 [-1]"),
        (_X, "aten::to.dtype(%x, bf16)", ""),
        (_X, "aten::add.Tensor(%x, 1.0)", "1"),
        (_X, "aten::add.Tensor(%x, %x)", ""),
        (_X, "aten::add.Tensor(%x, %x, alpha=2)", "alpha 2"),
        (_GRU, "aten::gru_cell(%x, %h, %w)", "8→4"),
        (_X, "aten::clamp(%x, 0, 6)", "0…6"),
        (_X, "aten::clamp(%x, None, 6)", "…6"),
        (_X, 'aten::einsum("a,a->a", [%x, %x])', "a,a->a"),
        (_Q, "aten::scaled_dot_product_attention(%q, %q, %q, None, 0.0, True)", "12 heads × 64 · causal"),
        (("%q : f32[s0, h, 16, 64]",), "aten::scaled_dot_product_attention(%q, %q, %q)", "h heads × 64"),
        (_LSTM, "aten::lstm.input(%x, [%h, %h], [%w])", "8→16"),
        (_X, "mine::op(%x, 3, 0.25)", "3, 0.25"),
        (_X, 'mine::op(%x, mode="fast", n=2)', "mode fast, n 2"),
    ],
)  # fmt: skip
def test_the_arguments_that_matter_are_told(
    inputs: tuple[str, ...], statement: str, expected: str
) -> None:
    graph = parse(f"graph({', '.join(inputs)}):\n  %y : f32[4, 4] = {statement}\n  return (%y)")
    assert configuration(next(graph.walk())) == expected


@pytest.mark.parametrize(
    "statement",
    [
        "aten::conv2d()",
        "aten::conv2d(1, 2, 3, 4, 5, 6, 7)",
        "aten::linear(%x)",
        "aten::lstm(%x)",
        'aten::einsum()',
        "aten::to()",
        "aten::scaled_dot_product_attention([1, 2])",
        "aten::cat(1)",
        "aten::slice(%x, %x, %x)",
        "aten::embedding(2)",
        "aten::group_norm(None)",
        "aten::transpose()",
    ],
)  # fmt: skip
def test_arguments_of_another_kind_say_little_and_break_nothing(statement: str) -> None:
    graph = parse(f"graph(%x : f32[*]):\n  %y : tensor = {statement}\n  return (%y)")
    assert isinstance(configuration(next(graph.walk())), str)


def test_arguments_left_at_their_defaults_are_not_told() -> None:
    parameters = (
        Parameter("x", "Tensor"),
        Parameter("n", "int", default=3),
        Parameter("eps", "float", default=MISSING),
    )
    operator = Operator("mine::op", parameters)
    text = "graph(%x : f32[2]):\n  %y : f32[2] = mine::op(%x, {}, 0.5)\n  return (%y)"
    for number, expected in ((3, "eps 0.5"), (4, "n 4, eps 0.5")):
        graph = parse(text.format(number), lambda name: operator)
        assert configuration(next(graph.walk())) == expected
