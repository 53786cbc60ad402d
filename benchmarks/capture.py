"""What capturing one operator costs over running it, against torch's own tracers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.fx.experimental.proxy_tensor import make_fx

import opscope

from .harness import Claim, Comparison, Effort, Report, interleave
from .models import chain, chain_in_modules, torchscript

_DEPTH = 12


def capture(effort: Effort) -> Report:
    """Trace 2000 small operators, with and without gradients, and below nested modules."""
    length = effort.size(2000, 500)
    function = chain(length)
    nested = chain_in_modules(length, _DEPTH)
    return Report(
        "Capture, per operator over eager",
        "µs",
        (
            _compare("no_grad", function, length, effort, grad=False),
            _compare("grad", function, length, effort, grad=True),
            _compare(f"no_grad, {_DEPTH} modules deep", nested, length, effort, grad=False),
        ),
        (
            f"{length} operators in turn relu and add on 4x4 tensors, one whole trace divided by them.",
            "eager: the operator itself. The others: what a trace adds to it.",
            "opscope: nodes with types, modes, scope and the whole Python stack, and variables' names.",
            "jit.trace: check_trace=False; its C++ graph with Python stacks, and its clean-up passes.",
            "make_fx: real tensors; fx nodes below autograd, without stacks; its GraphModule compiled.",
        ),
    )


def _compare(
    what: str, function: Callable[..., Any], length: int, effort: Effort, *, grad: bool
) -> Comparison:
    args = (torch.randn(4, 4, requires_grad=grad), torch.randn(4, 4))
    with torch.set_grad_enabled(grad):
        samples = interleave(
            {
                "eager": lambda: function(*args),
                "opscope": lambda: opscope.trace(function, args),
                "jit.trace": lambda: torchscript(function, args),
                "make_fx": lambda: make_fx(function)(*args),
            },
            effort.budget_s,
        )
    per_operator = 1e6 / length
    over = {
        name: samples.median_over(name, "eager") * per_operator
        for name in ("opscope", "jit.trace", "make_fx")
    }
    return Comparison(
        what,
        {"eager": samples.median("eager") * per_operator, **over},
        (
            Claim("opscope over eager", over["opscope"], "µs", 15),
            Claim(
                "jit.trace / opscope",
                samples.ratio("jit.trace", "opscope", over="eager"),
                "x",
                3,
                True,
            ),
            Claim(
                "make_fx / opscope",
                samples.ratio("make_fx", "opscope", over="eager"),
                "x",
                30,
                True,
            ),
        ),
    )
