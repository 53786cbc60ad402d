"""Functions of engines with gradients of any order.

Note [Second order]
    What AOTAutograd compiles has gradients, and these have none. So each call stands in the graph of autograd
    as one function of ours. A usual backward pass goes through what was compiled. One that records itself
    (``create_graph=True``) runs the plain function again, on the same inputs, and gives the gradients of
    that, which are those of eager, and so are all that follow. So it is for programs that can be run again:
    those that write nothing, draw no random numbers, and return memory of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

Function = Callable[..., tuple[Any, ...]]


class Declined(Exception):
    """An engine is not for this plan; the message says why."""


class Differentiable:
    """Runs a compiled function; see Note [Second order].

    Args:
        kernels: what was compiled, with gradients.
        plain: what it was compiled of.
        bound: the state that both read.
    """

    def __init__(self, kernels: Function, plain: Function, bound: Sequence[torch.Tensor]) -> None:
        self.kernels = kernels
        self.plain = plain
        self.bound = [tensor for tensor in bound if tensor.requires_grad]

    def __call__(self, *given: Any) -> tuple[Any, ...]:
        """Run it."""
        if not any(t.requires_grad for t in (*given, *self.bound) if isinstance(t, torch.Tensor)):
            return self.kernels(*given)
        # Their hooks would run in the backward pass of what was compiled, and again in that of the caller.
        if any(tensor._backward_hooks for tensor in self.bound):
            return self.plain(*given)
        results: tuple[Any, ...] | None = _Call.apply(self, len(given), *given, *self.bound)  # type: ignore[no-untyped-call]
        return self.plain(*given) if results is None else results


class _Call(torch.autograd.Function):
    """One call of a compiled function."""

    @staticmethod
    def forward(ctx: Any, of: Differentiable, count: int, *tensors: Any) -> Any:
        """Run what was compiled on inputs that lead nowhere; gives None where it returns their memory."""
        with torch.enable_grad():
            apart = [_apart(value) for value in tensors[:count]]
            results = of.kernels(*apart)
        made = [value for value in results if isinstance(value, torch.Tensor)]
        if len({*map(id, made)} | {*map(id, apart)}) < len(made) + len({*map(id, apart)}) or any(
            value._is_view() for value in made
        ):
            return None
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*[value for value in tensors if isinstance(value, torch.Tensor)])
        ctx.others = [None if isinstance(value, torch.Tensor) else (value,) for value in tensors]
        ctx.of, ctx.count = of, count
        ctx.inner = [*apart, *of.bound], [r for r in results if _is_followed(r)]
        ctx.places = [n for n, result in enumerate(results) if _is_followed(result)]
        given = tuple(r.detach() if isinstance(r, torch.Tensor) else r for r in results)
        ctx.mark_non_differentiable(
            *[r for n, r in enumerate(given) if n not in ctx.places and isinstance(r, torch.Tensor)]
        )
        return given

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Go back through what was compiled, or through the plain function run again."""
        records = torch.is_grad_enabled()
        sources, results = _again(ctx) if records else ctx.inner
        followed = [n for n, source in enumerate(sources) if _is_followed(source)]
        pairs = [(r, gradients[n]) for r, n in zip(results, ctx.places, strict=True)]
        pairs = [(result, gradient) for result, gradient in pairs if gradient is not None]
        found: Sequence[Any] = [None] * len(followed)
        if pairs:
            found = torch.autograd.grad(
                [result for result, _ in pairs],
                [sources[n] for n in followed],
                [gradient for _, gradient in pairs],
                retain_graph=records or torch._C._autograd._get_current_graph_task_keep_graph(),
                create_graph=records,
                allow_unused=True,
            )
        known = dict(zip(followed, found, strict=True))
        return (None, None, *[known.get(n) for n in range(len(sources))])


def _again(ctx: Any) -> tuple[list[Any], list[Any]]:
    """Run the plain function on what the call was given; return that, and its results."""
    saved = iter(ctx.saved_tensors)
    tensors = [next(saved) if other is None else other[0] for other in ctx.others]
    # An input that is given twice has a gradient for each place.
    given = [
        value.view_as(value) if _is_followed(value) else value for value in tensors[: ctx.count]
    ]
    results = ctx.of.plain(*given)
    return [*given, *tensors[ctx.count :]], [results[n] for n in ctx.places]


def _apart(value: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    return value.detach().requires_grad_(value.requires_grad)


def _is_followed(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.requires_grad
