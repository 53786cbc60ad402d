"""Facts of live tensors as the IR's types."""

from __future__ import annotations

from typing import Any

import torch

from ..ir import Device, ScalarType, SymDim, TensorType, Type, row_major_strides
from ..ir.types import Dim
from .literals import dtype_of, to_literal

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


class TypeCache:
    """Makes the type of a tensor, each distinct one once."""

    def __init__(self) -> None:
        self._known: dict[Any, TensorType] = {}

    def tensor(self, tensor: torch.Tensor) -> TensorType:
        """Return the type of a tensor."""
        try:
            key = (
                tensor.dtype,
                tensor.shape,
                tensor.stride(),
                tensor.device,
                tensor.layout,
                tensor.requires_grad,
            )
            type_ = self._known.get(key)
        except (RuntimeError, TypeError, NotImplementedError):
            # Sparse and nested tensors have no strides; symbolic sizes have no hash.
            return _make_type(tensor)
        if type_ is None:
            type_ = self._known[key] = _make_type(tensor)
        return type_

    def value(self, value: Any) -> Type:
        """Return the type of anything an operator may give back."""
        if isinstance(value, torch.Tensor):
            return self.tensor(value)
        return _SCALARS.get(value.__class__, ScalarType.OBJECT)


def _make_type(tensor: torch.Tensor) -> TensorType:
    shape = _shape(tensor)
    device = tensor.device
    return TensorType(
        dtype=dtype_of(tensor.dtype),
        shape=shape,
        strides=_strides(tensor, shape),
        device=Device(device.type, device.index),
        layout=to_literal(tensor.layout),  # type: ignore[arg-type]  # layouts give layouts
        requires_grad=tensor.requires_grad,
    )


def _shape(tensor: torch.Tensor) -> tuple[Dim, ...] | None:
    try:
        sizes = tensor.shape
    except (RuntimeError, NotImplementedError):  # nested tensors of unequal sizes
        return None
    return tuple(size if size.__class__ is int else SymDim(str(size)) for size in sizes)


def _strides(tensor: torch.Tensor, shape: tuple[Dim, ...] | None) -> tuple[int, ...] | None:
    """Return the strides where they are known and differ from the row-major ones."""
    if shape is None or tensor.layout is not torch.strided:
        return None
    try:
        strides = tensor.stride()
    except (RuntimeError, NotImplementedError):
        return None
    if any(step.__class__ is not int for step in strides):
        return None
    sizes = tuple(size for size in shape if isinstance(size, int))
    return None if strides == row_major_strides(sizes) else tuple(strides)
