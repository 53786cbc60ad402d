"""FLOP formulas: the figures of torch's own counter, and where they differ on purpose."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import opscope
from opscope import ReportError
from opscope.reports import formulas
from opscope.reports.contractions import einsum_flops
from support.flops import counted_by_torch

Program = Callable[..., Any]


def ours(program: Program, *inputs: torch.Tensor) -> int:
    return opscope.trace(program, inputs, dynamic=False, warn=False).summary().flops


@pytest.fixture
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Formulas registered in a test are forgotten after it."""
    monkeypatch.setattr(formulas, "_FORMULAS", dict(formulas._FORMULAS))


r = torch.randn
_GRU = nn.GRU(4, 5)
CASES: list[tuple[Program, tuple[torch.Tensor, ...]]] = [
    (torch.mm, (r(2, 3), r(3, 4))),
    (torch.bmm, (r(5, 2, 3), r(5, 3, 4))),
    (torch.matmul, (r(5, 2, 3), r(3, 4))),
    (torch.matmul, (r(2, 3), r(5, 3, 4))),
    (torch.matmul, (r(5, 1, 2, 3), r(6, 3, 4))),
    (torch.addmm, (r(4), r(2, 3), r(3, 4))),
    (torch.baddbmm, (r(5, 2, 4), r(5, 2, 3), r(5, 3, 4))),
    (F.linear, (r(2, 5, 3), r(4, 3), r(4))),
    (torch.inner, (r(2, 3), r(4, 3))),
    (lambda a, b: torch.tensordot(a, b, dims=2), (r(2, 3, 4), r(3, 4, 5))),
    (lambda a, b: torch.tensordot(a, b, dims=([0], [1])), (r(1, 3), r(4, 1))),
    (F.conv1d, (r(2, 4, 9), r(6, 2, 3), None, 2, 1, 1, 2)),  # type: ignore[list-item]
    (F.conv2d, (r(2, 3, 8, 9), r(4, 3, 3, 2))),
    (F.conv2d, (r(3, 8, 9), r(4, 3, 3, 2))),
    (lambda x, w: F.conv2d(x, w, padding="same"), (r(2, 3, 8, 8), r(4, 3, 3, 3))),
    (F.conv3d, (r(2, 3, 4, 5, 6), r(4, 3, 2, 2, 2))),
    (F.conv_transpose1d, (r(2, 4, 5), r(4, 3, 3))),
    (lambda x, w: F.conv_transpose2d(x, w, stride=2, groups=2), (r(2, 4, 5, 6), r(4, 3, 3, 2))),
    (F.scaled_dot_product_attention, (r(2, 3, 4, 8), r(2, 3, 5, 8), r(2, 3, 5, 6))),
    (F.scaled_dot_product_attention, (r(2, 3, 4, 8), r(2, 3, 4, 8), r(2, 3, 4, 8))),
    (F.scaled_dot_product_attention, (r(3, 4, 8), r(3, 5, 8), r(3, 5, 8))),
    (
        lambda q, k: F.scaled_dot_product_attention(q, k, k, enable_gqa=True),
        (r(2, 6, 4, 8), r(2, 2, 5, 8)),
    ),
    # In single precision, LSTMs run in a kernel that torch's counter does not know.
    (nn.LSTM(4, 5, num_layers=2, bidirectional=True).double(), (r(3, 2, 4).double(),)),
    (nn.LSTM(4, 5, proj_size=3, batch_first=True).double(), (r(3, 2, 4).double(),)),
    (nn.GRU(4, 5, bidirectional=True), (r(3, 2, 4),)),
    (nn.RNN(4, 5), (r(3, 4),)),
    (nn.LSTMCell(4, 5), (r(3, 4),)),
    (nn.GRUCell(4, 5), (r(3, 4),)),
    (
        lambda x: _GRU(nn.utils.rnn.pack_padded_sequence(x, torch.tensor([3, 1])))[0].data,
        (r(3, 2, 4),),
    ),
]


@pytest.mark.parametrize(("program", "inputs"), CASES)
def test_figures_are_those_of_torchs_counter(
    program: Program, inputs: tuple[torch.Tensor, ...]
) -> None:
    expected = counted_by_torch(lambda: program(*inputs))
    traced = opscope.trace(program, inputs, dynamic=False, warn=False)
    assert expected > 0
    assert traced.summary().flops == expected
    assert traced.summary().uncounted == {}


