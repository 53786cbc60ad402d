"""Real models: FLOPs as torch counts them, memory as it is measured, and the same without torch."""

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
from opscope import Summary, TracedProgram, summarize
from opscope.cli.target import load_script
from opscope.ir import parse
from support.flops import counted_by_torch
from support.memory import peak_bytes, saved_bytes

EXAMPLES = Path(__file__).parents[2] / "examples"
Case = tuple[nn.Module, tuple[torch.Tensor, ...]]


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
        image=32, patch=8, width=24, layers=3, heads=4, classes=10
    )
    return model, (torch.randn(2, 3, 32, 32),)


def gpt() -> Case:
    model = example("gpt").gpt(layers=3, heads=4, width=24, vocabulary=50, context=16)
    return model, (torch.randint(50, (2, 16)),)


def gpt2() -> Case:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        n_layer=3, n_embd=32, n_head=4, vocab_size=50, n_positions=16, use_cache=False,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    return GPT2LMHeadModel(config), (torch.randint(50, (2, 16)),)


def llama() -> Case:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        num_hidden_layers=3, hidden_size=32, intermediate_size=64, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=50, use_cache=False,
    )  # fmt: skip
    return LlamaForCausalLM(config), (torch.randint(50, (2, 16)),)


def bert() -> Case:
    from transformers import BertConfig, BertModel

    config = BertConfig(
        num_hidden_layers=3, hidden_size=32, intermediate_size=64, num_attention_heads=4,
        vocab_size=50,
    )  # fmt: skip
    return BertModel(config), (torch.randint(50, (2, 16)),)


def mobile() -> Case:
    layers = [nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.Hardswish()]
    for _ in range(3):
        layers += [nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.GroupNorm(2, 8), nn.SiLU(inplace=True)]
        layers += [nn.Conv2d(8, 8, 1), nn.MaxPool2d(2, 1), nn.Dropout(0.2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(5), nn.Softmax(-1)), (
        torch.randn(2, 3, 16, 16),
    )


MODELS: list[Callable[[], Case]] = [resnet50, vit, gpt, gpt2, llama, bert, mobile]


def figures(summary: Summary) -> list[Any]:
    memory = summary.memory
    return [summary.rows, memory.peak_bytes, memory.output_bytes, memory.parameter_bytes]


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("train", [False, True])
def test_flops_and_memory_of_a_forward(make: Callable[[], Case], train: bool) -> None:
    model, inputs = make()
    model.train(train)
    with torch.set_grad_enabled(train):
        model(*inputs)
        traced = opscope.trace(model, inputs, warn=False)
        summary = traced.summary()
        assert summary.flops == counted_by_torch(lambda: model(*inputs))
        assert summary.uncounted == {}
        assert summary.notes == ()
        expected = saved_bytes(model, lambda: model(*inputs), inputs) if train else 0
        assert summary.saved_bytes == expected
        _check_peak(summary, traced, inputs)
    assert summary.parameters == sum(p.numel() for p in model.parameters())
    for row in traced.summary(fold=False).rows[1:]:
        parameters = model.get_submodule(row["path"]).parameters()
        assert row["parameters"] == sum(p.numel() for p in parameters), row
    assert figures(summarize(parse(str(traced.graph)))) == figures(summary)


def _check_peak(summary: Summary, traced: TracedProgram, inputs: tuple[torch.Tensor, ...]) -> None:
    """Check the peak against the allocator's, which also sees what kernels need while they run.

    Convolutions and attention need much at these sizes; what other operators need is a few bytes.
    """
    traced(*inputs)
    measured = peak_bytes(lambda: traced(*inputs))
    assert summary.memory.peak_bytes <= measured
    if summary.name not in ("ResNet", "Sequential", "BertModel"):
        assert measured <= summary.memory.peak_bytes * 1.01


@pytest.mark.parametrize("make", MODELS[:-1])
def test_flops_of_a_training_step(make: Callable[[], Case]) -> None:
    model, inputs = make()
    parameters = list(model.parameters())

    def step(*given: torch.Tensor) -> Any:
        result = model(*given)
        result = result if isinstance(result, torch.Tensor) else result[0]
        return torch.autograd.grad(result.sum(), parameters, allow_unused=True)

    expected = counted_by_torch(lambda: step(*inputs))
    forward = counted_by_torch(lambda: model(*inputs))
    traced = opscope.trace(step, inputs, warn=False)
    summary = traced.summary()
    assert (summary.forward_flops, summary.backward_flops) == (forward, expected - forward)
    assert summary.uncounted == {}
    read_from_text = summarize(parse(str(traced.graph)))
    assert figures(read_from_text) == figures(summary)
