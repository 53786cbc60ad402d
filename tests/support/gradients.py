"""Comparing what a program gives and the gradients it makes, eagerly, while traced and by replay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

import opscope
from support.replays import tensors_of


@dataclass(frozen=True)
class Outcome:
    """What a run gave: results, whether they require grad, the next random number, gradients, buffers."""

    results: list[torch.Tensor]
    requires_grad: list[bool]
    next_random: torch.Tensor
    gradients: list[torch.Tensor | None]
    buffers: list[torch.Tensor]

    def assert_same(self, other: Outcome) -> None:
        """Fail unless both are equal bit by bit."""
        assert self.requires_grad == other.requires_grad
        ours = [*self.results, self.next_random, *self.gradients, *self.buffers]
        theirs = [*other.results, other.next_random, *other.gradients, *other.buffers]
        for one, two in zip(ours, theirs, strict=True):
            assert (one is None) == (two is None)
            assert one is None or two is None or _equal(one, two), f"{one} is not {two}"


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.dtype == other.dtype and torch.allclose(one, other, 0, 0, equal_nan=True)


def run(
    program: Callable[..., Any],
    args: Sequence[torch.Tensor],
    leaves: Sequence[torch.Tensor] = (),
    buffers: Sequence[torch.Tensor] = (),
) -> Outcome:
    """Run a program on copies of ``args``, and backward from all that requires grad."""
    copies = [arg.detach().clone().requires_grad_(arg.requires_grad) for arg in args]
    for leaf in leaves:
        leaf.grad = None
    torch.manual_seed(7)
    results = tensors_of(program(*copies))
    next_random = torch.rand(1)
    differentiable = [result.sum() for result in results if result.requires_grad]
    if differentiable:
        torch.autograd.backward(differentiable)
    return Outcome(
        [result.detach().clone() for result in results],
        [result.requires_grad for result in results],
        next_random,
        [leaf.grad for leaf in (*copies, *leaves)],
        [buffer.clone() for buffer in buffers],
    )


def check_gradients(
    program: Callable[..., Any],
    *inputs: tuple[torch.Tensor, ...],
    leaves: Sequence[torch.Tensor] = (),
    buffers: Sequence[torch.Tensor] = (),
    warn: bool = True,
) -> opscope.TracedProgram:
    """Trace on the first inputs; the trace and replays on all inputs must be what eager runs are."""
    before = [buffer.clone() for buffer in buffers]

    def restore() -> None:
        with torch.no_grad():
            for buffer, data in zip(buffers, before, strict=True):
                buffer.copy_(data)

    expected = []
    for args in inputs:
        restore()
        expected.append(run(program, args, leaves, buffers))
    restore()
    made: list[opscope.TracedProgram] = []
    results: list[Any] = []

    def traced_once(*args: torch.Tensor) -> Any:
        def noting(*args: torch.Tensor) -> Any:
            results.append(program(*args))
            return results[-1]

        noting.__wrapped__ = program  # type: ignore[attr-defined]  # names are looked up in the program
        made.append(opscope.trace(noting, args, warn=warn))
        return results[-1]

    run(traced_once, inputs[0], leaves, buffers).assert_same(expected[0])
    for args, outcome in zip(inputs, expected, strict=True):
        restore()
        run(made[0], args, leaves, buffers).assert_same(outcome)
    text = str(made[0].graph)
    assert str(opscope.parse(text)) == text
    opscope.ir.verify(made[0].graph)
    assert opscope.to_dot(made[0])
    return made[0]
