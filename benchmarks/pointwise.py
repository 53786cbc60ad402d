"""Programs most of whose time goes to operators on single elements, which an engine can fuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

PointwiseProgram = tuple[Callable[..., Any], tuple[torch.Tensor, ...]]


def programs() -> dict[str, PointwiseProgram]:
    """Return the programs with what they are called with, by name."""
    x = torch.randn(8, 128, 768)  # what goes along GPT-2: eight sentences of 128 words
    mask = torch.randn(8, 256, 256)
    return {
        "gated MLP, 3 small layers": (GatedMLP(64, 3), (torch.randn(32, 64),)),
        "SiLU, GELU, LayerNorm": (GatedNorm(768), (x,)),
        "swish, 6 times": (swish, (x,)),
        "mish and relu, 4 times": (mish, (x,)),
        "RMSNorm and SiLU": (rms_norm, (x,)),
        "LSTM cell, 6 steps": (Cell(32), (torch.randn(6, 4, 32),)),
        "Huber, dice, focal loss": (losses, (mask, torch.randn(8, 256, 256))),
        "Adam's update": (adam, tuple(torch.rand(768, 3072) for _ in range(4))),
    }


class GatedMLP(nn.Module):
    """Residual layers with a gate: two thirds of the time of small ones go to what is no product."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.gates = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(layers))
        self.ups = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(layers))
        self.downs = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(layers))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layers."""
        for gate, up, down in zip(self.gates, self.ups, self.downs, strict=True):
            h = self.norm(x)
            h = F.silu(gate(h)) * up(h)
            x = x + 0.5 * F.gelu(down(h)) * torch.sigmoid(x)
        return x


class GatedNorm(nn.Module):
    """A chain of activations between two norms."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before = nn.LayerNorm(width)
        self.after = nn.LayerNorm(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the chain."""
        h = self.before(x)
        a = F.silu(h) * h + x
        b = F.gelu(a, approximate="tanh") * 0.5 + a * 0.5
        return self.after((b * torch.sigmoid(a) + x).clamp(-3, 3))  # type: ignore[no-any-return]


class Cell(nn.Module):
    """A recurrent cell as textbooks write it, step by step."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inputs = nn.Linear(width, 4 * width)
        self.hidden = nn.Linear(width, 4 * width)

    def forward(self, steps: torch.Tensor) -> torch.Tensor:
        """Take the steps, and return the last state."""
        h = c = torch.zeros_like(steps[0])
        for x in steps.unbind(0):
            i, f, g, o = (self.inputs(x) + self.hidden(h)).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        return h


def swish(x: torch.Tensor) -> torch.Tensor:
    """Apply a scaled swish with a residual."""
    for _ in range(6):
        x = x * torch.sigmoid(1.7 * x) + 0.1 * x
    return x


def mish(x: torch.Tensor) -> torch.Tensor:
    """Apply mish, which is nearly all exponentials and logarithms."""
    for _ in range(4):
        x = F.mish(x) * 1.1 + x.relu() * 0.2 - 0.1
    return x


def rms_norm(x: torch.Tensor) -> torch.Tensor:
    """Apply a norm and an activation, with a residual."""
    for _ in range(4):
        y = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)
        x = x + F.silu(y) * y * 0.5
    return x


def losses(x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the sum of three losses written out."""
    d = x - target
    huber = torch.where(d.abs() < 1, 0.5 * d * d, d.abs() - 0.5).mean()
    p, is_one = torch.sigmoid(x), target > 0
    dice = 1 - 2 * (p * is_one).sum() / (p.sum() + is_one.sum() + 1)
    focal = (1 - p) ** 2 * F.softplus(-x) * is_one + p**2 * F.softplus(x) * ~is_one
    return huber + dice + focal.mean()


def adam(
    p: torch.Tensor, g: torch.Tensor, m: torch.Tensor, v: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """Return a parameter and its moments after one step."""
    m = m * 0.9 + g * 0.1
    v = v * 0.999 + g * g * 0.001
    return p - 1e-3 * (m / 0.9) / ((v / 0.99).sqrt() + 1e-8) - p * 0.01, m, v
