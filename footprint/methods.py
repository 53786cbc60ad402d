"""Operators that runtimes call around a model, and ones that a model's inputs may not reach."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import torch

_aten: Final = torch.ops.aten

# What runtimes call while they set a model up.
ALWAYS_INCLUDED: Final = frozenset({"aten::resize_", "aten::slice.Tensor"})

_COPIED_TO: Final = (
    torch.bool,
    torch.uint8,
    torch.float32,
    torch.int32,
    torch.int8,
    torch.float64,
    torch.int16,
    torch.int64,
)
_COPIED_FROM: Final = (torch.bool, torch.float32, torch.int32)


def call_setup_methods() -> None:
    """Call what programs usually call on tensors before and after a model runs.

    Each overload is named, as Python's own functions would choose others than C++ programs do.
    """
    _aten.zeros.default([2, 2])
    _aten.ones.default([2, 2])
    filled = _aten.fill_.Scalar(_aten.empty.memory_format([7, 7]), 3)
    _aten.new_empty_strided.default(filled, [2, 3], [3, 1])
    _aten.narrow.default(filled, 1, 0, 1)
    _aten.eq.Tensor(filled, filled)
    _aten.item.default(_aten.zeros.default([1]))
    _aten.copy_.default(_aten.zeros.default([10], dtype=torch.uint8), _aten.zeros.default([10]))
    _aten.div.Scalar(filled, 1)
    for to in _COPIED_TO:
        target = _aten.empty.memory_format([10], dtype=to)
        for source in _COPIED_FROM:
            _aten.copy_.default(target, _aten.zeros.default([10], dtype=source))
    _aten.zeros.default([0, 0])


def is_for_training(roots: Iterable[str]) -> bool:
    """Whether the operators of a model say that it trains."""
    return any("backward" in root or "requires_grad_" in root for root in roots)


def dependent_methods(roots: frozenset[str]) -> Iterator[Callable[[], object]]:
    """Yield what a model that trains calls under conditions that few inputs meet."""
    if not is_for_training(roots):
        return
    if any("batch_norm" in root for root in roots):
        yield _call_batch_norm
    if any("dropout" in root for root in roots):
        yield _call_dropout


def _call_batch_norm() -> None:
    ones = _aten.ones.default([2, 2])
    _aten.batch_norm.default(ones, None, None, None, None, True, 0.1, 0.1, False)


def _call_dropout() -> None:
    _aten.dropout.default(_aten.ones.default([20, 20, 20]), 0.2, True)
