"""Collectives, distributed tensors and sharded modules, on one process and on a group of two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

import opscope
from support.exactness import assert_identical, check_exact, tensors_of
from support.processes import run_on_two
from support.replays import plain_text

if not dist.is_available():
    pytest.skip("this torch has no torch.distributed", allow_module_level=True)

from torch.distributed import _functional_collectives as functional
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.testing._internal.distributed.fake_pg import FakeStore

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:torch.distributed.*"),
    pytest.mark.filterwarnings("ignore:.*_functional_collectives.* is deprecated:FutureWarning"),
]


@pytest.fixture(params=["gloo", "fake"])
def mesh(request: pytest.FixtureRequest) -> Iterator[DeviceMesh]:
    """Give a mesh of one real process, or of two of which one is only imagined."""
    if request.param == "gloo":
        dist.init_process_group("gloo", rank=0, world_size=1, store=dist.HashStore())
    else:
        dist.init_process_group("fake", rank=0, world_size=2, store=FakeStore())
    yield init_device_mesh("cpu", (dist.get_world_size(),))
    dist.destroy_process_group()


def one() -> tuple[torch.Tensor]:
    return (torch.randn(4, 3),)


def reduced(x: torch.Tensor) -> torch.Tensor:
    y = x * 2
    dist.all_reduce(y)
    return y + 1


def reduced_while_working(x: torch.Tensor) -> torch.Tensor:
    y = x * 2
    work = dist.all_reduce(y, async_op=True)
    z = x + 1
    assert work is not None
    work.wait()
    return y + z


def gathered(x: torch.Tensor) -> torch.Tensor:
    parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, x)
    return torch.stack(parts)


def broadcast(x: torch.Tensor) -> torch.Tensor:
    y = x.clone()
    dist.broadcast(y, 0)
    dist.barrier()
    return y + 1


def functionally(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    group = dist.group.WORLD
    assert group is not None
    return (
        functional.all_reduce(x, "sum", group) * 2,
        functional.all_gather_tensor(x, 0, group) + 1,
        functional.reduce_scatter_tensor(x, "sum", 0, group) + 1,
    )


@pytest.mark.usefixtures("mesh")
@pytest.mark.parametrize(
    "program", [reduced, reduced_while_working, gathered, broadcast, functionally]
)
def test_collectives_replay(program: Callable[..., Any]) -> None:
    check_exact(program, one)


@pytest.mark.usefixtures("mesh")
def test_collectives_are_nodes_with_their_group_and_are_waited_for() -> None:
    group = {"gloo": "group[0]{gloo, rank=0}", "fake": "group[0, 1]{fake, rank=0}"}
    traced = opscope.trace(reduced_while_working, one())
    assert plain_text(traced) == (
        "graph reduced_while_working(%x : f32[4, 3]) -> (f32[4, 3]):\n"
        f"  constant %process_group.0 : {group[dist.get_backend()]}, %ReduceOp : object\n"
        "  %y : f32[4, 3] = aten::mul.Tensor(%x, 2)\n"
        "  [%0 : f32[4, 3]], %1 : object = c10d::allreduce_([%y], %process_group.0, %ReduceOp, None)\n"
        "  %z : f32[4, 3] = aten::add.Tensor(%x, 1)\n"
        "  prim::wait(%1)\n"
        "  %2 : f32[4, 3] = aten::add.Tensor(%0, %z)\n"
        "  return (%2)"
    )


@pytest.mark.usefixtures("mesh")
@pytest.mark.parametrize("program", [reduced, gathered, functionally])
def test_collectives_replay_at_other_sizes(program: Callable[..., Any]) -> None:
    traced = opscope.trace(program, torch.ones(4, 3), warn=False)
    x = torch.arange(16.0).view(8, 2)
    for actual, expected in zip(tensors_of(traced(x)), tensors_of(program(x)), strict=True):
        assert torch.equal(actual, expected)


def test_distributed_tensors_go_in_are_made_and_come_out(mesh: DeviceMesh) -> None:
    def given() -> tuple[DTensor]:
        return (distribute_tensor(torch.arange(12.0).view(4, 3), mesh, [Shard(0)]),)

    check_exact(lambda d: (d * 2, d @ d.t(), d.sum()), given)
    check_exact(lambda d: d.to_local() + 1, given)
    check_exact(lambda x: distribute_tensor(x, mesh, [Shard(0)]) * 2, one)
    check_exact(lambda x: DTensor.from_local(x, mesh, [Shard(0)]) * 2, one)
    check_exact(lambda x: DTensor.from_local(x, mesh, [Shard(0)]), one)


def test_a_change_of_placement_is_recorded_with_its_collectives(mesh: DeviceMesh) -> None:
    def program(d: DTensor) -> torch.Tensor:
        return (d * 2).redistribute(mesh, [Replicate()]) + 1

    d = distribute_tensor(torch.arange(12.0).view(4, 3), mesh, [Shard(0)])
    traced = opscope.trace(program, d, warn=False)
    for ours, theirs in zip(tensors_of(traced(d)), tensors_of(program(d)), strict=True):
        assert_identical(ours, theirs)
    gathers = traced.graph.nodes(op="_c10d_functional::all_gather_into_tensor")
    assert len(list(gathers)) == dist.get_world_size() - 1


class Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.a = nn.Linear(3, 8)
        self.b = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> Any:
        return self.b(torch.relu(self.a(x)))


@pytest.mark.parametrize("warm", [False, True])
def test_a_sharded_module_replays(mesh: DeviceMesh, warm: bool) -> None:
    model = Mlp()
    fully_shard(model.a, mesh=mesh)
    fully_shard(model, mesh=mesh)
    (x,) = one()
    if warm:
        model(x)
    traced = opscope.trace(model, x, warn=False)
    assert torch.equal(traced(x), model(x))
    assert torch.equal(traced(x), traced(x))
    kinds = [node.kind for node in traced.graph.walk()]
    assert ("c10d::_allgather_base_" in kinds) == (dist.get_world_size() > 1)
    assert "prim::resize_storage" in kinds


def test_a_replicated_module_replays(mesh: DeviceMesh) -> None:
    if dist.get_backend() == "fake":
        pytest.skip("replicated modules need a group that really communicates")
    model = nn.parallel.DistributedDataParallel(Mlp())
    (x,) = one()
    assert torch.equal(opscope.trace(model, x, warn=False)(x), model(x))


def _of_two(rank: int) -> bool:
    mesh = init_device_mesh("cpu", (2,))
    x = torch.arange(12.0).view(4, 3) * (rank + 1)

    def program(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        d = distribute_tensor(x, mesh, [Shard(0)])
        scattered = torch.empty(2, 3)
        dist.reduce_scatter_tensor(scattered, x)  # copies to its place when it is waited for
        dist.all_reduce(y := x.clone(), async_op=True).get_future().wait()
        return (*functionally(x), reduced(x), gathered(x), (d @ d.t()).full_tensor(), scattered, y)

    traced = opscope.trace(program, x, warn=False)
    return all(
        torch.equal(ours, theirs)
        for given in (x, x + 1, x - 3)
        for ours, theirs in zip(traced(given), program(given), strict=True)
    )


def test_two_processes_replay_together(tmp_path: Path) -> None:
    assert run_on_two(_of_two, tmp_path) == [True, True]