BACKWARD: list[tuple[Program, tuple[torch.Tensor, ...]]] = [
    (F.linear, (r(2, 5, 3), r(4, 3))),
    (torch.matmul, (r(5, 1, 2, 3), r(6, 3, 4))),
    (F.conv2d, (r(2, 3, 8, 9), r(4, 3, 3, 2))),
    (F.conv_transpose2d, (r(2, 4, 5, 6), r(4, 3, 3, 2))),
    (F.scaled_dot_product_attention, (r(2, 3, 4, 8), r(2, 3, 4, 8), r(2, 3, 4, 8))),
    (lambda x, w, v: torch._VF.lstm_cell(x, (x, x), w, v)[0], (r(3, 4), r(16, 4), r(16, 4))),  # type: ignore[attr-defined]
]


@pytest.mark.parametrize(("program", "inputs"), BACKWARD)
def test_figures_of_backward_are_those_of_torchs_counter(
    program: Program, inputs: tuple[torch.Tensor, ...]
) -> None:
    def step(*given: torch.Tensor) -> Any:
        leaves = [x.detach().requires_grad_() for x in given]
        return torch.autograd.grad(program(*leaves).sum(), leaves)

    torch.manual_seed(0)
    expected = counted_by_torch(lambda: step(*inputs))
    summary = opscope.trace(step, inputs, dynamic=False, warn=False).summary()
    assert summary.flops == expected
    assert summary.forward_flops == counted_by_torch(lambda: program(*inputs))
    assert summary.backward_flops == expected - summary.forward_flops > 0


_LABELS = "abcde"


@st.composite
def contractions(draw: st.DrawFn) -> tuple[str, list[torch.Tensor], list[int] | None]:
    sizes = {label: draw(st.integers(1, 3)) for label in _LABELS}
    operands = draw(st.lists(st.sets(st.sampled_from(_LABELS), max_size=4), min_size=1, max_size=4))
    dots = draw(st.sampled_from(["", "..."]))
    texts = [dots + "".join(draw(st.permutations(sorted(labels)))) for labels in operands]
    equation = ",".join(texts)
    if draw(st.booleans()):
        used = sorted(set().union(*operands))
        kept = draw(st.lists(st.sampled_from(used), unique=True)) if used else []
        equation += f"->{dots}{''.join(kept)}"
    tensors = []
    for text in texts:
        shape = [draw(st.sampled_from([1, sizes[label]])) for label in text.replace(".", "")]
        tensors.append(torch.ones([2] * draw(st.integers(0, 1)) * bool(dots) + shape))
    path = None
    if len(tensors) > 2 and draw(st.booleans()):
        path = []
        for left in range(len(tensors), 1, -1):
            path.extend(draw(st.permutations(range(left)))[:2])
    return equation, tensors, path


@settings(max_examples=300, deadline=None)
@given(contractions())
def test_any_einsum_costs_what_torch_makes_of_it(
    drawn: tuple[str, list[torch.Tensor], list[int] | None],
) -> None:
    equation, tensors, path = drawn
    expected = counted_by_torch(lambda: torch._VF.einsum(equation, tensors, path=path))  # type: ignore[attr-defined]
    assert einsum_flops(equation, [tuple(t.shape) for t in tensors], path) == expected


def test_what_torchs_counter_leaves_out_is_counted() -> None:
    assert ours(torch.mv, r(3, 4), r(4)) == 2 * 3 * 4
    assert ours(torch.dot, r(5), r(5)) == 2 * 5
    assert ours(torch.addmv, r(3), r(3, 4), r(4)) == 2 * 3 * 4
    assert ours(torch.addbmm, r(2, 4), r(5, 2, 3), r(5, 3, 4)) == 2 * 5 * 2 * 3 * 4
    assert ours(lambda x, y: x.addmm_(y, y), r(3, 3), r(3, 3)) == 2 * 3**3
    groups = (r(2, 8, 16).bfloat16(), r(2, 16, 8).bfloat16())
    assert ours(torch._grouped_mm, *groups) == 2 * 2 * 8 * 16 * 8
    assert ours(nn.LSTM(4, 5), r(3, 2, 4)) == 2 * 3 * 2 * (20 * 4 + 20 * 5)
    assert counted_by_torch(lambda: torch.mv(r(3, 4), r(4))) == 0
    assert counted_by_torch(lambda: nn.LSTM(4, 5)(r(3, 2, 4))) == 0


