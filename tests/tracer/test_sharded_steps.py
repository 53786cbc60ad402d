"""Training steps under ``fully_shard``, on two processes and on one of a thousand that are imagined."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import torch
import torch.distributed as dist
from torch import nn

import opscope
from opscope.errors import CaptureError, GuardError, ReplayError
from opscope.ir.collectives import collectives

if not dist.is_available():
    pytest.skip("this torch has no torch.distributed", allow_module_level=True)

from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, MixedPrecisionPolicy, fully_shard
from torch.testing._internal.distributed.fake_pg import FakeStore

from support.processes import ask_two, run_on_two
from support.training import Body, Layers, Normed, Trained, clipped, compare_with_eager, plainly

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:torch.distributed.*")


def shard(model: nn.Module, **options: Any) -> nn.Module:
    """Shard each layer by itself, and the last with the model."""
    options.setdefault("mesh", init_device_mesh("cpu", (dist.get_world_size(),)))
    layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.BatchNorm1d)]
    for layer in layers[:-1]:
        fully_shard(layer, **options)
    return fully_shard(model, **options)


class Uneven(nn.Module):
    """A network whose rows two processes cannot share equally."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.a = nn.Linear(8, 7)
        self.b = nn.Linear(7, 1)

    def forward(self, x: torch.Tensor) -> Any:
        return self.b(torch.relu(self.a(x)))


def partly_frozen() -> nn.Module:
    model = Layers()
    model.layers[1].requires_grad_(False)
    return shard(model)


def accumulating(
    model: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor
) -> torch.Tensor:
    sharded: Any = model
    optimizer.zero_grad()
    sharded.set_requires_gradient_sync(False)
    model(x).square().mean().backward()
    sharded.set_requires_gradient_sync(True)
    loss: torch.Tensor = model(x + 1).square().mean()
    loss.backward()
    optimizer.step()
    return loss


_MIXED = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)

CASES: dict[str, tuple[Callable[[], nn.Module], Body]] = {
    "plain": (lambda: shard(Layers()), plainly),
    "parameters stay gathered": (lambda: shard(Layers(), reshard_after_forward=False), plainly),
    "in two dimensions": (
        lambda: shard(Layers(), mesh=init_device_mesh("cpu", (2, 1), mesh_dim_names=("r", "s"))),
        plainly,
    ),
    "mixed precision": (lambda: shard(Layers(), mp_policy=_MIXED), plainly),
    "unequal shards": (lambda: shard(Uneven()), plainly),
    "buffers and random numbers": (lambda: shard(Normed()), plainly),
    "frozen parameters": (partly_frozen, plainly),
    "accumulated gradients": (lambda: shard(Layers()), accumulating),
    "clipped gradients": (lambda: shard(Layers()), clipped),
}


def _compare_all(rank: int) -> dict[str, tuple[list[str], list[str]]]:
    return {name: compare_with_eager(rank, *case) for name, case in CASES.items()}


def test_steps_replay_bit_by_bit_on_both_processes(tmp_path: Path) -> None:
    exact_without_a_word: dict[str, Any] = {name: ([], []) for name in CASES}
    assert run_on_two(_compare_all, tmp_path) == [exact_without_a_word] * 2


def _first_step_traced(rank: int) -> tuple[list[str], list[str]]:
    return compare_with_eager(rank, lambda: shard(Layers()), _without_momentum, warm=0)


def _without_momentum(
    model: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor
) -> torch.Tensor:
    optimizer.param_groups[0]["momentum"] = 0.0
    return plainly(model, optimizer, x)


def _forward_without_gradients(rank: int) -> list[bool]:
    model = shard(Layers())
    inputs = torch.randn(3, 4, 8)
    with torch.no_grad():
        traced = opscope.trace(model, inputs[0], strict=True)
        equal = [torch.equal(traced(x), model(x)) for x in inputs]
    model(inputs[0]).sum().backward()  # shards the outermost again
    with torch.no_grad():
        return [*equal, *(torch.equal(traced(x), model(x)) for x in inputs)]


def _forward_alone(rank: int) -> tuple[bool, str]:
    model = shard(Layers())
    x = torch.ones(4, 8)
    traced = opscope.trace(model, x, warn=False)
    with pytest.raises(ReplayError) as raised:
        traced(x).sum().backward()
    return torch.equal(traced(x), model(x)), str(raised.value).splitlines()[0]


def _gathered_in_between(rank: int) -> tuple[str, bool]:
    trained = Trained(shard(Layers()), plainly)
    x = torch.ones(4, 8)
    trained.step(x)
    traced = opscope.trace(trained.step, x, depth="deep", warn=False)
    with torch.no_grad():
        trained.model(x)  # leaves what belongs to the outermost gathered
    with pytest.raises(GuardError) as raised:
        traced(x)
    sharded: Any = trained.model
    sharded.reshard()
    return str(raised.value).splitlines()[0], bool(traced(x) > 0)


def _gathered_before(rank: int) -> str:
    trained = Trained(shard(Layers()), plainly)
    x = torch.ones(4, 8)
    trained.step(x)
    with torch.no_grad():
        trained.model(x)
    with pytest.raises(CaptureError) as raised:
        opscope.trace(trained.step, x, depth="deep", warn=False)
    return str(raised.value)


def _classic(rank: int) -> tuple[list[str], str]:
    model = FullyShardedDataParallel(Layers(), device_id=torch.device("cpu"), use_orig_params=True)
    trained = Trained(model, plainly)
    x = torch.ones(4, 8)
    trained.step(x)
    traced = opscope.trace(trained.step, x, depth="deep", warn=False)
    with pytest.raises(GuardError) as raised:
        traced(x)
    kinds = dict.fromkeys(found.kind.value for found in collectives(traced.graph.walk()))
    return list(kinds), str(raised.value)


