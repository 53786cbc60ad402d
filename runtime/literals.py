"""The IR's literals as the objects that torch's operators are called with."""

from __future__ import annotations

from typing import Any

import torch

from ..errors import ReplayError
from ..ir import Device, DType, Layout, Literal, MemoryFormat


def torch_literal(literal: Literal) -> Any:
    """Return the Python or torch object that a literal stands for.

    Raises:
        ReplayError: the installed torch has no such dtype, layout or memory format.
    """
    match literal:
        case DType():
            return _constant(literal.long_name)
        case Device():
            return torch.device(str(literal))
        case Layout() | MemoryFormat():
            return _constant(literal.name)
    return literal


def _constant(name: str) -> Any:
    found = getattr(torch, name, None)
    if found is None:
        raise ReplayError(f"torch {torch.__version__} has no constant torch.{name}")
    return found
