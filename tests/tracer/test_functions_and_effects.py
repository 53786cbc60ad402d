"""What no operator tells of, around and inside the calls that are one node: custom functions, programs."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import nn
from torch.autograd import Function

import opscope
from support.replays import check_replay


class ThroughNumpy(Function):
    """Doubles its argument where it is, behind torch's back."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        x.detach().numpy()[:] *= 2
        ctx.mark_dirty(x)
        return x

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return gradient * 2


class Noise(Function):
    """Adds numbers of a generator."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return x + torch.rand(x.shape, generator=generator)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:  # type: ignore[override]
        return gradient, None


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep the garbage collector from running."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def test_what_a_forward_writes_through_numpy_it_writes_again() -> None:
    traced = check_replay(lambda x: ThroughNumpy.apply(x * 1) + 1, torch.randn(3))
    assert not traced.diagnostics
    x = torch.randn(3)
    assert torch.equal(traced(x), x * 2 + 1)


def test_what_was_written_through_numpy_before_a_forward_is_reported_before_it() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = x * 1
        y.numpy()[0] = 5.0
        return ThroughNumpy.apply(y) + 1  # type: ignore[no-any-return]

    traced = opscope.trace(program, torch.ones(3), warn=False)
    kinds = [node.kind for node in traced.graph.block]
    assert kinds.index("prim::write") < kinds.index("prim::autograd_function")
    assert torch.equal(traced(torch.ones(3)), program(torch.ones(3)))
    assert "untracked write" in {found.kind.value for found in traced.diagnostics}


@pytest.mark.parametrize("is_program", [False, True])
def test_a_seed_before_a_call_that_draws_first_is_recorded(is_program: bool) -> None:
    generator = torch.Generator()
    noise: Callable[..., Any] = lambda x: Noise.apply(x, generator)  # noqa: E731
    if is_program:
        inner = opscope.trace(lambda x: x + torch.rand(3, generator=generator), torch.ones(3))
        noise = lambda x: inner(x)  # noqa: E731

    def program(x: torch.Tensor) -> torch.Tensor:
        generator.manual_seed(11)
        return noise(x) + torch.rand(3, generator=generator)  # type: ignore[no-any-return]

    generator.manual_seed(5)
    traced = opscope.trace(program, torch.ones(3))
    assert [n.kind for n in traced.graph.block].count("prim::seed_generator") == 1
    expected = program(torch.ones(3))
    generator.manual_seed(3)
    assert torch.equal(traced(torch.ones(3)), expected)


def test_a_generator_that_is_not_seeded_goes_on() -> None:
    generator = torch.Generator()

    def program(x: torch.Tensor) -> torch.Tensor:
        return Noise.apply(x, generator) + Noise.apply(x, generator)  # type: ignore[no-any-return]

    traced = opscope.trace(program, torch.ones(3))
    assert "seed" not in str(traced)
    generator.manual_seed(3)
    expected = program(torch.ones(3))
    generator.manual_seed(3)
    assert torch.equal(traced(torch.ones(3)), expected)


def test_called_programs_go_without_the_garbage_collector() -> None:
    def made() -> tuple[opscope.TracedProgram, weakref.ref[torch.Tensor]]:
        model = nn.Linear(3, 3)
        inner = opscope.trace(model, torch.randn(2, 3))
        middle = opscope.trace(lambda x: inner(x) + 1, torch.randn(2, 3))
        return opscope.trace(lambda x: middle(inner(x)), torch.randn(2, 3)), weakref.ref(
            model.weight
        )

    with uncollected():
        outer, weight = made()
        outer(torch.randn(2, 3))
        assert weight() is not None
        del outer
        assert weight() is None


def test_a_functional_program_called_in_a_trace_writes_its_arguments() -> None:
    buffer = torch.zeros(3)

    def program(x: torch.Tensor) -> torch.Tensor:
        buffer.add_(x)
        return x.mul_(2) + buffer

    inner = opscope.trace(program, torch.ones(3), force_outplace=True)
    buffer.zero_()

    def caller(x: torch.Tensor) -> Any:
        y = x * 1
        result = inner(y)
        return result, y

    traced = opscope.trace(caller, torch.ones(3))
    assert len(traced.graph.nodes(op="prim::call")) == 1
    buffer.zero_()
    x = torch.tensor([1.0, 2.0, 3.0])
    result, y = traced(x)
    assert torch.equal(y, x * 2)
    assert torch.equal(buffer, x)
    assert torch.equal(result, x * 3)


def test_checks_compare_custom_functions_and_calls() -> None:
    inner = opscope.trace(nn.Linear(3, 3), torch.randn(2, 3))
    traced = opscope.trace(
        lambda x: inner(ThroughNumpy.apply(x * 1)), torch.randn(2, 3, requires_grad=True)
    )
    traced.check((torch.randn(2, 3, requires_grad=True),), gradients=True)


def test_a_check_finds_the_custom_function_that_differs() -> None:
    scale = [1.0]

    class Scaled(Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            scale[0] += 1
            return x * scale[0]

    traced = opscope.trace(lambda x: Scaled.apply(x + 1) - 1, torch.ones(3), warn=False)
    with pytest.raises(opscope.CheckError, match=r"return x \* scale\[0\]"):
        traced.check((torch.ones(3),))


def test_fake_traces_of_custom_functions_and_calls() -> None:
    class Square(Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
            return gradient * ctx.saved_tensors[0] * 3

    traced = opscope.trace(lambda x: Square.apply(x), torch.ones(3), fake=True)
    x = torch.full((3,), 2.0, requires_grad=True)
    (gradient,) = torch.autograd.grad(traced(x).sum(), x)
    assert torch.equal(gradient, torch.full((3,), 6.0))


def test_a_functional_graph_has_the_operators_of_a_forward() -> None:
    class Both(Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
            y = Noise.apply(x * 2, generator)
            return y.add_(x)

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> Any:  # type: ignore[override]
            return gradient, None

    generator = torch.Generator()

    def program(x: torch.Tensor) -> torch.Tensor:
        return Both.apply(x, generator).mul_(3)  # type: ignore[no-any-return]

    traced = opscope.trace(program, torch.ones(3), force_outplace=True)
    assert [node.operator.base_name for node in traced.graph.walk()] == [
        "aten::mul",
        "aten::rand",
        "aten::add",
        "aten::add",
        "aten::mul",
    ]
    generator.manual_seed(1)
    expected = program(torch.ones(3))
    generator.manual_seed(1)
    assert torch.equal(traced(torch.ones(3)), expected)
    with pytest.warns(opscope.TracerWarning, match="without its backward"):
        opscope.trace(program, torch.ones(3, requires_grad=True), force_outplace=True)
