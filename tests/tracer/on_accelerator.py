"""Programs on an accelerator, traced, replayed and compared with eager; prints what came out as JSON."""

from __future__ import annotations

import json
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import opscope
from support import shadow_device

DEVICE = shadow_device.NAME

PROGRAMS: dict[str, Callable[[torch.Tensor], Any]] = {}


def program(function: Callable[[torch.Tensor], Any]) -> Callable[[torch.Tensor], Any]:
    """Make a function one of the programs."""
    PROGRAMS[function.__name__] = function
    return function


shadow_device.register()
torch.manual_seed(0)
WEIGHT = torch.randn(4, 4).to(DEVICE).requires_grad_()
ON_CPU = torch.randn(4, 4).requires_grad_()


@program
def a_forward(x: torch.Tensor) -> Any:
    return (x @ WEIGHT).softmax(-1)


@program
def views_and_writes(x: torch.Tensor) -> Any:
    y = x.clone()
    y[1:].mul_(2)
    y.t().add_(1)
    return y


@program
def a_gradient(x: torch.Tensor) -> Any:
    return torch.autograd.grad((x @ WEIGHT).tanh().sum(), WEIGHT)


@program
def a_gradient_of_a_gradient(x: torch.Tensor) -> Any:
    (first,) = torch.autograd.grad((x @ WEIGHT).tanh().sum(), WEIGHT, create_graph=True)
    return torch.autograd.grad((first * first).sum(), WEIGHT)


@program
def both_devices(x: torch.Tensor) -> Any:
    there = (x @ WEIGHT).relu()
    here = (there.cpu() @ ON_CPU).tanh()
    return torch.autograd.grad((here.to(DEVICE) * there).sum(), (WEIGHT, ON_CPU))


@program
def a_checkpoint(x: torch.Tensor) -> Any:
    y: Any = checkpoint(lambda x: (x @ WEIGHT).tanh().exp(), x, use_reentrant=False)
    return torch.autograd.grad(y.sum(), WEIGHT)


@program
def a_reentrant_checkpoint(x: torch.Tensor) -> Any:
    x = (x @ WEIGHT).sin()
    y: Any = checkpoint(lambda x: (x @ x).tanh().exp(), x, use_reentrant=True)
    WEIGHT.grad = None
    y.sum().backward()
    gradient, WEIGHT.grad = WEIGHT.grad, None
    return gradient


class _Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return 2 * x * gradient  # type: ignore[no-any-return]


@program
def a_custom_function(x: torch.Tensor) -> Any:
    y: Any = _Square.apply(x @ WEIGHT)  # type: ignore[no-untyped-call]
    return torch.autograd.grad(y.sum(), WEIGHT)


@program
def a_hook(x: torch.Tensor) -> Any:
    hidden = x @ WEIGHT
    hidden.register_hook(lambda gradient: gradient * 3)
    return torch.autograd.grad(hidden.tanh().sum(), WEIGHT)


class Net(nn.Module):
    """Two linear layers with a norm between them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 8)
        self.norm = nn.LayerNorm(8)
        self.last = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(F.gelu(self.norm(self.first(x))))  # type: ignore[no-any-return]


class Training:
    """A model on the accelerator, its optimizer, and one step of both."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.net = Net().to(DEVICE)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=1e-2)
        self.scaler = torch.amp.GradScaler(DEVICE, init_scale=1024.0)  # type: ignore[attr-defined]

    def step(self, x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the loss before the update."""
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.net(x), target)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss


def outcome(function: Callable[..., Any], *inputs: torch.Tensor) -> dict[str, Any]:
    """Trace a program, replay it and run it; tell how that went."""
    shadow_device.threads.clear()
    traced = opscope.trace(function, inputs)
    threads = set(shadow_device.threads)
    again = traced(*(each.clone() for each in inputs))
    eager = function(*(each.clone() for each in inputs))
    return {
        "is_equal": _equal(again, eager),
        "is_on_one_thread": threads == {threading.get_ident()},
        "diagnostics": list(map(str, traced.diagnostics)),
    }


def training() -> dict[str, Any]:
    """Train two models, one of them by a trace of its step."""
    eager, followed = Training(), Training()
    batches = [
        (torch.randn(6, 4).to(DEVICE), torch.randint(0, 2, (6,)).to(DEVICE)) for _ in range(6)
    ]
    for each in (eager, followed):
        each.step(*batches[0])
    eager.step(*batches[1])
    shadow_device.threads.clear()
    traced = opscope.trace(followed.step, batches[1])
    threads = set(shadow_device.threads)
    losses = [_equal(traced(*batch), eager.step(*batch)) for batch in batches[2:]]
    weights = zip(followed.net.parameters(), eager.net.parameters(), strict=True)
    (norm,) = traced.graph.nodes(op="aten::native_layer_norm_backward")
    return {
        "is_equal": all(losses) and all(_equal(*pair) for pair in weights),
        "is_on_one_thread": threads == {threading.get_ident()},
        "diagnostics": list(map(str, traced.diagnostics)),
        "scope": norm.scope.path,
        "is_backward": norm.scope.is_backward,
        "caused_here": norm in traced.graph.nodes(caused_by="on_accelerator.py"),
    }


def engine_threads() -> int:
    """Return in how many threads the same backward pass runs when nothing traces."""
    shadow_device.threads.clear()
    a_gradient(torch.randn(4, 4).to(DEVICE))
    return len(shadow_device.threads)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, tuple):
        return all(_equal(a, b) for a, b in zip(one, other, strict=True))
    return torch.equal(one.detach().cpu(), other.detach().cpu())


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    found: dict[str, Any] = {}
    for name, function in PROGRAMS.items():
        found[name] = outcome(function, torch.randn(4, 4).to(DEVICE))
    found["training"] = training()
    found["engine_threads"] = engine_threads()
    json.dump(found, sys.stdout)
