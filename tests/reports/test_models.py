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


def other_sizes(inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """Return inputs of another batch size, and sentences of another length."""
    return tuple(
        torch.randint(50, (3, 11)) if x.dtype is torch.long else torch.randn(3, *x.shape[1:])
        for x in inputs
    )


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("train", [False, True])
def test_figures_at_other_sizes_are_those_of_a_run_there(
    make: Callable[[], Case], train: bool
) -> None:
    model, inputs = make()
    model.train(train)
    model(*inputs)
    others = other_sizes(inputs)
    with torch.set_grad_enabled(train):
        traced = opscope.trace(model, inputs, warn=False)
        # Transformers makes other masks where tensors are fake.
        fake = make in (gpt2, llama)
        expected = opscope.trace(model, others, warn=False, fake=fake).summary()
    sizes = {name: tuple(x.shape) for name, x in zip(traced.inputs.names, others, strict=True)}
    with torch.inference_mode():  # the modes are those of the trace
        summary = traced.summary(at=sizes)
    assert summary.flops == counted_by_torch(lambda: model(*others))
    assert figures(summary) == figures(expected)
    assert figures(traced.summary()) != figures(summary)


@pytest.mark.parametrize("depth", ["flat", "deep"])
def test_a_training_step_at_another_size(depth: Any) -> None:
    model, (tokens,) = gpt()
    optimizer = torch.optim.AdamW(model.parameters())

    def step(tokens: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss: torch.Tensor = model(tokens).square().mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    step(tokens)
    traced = opscope.trace(step, tokens, depth=depth, warn=False)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    summary = traced.summary(at={"tokens": {0: 5}})
    assert all(map(torch.equal, model.parameters(), before))
    others = torch.randint(50, (5, 16))
    assert summary.flops == counted_by_torch(lambda: step(others))
    expected = opscope.trace(step, others, depth=depth, warn=False).summary()
    assert summary.flops == expected.flops
    assert summary.saved_bytes == expected.saved_bytes
    assert summary.memory.parameter_bytes == expected.memory.parameter_bytes


def test_sizes_by_the_names_of_dimensions() -> None:
    model, inputs = gpt()
    traced = opscope.trace(model, inputs, dynamic={"tokens": ("batch", "length")})
    by_name = traced.summary(at={"batch": 3, "length": 5})
    assert figures(by_name) == figures(traced.summary(at={"tokens": (3, 5)}))
    assert figures(traced.summary(at={"batch": 3})) == figures(
        traced.summary(at={"tokens": (3, None)})
    )
    assert figures(traced.summary(at={})) == figures(traced.summary())


@pytest.mark.parametrize(
    ("sizes", "problem"),
    [
        ({"x": 1}, "is called 'x'; there are tokens, batch"),
        ({"tokens": (1, 2, 3)}, r"tokens is i64\[2, 16\]: it takes 2 sizes, not \(1, 2, 3\)"),
        ({"tokens": {5: 1}}, "its dimension 5 cannot have the size 1"),
        ({"tokens": (1, -1)}, "its dimension 1 cannot have the size -1"),
        ({"batch": (1,)}, r"'batch' takes one size, not \(1,\)"),
        ({"tokens": (1, 2), "batch": 3}, r"tokens.size\(0\) is asked to be 1 and 3"),
    ],
)
def test_sizes_that_an_input_cannot_have(sizes: Any, problem: str) -> None:
    model, inputs = gpt()
    traced = opscope.trace(model, inputs, dynamic={"tokens": {0: "batch"}})
    with pytest.raises(opscope.InputError, match=problem):
        traced.summary(at=sizes)


def test_what_must_be_as_at_the_trace_for_other_sizes() -> None:
    model, inputs = mobile()
    model(*inputs)
    traced = opscope.trace(model.eval(), inputs)
    model.train()
    with pytest.raises(opscope.GuardError, match="training is False"):
        traced.summary(at={"input": {0: 3}})


def test_programs_that_go_by_data_have_no_figures_at_other_sizes() -> None:
    traced = opscope.trace(lambda x: x * x.sum().item(), torch.ones(3), warn=False)
    with pytest.raises(opscope.CaptureError, match="fake=True computes none") as raised:
        traced.summary(at={"x": (4,)})
    assert "traced anew without data" in raised.value.__notes__[0]


def test_inputs_that_are_no_ordinary_tensors_at_other_sizes() -> None:
    x = torch.randn(4, 6)
    linear = nn.Linear(4, 4)

    def program(x: torch.Tensor, same: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return linear(x.contiguous()) @ weight + same.sum()

    traced = opscope.trace(program, (x.t(), x, linear.weight), dynamic=False)
    wider = torch.randn(4, 9)
    summary = traced.summary(at={"x": (9, 4)})
    expected = opscope.trace(program, (wider.t(), x, linear.weight), dynamic=False).summary()
    assert figures(summary) == figures(expected)
    with pytest.raises(opscope.InputError, match=r"weight is linear.weight of the program"):
        traced.summary(at={"weight": (3, 4)})
    twice = opscope.trace(lambda a, b: a @ b.t(), (x, x))
    assert twice.summary(at={"a": (5, 6), "b": (5, 6)}).flops == 2 * 5 * 5 * 6
    with pytest.raises(opscope.InputError, match="input b is a: give both the same sizes"):
        twice.summary(at={"b": (5, 6)})
