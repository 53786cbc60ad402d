"""One capture of a real model at both levels: composite operators as nodes, and as what they call."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

import opscope
from opscope.cli.target import load_script
from opscope.ir.structure import take_apart

EXAMPLES = Path(__file__).parents[2] / "examples"
Case = tuple[nn.Module, tuple[Any, ...]]


@pytest.fixture(autouse=True)
def _same_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    torch.manual_seed(0)


def example(name: str) -> ModuleType:
    return load_script(EXAMPLES / f"{name}.py")


def resnet50() -> Case:
    return example("resnet").resnet50(), (torch.randn(2, 3, 64, 64),)


def vit() -> Case:
    model = example("vit").VisionTransformer(
        image=32, patch=8, width=24, layers=2, heads=4, classes=10
    )
    return model, (torch.randn(2, 3, 32, 32),)


def gpt() -> Case:
    model = example("gpt").gpt(layers=2, heads=4, width=24, vocabulary=50, context=16)
    return model, (torch.randint(50, (2, 16)),)


def gpt2() -> Case:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        n_layer=2, n_embd=32, n_head=4, vocab_size=50, n_positions=16, use_cache=False,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    return GPT2LMHeadModel(config), (torch.randint(50, (2, 16)),)


def transformer() -> Case:
    return nn.Transformer(16, 4, 2, 2, 32, batch_first=True), (
        torch.randn(2, 5, 16),
        torch.randn(2, 4, 16),
    )


def lstm() -> Case:
    return nn.LSTM(8, 16, 2, bidirectional=True, dropout=0.1), (torch.randn(5, 2, 8),)


class UnderAutocast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(8, 8), nn.Conv1d(8, 8, 3, padding=1)

    def forward(self, x: torch.Tensor) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            y = self.one(self.one(x)).relu()
            return self.other(self.other(y.T[None])) + self.one(y).T


def autocast() -> Case:
    return UnderAutocast(), (torch.randn(4, 8),)


@pytest.fixture(params=[resnet50, vit, gpt, gpt2, transformer, lstm, autocast])
def case(request: pytest.FixtureRequest) -> Case:
    if request.param is gpt2:
        pytest.importorskip("transformers")
    made: Case = request.param()
    return made


def outcome(model: nn.Module, run: Callable[..., Any], args: tuple[Any, ...]) -> list[torch.Tensor]:
    """Return what a run gives, and the gradients of all parameters."""
    torch.manual_seed(1)
    results = take_apart(run(*args), lambda part: isinstance(part, torch.Tensor))[0]
    total = sum((part.float() ** 2).sum() for part in results if part.requires_grad)
    assert isinstance(total, torch.Tensor)
    gradients = torch.autograd.grad(total, list(model.parameters()), allow_unused=True)
    return [*results, *(gradient for gradient in gradients if gradient is not None)]


@pytest.mark.parametrize("is_training", [False, True])
def test_a_deep_trace_folds_to_the_flat_one_and_comes_back(case: Case, is_training: bool) -> None:
    model, args = case
    model.train(is_training)
    flat, deep = (
        opscope.trace(model, args, dynamic=False, warn=False, depth=depth)
        for depth in ("flat", "deep")
    )
    expected = outcome(model, model, args)
    text, whole = str(deep.graph), str(flat.graph)
    assert text != whole

    def check(shown: str) -> None:
        opscope.verify(deep.graph)
        assert str(deep.graph) == str(opscope.parse(shown)) == shown
        actual = outcome(model, deep, args)
        assert all(torch.equal(*pair) for pair in zip(actual, expected, strict=True))

    check(text)
    result = deep.fold("operators")
    assert str(result) == f"{len(result.folded)} operators folded, 0 kept open"
    check(whole)
    assert str(deep.summary()) == str(flat.summary())
    assert opscope.to_dot(deep) == opscope.to_dot(flat)
    deep.unfold("operators")
    check(text)


@pytest.mark.parametrize("made", [resnet50, vit, gpt, transformer])
def test_functions_of_scopes_have_both_levels(made: Callable[[], Case]) -> None:
    model, args = made()
    model.eval()
    flat, deep = (
        opscope.trace(model, args, dynamic=False, warn=False, depth=depth)
        for depth in ("flat", "deep")
    )
    text = str(deep.graph)
    expected = outcome(model, model, args)
    deep.apply("outline", verify_each=True)
    assert str(opscope.parse(str(deep.graph))) == str(deep.graph)
    deep.apply("inline", verify_each=True)
    assert str(deep.graph) == text
    deep.apply("outline,fold_operators", verify_each=True)
    actual = outcome(model, deep, args)
    assert all(torch.equal(*pair) for pair in zip(actual, expected, strict=True))
    deep.apply("inline", verify_each=True)
    assert str(deep.graph) == str(flat.graph)
