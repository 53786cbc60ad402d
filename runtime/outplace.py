"""What our own operators for graphs without writes run; ``ir/own_operators.py`` says what they mean."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, cast

import torch

from ..errors import ReplayError


def outplace(
    find: Callable[[str], Any], name: str, written: list[str], *args: Any, **kwargs: Any
) -> Any:
    """Run an operator on copies of what it writes; return its own results, then the copies."""
    overload, names, returned = _schema(find, name)
    positional = list(args)
    copies = []
    for parameter in written:
        if parameter in kwargs:
            kwargs[parameter] = copy = _copy(kwargs[parameter])
        else:
            position = names.index(parameter)
            positional[position] = copy = _copy(positional[position])
        copies.append(copy)
    result = overload(*positional, **kwargs)
    results = list(result) if isinstance(result, tuple) else [result]
    results = [part for part, counts in zip(results, returned, strict=False) if counts]
    results.extend(copies)
    return results[0] if len(results) == 1 else tuple(results)


def view_scatter(
    find: Callable[[str], Any], name: str, number: int, base: torch.Tensor, part: torch.Tensor,
    *args: Any, **kwargs: Any,
) -> torch.Tensor:  # fmt: skip
    """Return a copy of ``base`` in which the view that an operator gives contains ``part``."""
    overload, _, _ = _schema(find, name)
    copy = cast(torch.Tensor, _copy(base))
    views = overload(copy, *args, **kwargs)
    view = views[number] if isinstance(views, list | tuple) else views
    view.copy_(part)
    return copy


class _KeptHistory(torch.autograd.Function):
    """Gives one tensor's data the place of another in autograd's graph."""

    @staticmethod
    def forward(ctx: Any, content: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        """Return ``content``."""
        return content.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[None, torch.Tensor]:
        """Hand the gradient to ``before``."""
        return None, gradients[0]


def keep_history(content: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    """Return ``content`` with the history of ``before``."""
    return cast(torch.Tensor, cast(Any, _KeptHistory).apply(content, before))


def _copy(given: Any) -> Any:
    """Return a copy with the same strides, so that kernels go through it in the same order."""
    if isinstance(given, list | tuple):
        return [_copy(item) for item in given]
    if given is None:
        return None
    fresh = torch.empty_strided(given.shape, given.stride(), dtype=given.dtype, device=given.device)
    return fresh.copy_(given)


@cache
def _schema(find: Callable[[str], Any], name: str) -> tuple[Any, list[str], list[bool]]:
    """Return an operator, its parameters' names, and which of its results are its own."""
    overload = find(name)
    if overload is None:
        raise ReplayError(
            f"no operator {name} is registered\n  import the package that defines it before the replay"
        )
    schema = overload._schema
    names = [argument.name for argument in schema.arguments]
    own = [not (r.alias_info is not None and r.alias_info.is_write) for r in schema.returns]
    return overload, names, own
