"""What a replay that a guard ends says of what it has changed before."""

import pytest
import torch
from torch import nn

import opscope


def _refusal(traced: opscope.TracedProgram, *args: torch.Tensor) -> str:
    with pytest.raises(opscope.GuardError) as refused:
        traced(*args)
    return str(refused.value).splitlines()[-1]


def test_gradients_and_writes_before_the_guard_are_told() -> None:
    model = nn.Linear(2, 1)
    count = torch.zeros(())

    def step(x: torch.Tensor) -> torch.Tensor:
        model.zero_grad()
        loss = model(x).sum()
        loss.backward()
        count.add_(1)
        x.view(-1).mul_(0.5)
        if x.sum() > 0:
            return loss
        return -loss

    traced = opscope.trace(step, torch.ones(1, 2), depth="deep", warn=False)
    model.zero_grad()
    assert _refusal(traced, -torch.ones(1, 2)) == (
        "  this run has stored 2 gradients and written %count, %x before it came there, which stays so"
    )


def test_many_writes_are_counted() -> None:
    kept = [torch.zeros(1) for _ in range(5)]

    def program(x: torch.Tensor) -> torch.Tensor:
        torch._foreach_add_(kept, 1)
        return x if x > 0 else -x

    traced = opscope.trace(program, torch.ones(1), warn=False)
    assert "written %kept.0, %kept.1, %kept.2 and 2 more before" in _refusal(traced, -torch.ones(1))


def test_a_run_that_changed_nothing_of_the_caller_s_says_nothing_of_it() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        y = (x * 2).add_(1)
        return y if y > 0 else -y

    traced = opscope.trace(program, torch.ones(1), warn=False)
    assert "this run has" not in _refusal(traced, -torch.ones(1))
