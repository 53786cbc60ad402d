"""A thread that seems to be inside a transform computes as before, and is not left so."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import opscope
from opscope.tracer.dispatch.detours import begin_detour, end_detour

is_active = torch._C._are_functorch_transforms_active


def test_operators_run_as_before_on_a_detour() -> None:
    x = torch.linspace(-1, 1, 6, requires_grad=True)
    expected = torch.nn.functional.gelu(x)
    begin_detour()
    begin_detour()
    try:
        assert is_active()
        actual = torch.nn.functional.gelu(x)
    finally:
        end_detour()
    assert not is_active()
    assert torch.equal(actual, expected)
    assert torch.func.vmap(torch.sin)(x.detach()).equal(x.sin())


def test_an_interrupt_on_a_detour_leaves_the_thread_as_it_was() -> None:
    def program(x: torch.Tensor) -> Any:
        begin_detour()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        opscope.trace(program, torch.ones(2))
    assert not is_active()
    assert torch.func.vmap(torch.sin)(torch.zeros(2)).equal(torch.zeros(2))


def test_the_end_of_no_detour_changes_nothing() -> None:
    def inside(x: torch.Tensor) -> torch.Tensor:
        end_detour()
        assert is_active()
        return x.sin()

    assert torch.func.vmap(inside)(torch.zeros(2)).equal(torch.zeros(2))
