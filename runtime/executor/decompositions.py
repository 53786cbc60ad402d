"""What operators are computed by in fused kernels, where that is faster than what Inductor would take.

Note [Tangents that are none]
    A hyperbolic tangent takes processors as long as ten products, since it is computed with care for
    arguments near zero. Where that is lost, or the argument is a logarithm, exponentials alone do:

        GELU's approximation   (1 + tanh(u)) / 2       = sigmoid(2 * u)
        Mish                   tanh(log(1 + exp(x)))   = n / (n + 2),  where n = exp(x) * (exp(x) + 2)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import torch

_LARGE: Final = 20.0  # an argument from which on Mish is the identity, in double precision too


def decompositions() -> dict[Any, Callable[..., Any]]:
    """Return Inductor's decompositions, and ours."""
    from torch._inductor.decomposition import select_decomp_table  # slow to import

    aten, table = torch.ops.aten, dict(select_decomp_table())
    return {
        **table,
        aten.gelu.default: _Either(_gelu, table.get(aten.gelu.default)),
        aten.mish.default: _Either(_mish, table.get(aten.mish.default)),
    }


class _Either:
    """One decomposition where it is for a tensor, and another one elsewhere, or none."""

    def __init__(self, ours: Callable[..., Any], theirs: Callable[..., Any] | None) -> None:
        self._ours = ours
        self._theirs = theirs

    def __call__(self, x: torch.Tensor, **options: Any) -> Any:
        # Smaller floats are computed in larger ones, which is not said here.
        if x.dtype in (torch.float32, torch.float64) and x.device.type == "cpu":
            made = self._ours(x, **options)
            if made is not None:
                return made
        return NotImplemented if self._theirs is None else self._theirs(x, **options)


def _gelu(x: torch.Tensor, *, approximate: str = "none") -> torch.Tensor | None:
    if approximate != "tanh":
        return None
    return x * torch.sigmoid(math.sqrt(8 / math.pi) * (x + 0.044715 * x * x * x))


def _mish(x: torch.Tensor) -> torch.Tensor:
    exponential = x.clamp(max=_LARGE).exp()
    n = exponential * (exponential + 2)
    return x * (n / (n + 2))
