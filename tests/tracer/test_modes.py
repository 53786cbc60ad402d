"""Gradient, inference and autocast modes are recorded on nodes and restored at replay."""

import torch
from torch import nn

import opscope
from support.replays import check_replay


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
