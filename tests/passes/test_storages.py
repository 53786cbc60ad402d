"""Which results share memory with operands: as torch has it, whether a schema is known or only a name."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

import opscope
from opscope.ir import Graph, parse, value_names
from opscope.passes.storages import Storages, allows_view

Program = Callable[[torch.Tensor], Any]


def roots(graph: Graph) -> list[str]:
    storages = Storages()
    storages.follow_all(graph.block)
    names = value_names(graph)
    return [names[storages.root(value)] for value in graph.outputs]


PROGRAMS: list[Program] = [
    lambda x: x.view(12),
    lambda x: x.reshape(6, 2),
    lambda x: x.t().reshape(12),
    lambda x: x[:, :2].reshape(2, 3),
    lambda x: x.flatten(),
    lambda x: x.t().flatten(),
    lambda x: x.contiguous(),
    lambda x: x.t().contiguous(),
    lambda x: x.to(torch.float32),
    lambda x: x.to(torch.float64),
    lambda x: x.to(torch.float32, copy=True),
    lambda x: x.t().to(memory_format=torch.contiguous_format),
    lambda x: x.expand(2, 3, 4),
    lambda x: x.expand(2, 3, 4).reshape(6, 4),
    lambda x: x.unsqueeze(0).squeeze(),
    lambda x: x.chunk(2),
    lambda x: x.split(2, 1),
    lambda x: torch.broadcast_tensors(x, x.new_zeros(4)),
    lambda x: x.detach(),
    lambda x: torch.nn.functional.dropout(x, 0.5, training=False),
    lambda x: torch.nn.functional.dropout(x, 0.5, training=True),
    lambda x: torch.nn.functional.dropout(x, 0.0, training=True),
    lambda x: x.clone().add_(1),
    lambda x: torch.nn.functional.relu(x.clone(), inplace=True),
    lambda x: torch.add(x, 1, out=x.new_empty(3, 4)),
    lambda x: x + 1,
    lambda x: x.type_as(x),
    lambda x: x.resolve_conj(),
    lambda x: x.diagonal(),
    lambda x: x.unfold(1, 2, 1),
    lambda x: torch.atleast_3d(x),
    lambda x: x.data,
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_results_share_memory_as_in_torch(program: Program) -> None:
    x = torch.arange(12.0).view(3, 4)
    traced = opscope.trace(program, x, dynamic=False, warn=False)
    result = program(x)
    results = result if isinstance(result, list | tuple) else [result]
    expected = [r.untyped_storage().data_ptr() == x.untyped_storage().data_ptr() for r in results]
    assert [root == "x" for root in roots(traced.graph)] == expected
    by_name_alone = parse(str(traced.graph))
    assert [root == "x" for root in roots(by_name_alone)] == expected


def test_results_of_blocks_have_memory_of_their_own() -> None:
    graph = parse(
        """
        graph(%p : bool[], %x : f32[2]):
          [%y : f32[2]] = higher_order::cond(%p, [%x])
            block0(%a : f32[2]):
              %v : f32[1, 2] = aten::unsqueeze(%a, 0)
              -> (%v)
            block1(%b : f32[2]):
              -> (%b)
          return (%y)
        """
    )
    assert roots(graph) == ["y"]


def test_views_of_other_libraries_are_known_by_their_schemas() -> None:
    with torch.library._scoped_library("storages_test", "DEF") as library:
        library.define("part(Tensor(a) x) -> Tensor(a)")
        library.impl("part", lambda x: x[:1], "CompositeImplicitAutograd")
        library.define("fresh(Tensor x) -> Tensor")
        library.impl("fresh", lambda x: x + 1, "CompositeImplicitAutograd")
        ops = torch.ops.storages_test
        traced = opscope.trace(lambda x: (ops.part(x), ops.fresh(x)), torch.ones(3))
    assert roots(traced.graph)[0] == "x"
    assert roots(traced.graph)[1] != "x"


def test_a_shape_can_be_had_as_a_view_where_torch_has_it() -> None:
    base = torch.empty(2, 3, 4)
    tensors = [
        base,
        base.permute(0, 2, 1),
        base.permute(2, 0, 1),
        base[:, :2],
        base[:1].expand(2, 3, 4),
    ]
    for tensor in tensors:
        numel = tensor.numel()
        shapes = [(numel,), (2, numel // 2), (numel // 4, 4), (4, numel // 4), (1, numel, 1)]
        for shape in shapes:
            try:
                tensor.view(shape)
            except RuntimeError:
                expected = False
            else:
                expected = True
            sizes = list(tensor.shape)
            assert allows_view(sizes, tensor.stride(), list(shape)) is expected, (sizes, shape)


def test_what_a_collective_gives_is_what_it_writes() -> None:
    graph = parse(
        """
        graph f(%x : f32[4], %y : f32[8]) -> (f32[4], f32[8]):
          constant %process_group.0 : group[0, 1]{gloo, rank=0}, %ReduceOp : object
          [%a : f32[4]], %work : object = c10d::allreduce_([%x], %process_group.0, %ReduceOp, None)
          %b : f32[8], %other : object = c10d::_allgather_base_(%y, %a, %process_group.0)
          return (%a, %b)
        """
    )
    storages = Storages()
    storages.follow_all(graph.block)
    a, work, b, other = [value for node in graph.block for value in node.outputs]
    assert [storages.root(value).name for value in (a, b)] == ["x", "y"]
    assert not {work, other} & set(storages.shared)
