"""An optimizer's step: parameters, state and gradients under their names, and exact at every step."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

import opscope
from opscope.ir import StateKind
from opscope.testing import check_text
from support.replays import plain_text


def _trained(optimizer_class: Callable[..., Any], **options: Any) -> tuple[torch.nn.Module, Any]:
    """Return a model and its optimizer after one step, with gradients for the next."""
    torch.manual_seed(3)
    model = torch.nn.Linear(3, 2, bias=False)
    optimizer = optimizer_class(model.parameters(), **options)
    model.weight.grad = torch.randn(2, 3)
    optimizer.step()
    return model, optimizer


def test_a_step_reads_state_and_gradients_by_name() -> None:
    _, optimizer = _trained(torch.optim.SGD, lr=0.5, momentum=0.9, foreach=False)
    traced = opscope.trace(optimizer.step)
    check_text(
        opscope.parse(plain_text(traced)),
        """
        graph step() -> ():
          state %param_groups.0.params.0 : f32[2, 3]{grad}
          buffer %state.0.momentum_buffer : f32[2, 3]
          number %param_groups.0.lr : float, %param_groups.0.momentum : float,
              %param_groups.0.dampening : int, %param_groups.0.weight_decay : int
          %0 : bool = aten::ne.float_int(%param_groups.0.momentum, 0)
          prim::guard(%0, True)
          %1 : bool = aten::ne.int(%param_groups.0.weight_decay, 0)
          prim::guard(%1, False)
          %2 : int = aten::sub.int(1, %param_groups.0.dampening)
          %3 : float = aten::neg.float(%param_groups.0.lr)
          mode no_grad
          %5 : f32[2, 3] = aten::mul_.Tensor(%state.0.momentum_buffer, %param_groups.0.momentum)
          %param_groups.0.params.0.grad : f32[2, 3] = prim::gradient(%param_groups.0.params.0)
          %6 : f32[2, 3] = aten::add_.Tensor(%5, %param_groups.0.params.0.grad, alpha=%2)
          %7 : f32[2, 3]{grad} = aten::add_.Tensor(%param_groups.0.params.0, %6, alpha=%3)
          return ()
        """,
    )
    assert traced.diagnostics == ()


@pytest.mark.parametrize(
    ("optimizer_class", "options"),
    [
        (torch.optim.SGD, {"momentum": 0.9}),
        (torch.optim.Adam, {}),
        (torch.optim.Adam, {"fused": True}),
        (torch.optim.AdamW, {"foreach": True, "amsgrad": True}),
        (torch.optim.Adam, {"lr": torch.tensor(0.1), "capturable": False}),
        (torch.optim.ASGD, {}),
        (torch.optim.RMSprop, {"centered": True}),
    ],
)
def test_later_steps_on_other_gradients_are_exact(
    optimizer_class: Callable[..., Any], options: dict[str, Any]
) -> None:
    model, optimizer = _trained(optimizer_class, **options)
    twin, other = _trained(optimizer_class, **copy.deepcopy(options))
    traced = opscope.trace(optimizer.step, warn=False)  # ASGD decides by the number of the step
    other.step()
    for _ in range(4):
        gradient = torch.randn(2, 3)
        # Another tensor each time, as after ``zero_grad()``.
        model.weight.grad, twin.weight.grad = gradient.clone(), gradient
        traced()
        other.step()
        assert torch.equal(model.weight, twin.weight)
        ours, theirs = optimizer.state[model.weight], other.state[twin.weight]
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_an_optimizer_in_a_closure_leaves_parameters_their_names() -> None:
    model, adam = _trained(torch.optim.Adam)

    def train() -> torch.Tensor:
        adam.step()
        return model.weight.sum()

    traced = opscope.trace(train)
    kinds = {entry.name: entry.kind for entry in traced.graph.state.values()}
    assert kinds["model.weight"] is StateKind.PARAMETER
    assert kinds["adam.state.model.weight.exp_avg"] is StateKind.BUFFER
    assert not any("params" in name for name in kinds)
    names = [node.output.name for node in traced.graph.nodes(op="prim::gradient")]
    assert names == ["model.weight.grad"]


def test_the_gradient_of_an_input_is_read_from_it() -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        assert x.grad is not None
        return x.grad * 2

    x = torch.ones(2, requires_grad=True)
    x.grad = torch.tensor([1.0, 2.0])
    traced = opscope.trace(program, x)
    assert traced.diagnostics == ()
    other = torch.ones(2, requires_grad=True)
    other.grad = torch.tensor([5.0, 6.0])
    assert torch.equal(traced(other), torch.tensor([10.0, 12.0]))
    other.grad = None
    with pytest.raises(opscope.ReplayError, match="gradient that is not there"):
        traced(other)


def test_options_that_are_tensors_are_state() -> None:
    rate = torch.tensor(0.5)
    _, optimizer = _trained(torch.optim.SGD, lr=rate, foreach=False)
    traced = opscope.trace(optimizer.step)
    assert traced.state["param_groups.0.lr"].read() is rate


def test_gradients_that_are_there_are_accumulated_into_at_each_replay() -> None:
    def ready() -> tuple[torch.nn.Module, Callable[[torch.Tensor], None]]:
        torch.manual_seed(3)
        model = torch.nn.Linear(3, 2)
        model(torch.ones(1, 3)).sum().backward()

        def accumulate(x: torch.Tensor) -> None:
            for part in x.split(2):
                model(part).pow(2).sum().backward()

        return model, accumulate

    (ours, our_step), (theirs, their_step) = ready(), ready()
    x = torch.randn(4, 3)
    traced = opscope.trace(our_step, x, strict=True)
    their_step(x)
    for _ in range(2):
        x = torch.randn(4, 3)
        traced(x)
        their_step(x)
        for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert one.grad is not None
            assert other.grad is not None
            assert torch.equal(one.grad, other.grad)
