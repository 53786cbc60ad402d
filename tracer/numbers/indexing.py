"""Indexing of tensors whose sizes vary, so that what depends on a size is recorded.

Torch leaves a slice out where it takes everything at the present size, and wants plain numbers for
positions. Here bounds are kept, and positions that are numbers of the graph, or tensors of one whole
number, go to ``select``.
"""

from __future__ import annotations

from types import EllipsisType
from typing import Any, cast

import torch

from ..dispatch.dispatcher import is_inside_transform
from ..dispatch.number import Number
from .traced_numbers import is_traced

_BASIC = (int, slice, type(None), EllipsisType)
_WHOLE = (torch.int64, torch.int32, torch.int16, torch.int8)  # one of ``uint8`` is a mask


def kept_bounds(index: Any, book: Any) -> Any:
    """Return an index whose bounds torch cannot tell to be needless."""
    if isinstance(index, slice):
        return _kept_slice(index, book)
    if type(index) is tuple and any(isinstance(part, slice) for part in index):
        return tuple([_kept_slice(p, book) if isinstance(p, slice) else p for p in index])
    return index


def may_take_all(index: Any) -> bool:
    """Whether an index has a slice that torch leaves out where it takes everything."""
    return any(
        isinstance(part, slice) and _has_needless_bound(part)
        for part in (index if type(index) is tuple else (index,))
    )


def _has_needless_bound(part: slice) -> bool:
    return type(part.stop) is int and part.stop >= 0 and part.start in (None, 0)


def _kept_slice(part: slice, book: Any) -> slice:
    if any(isinstance(bound, torch.Tensor) for bound in (part.start, part.stop, part.step)):
        part = slice(_number(part.start), _number(part.stop), _number(part.step))
    if not _has_needless_bound(part):
        return part
    # Torch compares the bound with the size, which it cannot do with a symbolic number.
    return slice(part.start, cast(Any, torch.SymInt)(Number.constant(book, part.stop)), part.step)


def _number(part: Any) -> Any:
    """Return a tensor that serves as a bound or a position as the number it holds, as torch would."""
    return part.item() if isinstance(part, torch.Tensor) else part


def with_positions(index: Any) -> tuple[Any, ...] | None:
    """Return the parts of an index that has a number of the graph as a position; None for any other."""
    parts = index if type(index) is tuple else (index,)
    if not any(is_traced(part) or isinstance(part, torch.Tensor) for part in parts):
        return None
    if not all(_is_basic(part) or _is_position(part) for part in parts):
        return None
    parts = tuple([_number(part) for part in parts])
    return parts if any(map(is_traced, parts)) else None


def _is_basic(part: Any) -> bool:
    return isinstance(part, _BASIC) and part is not True and part is not False


def _is_position(part: Any) -> bool:
    """Whether torch takes a part of an index as a position: a tensor that is a whole number.

    A function mode may take it for something else, as that of ``flex_attention`` does.
    """
    return (
        isinstance(part, torch.Tensor)
        and part.dim() == 0
        and part.dtype in _WHOLE
        and not is_inside_transform(part)
        and not torch._C._len_torch_function_stack()
    )


def selected(tensor: torch.Tensor, parts: tuple[Any, ...]) -> torch.Tensor:
    """Return what indexing gives, by the operators that torch itself would call in this order."""
    counted = sum(part is not None and part is not Ellipsis for part in parts)
    dimension = 0
    result = tensor
    skipped = tensor.dim() - counted
    for part in parts:
        if part is None:
            result = result.unsqueeze(dimension)
            dimension += 1
        elif part is Ellipsis:
            dimension += skipped
        elif isinstance(part, slice):
            if part != slice(None):
                start = 0 if part.start is None else part.start
                step = 1 if part.step is None else part.step
                result = torch.ops.aten.slice.Tensor(result, dimension, start, part.stop, step)
            dimension += 1
        else:
            result = torch.select(result, dimension, part)
    return result