def _checked(rank: int) -> str:
    trained = Trained(shard(Layers()), plainly)
    x = torch.ones(4, 8) + rank
    for _ in range(3):
        trained.step(x)
    traced = opscope.trace(trained.step, x, depth="deep", warn=False)
    return str(traced.check(x)).splitlines()[0]


_QUESTIONS = (
    _checked,
    _first_step_traced, _forward_without_gradients, _forward_alone, _gathered_in_between,
    _gathered_before, _classic,
)  # fmt: skip


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[Any, list[Any]]:
    """Give what both processes answer to each question."""
    return ask_two(_QUESTIONS, tmp_path_factory.mktemp("processes"))


Answers: TypeAlias = dict[Any, list[Any]]


def test_a_check_runs_on_both_processes(answers: Answers) -> None:
    said = "step: the replay equals the program bit by bit on 1 set of inputs"
    assert answers[_checked] == [said] * 2


def test_a_first_step_that_makes_the_memory_replays(answers: Answers) -> None:
    for differing, _ in answers[_first_step_traced]:
        assert not differing


def test_a_forward_replays_whether_or_not_the_outermost_is_gathered(answers: Answers) -> None:
    assert answers[_forward_without_gradients] == [[True] * 6] * 2


def test_a_backward_that_would_find_nothing_gathered_is_refused(answers: Answers) -> None:
    is_equal, error = answers[_forward_alone][0]
    assert is_equal
    assert error == (
        "no gradients can be computed of what a replay gives: the module gathers its parameters for a "
        "backward, and has their gradients reduced, by hooks, which a replay does not hang"
    )


def test_a_replay_finds_the_parameters_sharded_as_the_trace_did(answers: Answers) -> None:
    error, is_replayed = answers[_gathered_in_between][0]
    assert error == (
        "this run cannot follow the trace: the parameters of model are sharded when it starts there, and not "
        "now"
    )
    assert is_replayed


def test_a_step_that_finds_parameters_gathered_and_shards_them_is_refused(answers: Answers) -> None:
    assert "call reshard() on the module before the trace" in answers[_gathered_before][0]


def test_the_classic_way_is_shown_and_its_replay_refused(answers: Answers) -> None:
    kinds, error = answers[_classic][0]
    assert kinds == ["all-gather", "reduce-scatter"]
    assert error == (
        "this run cannot follow the trace: model is a FullyShardedDataParallel, which exchanges the data of "
        "its parameters\n  shard the model with fully_shard instead"
    )


@pytest.fixture
def world() -> Iterator[None]:
    """Be the fourth of 1024 processes, of which the others are only imagined."""
    dist.init_process_group("fake", rank=3, world_size=1024, store=FakeStore())
    yield
    dist.destroy_process_group()


def large_step(mesh: DeviceMesh, **options: Any) -> opscope.TracedProgram:
    trained = Trained(shard(Layers(64), mesh=mesh), plainly)
    x = torch.ones(4, 64)
    trained.step(x)
    return opscope.trace(trained.step, x, **options)


def square() -> DeviceMesh:
    return init_device_mesh("cpu", (128, 8), mesh_dim_names=("replicate", "shard"))


@pytest.mark.usefixtures("world")
def test_a_step_of_one_of_1024_processes_shows_what_it_communicates() -> None:
    traced = large_step(square(), depth="deep", strict=True)
    groups = {found.ranks for found in collectives(traced.graph.nodes(op="c10d::*"))}
    assert groups == {tuple(range(8)), tuple(range(3, 1024, 8))}
    assert [
        (node.kind, node.scope.address)
        for node in traced.graph.nodes(op="c10d::*")
        if "layers.2" in node.scope.address
    ] == [
        ("c10d::_allgather_base_", "plainly()/model.layers.2"),
        ("c10d::_allgather_base_", "plainly()/backward<backward>/model.layers.2"),
        ("c10d::_reduce_scatter_base_", "plainly()/backward<backward>/model.layers.2"),
        ("c10d::allreduce_", "plainly()/backward<backward>/model.layers.2"),
    ]
    sentences = traced.summary().communication.sentences()
    assert [re.sub(r"process_group\.[0-9]+", "a group", sentence) for sentence in sentences] == [
        "7 all-gathers of 99.5 KiB, 4 reduce-scatters of 50.8 KiB in a group of 8 processes · each sends at "
        "least 132 KiB",
        "4 all-reduces of 6.35 KiB in a group of 128 processes · each sends at least 12.6 KiB",
    ]


@pytest.mark.usefixtures("world")
def test_a_fake_step_communicates_the_same() -> None:
    mesh = square()
    real = large_step(mesh, depth="deep").summary()
    fake = large_step(mesh, fake=True, warn=False).summary()
    assert real.message_bytes > 0
    assert fake.communication == real.communication


@pytest.mark.usefixtures("world")
def test_the_memory_of_shards_is_state_called_as_the_parameters() -> None:
    traced = large_step(square(), depth="deep")
    assert [
        f"{name} : {entry.value.type}"
        for name, entry in traced.graph.state.items()
        if name.startswith("model.layers.1.")
    ] == [
        "model.layers.1.weight : f32[64, 64]{class=DTensor, grad}",
        "model.layers.1.bias : f32[64]{class=DTensor, grad}",
        "model.layers.1.gathered_weight : f32[4096]",
        "model.layers.1.gathered_bias : f32[64]",
        "model.layers.1.unsharded_weight : f32[64, 64]{grad}",
        "model.layers.1.unsharded_bias : f32[64]{grad}",
    ]
