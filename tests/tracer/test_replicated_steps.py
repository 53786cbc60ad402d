"""Training steps under ``DistributedDataParallel``, on two processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import torch
import torch.distributed as dist
from torch import nn

import opscope
from opscope.errors import CaptureError, GuardError, ReplayError
from opscope.ir import print_node

if not dist.is_available():
    pytest.skip("this torch has no torch.distributed", allow_module_level=True)

from torch.distributed.algorithms.ddp_comm_hooks import default_hooks
from torch.nn.parallel import DistributedDataParallel

from support.processes import ask_two, run_on_two
from support.training import (
    Body,
    Layers,
    Normed,
    Partly,
    Trained,
    clipped,
    compare_with_eager,
    keeping,
    plainly,
)


def replicated(network: type[nn.Module] = Layers, **options: Any) -> Callable[[], nn.Module]:
    return lambda: DistributedDataParallel(network(), **options)


def compressed() -> nn.Module:
    model = DistributedDataParallel(Layers())
    model.register_comm_hook(None, default_hooks.fp16_compress_hook)
    return model


def accumulating(
    model: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor
) -> torch.Tensor:
    assert isinstance(model, DistributedDataParallel)
    optimizer.zero_grad()
    with model.no_sync():
        model(x).square().mean().backward()
    loss: torch.Tensor = model(x + 1).square().mean()
    loss.backward()
    optimizer.step()
    return loss


CASES: dict[str, tuple[Callable[[], nn.Module], Body]] = {
    "plain": (replicated(), plainly),
    "three buckets": (replicated(bucket_cap_mb=0.0003), plainly),
    "gradients in buckets": (replicated(gradient_as_bucket_view=True), plainly),
    "gradients kept in buckets": (replicated(gradient_as_bucket_view=True), keeping),
    "unused parameters": (replicated(Partly, find_unused_parameters=True), plainly),
    "a static graph": (replicated(Partly, static_graph=True), plainly),
    "buffers and random numbers": (replicated(Normed), plainly),
    "accumulated gradients": (replicated(), accumulating),
    "clipped gradients": (replicated(), clipped),
    "compressed gradients": (compressed, plainly),
}


def _compare_all(rank: int) -> dict[str, tuple[list[str], list[str]]]:
    return {name: compare_with_eager(rank, *case) for name, case in CASES.items()}


def test_steps_replay_bit_by_bit_on_both_processes(tmp_path: Path) -> None:
    exact_without_a_word: dict[str, Any] = {name: ([], []) for name in CASES}
    assert run_on_two(_compare_all, tmp_path) == [exact_without_a_word] * 2


def _trace(rank: int, warm: int = 2) -> Any:
    trained = Trained(DistributedDataParallel(Layers()), plainly)
    x = torch.ones(4, 8)
    for _ in range(warm):
        trained.step(x)
    return opscope.trace(trained.step, x, depth="deep", warn=False)


def _shown(rank: int) -> list[str]:
    traced = _trace(rank)
    reduced = next(iter(traced.graph.nodes(op="c10d::allreduce_")))
    first = traced.graph.nodes(op="aten::mul.out")[0]
    summary = str(traced.summary())
    return [
        str(traced.graph.state["process_group.0"].value.type),
        reduced.scope.address,
        *(print_node(node) for node in (first, reduced)),
        next(line for line in summary.splitlines() if line.startswith("Messages")),
    ]


def _order(rank: int) -> list[str]:
    kinds = [node.kind for node in _trace(rank).graph.walk()]
    start = kinds.index("c10d::allreduce_")
    return kinds[start : start + 3]


def _warned(rank: int) -> list[list[str]]:
    return [
        [d.message for d in _trace(rank, warm).diagnostics if "sorts gradients" in d.message]
        for warm in (0, 1, 2)
    ]


def _forward_alone(rank: int) -> tuple[bool, str]:
    model = DistributedDataParallel(Layers())
    x = torch.ones(4, 8)
    model(x).sum().backward()
    traced = opscope.trace(model, x, warn=False)
    with pytest.raises(ReplayError) as raised:
        traced(x).sum().backward()
    return torch.equal(traced(x), model(x)), str(raised.value)


def _hook_of_cpp(rank: int) -> str:
    model = DistributedDataParallel(Layers())
    model._register_builtin_comm_hook(dist.BuiltinCommHookType.FP16_COMPRESS)
    trained = Trained(model, plainly)
    x = torch.ones(4, 8)
    trained.step(x)
    trained.step(x)
    with pytest.raises(CaptureError) as raised:
        opscope.trace(trained.step, x, depth="deep")
    return str(raised.value)


def _gradients_taken_away(rank: int) -> list[bool]:
    model = DistributedDataParallel(Layers(), gradient_as_bucket_view=True)
    trained = Trained(model, plainly)
    x = torch.ones(4, 8)
    for _ in range(2):
        trained.step(x)
    traced = opscope.trace(trained.step, x, depth="deep", warn=False)
    model.zero_grad()
    traced(x)
    return [parameter.grad is not None for parameter in model.parameters()]


class _Choosing(Partly):
    def __init__(self) -> None:
        super().__init__()
        self.uses_extra = False

    def forward(self, x: torch.Tensor) -> Any:
        return super().forward(self.extra(x) if self.uses_extra else x)


def _with_other_parameters(rank: int) -> str:
    network = _Choosing()
    trained = Trained(DistributedDataParallel(network, find_unused_parameters=True), plainly)
    x = torch.ones(4, 8)
    trained.step(x)  # in which the optimizer makes its state, and only then
    traced = opscope.trace(trained.step, x, depth="deep", warn=False)
    if rank == 1:  # eagerly, and the other process is to notice
        network.uses_extra = True
        trained.step(x)
        return ""
    with pytest.raises(GuardError) as raised:
        traced(x)
    return str(raised.value).splitlines()[0]


def _checked(rank: int) -> str:
    trained = Trained(DistributedDataParallel(Layers()), plainly)
    x = torch.ones(4, 8) + rank
    for _ in range(3):
        trained.step(x)
    traced = opscope.trace(trained.step, x, depth="deep", warn=False)
    return str(traced.check(x)).splitlines()[0]


_QUESTIONS = (
    _checked,
    _shown, _order, _warned, _forward_alone, _hook_of_cpp, _gradients_taken_away, _with_other_parameters
)  # fmt: skip


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[Any, list[Any]]:
    """Give what both processes answer to each question."""
    return ask_two(_QUESTIONS, tmp_path_factory.mktemp("processes"))


Answers: TypeAlias = dict[Any, list[Any]]


def test_a_check_runs_on_both_processes(answers: Answers) -> None:
    said = "step: the replay equals the program bit by bit on 1 set of inputs"
    assert answers[_checked] == [said] * 2


def test_a_bucket_is_state_and_its_reduction_a_node_of_the_module(answers: Answers) -> None:
    group, scope, collected, reduced, messages = answers[_shown][1]
    assert group == "group[0, 1]{gloo, rank=1}"
    assert scope == "plainly()/backward<backward>/model"
    assert "out=%model.module.head.bias.in_bucket)" in collected
    assert "c10d::allreduce_([%model.bucket], %process_group.0, %ReduceOp, None)" in reduced
    assert messages == (
        "Messages    1 all-reduce of 972 B in process_group.0 of 2 processes · each sends at least 972 B"
    )


def test_what_cpp_waits_for_is_waited_for_before_it_is_read(answers: Answers) -> None:
    assert answers[_order][0] == ["c10d::allreduce_", "prim::wait", "aten::as_strided"]


def test_first_steps_whose_buckets_are_made_anew_are_told_of(answers: Answers) -> None:
    message = (
        "model (DistributedDataParallel) reduces gradients: after its first step it sorts gradients into "
        "other buckets than in this trace"
    )
    assert answers[_warned][0] == [[message], [message], []]


def test_a_backward_that_would_reduce_nothing_is_refused(answers: Answers) -> None:
    is_equal, error = answers[_forward_alone][0]
    assert is_equal
    assert error == (
        "no gradients can be computed of what a replay gives: the module has gradients reduced as they are "
        "computed, by hooks, which a replay does not hang\n"
        "  run backward() inside the program, or trace it under torch.no_grad()"
    )


def test_a_hook_that_works_in_threads_of_cpp_is_refused(answers: Answers) -> None:
    assert "FP16_COMPRESS unpacks gradients in threads of C++" in answers[_hook_of_cpp][0]


def test_gradients_that_the_reducer_puts_back_into_buckets_are_stored(answers: Answers) -> None:
    assert answers[_gradients_taken_away][0] == [True] * 8


def test_a_replay_is_held_to_the_parameters_that_took_part(answers: Answers) -> None:
    assert answers[_with_other_parameters][0].endswith("item() == 0 does not hold, it is 1 now")
