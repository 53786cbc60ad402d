"""The programs that are traced: chains of small operators, the examples' models, and a public one."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

_EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def chain(length: int) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Return a function of ``length`` operators in a row, relu and add in turn."""

    def relu_add(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        for _ in range(length // 2):
            x = torch.relu(x)
            x = x + y
        return x

    return relu_add


def chain_in_modules(length: int, depth: int) -> torch.nn.Module:
    """Return a module that runs the same chain below ``depth`` nested modules."""
    module: torch.nn.Module = _Chain(length)
    for _ in range(depth - 1):
        module = _Wrapper(module)
    return module.eval()


class _Chain(torch.nn.Module):
    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        for _ in range(self.length // 2):
            x = torch.relu(x)
            x = x + y
        return x


class _Wrapper(torch.nn.Module):
    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> Any:
        return self.inner(x, y)