def test_a_grouped_convolutions_weight_gradient_costs_what_the_convolution_does() -> None:
    weight = r(8, 1, 3, 3)

    def step(x: torch.Tensor) -> Any:
        w = weight.detach().requires_grad_()
        return torch.autograd.grad(F.conv2d(x, w, groups=8).sum(), [w])

    x = r(1, 8, 6, 6)
    summary = opscope.trace(step, x, dynamic=False, warn=False).summary()
    assert summary.backward_flops == summary.forward_flops == 2 * 4 * 4 * 8 * 9
    # Torch counts all pairs of channels, of which a group has only its own.
    assert counted_by_torch(lambda: step(x)) == 2 * 4 * 4 * 8 * 9 * (1 + 8)


def test_fused_transformer_layers_cost_what_their_parts_do() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    attention = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    x = r(3, 5, 8)
    for program in (layer, lambda x: attention(x, x, x, need_weights=False)[0]):
        with torch.no_grad():
            fused = opscope.trace(program, x, dynamic=False).summary()
        parts = opscope.trace(program, x, dynamic=False).summary()
        assert fused._root.total.nodes == 1
        assert parts._root.total.nodes > 1
        assert fused.flops == parts.flops


def test_attention_under_torchs_reference_kernel_is_counted_alike() -> None:
    q, k = r(2, 3, 4, 8), r(2, 3, 5, 8)

    def program(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(q, k, k, is_causal=True)

    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        with FlopCounterMode(display=False) as counter:
            program(q, k)
    assert ours(program, q, k) == counter.get_total_flops()


@pytest.mark.usefixtures("_own_registry")
def test_a_formula_can_be_registered_for_an_operator_of_ones_own() -> None:
    with torch.library._scoped_library("formulas_test", "DEF") as library:
        library.define("project(Tensor x, Tensor[] weights, int times=1) -> Tensor")
        library.impl(
            "project", lambda x, weights, times=1: x @ weights[0], "CompositeExplicitAutograd"
        )
        op = torch.ops.formulas_test.project
        traced = opscope.trace(lambda x, w: op(x, [w], 3), (r(2, 3), r(3, 4)), dynamic=False)
        summary = traced.summary()
        assert summary.flops == 0
        assert [found.operator for found in summary.uncounted] == ["formulas_test::project"]

        @opscope.flop_formula("formulas_test::project")
        def project(
            x: tuple[int, ...],
            weights: list[tuple[int, ...]],
            times: int = 1,
            *,
            out_shape: Any,
            **_: Any,
        ) -> int:
            assert (x, weights, out_shape) == ((2, 3), [(3, 4)], (2, 4))
            return 2 * times * x[0] * x[1] * weights[0][1]

        assert traced.summary().flops == 2 * 3 * 2 * 3 * 4
        assert traced.summary().uncounted == {}

        opscope.flop_formula("formulas_test::project.default")(lambda *_, **__: 1)
        opscope.flop_formula("formulas_test::project")(lambda *_, **__: 5)  # the later one counts
        assert traced.summary().flops == 5


@pytest.mark.usefixtures("_own_registry")
@pytest.mark.parametrize(
    ("formula", "problem"),
    [
        (lambda x, **_: x[7], "IndexError: tuple index out of range"),
        (lambda x, **_: 0.5, "it gave 0.5, which is no whole number"),
    ],
)
def test_a_formula_that_fails_is_named_with_the_line_of_its_node(
    formula: Any, problem: str
) -> None:
    opscope.flop_formula("aten::relu")(formula)
    traced = opscope.trace(lambda x: torch.relu(x), r(2))
    with pytest.raises(ReportError) as raised:
        traced.summary()
    assert f"the FLOP formula of aten::relu failed: {problem}" in str(raised.value)
    assert "at test_formulas.py:" in str(raised.value)
