"""Training steps on several processes, run eagerly and replayed side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import nn

import opscope

Body: TypeAlias = Callable[[nn.Module, torch.optim.Optimizer, torch.Tensor], Any]
"""What a step does with a model, its optimizer and an input; it returns the loss."""


class Layers(nn.Module):
    """Three layers in a list and a head."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(3)])
        self.head = nn.Linear(width, 3)

    def forward(self, x: torch.Tensor) -> Any:
        for layer in self.layers:
            x = torch.relu(layer(x))
        return self.head(x)


class Normed(nn.Module):
    """A network with running statistics and random numbers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.a = nn.Linear(8, 8)
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.3)
        self.b = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> Any:
        return self.b(self.drop(torch.relu(self.norm(self.a(x)))))


class Partly(Layers):
    """A network with a layer that its forward does not use."""

    def __init__(self) -> None:
        super().__init__()
        self.extra = nn.Linear(8, 8)


def plainly(model: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor) -> Any:
    """Take the usual step."""
    optimizer.zero_grad()
    loss: Any = model(x).square().mean()
    loss.backward()
    optimizer.step()
    return loss


def clipped(model: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor) -> Any:
    """Take a step with gradients of limited norm."""
    optimizer.zero_grad()
    loss: Any = model(x).square().mean()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.1)
    optimizer.step()
    return loss


def keeping(model: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor) -> Any:
    """Take a step in whose beginning gradients become zeros."""
    optimizer.zero_grad(set_to_none=False)
    loss: Any = model(x).square().mean()
    loss.backward()
    optimizer.step()
    return loss


class Trained:
    """A model in training, with all that a step changes."""

    def __init__(self, model: nn.Module, body: Body) -> None:
        self.model = model
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.SGD(trained, lr=0.1, momentum=0.9)
        self._body = body

    def step(self, x: torch.Tensor) -> Any:
        """Take a step."""
        return self._body(self.model, self.optimizer, x)

    def state(self) -> dict[str, torch.Tensor]:
        """Return parameters, gradients, buffers and momenta of this process by name, copied."""
        found: dict[str, torch.Tensor] = {}
        for name, parameter in self.model.named_parameters():
            held = {"": parameter, ".grad": parameter.grad, **self.optimizer.state[parameter]}
            found.update((f"{name}{what}", held[what]) for what in held if held[what] is not None)
        found.update(self.model.named_buffers())
        return {name: getattr(t, "_local_tensor", t).detach().clone() for name, t in found.items()}


def compare_with_eager(
    rank: int, make: Callable[[], nn.Module], body: Body, warm: int = 3, steps: int = 4
) -> tuple[list[str], list[str]]:
    """Train one model eagerly and its twin by a replay, with one eager step in between.

    Returns what differs in any bit, and what the trace warned of.
    """
    eager, replayed = Trained(make(), body), Trained(make(), body)
    torch.manual_seed(10 + rank)
    inputs = torch.randn(warm + 1 + steps, 4, 8)
    for number in range(warm):
        _seeded(number, eager.step, inputs[number])
        _seeded(number, replayed.step, inputs[number])
    _seeded(warm, eager.step, inputs[warm])
    traced = _seeded(
        warm, lambda x: opscope.trace(replayed.step, x, depth="deep", warn=False), inputs[warm]
    )
    differing = []
    for number in range(steps):
        x = inputs[warm + 1 + number]
        program = replayed.step if number == 1 else traced
        expected, actual = _seeded(number, eager.step, x), _seeded(number, program, x)
        if not torch.equal(expected, actual):
            differing.append(f"the loss of step {number}")
        ours, theirs = replayed.state(), eager.state()
        assert list(ours) == list(theirs)
        differing += [
            f"{name} after step {number}"
            for name in ours
            if not torch.equal(ours[name], theirs[name])
        ]
    return differing, [d.message for d in traced.diagnostics if d.severity.name != "INFO"]


def _seeded(seed: int, function: Callable[[torch.Tensor], Any], x: torch.Tensor) -> Any:
    torch.manual_seed(seed)
    return function(x)
