"""``torch.tensor`` and ``torch.as_tensor`` of numbers that the graph knows: the tensor is data too.

Torch fills such a tensor from Python's numbers without an operator for it. Here each number goes
through ``scalar_tensor``, and lists of them are stacked, which gives the same bits.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils import _device

from ..dispatch.dispatcher import Kernels, recorder_here
from ..dispatch.replacing import Patch
from ..numbers.numbers import own_frames
from ..numbers.traced_numbers import is_traced

_MOST = 64  # numbers in one tensor; longer lists are constants, whose sizes and items are guarded
_PLAIN = (int, float, bool)
_OPTIONS = {"dtype", "device", "requires_grad"}

own_frames(__file__)


def number_tensors(installed: Kernels) -> Iterator[Patch]:
    """Yield what makes tensors of numbers data."""
    # Torch looks these functions up once, by identity, and would keep ours for good.
    _device._device_constructors()
    torch.jit._builtins._get_builtin_table()  # type: ignore[no-untyped-call]
    for name in ("tensor", "as_tensor"):
        yield torch, name, functools.partial(_of_numbers, installed)


def _of_numbers(installed: Kernels, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def function(data: Any, **kwargs: Any) -> Any:
        if not _holds_traced(data) or recorder_here(installed) is None:
            return original(data, **kwargs)
        if not (kwargs.keys() <= _OPTIONS and _is_of_numbers(data)):
            return original(data, **kwargs)
        return _tensor(data, **kwargs)

    return function


def _holds_traced(data: Any) -> bool:
    if isinstance(data, list | tuple):
        return any(map(_holds_traced, data))
    return is_traced(data)


def _is_of_numbers(data: Any) -> bool:
    """Whether data is one number, or not too many in lists of equal length."""
    numbers = list(_numbers_in(data))
    return None not in numbers and 0 < len(numbers) <= _MOST and _is_regular(data)


def _tensor(
    data: Any, *, dtype: torch.dtype | None = None, device: Any = None, requires_grad: bool = False
) -> torch.Tensor:
    dtype = _common_dtype(list(_numbers_in(data))) if dtype is None else dtype
    if requires_grad:
        return _stacked(data, dtype, device).requires_grad_()
    return _stacked(data, dtype, device)


def _numbers_in(data: Any) -> Iterator[Any]:
    """Yield the numbers of a nested list; None for anything else in it."""
    if isinstance(data, list | tuple):
        for part in data:
            yield from _numbers_in(part)
    else:
        yield data if type(data) in _PLAIN or is_traced(data) else None


def _is_regular(data: Any) -> bool:
    """Whether all lists of one level are of one length."""
    if not isinstance(data, list | tuple):
        return True
    shapes = {len(part) if isinstance(part, list | tuple) else None for part in data}
    return len(shapes) == 1 and all(map(_is_regular, data))


def _common_dtype(numbers: list[Any]) -> torch.dtype:
    """Return the dtype that torch infers for plain numbers of these classes."""
    classes = [int if isinstance(n, torch.SymInt) else type(n) for n in numbers]
    if any(issubclass(class_, float | torch.SymFloat) for class_ in classes):
        return torch.get_default_dtype()
    if all(issubclass(class_, bool | torch.SymBool) for class_ in classes):
        return torch.bool
    return torch.int64


def _stacked(data: Any, dtype: torch.dtype, device: Any) -> torch.Tensor:
    if isinstance(data, list | tuple):
        return torch.stack([_stacked(part, dtype, device) for part in data])
    return torch.scalar_tensor(data, dtype=dtype, device=device)
