"""Passes on real networks: replays after each pipeline are what the network gives, to the bit."""

from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

import opscope
from opscope.passes.pipelines import PIPELINES

ALL = (*PIPELINES, "normalize_ops,peephole{fold_scalars=true},lift_linear,dce,cse")


def llama() -> LlamaForCausalLM:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=40,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
        )
    )


def gpt2() -> GPT2LMHeadModel:
    return GPT2LMHeadModel(
        GPT2Config(vocab_size=40, n_embd=32, n_layer=2, n_head=4, n_positions=32)
    )


@pytest.mark.parametrize("passes", ALL)
@pytest.mark.parametrize("make", [llama, gpt2])
def test_language_models_in_evaluation(make: Any, passes: str) -> None:
    torch.manual_seed(0)
    model = make().eval()

    def logits(ids: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = model(ids, use_cache=False).logits
        return found

    ids = torch.randint(0, 40, (2, 7))
    traced = opscope.trace(logits, ids, warn=False)
    report = traced.apply(passes, verify_each=True)
    if any(run.pass_.name == "peephole" for run in report.runs):
        assert report.changed
        assert not traced.graph.nodes(op="aten::dropout")
    assert torch.equal(traced(ids), logits(ids))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(traced(ids), logits(ids))
    expected = torch.autograd.grad(logits(ids).sum(), list(model.parameters()))
    found = torch.autograd.grad(traced(ids).sum(), list(model.parameters()))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("passes", ALL)
def test_a_training_step(passes: str) -> None:
    def trained(steps: int, *, by_replay: bool) -> list[torch.Tensor]:
        torch.manual_seed(0)
        model = gpt2().train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, foreach=False)

        def step(ids: torch.Tensor) -> torch.Tensor:
            optimizer.zero_grad()
            loss: torch.Tensor = model(ids, labels=ids, use_cache=False).loss
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            return loss.detach()

        ids = torch.randint(0, 40, (2, 7))
        step(ids)  # makes the optimizer's state
        run: Any = step
        if by_replay:
            run = opscope.trace(step, ids, warn=False)
            run.apply(passes, verify_each=True)
        else:
            step(ids)
        losses = []
        for seed in range(steps):
            torch.manual_seed(seed)
            losses.append(run(ids))
        return [*losses, *model.parameters()]

    for one, other in zip(trained(2, by_replay=True), trained(2, by_replay=False), strict=True):
        assert torch.equal(one, other)
