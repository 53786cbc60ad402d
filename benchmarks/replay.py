"""What replaying one operator costs, against running the program eagerly and as TorchScript."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Final

import torch

import opscope

from .harness import Claim, Comparison, Effort, Report, interleave
from .models import (
    Program,
    chain,
    resnet50,
    small_gpt,
    small_gpt2,
    torchscript,
    vit_b_16,
)

_REPEATS: Final = 200
_STEPS: Final[tuple[Callable[[torch.Tensor], torch.Tensor], ...]] = (
    lambda x: x.relu(),
    lambda x: x + 1,
    lambda x: x * x,
    lambda x: x.sum(1, keepdim=True).expand(4, 4),
    lambda x: x.t(),
    lambda x: x.view(16).view(4, 4),
    lambda x: x @ x,
    lambda x: x.softmax(-1),
    lambda x: torch.cat([x[:2], x[2:]]),
    lambda x: torch.nn.functional.linear(x, x),
    lambda x: torch.nn.functional.layer_norm(x, (4,)),
)
_TURN_S: Final = 0.05
_IN_A_ROW: Final = (
    "Turns of 50 ms or more: short programs are called several times in a row, all alike."
)
_WARM_UP = 5  # runs after which TorchScript's profiling executor has settled


def replay(effort: Effort) -> Report:
    """Replay 2000 small operators, with and without gradients."""
    length = effort.size(2000, 500)
    return Report(
        "Replay, per operator",
        "µs",
        (
            _compare("no_grad", length, effort, grad=False),
            _compare("grad", length, effort, grad=True),
        ),
        (
            f"{length} operators in turn relu and add on 4x4 tensors; the graph was compiled before.",
            f"TorchScript: the chain traced by torch.jit.trace, after {_WARM_UP} runs.",
            _IN_A_ROW,
        ),
    )


def operators(effort: Effort) -> Report:
    """Replay programs of one operator each, without gradients."""
    with torch.no_grad():
        row = _operators(effort)
    return Report(
        "Replay, medians over operators",
        "µs",
        (row,),
        (
            f"Programs of {_REPEATS} times one operator on 4x4 tensors, no_grad; times per operator.",
            _IN_A_ROW,
        ),
    )


def _operators(effort: Effort) -> Comparison:
    """Compare small programs of one operator each; figures and ratios are medians over the operators."""
    eager: list[float] = []
    replayed: list[float] = []
    ratios: list[float] = []
    x = torch.randn(4, 4) * 0.1
    steps = _STEPS[: effort.size(len(_STEPS), 3)]
    for step in steps:
        function = partial(_repeated, step)
        traced = opscope.trace(function, x)
        samples = interleave(
            {"eager": partial(function, x), "opscope": partial(traced, x)},
            effort.budget_s / len(steps),
            turn_s=_TURN_S,
        )
        eager.append(samples.median("eager"))
        replayed.append(samples.median("opscope"))
        ratios.append(samples.ratio("opscope", "eager"))
    figures: dict[str, float | None] = {
        "eager": median(eager) * 1e6 / _REPEATS,
        "opscope": median(replayed) * 1e6 / _REPEATS,
    }
    claim = Claim("opscope / eager", median(ratios), "x", 1)
    return Comparison(f"{len(steps)} operators", figures, (claim,))


def _repeated(step: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    for _ in range(_REPEATS):
        x = step(x)
    return x


def models(effort: Effort) -> Report:
    """Replay the examples' models, without gradients."""
    programs: list[tuple[str, Callable[[], Program]]] = [("GPT, 12 small layers", small_gpt)]
    if not effort.is_quick:
        programs += [
            ("GPT-2, 12 small layers", small_gpt2),
            ("ResNet-50", resnet50),
            ("ViT-B/16", vit_b_16),
        ]
    with torch.no_grad():
        rows = [_compare_model(name, build(), effort) for name, build in programs]
    return Report(
        "Replay of models", "ms", tuple(rows), ("One forward pass on one example, no_grad.",)
    )


def _compare_model(what: str, program: Program, effort: Effort) -> Comparison:
    module, args = program
    replayed = opscope.trace(module, args, warn=False)
    samples = interleave(
        {"eager": lambda: module(*args), "opscope": lambda: replayed(*args)}, effort.budget_s
    )
    return Comparison(
        what,
        {name: samples.median(name) * 1e3 for name in ("eager", "opscope")},
        (Claim("opscope / eager", samples.ratio("opscope", "eager"), "x", 1),),
    )


def _compare(what: str, length: int, effort: Effort, *, grad: bool) -> Comparison:
    function = chain(length)
    args = (torch.randn(4, 4, requires_grad=grad), torch.randn(4, 4))
    with torch.set_grad_enabled(grad):
        replayed = opscope.trace(function, args)
        scripted = torchscript(function, args)
        for _ in range(_WARM_UP):
            scripted(*args)
        samples = interleave(
            {
                "eager": lambda: function(*args),
                "opscope": lambda: replayed(*args),
                "TorchScript": lambda: scripted(*args),
            },
            effort.budget_s,
            turn_s=_TURN_S,
        )
    contestants = ("eager", "opscope", "TorchScript")
    return Comparison(
        what,
        {name: samples.median(name) * 1e6 / length for name in contestants},
        (
            Claim("opscope / eager", samples.ratio("opscope", "eager"), "x", 1),
            Claim("opscope / TorchScript", samples.ratio("opscope", "TorchScript")),
        ),
    )
