"""Torch's constants as the IR's literals."""

from __future__ import annotations

import math
from typing import Any, cast

import torch

from ...ir import Device, DType, Layout, Literal, MemoryFormat

_DTYPES: dict[torch.dtype, DType] = {
    found: dtype for dtype in DType if (found := getattr(torch, dtype.long_name, None)) is not None
}
_LAYOUTS = {
    value: Layout(str(value).removeprefix("torch."))
    for value in vars(torch).values()
    if isinstance(value, torch.layout)
}
_MEMORY_FORMATS = {
    value: MemoryFormat(str(value).removeprefix("torch."))
    for value in vars(torch).values()
    if isinstance(value, torch.memory_format)
}

PLAIN = (int, float, bool, str, type(None), complex)
"""Python classes whose instances are literals as they are."""


def to_literal(value: Any) -> Literal:
    """Return a torch constant or plain Python number as a literal.

    Raises:
        TypeError: it is neither.
    """
    if type(value) in PLAIN:
        return cast(Literal, value)
    if isinstance(value, torch.dtype):
        return dtype_of(value)
    if isinstance(value, torch.device):
        return Device(value.type, value.index)
    if isinstance(value, torch.layout):
        return _LAYOUTS[value]
    if isinstance(value, torch.memory_format):
        return _MEMORY_FORMATS[value]
    if isinstance(value, bool | torch.SymBool):
        return bool(value)
    if isinstance(value, int | torch.SymInt):
        return int(value)
    if isinstance(value, float | torch.SymFloat):
        return float(value)
    if isinstance(value, complex | str):
        return complex(value) if isinstance(value, complex) else str(value)
    raise TypeError(f"{type(value).__qualname__} is not a literal")


def dtype_of(dtype: torch.dtype) -> DType:
    """Return the IR's element type for one of torch's."""
    return _DTYPES[dtype]


def equal_literals(one: Any, other: Any) -> bool:
    """Whether two literals are the same: of one class and equal, and of one sign, with NaN equal to NaN."""
    if one.__class__ is not other.__class__:
        return False
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(other)
    if isinstance(one, float) and one == 0.0:
        return other == 0.0 and math.copysign(1.0, one) == math.copysign(1.0, other)
    return bool(one == other)
