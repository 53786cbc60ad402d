"""Facts of live tensors as the IR's types."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any

import torch
from torch._subclasses import FakeTensor
from torch.nested._internal.nested_tensor import NestedTensor

from ...ir import Device, Layout, ScalarType, SymDim, TensorType, Type, row_major_strides
from ...ir.types import Dim
from .dispatcher import plain_requires_grad, plain_shape, plain_strides, without_hooks
from .literals import dtype_of

PLAIN_CLASSES: frozenset[Any] = frozenset((torch.Tensor, torch.nn.Parameter))
"""Classes whose instances have no hooks, and nothing inside."""

_SCALARS: dict[type, ScalarType] = {
    int: ScalarType.INT,
    float: ScalarType.FLOAT,
    bool: ScalarType.BOOL,
    str: ScalarType.STR,
    complex: ScalarType.COMPLEX,
    type(None): ScalarType.NONE,
    torch.dtype: ScalarType.DTYPE,
    torch.device: ScalarType.DEVICE,
    torch.SymInt: ScalarType.INT,
    torch.SymFloat: ScalarType.FLOAT,
    torch.SymBool: ScalarType.BOOL,
}


_NESTED = Layout("nested")  # rows of several sizes in strided memory, which torch calls strided


def type_of_tensor(tensor: torch.Tensor) -> TensorType:
    """Return the type of a tensor; equal facts give one object, as far as they were met lately."""
    if tensor.__class__ not in PLAIN_CLASSES:
        # Reading ``tensor.shape`` would call the ``__torch_function__`` of its class.
        with without_hooks():
            return _type_of_tensor(tensor, _class_name(tensor.__class__))
    try:
        return _type_of_facts(
            tensor.dtype,
            plain_shape(tensor),
            plain_strides(tensor),
            tensor.device,
            tensor.layout,
            plain_requires_grad(tensor),
        )
    except _UNUSUAL:
        return _unusual_type(tensor, "")


def with_geometry(
    type_: TensorType, shape: tuple[int, ...], strides: tuple[int, ...]
) -> TensorType:
    """Return a type with other sizes and strides."""
    known = None if strides == row_major_strides(shape) else strides
    return replace(type_, shape=shape, strides=known)


def requires_grad_of(tensor: torch.Tensor) -> bool:
    """Return whether autograd follows a tensor of any class."""
    if tensor.__class__ in PLAIN_CLASSES:
        return plain_requires_grad(tensor)
    with without_hooks():
        return plain_requires_grad(tensor)


@cache
def _class_name(class_: type[torch.Tensor]) -> str:
    """Return how a type names a class; fake and nested tensors are named by other facts."""
    return "" if issubclass(class_, FakeTensor | NestedTensor) else class_.__qualname__


def _type_of_tensor(tensor: torch.Tensor, class_name: str) -> TensorType:
    try:
        return _type_of_facts(
            tensor.dtype,
            plain_shape(tensor),
            plain_strides(tensor),
            tensor.device,
            tensor.layout,
            plain_requires_grad(tensor),
            class_name,
        )
    except _UNUSUAL:
        return _unusual_type(tensor, class_name)


_UNUSUAL = (RuntimeError, TypeError, NotImplementedError)
"""Sparse and strided nested tensors have no strides; most symbolic sizes have no hash."""


def _unusual_type(tensor: torch.Tensor, class_name: str) -> TensorType:
    return TensorType(
        dtype=dtype_of(tensor.dtype),
        shape=_shape(tensor),
        strides=_strides(tensor),
        device=_device_of(tensor.device),
        layout=_NESTED if _is_strided_nested(tensor) else _layout_of(tensor.layout),
        requires_grad=plain_requires_grad(tensor),
        class_name=class_name,
    )


def _is_strided_nested(tensor: torch.Tensor) -> bool:
    return tensor.is_nested and tensor.layout is torch.strided


def type_of_value(value: Any) -> Type:
    """Return the type of anything an operator may give back."""
    if isinstance(value, torch.Tensor):
        return type_of_tensor(value)
    return _SCALARS.get(value.__class__, ScalarType.OBJECT)


@lru_cache(maxsize=1 << 16)
def _type_of_facts(
    dtype: torch.dtype,
    shape: torch.Size,
    strides: tuple[int, ...],
    device: torch.device,
    layout: torch.layout,
    requires_grad: bool,
    class_name: str = "",
) -> TensorType:
    is_known = all(number.__class__ is int for number in (*shape, *strides))
    return TensorType(
        dtype=dtype_of(dtype),
        shape=_dims(shape),
        strides=None if not is_known or strides == row_major_strides(shape) else strides,
        device=_device_of(device),
        layout=_layout_of(layout),
        requires_grad=requires_grad,
        class_name=class_name,
    )


@cache
def _device_of(device: torch.device) -> Device:
    return Device(device.type, device.index)


@cache
def _layout_of(layout: torch.layout) -> Layout:
    return Layout(str(layout).removeprefix("torch."))


def _shape(tensor: torch.Tensor) -> tuple[Dim, ...] | None:
    try:
        sizes = plain_shape(tensor)
    except (RuntimeError, NotImplementedError):  # nested tensors of unequal sizes
        return None
    return _dims(sizes)


def _dims(sizes: Iterable[Any]) -> tuple[Dim, ...]:
    return tuple(size if size.__class__ is int else SymDim(str(size)) for size in sizes)


def _strides(tensor: torch.Tensor) -> tuple[int, ...] | None:
    """Return the strides where they are known numbers and differ from the row-major ones."""
    if tensor.layout is not torch.strided:
        return None
    try:
        sizes, strides = plain_shape(tensor), plain_strides(tensor)
    except (RuntimeError, NotImplementedError):
        return None
    if any(number.__class__ is not int for number in (*sizes, *strides)):
        return None
    return None if strides == row_major_strides(sizes) else strides


def tensors_in(whole: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors among an operator's arguments or results, those in lists too."""
    if isinstance(whole, torch.Tensor):
        yield whole
    elif isinstance(whole, list | tuple):
        for part in whole:
            yield from tensors_in(part)
