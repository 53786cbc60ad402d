"""Peak memory: what is alive at once in a replay, to the byte, with and without gradients."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import opscope
from opscope.ir import parse
from opscope.reports.memory import memory_of
from support.memory import peak_bytes, saved_bytes

Program = Callable[..., Any]


def chain(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    y = x @ w
    z = torch.relu(y)
    del y
    a = z.sigmoid() * z
    return a.sum(0)


def views_and_writes(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    y = x * w
    part = y[:2].view(-1)
    part.mul_(2)
    y = y.t().reshape(-1)  # a copy
    return y.unsqueeze(0).exp() + part.sum()


def several(x: torch.Tensor, w: torch.Tensor) -> tuple[torch.Tensor, ...]:
    parts = (x + w).chunk(2)
    first = parts[0].exp()
    return first, parts[1].tanh().cos(), (first * 2).log()


def out_of_place(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    out = torch.empty_like(x)
    with torch.no_grad():
        torch.add(x, w, out=out)
        return (out.sin() + out.cos()).mean(0)


def normed(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    y = F.layer_norm(x, (16,))
    y = F.softmax(y / w, -1) ** 2
    return F.gelu(y) - y.mean()


def step(x: torch.Tensor, w: torch.Tensor) -> tuple[torch.Tensor, ...]:
    w = w.detach().requires_grad_()
    y = torch.tanh(x.detach() @ w)
    y = torch.tanh(y @ w)
    return torch.autograd.grad(y.sum(), w)


def unused_record(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    gone = (x * w).exp().exp()
    kept = gone.detach() + 1
    del gone  # and with it what autograd saved
    return kept.sin().sin().sin()


PROGRAMS: list[Program] = [
    chain, views_and_writes, several, out_of_place, normed, step, unused_record,
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("grad", [False, True])
def test_the_peak_is_the_allocators(program: Program, grad: bool) -> None:
    if program is step and not grad:
        pytest.skip("it computes gradients")
    inputs = (torch.rand(16, 16, requires_grad=grad), torch.rand(16, 16, requires_grad=grad))
    with torch.set_grad_enabled(grad):
        traced = opscope.trace(program, inputs, dynamic=False, warn=False)
        memory = memory_of(traced.graph)
        traced(*inputs)
        measured = peak_bytes(lambda: traced(*inputs))
    # A scalar here and there is a kernel's own.
    assert memory.peak_bytes <= measured <= memory.peak_bytes + 64
    assert memory_of(parse(str(traced.graph))).peak_bytes == memory.peak_bytes


SAVING: list[Program] = [
    *(lambda x, w, f=f: f(x) for f in (
        torch.relu, torch.sigmoid, torch.tanh, torch.exp, torch.sqrt, torch.rsqrt, torch.reciprocal,
        torch.abs, torch.log, torch.sin, torch.square, F.gelu, F.silu, F.mish, F.softplus, F.elu,
        F.leaky_relu, F.hardtanh, F.relu6, F.hardswish, F.hardsigmoid, F.logsigmoid,
    )),
    *(lambda x, w, f=f: f(x, w) for f in (
        torch.add, torch.sub, torch.mul, torch.div, torch.mm, torch.matmul, torch.pow, F.linear,
        F.mse_loss, F.smooth_l1_loss,
    )),
    lambda x, w: x.mul(2).relu_().mul(3),
    lambda x, w: F.silu(x * 2, inplace=True),
    lambda x, w: (x * 2).mul_(w),
    lambda x, w: x.clamp(0.2, 0.8).sum(0).mean(),
    lambda x, w: x.softmax(0).log_softmax(1),
    lambda x, w: x.pow(3).max(1).values + x.amax(1) + x.std(1),
    lambda x, w: torch.where(x > 0.5, x * 2, w),
    lambda x, w: (x * 2).masked_fill(x > 0.5, 0.0),
    lambda x, w: (x * 2)[torch.arange(2)] + (x * 2).index_select(0, torch.arange(2)),
    lambda x, w: torch.cat([x, w]).view(2, 16, 16).transpose(0, 1).contiguous().exp(),
    lambda x, w: (x * 2).view(2, 8, 16).transpose(0, 1) @ w,
    lambda x, w: (x * 2).view(4, 4, 4, 4).transpose(1, 2) @ (w * 2).view(4, 4, 4, 4).transpose(2, 3),
    lambda x, w: (x * 2).view(4, 4, 16) @ (w * 2),
    lambda x, w: F.cross_entropy(x * 2, torch.arange(16)),
    lambda x, w: F.cross_entropy(x * 2, torch.arange(16), reduction="sum", ignore_index=3),
    lambda x, w: F.layer_norm(x * 2, (16,)) + F.group_norm((x * 2), 4),
    lambda x, w: F.dropout(x * 2, 0.3, True) + F.dropout(x * 2, 0.3, False),
    lambda x, w: F.max_pool2d((x * 2)[None], 2) + F.avg_pool2d((x * 2)[None], 2),
    lambda x, w: F.adaptive_avg_pool2d((x * 2)[None], 1) + F.adaptive_avg_pool2d((x * 2)[None], 2).sum(),
    lambda x, w: F.conv1d((x * 2)[None], (w * 2)[:, :, None]),
    lambda x, w: F.scaled_dot_product_attention(*(v.view(2, 2, 4, 16) for v in (x * 2, w * 2, x * w))),
    lambda x, w: F.scaled_dot_product_attention(x * 2, w * 2, x * w),
    lambda x, w: F.scaled_dot_product_attention(
        *(v.view(2, 2, 4, 16) for v in (x * 2, w * 2, x * w)), dropout_p=0.5
    ),
    *(lambda x, w, f=f: f(x * 2) for f in (
        torch.tan, torch.erf, torch.asin, torch.log1p, torch.expm1, torch.cosh, F.celu, F.selu, F.glu,
        torch.nan_to_num, torch.prod, torch.var, torch.norm, torch.trace, torch.tril, torch.neg,
        torch.max, torch.median, torch.floor, F.hardshrink, torch.exp2, torch.ravel,
        lambda x: x.topk(3).values, lambda x: x.sort(0).values, lambda x: x.kthvalue(2).values,
        lambda x: x.cummax(0).values, lambda x: x.cumsum(0), lambda x: x.cumprod(0),
        lambda x: x.logsumexp(0), lambda x: x.logcumsumexp(0), lambda x: x.median(0).values,
        lambda x: x.norm(dim=0), lambda x: torch.linalg.vector_norm(x, dim=1), lambda x: x.flip(0),
        lambda x: x.roll(1, 0), lambda x: x.repeat(2, 1), lambda x: F.pad(x, (1, 1)),
        lambda x: F.pad(x[None], (1, 1), mode="reflect"), lambda x: x.double(), lambda x: x.mode(0).values,
        lambda x: F.interpolate(x[None, None], scale_factor=2.0),
        lambda x: F.interpolate(x[None, None], scale_factor=2.0, mode="bilinear"),
        lambda x: x.gather(0, torch.arange(16)[None]), lambda x: x.masked_select(x > 0.5),
        lambda x: torch.zeros(16, 16).scatter_add(0, torch.arange(16)[None], x),
        lambda x: F.embedding(torch.arange(3), x), lambda x: x.diff(), lambda x: torch.stack((x, x)),
        lambda x: F.threshold(x, 0.1, 0.0), lambda x: x.clone().zero_(),
        lambda x: F.batch_norm(x, None, None, training=True), lambda x: x ** 0.5,
    )),
    *(lambda x, w, f=f: f(x * 2, w * 3) for f in (
        torch.maximum, torch.minimum, F.huber_loss, F.l1_loss,
        torch.true_divide, torch.rsub, lambda x, w: torch.mv(x, w[0]), lambda x, w: torch.dot(x[0], w[0]),
        lambda x, w: torch.outer(x[0], w[0]), lambda x, w: torch.bmm(x[None], w[None]),
        lambda x, w: torch.addmm(x, x, w), lambda x, w: torch.baddbmm(x[None], x[None], w[None]),
        lambda x, w: torch.addcmul(x, x, w), lambda x, w: F.prelu(x, w[0, :1]),
        lambda x, w: F.conv2d(x[None, None], w[None, None]),
        lambda x, w: F.conv_transpose2d(x[None, None], w[None, None, :2, :2]),
        lambda x, w: 3 / x + x / w.detach(), lambda x, w: torch.pow(x, w), lambda x, w: torch.max(x, w),
    )),
    lambda x, w: x.detach() * w,
    lambda x, w: F.linear(x * 2, w.detach()),
]  # fmt: skip


@pytest.mark.parametrize("depth", ["flat", "deep"])
@pytest.mark.parametrize("program", SAVING)
def test_what_autograd_saves_is_known_to_the_byte(program: Program, depth: Any) -> None:
    x, w = torch.rand(16, 16, requires_grad=True), torch.rand(16, 16, requires_grad=True)
    traced = opscope.trace(program, (x, w), dynamic=False, warn=False, depth=depth)
    memory = memory_of(traced.graph)
    assert memory.unknown_saved == {}
    expected = saved_bytes(nn.Module(), lambda: program(x, w), (x, w))
    assert sum(memory.saved.values()) == expected


def test_of_three_dimensional_attention_it_depends_on_torchs_release() -> None:
    x = torch.rand(4, 4, 16, requires_grad=True)
    traced = opscope.trace(lambda x: F.scaled_dot_product_attention(x, x, x), x, warn=False)
    assert list(memory_of(traced.graph).unknown_saved) == ["aten::scaled_dot_product_attention"]


def test_what_is_not_known_is_named() -> None:
    x = torch.rand(4, 4, requires_grad=True)
    summary = opscope.trace(lambda x: torch.linalg.inv(x * 2), x, warn=False).summary()
    assert list(summary.memory.unknown_saved) == ["aten::linalg_inv"]
    assert "not known, and not in any figure: linalg_inv" in summary.notes[-1]


def test_under_autocast_it_is_not_known_which_operands_are_copied() -> None:
    def program(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return (x @ w) + 1

    inputs = (torch.rand(4, 4, requires_grad=True), torch.rand(4, 4, requires_grad=True))
    memory = memory_of(opscope.trace(program, inputs).graph)
    assert list(memory.unknown_saved) == ["aten::matmul"]


def test_inputs_state_and_outputs_are_apart() -> None:
    graph = parse(
        """
        graph(%x : f32[4]) -> (f32[4], f32[2], f32[8]):
          state %w : f32[4]{grad}, %frozen : f32[3]
          buffer %b : f64[2]
          constant %c : i64[]
          %y : f32[4] = aten::add.Tensor(%x, %w)
          %v : f32[2] = aten::slice.Tensor(%x, 0, 0, 2)
          %z : f32[8] = aten::cat([%y, %y])
          %gone : f32[100] = aten::zeros([100])
          return (%y, %v, %z)
        """
    )
    memory = memory_of(graph)
    assert (memory.parameters, memory.trainable, memory.parameter_bytes) == (7, 4, 28)
    assert (memory.buffer_bytes, memory.input_bytes) == (24, 16)
    assert memory.output_bytes == 16 + 32
    assert memory.peak_bytes == 16 + 32 + 400
    assert memory.peak_node is not None
    assert memory.peak_node.kind == "aten::zeros"
    assert memory.total_bytes == 28 + 24 + 16 + 448


def test_memory_inside_blocks_and_functions_counts_while_they_run() -> None:
    graph = parse(
        """
        graph(%p : bool[], %x : f32[2]) -> (f32[2], f32[2]):
          [%y : f32[2]] = higher_order::cond(%p, [%x])
            block0(%a : f32[2]):
              %t : f32[50] = aten::repeat(%a, [25])
              %s : f32[2] = aten::slice.Tensor(%t, 0, 0, 2)
              %r : f32[2] = aten::clone(%s)
              -> (%r)
            block1(%b : f32[2]):
              -> (%b)
          %z : f32[2] = prim::call(@f, %y)
          return (%y, %z)
        function f(%x : f32[2]) -> (f32[2]):
          %t : f32[100] = aten::repeat(%x, [50])
          %s : f32[2] = aten::slice.Tensor(%t, 0, 0, 2)
          %r : f32[2] = aten::clone(%s)
          return (%r)
        """
    )
    memory = memory_of(graph)
    assert memory.peak_bytes == 8 + 400 + 8
    assert memory.peak_node is not None
    assert memory.peak_node.kind == "prim::call"


def test_sparse_and_ragged_tensors_are_counted_as_unknown() -> None:
    graph = parse(
        """
        graph(%x : f32[4, 4]{layout=sparse_coo}, %n : f32[2, j0, 4]{layout=jagged}):
          %y : f32[2, j0, 4]{layout=jagged} = aten::relu(%n)
          return (%y)
        """
    )
    memory = memory_of(graph)
    assert memory.unknown == 3
    assert memory.total_bytes == 0
