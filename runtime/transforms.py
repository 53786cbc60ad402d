"""Transforms of ``torch.func`` at a replay: each takes a block's function and flat arguments.

A function may take and return nested containers where the program calls a transform. A graph keeps
only the tensors in them, so here functions take tensors and return a tuple of tensors, and the
dimensions and argument numbers that go with them are given tensor by tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from torch import _vmap_internals
from torch._functorch import eager_transforms
from torch.utils import _pytree as pytree

Function = Callable[..., tuple[Any, ...]]


def turns_grad_on(kind: str) -> bool:
    """Whether a transform runs its function with gradients on, whatever the modes around it."""
    return kind in ("functorch::grad", "functorch::grad_and_value", "functorch::vjp")


def _vmap(function: Function, *tensors: Any, in_dims: Any, out_dims: Any, **options: Any) -> Any:
    return torch.func.vmap(function, tuple(in_dims), tuple(out_dims), **options)(*tensors)


def _legacy_vmap(function: Function, *tensors: Any, in_dims: Any, out_dims: Any) -> Any:
    return _vmap_internals._vmap(function, tuple(in_dims), tuple(out_dims))(*tensors)


def _first_apart(function: Function, count: int) -> Callable[..., tuple[Any, tuple[Any, ...]]]:
    """Return a function whose first ``count`` results stand apart from the rest, as ``has_aux`` wants."""

    def parted(*tensors: Any) -> tuple[Any, tuple[Any, ...]]:
        results = function(*tensors)
        return results[:count], results[count:]

    return parted


def _loss_apart(function: Function) -> Callable[..., tuple[Any, tuple[Any, ...]]]:
    def parted(*tensors: Any) -> tuple[Any, tuple[Any, ...]]:
        loss, *auxiliary = function(*tensors)
        return loss, tuple(auxiliary)

    return parted


def _grad(function: Function, *tensors: Any, argnums: Sequence[int]) -> tuple[Any, ...]:
    gradients, auxiliary = torch.func.grad(
        _loss_apart(function), argnums=tuple(argnums), has_aux=True
    )(*tensors)
    return (*gradients, *auxiliary)


def _grad_and_value(function: Function, *tensors: Any, argnums: Sequence[int]) -> tuple[Any, ...]:
    gradients, (value, auxiliary) = torch.func.grad_and_value(
        _loss_apart(function), argnums=tuple(argnums), has_aux=True
    )(*tensors)
    return (*gradients, value, *auxiliary)


def _vjp(
    function: Function, *tensors: Any, argnums: Sequence[int] | None, outputs: int
) -> tuple[Any, ...]:
    made: Any = eager_transforms._vjp_with_argnums(
        _first_apart(function, outputs),
        *tensors,
        argnums=None if argnums is None else tuple(argnums),
        has_aux=True,
    )
    results, pull_back, auxiliary = made

    def flat(*cotangents: Any, **options: Any) -> tuple[Any, ...]:
        return tuple(pytree.tree_leaves(pull_back(cotangents, **options)))

    return (*results, flat, *auxiliary)


def _jvp(
    function: Function,
    primals: Sequence[Any],
    tangents: Sequence[Any],
    *,
    argnums: Sequence[int] | None,
    strict: bool,
    outputs: int,
) -> tuple[Any, ...]:
    made: Any = eager_transforms._jvp_with_argnums(
        _first_apart(function, outputs),
        tuple(primals),
        tuple(tangents),
        argnums=None if argnums is None else tuple(argnums),
        strict=strict,
        has_aux=True,
    )
    results, changes, auxiliary = made
    return (*results, *changes, *auxiliary)


def _functionalize(function: Function, *tensors: Any, remove: str) -> Any:
    return torch.func.functionalize(function, remove=remove)(*tensors)


def _linearize(function: Function, *tensors: Any) -> tuple[Any, ...]:
    results, push_forward = torch.func.linearize(function, *tensors)

    def flat(*tangents: Any) -> tuple[Any, ...]:
        return tuple(pytree.tree_leaves(push_forward(*tangents)))

    return (*results, flat)


TRANSFORMS: Final[dict[str, Callable[..., Any]]] = {
    "functorch::vmap": _vmap,
    "functorch::legacy_vmap": _legacy_vmap,
    "functorch::grad": _grad,
    "functorch::grad_and_value": _grad_and_value,
    "functorch::vjp": _vjp,
    "functorch::jvp": _jvp,
    "functorch::functionalize": _functionalize,
    "functorch::linearize": _linearize,
}
"""What runs each transform: given a function of tensors and the node's arguments."""


def call_function(function: Function, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
    """Call a function that a transform has made, such as the second result of ``vjp``."""
    return function(*args, **kwargs)
