"""Which values may share memory: never less than in torch."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

import opscope
from opscope.passes.alias_analysis import EXTERNAL, AliasAnalysis
from support.ir_text import node_named, value_named

Program = Callable[[torch.Tensor], Any]

_PLACES = torch.arange(3)[None]

SHARING: list[Program] = [
    lambda x: torch.einsum("ij->ji", x),
    lambda x: x.to_dense(),
    lambda x: torch.cartesian_prod(x[0]),
    lambda x: torch.conj_physical(x),
    lambda x: torch.histogramdd(x, [x[0].sort().values, x[1].sort().values, x[2].sort().values]),
    lambda x: x.reshape(-1),
    lambda x: x.to(torch.float32),
    lambda x: torch.dropout(x, 0.5, False),
    lambda x: torch.broadcast_tensors(x, x[0]),
    lambda x: x.chunk(2),
    lambda x: x.data,
    lambda x: torch.ops.aten.data(x),
    lambda x: torch.ops.aten.lift(x),
    lambda x: torch.ops.aten.dequantize(x),
    lambda x: torch.ops.aten._cast_Float(x),
    lambda x: torch.sparse_coo_tensor(_PLACES, x, (3, 3), check_invariants=True)._values(),
    lambda x: torch.sparse_coo_tensor(_PLACES, x, (3, 3), check_invariants=True).to_sparse(),
    lambda x: x.clone().relu_(),
    lambda x: torch.cond(x.sum() > 0, lambda y: y.view(-1), lambda y: y.view(-1), (x,)),
]


@pytest.mark.parametrize("program", SHARING)
def test_what_shares_memory_may_alias(program: Program) -> None:
    x = torch.rand(3, 3)
    with torch.no_grad():
        graph = opscope.trace(program, x, warn=False).graph
    memory = AliasAnalysis(graph)
    source = next(n for n in graph.walk() if not n.kind.startswith(("aten::sym", "aten::eq")))
    if graph.nodes(op="aten::clone*"):
        assert memory.may_alias(source.output, graph.outputs[0])
    elif graph.nodes(op="aten::histogramdd*"):
        assert memory.may_alias(graph.outputs[1], graph.nodes(op="aten::histogramdd*")[0].inputs[1])
    else:
        assert memory.memory_of(graph.outputs[0]) is EXTERNAL


def test_new_tensors_are_alone_and_inputs_are_not() -> None:
    graph = opscope.parse("""
        graph(%x : f32[2], %y : f32[2]):
          state %w : f32[2]
          %a : f32[2] = aten::neg(%x)
          %b : f32[2] = aten::neg(%x)
          return (%a, %b)
    """)
    memory = AliasAnalysis(graph)
    a, b, x, y, w = (value_named(graph, name) for name in "abxyw")
    assert memory.may_alias(a, a)
    assert not memory.may_alias(a, b)
    assert not memory.may_alias(a, x)
    assert memory.may_alias(x, y)
    assert memory.may_alias(x, w)


def test_sets_that_an_operator_joins_are_one() -> None:
    graph = opscope.parse("""
        graph(%x : f32[2]):
          %a : f32[2] = aten::neg(%x)
          %b : f32[2] = aten::neg(%x)
          %a.1 : f32[2] = aten::view(%a, [2])
          %set : f32[2] = aten::set_.source_Tensor(%b, %a.1)
          return (%a, %b)
    """)
    memory = AliasAnalysis(graph)
    assert memory.may_alias(value_named(graph, "a"), value_named(graph, "b"))
    assert memory.may_alias(value_named(graph, "set"), value_named(graph, "a.1"))


def test_writers_are_found_through_views() -> None:
    graph = opscope.parse("""
        graph(%x : f32[2, 2]):
          %a : f32[2, 2] = aten::neg(%x)
          %b : f32[2, 2] = aten::neg(%x)
          %row : f32[2] = aten::select.int(%a, 0, 0)
          %w : f32[2] = aten::relu_(%row)
          %unknown : f32[2] = mine::something(%b)
          return (%a)
    """)
    memory = AliasAnalysis(graph)
    assert memory.writers_of(value_named(graph, "a")) == (node_named(graph, "w"),)
    assert memory.writers_of(value_named(graph, "b")) == (node_named(graph, "unknown"),)
    assert memory.writers_of(value_named(graph, "x")) == (node_named(graph, "unknown"),)
