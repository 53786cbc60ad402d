"""The programs that are traced: chains of small operators, the examples' models, and a public one."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

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


Program = tuple[torch.nn.Module, tuple[torch.Tensor, ...]]
"""A module and the arguments it is called with."""


def resnet50() -> Program:
    """Return the examples' ResNet-50 and an image."""
    return _example("resnet").resnet50().eval(), (torch.randn(1, 3, 224, 224),)


def vit_b_16() -> Program:
    """Return the examples' ViT-B/16 and an image."""
    return _example("vit").vit_b_16().eval(), (torch.randn(1, 3, 224, 224),)


def small_gpt() -> Program:
    """Return the examples' GPT with 12 small layers, and a sentence."""
    model = _example("gpt").gpt(layers=12, heads=4, width=128, vocabulary=1000, context=128)
    return model.eval(), (torch.randint(0, 1000, (1, 128)),)


def training_step() -> tuple[Callable[[torch.Tensor], torch.Tensor], torch.Tensor]:
    """Return one step of AdamW on the examples' GPT with 12 tiny layers, and tokens to learn from."""
    model = _example("gpt").gpt(layers=12, heads=4, width=64, vocabulary=100, context=32)
    optimizer = torch.optim.AdamW(model.parameters())

    def step(tokens: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        logits = model(tokens[:, :-1]).flatten(0, 1)
        loss = torch.nn.functional.cross_entropy(logits, tokens[:, 1:].flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    tokens = torch.randint(0, 100, (2, 33))
    step(tokens)  # makes the optimizer's state
    return step, tokens


class TrainingStep(NamedTuple):
    """A step that updates its model; the optimizer's state is there.

    Attributes:
        run: takes the step.
        inputs: what it is called with.
        model: what learns.
    """

    run: Callable[..., torch.Tensor]
    inputs: tuple[torch.Tensor, ...]
    model: torch.nn.Module


def resnet50_step() -> TrainingStep:
    """Return a step of the examples' ResNet-50 on four images."""
    model = _example("resnet").resnet50().train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return _step(model, optimizer, torch.randn(4, 3, 224, 224), torch.randint(0, 1000, (4,)))


def small_gpt_step() -> TrainingStep:
    """Return a step of the examples' GPT with 12 small layers on one sentence."""
    return _gpt_step(heads=4, width=128, vocabulary=1000)


def gpt_step() -> TrainingStep:
    """Return a step of the examples' GPT with layers and a vocabulary of GPT-2's size on one sentence."""
    return _gpt_step(heads=12, width=768, vocabulary=50257)


def _gpt_step(**sizes: int) -> TrainingStep:
    model = _example("gpt").gpt(layers=12, context=128, **sizes)
    tokens = torch.randint(0, sizes["vocabulary"], (1, 129))
    optimizer = torch.optim.AdamW(model.parameters())
    return _step(model, optimizer, tokens[:, :-1], tokens[:, 1:])


def _step(model: torch.nn.Module, optimizer: Any, *batch: torch.Tensor) -> TrainingStep:
    def step(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        logits = model(inputs).flatten(0, -2)
        loss = torch.nn.functional.cross_entropy(logits, targets.flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    step(*batch)
    return TrainingStep(step, batch, model)


def small_gpt2() -> Program:
    """Return transformers' GPT-2 with 12 small layers: hundreds of operators in little time."""
    return _gpt2(n_embd=192, n_head=4, vocab_size=1000, n_positions=128)


def gpt2() -> Program:
    """Return transformers' GPT-2 in its own size."""
    return _gpt2()


def torchscript(function: Callable[..., Any], args: tuple[torch.Tensor, ...]) -> Any:
    """Trace with ``torch.jit.trace``, without the second run that checks the first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # it is deprecated, and still a measure
        # What it bakes in holds here.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        return torch.jit.trace(function, args, check_trace=False, strict=False)  # type: ignore[no-untyped-call]


def _gpt2(**sizes: Any) -> Program:
    from transformers import GPT2Config, GPT2LMHeadModel  # optional, and slow to import

    config = GPT2Config(use_cache=False, bos_token_id=0, eos_token_id=0, **sizes)
    model: torch.nn.Module = GPT2LMHeadModel(config)
    return model.train(False), (torch.randint(0, config.vocab_size, (1, 64)),)


@cache
def _example(name: str) -> ModuleType:
    """Import a file of ``examples/`` by its path: another package may be called ``examples`` too."""
    spec = importlib.util.spec_from_file_location(
        f"opscope_example_{name}", _EXAMPLES / f"{name}.py"
    )
    assert spec is not None, "a path to a Python file gives a spec"
    assert spec.loader is not None, "a path to a Python file gives a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module
