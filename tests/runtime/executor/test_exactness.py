"""With the plain engine results, writes and gradients are those of the program, bit by bit."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import opscope
from support.exactness import assert_identical
from support.functional import assert_same
from support.random_writes import Program, programs
from support.replays import tensors_of

STRATEGY = [("static", 1), ("dynamic", 1)]


@given(programs, st.booleans())
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
def test_programs_of_views_and_writes_do_what_they_did(drawn: Program, grad: bool) -> None:
    def inputs() -> list[torch.Tensor]:
        torch.manual_seed(0)
        return [torch.randn(shape) for shape in ((2, 4), (4,))]

    with warnings.catch_warnings(), torch.set_grad_enabled(grad):
        warnings.simplefilter("ignore", UserWarning)  # torch warns of resized out= tensors
        working = drawn.working(inputs)
        traced = opscope.trace(working, tuple(inputs()), warn=False)
        executor = opscope.ProfilingExecutor(traced, fusion_strategy=STRATEGY)
        for _ in range(3):
            ours, theirs = inputs(), inputs()
            torch.manual_seed(0)
            expected = working(*theirs)
            torch.manual_seed(0)
            actual = executor(*ours)
            pairs = zip(tensors_of([actual, ours]), tensors_of([expected, theirs]), strict=True)
            for mine, other in pairs:
                assert_same(mine, other)
    assert executor.get_debug_state().levels[0].failure is None


def shared(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    v = x.view(x.shape)
    return ((v.exp() * x.sin() + v.exp() * w + x.exp()) @ w.t()).sum(0)


@pytest.mark.parametrize("strategy", [[("static", 1)], [("dynamic", 1)], []])
def test_gradients_and_theirs_are_those_of_eager(strategy: list[tuple[str, int]]) -> None:
    traced = opscope.trace(shared, (torch.randn(3, 4), torch.randn(2, 4)[:1]))
    executor = opscope.ProfilingExecutor(traced, fusion_strategy=strategy)
    for size in (3, 3, 3, 5):
        x = torch.randn(size, 4, requires_grad=True)
        w = torch.randn(1, 4, requires_grad=True)
        for ours, theirs in zip(_gradients(executor, x, w), _gradients(shared, x, w), strict=True):
            assert_identical(ours, theirs)


def _gradients(function: Callable[..., Any], *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
    first = torch.autograd.grad(function(*inputs).square().sum(), inputs, create_graph=True)
    return (*first, *torch.autograd.grad(sum(g.square().sum() for g in first), inputs))


def test_under_no_grad_a_region_with_gradients_keeps_them_exact() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad():
            w = x.detach().requires_grad_()
            return shared(w, w[:1] * 1)

    with torch.no_grad():
        executor = opscope.ProfilingExecutor(opscope.trace(program, torch.randn(3, 4)))
        for _ in range(3):
            executor(torch.randn(3, 4))
    (level,) = executor.get_debug_state().levels
    assert level.guards[0] == "grad mode off"
    assert str(level.graph).count("aten::exp") == 3


def test_training_with_an_optimizer_does_what_the_program_does() -> None:
    def run(use: Callable[..., Any]) -> list[torch.Tensor]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5))
        optimizer = torch.optim.Adam(model.parameters(), foreach=False)

        def step(x: torch.Tensor) -> torch.Tensor:
            optimizer.zero_grad()
            loss = model(x).square().sum()
            loss.backward()
            optimizer.step()
            return loss.detach()

        step(torch.randn(3, 4))
        step = use(step)
        losses = [step(torch.randn(3, 4)) for _ in range(4)]
        return [*losses, *model.state_dict().values()]

    def executed(step: Callable[..., Any]) -> Callable[..., Any]:
        traced = opscope.trace(step, torch.randn(3, 4))
        return opscope.ProfilingExecutor(traced)

    def traced_and_run(step: Callable[..., Any]) -> Callable[..., Any]:
        step(torch.randn(3, 4))
        return step

    for ours, theirs in zip(run(executed), run(traced_and_run), strict=True):
        assert_identical(ours, theirs)


def test_a_functional_graph_writes_back() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        x.add_(1)
        return x * 2

    executor = opscope.ProfilingExecutor(
        opscope.trace(program, torch.zeros(3), force_outplace=True)
    )
    for _ in range(3):
        x = torch.zeros(3)
        assert torch.equal(executor(x), torch.full((3,), 2.0))
        assert torch.equal(x, torch.ones(3))


def test_data_dependent_sizes_are_computed_each_time() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        chosen = x[x > 0]
        return chosen * chosen.shape[0]

    executor = opscope.ProfilingExecutor(opscope.trace(program, torch.tensor([1.0, 2.0, -1.0])))
    for values in ([1.0, 2.0, -1.0], [-1.0, -1.0, -1.0], [1.0, -1.0, -1.0], [1.0, 2.0, 3.0]):
        x = torch.tensor(values)
        assert_identical(executor(x), program(x))
    assert executor.get_debug_state().levels[0].hits == 3


def test_a_program_that_calls_functions_and_one_from_a_file_run(tmp_path: Path) -> None:
    layers = nn.Sequential(*[nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(2)])

    def program(x: torch.Tensor) -> torch.Tensor:
        one, two = layers(x).split(2, 1)
        return one + two

    traced = opscope.trace(program, torch.randn(3, 4))
    traced.apply("outline")
    assert traced.graph.functions
    traced.save(tmp_path / "net.opscope")
    for runs in (traced, opscope.load(tmp_path / "net.opscope")):
        executor = opscope.ProfilingExecutor(runs, fusion_strategy=STRATEGY)
        for size in (3, 3, 5, 5, 6):
            x = torch.randn(size, 4)
            assert_identical(executor(x).detach(), program(x).detach())
        assert [s.failure for s in executor.get_debug_state().levels] == [None, None]


def test_what_was_not_traced_is_refused() -> None:
    with pytest.raises(opscope.ReplayError, match="runs a traced program, not Linear"):
        opscope.ProfilingExecutor(nn.Linear(2, 2))  # type: ignore[arg-type]
    module = opscope.trace_module(nn.Linear(2, 2), {"forward": torch.ones(1, 2)})
    with pytest.raises(opscope.ReplayError, match="take a method"):
        opscope.ProfilingExecutor(module)  # type: ignore[arg-type]


def test_a_copy_of_a_program_changes_alone() -> None:
    traced = opscope.trace(lambda x: x.exp() + x.exp() + torch.ones(3), torch.ones(3))
    text, state = str(traced.graph), list(traced.state)
    copied = traced.copy()
    copied.apply("profiled")
    assert str(traced.graph) == text
    assert list(traced.state) == state
    assert str(copied.graph).count("aten::exp") == 1
    assert torch.equal(copied(torch.ones(3)), traced(torch.ones(3)))
