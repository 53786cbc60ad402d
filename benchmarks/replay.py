"""What replaying one operator costs, against running the program eagerly and as TorchScript."""

from __future__ import annotations

import torch

import opscope

from .harness import Claim, Comparison, Effort, Report, interleave
from .models import chain, torchscript

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
        ),
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
