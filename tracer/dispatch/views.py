"""The views that lead from one tensor to another on the same memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import torch

from ...ir import row_major_strides
from .dispatcher import plain_offset, plain_shape, plain_strides

View: TypeAlias = tuple[torch._ops.OpOverload, tuple[Any, ...], tuple[int, ...], tuple[int, ...]]
"""An operator, what it takes besides the tensor, and the sizes and strides of what it gives."""

Geometry: TypeAlias = tuple[tuple[int, ...], tuple[int, ...], int]
"""Sizes, strides and offset of a tensor, as ``as_strided`` takes them."""


OF_FIXED_SIZE: Final = frozenset(
    (
        torch.ops.aten.as_strided.default,
        torch.ops.aten.slice.Tensor,
        torch.ops.aten.view.default,
    )
)
"""The views among these that hold for the sizes alone that they were found at."""


def geometry(tensor: torch.Tensor) -> Geometry:
    """Return where the elements of a tensor lie."""
    return tuple(plain_shape(tensor)), tuple(plain_strides(tensor)), plain_offset(tensor)


def views_between(base: torch.Tensor, tensor: torch.Tensor, place: int) -> Iterator[View]:
    """Yield the views that make ``tensor``, which begins at element ``place`` of the memory, of ``base``.

    They count from where ``base`` begins, as far as ``tensor`` does not begin before it: an input may
    begin somewhere else in its memory at a replay. Reordered dimensions hold for other sizes too.
    """
    shape, strides, _ = geometry(tensor)
    base_shape, base_strides, begin = geometry(base)
    distance = place - begin
    if (shape, strides, distance) != (base_shape, base_strides, 0):
        order = _order(base_shape, base_strides, shape, strides)
        if order is not None and not distance:
            yield torch.ops.aten.permute.default, (order,), shape, strides
        elif _is_stretch(base_shape, base_strides, shape, strides, distance):
            yield from _stretch(base_shape[0], shape, distance)
        elif distance < 0:
            yield torch.ops.aten.as_strided.default, (shape, strides, place), shape, strides
        else:
            yield from _strided(shape, strides, distance)
    if tensor.is_conj() != base.is_conj():
        yield torch.ops.aten._conj.default, (), shape, strides
    if tensor.is_neg() != base.is_neg():
        yield torch.ops.aten._neg_view.default, (), shape, strides


def _order(
    base_shape: tuple[int, ...],
    base_strides: tuple[int, ...],
    shape: tuple[int, ...],
    strides: tuple[int, ...],
) -> tuple[int, ...] | None:
    """Return which dimension of the base each one is; None if they are not the same dimensions."""
    left = dict(enumerate(zip(base_shape, base_strides, strict=True)))
    order = []
    for wanted in zip(shape, strides, strict=True):
        found = next((number for number, dimension in left.items() if dimension == wanted), None)
        if found is None:
            return None
        del left[found]
        order.append(found)
    return None if left else tuple(order)


def _is_stretch(
    base_shape: tuple[int, ...],
    base_strides: tuple[int, ...],
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    distance: int,
) -> bool:
    """Whether a row-major tensor is a stretch of a vector."""
    if len(base_shape) != 1 or base_strides != (1,) or strides != row_major_strides(shape):
        return False
    return distance >= 0 and distance + math.prod(shape) <= base_shape[0]


def _stretch(whole: int, shape: tuple[int, ...], distance: int) -> Iterator[View]:
    length = math.prod(shape)
    if length != whole:
        args = (0, distance, distance + length)
        yield torch.ops.aten.slice.Tensor, args, (length,), (1,)
    if len(shape) != 1:
        yield torch.ops.aten.view.default, (shape,), shape, row_major_strides(shape)


def _strided(shape: tuple[int, ...], strides: tuple[int, ...], distance: int) -> Iterator[View]:
    """Yield views that leave out the first ``distance`` elements of the memory of their base."""
    as_strided = torch.ops.aten.as_strided.default
    if distance:
        length = 1 + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
        end = distance + length
        yield as_strided, ((end,), (1,)), (end,), (1,)
        yield torch.ops.aten.slice.Tensor, (0, distance, end), (length,), (1,)
    yield as_strided, (shape, strides), shape, strides
