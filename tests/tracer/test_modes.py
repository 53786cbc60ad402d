"""Gradient, inference and autocast modes are recorded on nodes and restored at replay."""

import itertools

import torch
from torch import nn

import opscope
from support.replays import check_replay, plain_text


def test_regions_of_no_grad_and_enable_grad() -> None:
    weight = nn.Parameter(torch.randn(3))

    def program(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        a = x * weight
        with torch.no_grad():
            b = a * weight
            with torch.enable_grad():
                c = b * weight
        return a, b, c, a.detach() + c

    traced = check_replay(program, torch.randn(3))
    assert "mode no_grad" in str(traced.graph)
    assert "with no_grad():" in traced.code


def test_autocast_regions() -> None:
    linear = nn.Linear(4, 4)

    def program(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            low = linear(x)
            with torch.autocast("cpu", enabled=False):
                high = linear(x)
        return low, high

    traced = check_replay(program, torch.randn(2, 4))
    assert "mode grad, autocast(cpu, bf16)" in str(traced.graph)
    assert traced(torch.randn(2, 4))[0].dtype == torch.bfloat16


def test_inference_mode_inside_and_around() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            y = x + 1
        return y

    assert opscope.trace(program, torch.ones(1))(torch.ones(1)).is_inference()
    with torch.inference_mode():
        around = opscope.trace(lambda x: x + 1, torch.ones(1))
    assert "ambient inference" in str(around.graph)
    assert not around(torch.ones(1)).is_inference(), (
        "the caller's mode holds, as it would for the model"
    )


def test_the_callers_mode_holds_where_the_program_set_none() -> None:
    linear = nn.Linear(2, 2)
    traced = opscope.trace(linear, torch.ones(1, 2))
    assert traced(torch.ones(1, 2)).requires_grad
    with torch.no_grad():
        assert not traced(torch.ones(1, 2)).requires_grad
        under = opscope.trace(linear, torch.ones(1, 2))
    assert "ambient no_grad" in str(under.graph)
    assert under(torch.ones(1, 2)).requires_grad


def test_modes_that_the_program_sets_hold_whatever_the_callers_are() -> None:
    linear = nn.Linear(3, 3)

    def program(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with torch.no_grad():
            frozen = linear(x)
        with torch.enable_grad():
            followed = linear(x)
        with torch.autocast("cpu", enabled=False):
            exact = linear(x)
        with torch.inference_mode(False):
            normal = torch.ones(3)
        return frozen, followed, exact, normal, linear(x)

    regions = (
        torch.enable_grad,
        torch.no_grad,
        torch.inference_mode,
        lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    )
    x = torch.randn(2, 3)
    for around_trace, around_replay in itertools.product(regions, regions):
        with around_trace():
            traced = opscope.trace(program, x)
        with around_replay():
            expected, found = program(x), traced(x)
        for one, other in zip(found, expected, strict=True):
            assert torch.equal(one, other)
            assert one.dtype == other.dtype
            assert one.requires_grad == other.requires_grad
            assert one.is_inference() == other.is_inference()


def test_a_mode_that_the_program_sets_to_what_it_was_is_fixed() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            y = x + 1
        return y * 2

    with torch.no_grad():
        traced = opscope.trace(program, torch.ones(2), dynamic=False)
    assert plain_text(traced) == (
        "graph program(%x : f32[2]) -> (f32[2]):\n"
        "  ambient no_grad\n"
        "  mode no_grad, fixed(grad, cpu)\n"
        "  %y : f32[2] = aten::add.Tensor(%x, 1)\n"
        "  mode no_grad\n"
        "  %0 : f32[2] = aten::mul.Tensor(%y, 2)\n"
        "  return (%0)"
    )
    assert "with no_grad(), no_autocast_cpu():" in traced.code


def test_a_backward_pass_inside_runs_without_gradients_under_any_mode() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad():
            y = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad((y * y * y).sum(), y)
        return gradient

    with torch.no_grad():
        traced = opscope.trace(program, torch.ones(2))
    assert not traced(torch.ones(2)).requires_grad


def test_a_region_that_an_exception_ends_is_over() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        try:
            with torch.no_grad():
                x = x + 1
                raise ValueError  # noqa: TRY301
        except ValueError:
            return x * 2

    with torch.no_grad():
        traced = opscope.trace(program, torch.ones(2))
    assert [node.modes.fixed for node in traced.graph.block] == [("grad",), ()]
