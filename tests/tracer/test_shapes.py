"""What is said of a result's sizes holds at other sizes as well."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import opscope
from opscope.ir import TensorType, Value
from opscope.tracer.dispatch.number import Number
from opscope.tracer.numbers.known_sizes import Dimension, Dimensions, SizeRead
from opscope.tracer.numbers.shapes import Shapes
from support.replays import plain_text

WEIGHT = torch.randn(5, 6)
PROGRAMS: dict[str, Callable[..., Any]] = {
    "pointwise": lambda x: torch.where(x > 0, x.relu() + 1, x * x.new_ones(1)),
    "broadcast": lambda x: x[:, None] + x.sum(0, keepdim=True),
    "in place": lambda x: x.clone().add_(1).clamp_(0),
    "linear": lambda x: F.linear(x, WEIGHT),
    "norms": lambda x: F.layer_norm(F.softmax(x, -1), [6]),
    "matmul": lambda x: (x @ WEIGHT.T) @ torch.ones(2, 5, 3),
    "grouped": lambda x: F.grouped_mm(
        F.pad(x, (0, 2)).bfloat16(),
        torch.ones(2, 8, 16, dtype=torch.bfloat16),
        offs=torch.tensor([1, 4], dtype=torch.int32),
    ),
    "addmm": lambda x: torch.addmm(torch.ones(5), x, WEIGHT.T),
    "transpose": lambda x: x.unsqueeze(1).transpose(0, -1).permute(2, 0, 1).mT.squeeze(1),
    "reduce": lambda x: (
        x.sum(0),
        x.mean((0, 1), keepdim=True),
        x.amax(-1),
        x.max(0).values,
        x.var(1),
    ),
    "index": lambda x: (
        x[x[:, 0] > 0].exp(),
        x[:, x[0] > 9],
        x[[0, 1]],
        x[:, None, [[0, 1], [1, 0]]],
        x[x.argsort(0)[:, 0], :2],
        x[[0], :, None][..., [0]],
        x[:, None][[0], :, [1]],
        x.index_select(1, torch.arange(3)),
        x.gather(1, torch.zeros(x.size(0), 2, dtype=torch.int64)),
        x.nonzero()[:, 0],
    ),
    "pad": lambda x: (F.pad(x, (1, 2)), F.pad(x[None], (1, 1), mode="reflect")),
    "stack": lambda x: (torch.stack([x, x]), torch.stack([x, x, x], -1)),
    "repeat": lambda x: (x.repeat_interleave(2, 0), x.repeat_interleave(2, 1)),
    "scatter": lambda x: x.scatter(1, torch.zeros_like(x, dtype=torch.int64), x),
    "select": lambda x: (x[0], x[1:], x[:, 1:3], x[:, None], *x.unbind(1), x[..., -2:]),
    "split": lambda x: (*x.split(2, 1), *x.chunk(2, 1), *x.split([1, 5], 1)),
    "cat": lambda x: (
        torch.cat([x, x], 1),
        torch.cat([x, x[:2]], 0),
        torch.cat([torch.tensor([]), x], 1),
    ),
    "view": lambda x: (
        x.view(x.size(0), 2, 3),
        x.view(-1, 2),
        x.reshape(x.size(0), -1),
        x.view(-1),
    ),
    "bits": lambda x: (x.view(torch.int32).neg(), x.view(x.size(0), 2, 3).view(torch.uint8)),
    "flatten": lambda x: x.view(-1, 2, 3).flatten(1),
    "expand": lambda x: x[:, None].expand(-1, 4, -1),
    "factories": lambda x: (
        torch.zeros(x.size(0), 3),
        x.new_ones(x.shape),
        torch.arange(x.size(0)),
    ),
    "embedding": lambda x: F.embedding(x.abs().long() % 5, WEIGHT),
    "convolution": lambda x: F.conv1d(x[:, None], torch.ones(3, 1, 2)).relu(),
    "pooling": lambda x: F.adaptive_avg_pool1d(F.max_pool1d(x[:, None], 2), 2),
    "upsampling": lambda x: (
        F.interpolate(x[:, None], size=9),
        F.interpolate(x[None, None], size=(x.size(1), 4), mode="bilinear"),
        F.interpolate(x[None, None], scale_factor=2.0),
    ),
    "pooling without a batch": lambda x: F.max_pool2d(x[None], (3, 2), 1, (1, 0)),
    "attention": lambda x: F.scaled_dot_product_attention(x[None], x[None], x[None, :, :4]),
    "attention with a shared key": lambda x: F.scaled_dot_product_attention(
        x[None], x[None], x[None].expand(2, -1, -1)
    ),
    "handed on": lambda x: (*torch.broadcast_tensors(x, x[:1]), x.sum_to_size(1, 6)),
    "other data": lambda x: setattr(y := x.clone(), "data", x[:2].exp()) or y * y.size(0),
    "at least": lambda x: (torch.atleast_3d(x), *torch.atleast_1d(x[0], x)),
    "data": lambda x: x[x > 0].exp(),
    "topk": lambda x: (x.topk(2).values, x.sort().values, x.cumsum(0), x.flip(0), x.tril()),
}


def derived(graph: opscope.Graph) -> dict[Value, Dimensions]:
    """Derive the sizes of every tensor of a finished graph, those of its inputs varying."""
    numbers: dict[Value, Number] = {}
    shapes = Shapes(
        lambda value: tuple(
            size
            if value.state is not None
            else SizeRead(value, d, size if isinstance(size, int) else None)
            for d, size in enumerate(plain_sizes(value))
        ),
        lambda value: value.state is not None,
        numbers,
    )
    for node in graph.walk():
        if node.kind == "aten::sym_size.int":
            tensor, dimension = node.args
            assert isinstance(tensor, Value)
            assert isinstance(dimension, int)
            number = Number.constant(None, plain_sizes(tensor)[dimension])  # type: ignore[arg-type]
            numbers[node.output] = number
            size = shapes.of(tensor)[dimension]
            assert isinstance(size, SizeRead)
            shapes.read(size, number)
    values = [*graph.inputs, *(value for node in graph.walk() for value in node.outputs)]
    return {value: shapes.of(value) for value in values if isinstance(value.type, TensorType)}


def plain_sizes(value: Value) -> tuple[int, ...]:
    assert isinstance(value.type, TensorType)
    assert value.type.shape is not None
    return tuple(size for size in value.type.shape if isinstance(size, int))


@pytest.mark.parametrize("name", PROGRAMS)
def test_derived_sizes_hold_at_another_size(name: str) -> None:
    program = PROGRAMS[name]
    one = opscope.trace(program, torch.randn(4, 6), warn=False).graph
    two = opscope.trace(program, torch.randn(7, 6), dynamic=None, warn=False).graph
    nodes = zip(one.walk(), two.walk(), strict=True)
    pairs = [(one.inputs[0], two.inputs[0])]
    for first, second in nodes:
        assert first.kind == second.kind
        pairs.extend(zip(first.outputs, second.outputs, strict=True))
    twin = dict(pairs)
    for value, sizes in derived(one).items():
        expected = plain_sizes(twin[value])
        actual = [at_other_size(size, twin) for size in sizes]
        assert actual == list(expected), f"{name}: {value.node}"


def at_other_size(size: Dimension, twin: dict[Value, Value]) -> int:
    if isinstance(size, SizeRead):
        return plain_sizes(twin[size.value])[size.dimension]
    assert isinstance(size, int), "every number of these programs is a size that was read"
    return size


def test_hidden_sizes_are_those_of_inputs_and_weights() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
    traced = opscope.trace(layer, torch.randn(2, 5, 8))
    reads = [node for node in traced.graph.walk() if node.kind == "aten::sym_size.int"]
    assert {node.args[0] for node in reads} == {traced.graph.inputs[0]}
    other = torch.randn(3, 7, 8)
    assert torch.equal(traced(other), layer(other))


def test_an_operator_without_a_rule_is_read_from() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = torch.nonzero(x)
        return y.new_zeros(y.size(0), y.size(1))

    traced = opscope.trace(program, torch.ones(3, 2))
    assert "aten::sym_size.int(%y, 0)" in plain_text(traced)
    assert traced(torch.tensor([[1.0, 0.0, 0.0]])).shape == (1, 2)
