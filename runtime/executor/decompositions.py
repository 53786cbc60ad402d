"""What operators are computed by in fused kernels, where that is faster than what Inductor would take.

Note [GELU by the sigmoid]
    GELU's approximation multiplies by ``(1 + tanh(u)) / 2``, which is ``sigmoid(2 * u)``. On processors that
    takes a quarter of the time, since a hyperbolic tangent is computed with care for arguments near zero that
    the sum with 1 throws away.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch


def decompositions() -> dict[Any, Callable[..., Any]]:
    """Return Inductor's decompositions, and ours."""
    from torch._inductor.decomposition import select_decomp_table  # slow to import

    table: dict[Any, Callable[..., Any]] = dict(select_decomp_table())
    gelu = torch.ops.aten.gelu.default
    otherwise = table.get(gelu)

    def by_sigmoid(x: torch.Tensor, *, approximate: str = "none") -> Any:
        # Smaller floats are computed in larger ones, which is not said here.
        is_ours = x.dtype in (torch.float32, torch.float64) and x.device.type == "cpu"
        if approximate == "tanh" and is_ours:
            return x * torch.sigmoid(math.sqrt(8 / math.pi) * (x + 0.044715 * x * x * x))
        if otherwise is None:
            return NotImplemented  # left as it is
        return otherwise(x, approximate=approximate)

    table[gelu] = by_sigmoid
    return table
