"""``torch.tensor`` and ``torch.as_tensor`` of numbers that the graph knows: the tensor is data too.

Torch fills such a tensor from Python's numbers without an operator for it. Here each number goes
through ``scalar_tensor``, a tensor in a list, which counts as the number it holds, is taken as it is,
and lists are stacked, which gives the same bits.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils import _device

from ..dispatch.dispatcher import Kernels, plain_numel, recorder_here
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
        if recorder_here(installed) is None or not _holds_data(data):
            return original(data, **kwargs)
        if not (kwargs.keys() <= _OPTIONS and _is_of_numbers(data, kwargs.get("dtype"))):
            return original(data, **kwargs)
        return _tensor(data, **kwargs)

    return function


def _holds_data(data: Any) -> bool:
    if isinstance(data, list | tuple):
        return any(isinstance(part, torch.Tensor) or _holds_data(part) for part in data)
    return is_traced(data)


def _is_of_numbers(data: Any, dtype: torch.dtype | None) -> bool:
    """Whether data is one number, or not too many in lists of equal length, that torch takes."""
    numbers = list(_numbers_in(data))
    if not (0 < len(numbers) <= _MOST and _is_regular(data)):
        return False
    return all(
        torch.can_cast(number.dtype, dtype or number.dtype)
        if isinstance(number, torch.Tensor)
        else number is not None
        for number in numbers
    )


def _tensor(
    data: Any, *, dtype: torch.dtype | None = None, device: Any = None, requires_grad: bool = False
) -> torch.Tensor:
    dtype = _common_dtype(list(_numbers_in(data))) if dtype is None else dtype
    if requires_grad:
        return _stacked(data, dtype, device).requires_grad_()
    return _stacked(data, dtype, device)


def _numbers_in(data: Any) -> Iterator[Any]:
    """Yield the numbers of a nested list, tensors of one element among them; None for anything else."""
    if isinstance(data, list | tuple):
        for part in data:
            yield from _numbers_in(part)
    elif isinstance(data, torch.Tensor):
        yield data if plain_numel(data) == 1 else None
    else:
        yield data if type(data) in _PLAIN or is_traced(data) else None


def _is_regular(data: Any) -> bool:
    """Whether all lists of one level are of one length."""
    if not isinstance(data, list | tuple):
        return True
    shapes = {len(part) if isinstance(part, list | tuple) else None for part in data}
    return len(shapes) == 1 and all(map(_is_regular, data))


def _common_dtype(numbers: list[Any]) -> torch.dtype:
    """Return the dtype that torch infers for numbers of these classes and tensors of these dtypes."""
    return functools.reduce(torch.promote_types, map(_dtype_of, numbers))


def _dtype_of(number: Any) -> torch.dtype:
    if isinstance(number, torch.Tensor):
        return number.dtype
    class_ = int if isinstance(number, torch.SymInt) else type(number)
    if issubclass(class_, float | torch.SymFloat):
        return torch.get_default_dtype()
    return torch.bool if issubclass(class_, bool | torch.SymBool) else torch.int64


def _stacked(data: Any, dtype: torch.dtype, device: Any) -> torch.Tensor:
    if isinstance(data, list | tuple):
        return torch.stack([_stacked(part, dtype, device) for part in data])
    if isinstance(data, torch.Tensor):
        device = torch.get_default_device() if device is None else device
        return data.detach().reshape(()).to(device, dtype)
    return torch.scalar_tensor(data, dtype=dtype, device=device)
