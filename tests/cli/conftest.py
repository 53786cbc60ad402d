"""A folder with a script to trace, and the command line in this process."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from opscope.cli.main import app

SCRIPT = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width=4, activation="relu"):
        super().__init__()
        self.fc = nn.Linear(width, 3)
        self.drop = nn.Dropout()
        self.activation = getattr(torch, activation)

    def forward(self, x, mask=None):
        y = self.drop(self.activation(self.fc(x)))
        return y if mask is None else y * mask

    def encode(self, x):
        return self.fc(x)

    @classmethod
    def build(cls, width=4):
        return cls(width)


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 4), Net())

    def forward(self, x):
        return self.body(x)


class Reader(nn.Module):
    def forward(self, x):
        if x.sum() > 100:
            x = x + 1
        return x


def make(width=4):
    return Net(width)


def need(width):
    return Net(width)


def double(x, times=2):
    return x * times


def nothing():
    return torch.ones(2)


def step(x):
    w = x.clone().requires_grad_()
    (w * w).sum().backward()
    return w.grad


def talk(x):
    print("hello from the program")
    return x + 1


def broken(x):
    raise ValueError("two\\nlines")


def leave(x):
    raise SystemExit(3)


net = Net()
three = 3
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with ``net.py`` in it; imports are forgotten afterwards."""
    (tmp_path / "net.py").write_text(SCRIPT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def opscope() -> Callable[..., Result]:
    """Runs the command line: ``opscope("trace", "net.py:Net")``."""

    def run(*args: str) -> Result:
        return CliRunner().invoke(app, args, prog_name="opscope")

    return run
