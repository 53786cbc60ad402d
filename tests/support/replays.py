"""Running a program eagerly and by replay, and comparing the two bit by bit."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch

import opscope


def plain_text(program: opscope.TracedProgram | opscope.Graph) -> str:
    """Return a program's text without comments and scope headings, to compare what runs alone."""
    lines = [re.sub(r"\s+# .*$", "", line) for line in str(program).splitlines()]
    return "\n".join(line for line in lines if not re.match(r"\s*scope ", line)).strip()


def tensors_of(whole: Any) -> list[torch.Tensor]:
    """Return every tensor in a nested result."""
    from opscope.ir.structure import take_apart

    return take_apart(whole, lambda part: isinstance(part, torch.Tensor))[0]


def check_replay(
    function: Callable[..., Any],
    *args: Any,
    kwargs: dict[str, Any] | None = None,
    warn: bool = True,
) -> opscope.TracedProgram:
    """Trace, replay, and run eagerly on equal inputs and seeds; all three must agree bit by bit."""
    kwargs = kwargs or {}
    torch.manual_seed(7)
    expected = function(*_cloned(args), **kwargs)
    after_eager = torch.rand(1)

    torch.manual_seed(7)
    traced = opscope.trace(function, _cloned(args), kwargs, warn=warn)
    assert torch.equal(torch.rand(1), after_eager), "tracing drew other random numbers"

    torch.manual_seed(7)
    actual = traced(*_cloned(args), **kwargs)
    assert torch.equal(torch.rand(1), after_eager), "the replay drew other random numbers"

    assert type(actual) is type(expected)
    ours, theirs = tensors_of(actual), tensors_of(expected)
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert one.requires_grad == other.requires_grad
        assert torch.equal(one, other)
    opscope.verify(traced.graph)
    assert str(opscope.parse(str(traced.graph))) == str(traced.graph)
    return traced


def _cloned(args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        arg.detach().clone().requires_grad_(arg.requires_grad)
        if isinstance(arg, torch.Tensor)
        else arg
        for arg in args
    )
