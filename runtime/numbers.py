"""What the floating-point numbers in tensors are like."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch

from ..ir.numbers import Numbers
from .compare import is_given_back

_AT_ONCE = 1 << 20
"""Of how many elements there are copies in double precision at a time."""


def numbers_of(made: Iterable[Any]) -> Numbers | None:
    """Return what the floating-point numbers of some tensors are like; None where there are none.

    Complex numbers count as two. Sparse, ragged, quantized and wrapped tensors are not looked at.
    """
    tensors = [tensor for each in made if (tensor := _plain(each)) is not None]
    count = nans = infs = 0
    total = absmax = 0.0
    for part in _parts(tensors):
        count += part.numel()
        finite = int(part.isfinite().sum())
        if finite < part.numel():
            missing = int(part.isnan().sum())
            nans += missing
            infs += part.numel() - finite - missing
        else:
            total += float(part.sum())
            absmax = max(absmax, float(part.abs().max()))
    if not count:
        return None
    mean = total / count
    if nans or infs or not math.isfinite(mean):
        return Numbers(count, None, None, None, nans, infs)
    squares = sum(float((part - mean).square().sum()) for part in _parts(tensors))
    std = math.sqrt(squares / count)
    return Numbers(count, mean, std if math.isfinite(std) else None, absmax, 0, 0)


def _plain(made: Any) -> torch.Tensor | None:
    """Return a tensor without its class and history, of real numbers; None if its numbers cannot be seen."""
    if not isinstance(made, torch.Tensor) or made.layout is not torch.strided:
        return None
    if type(made).__torch_dispatch__ is not torch.Tensor.__torch_dispatch__:
        return None
    if made.is_nested or made.is_quantized or made.is_meta or is_given_back(made):
        return None
    if not (made.is_floating_point() or made.is_complex()):
        return None
    plain = made.detach().as_subclass(torch.Tensor).resolve_conj().resolve_neg()
    return torch.view_as_real(plain) if plain.is_complex() else plain


def _parts(tensors: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
    for tensor in tensors:
        flat = tensor.reshape(-1)
        for start in range(0, flat.numel(), _AT_ONCE):
            yield flat[start : start + _AT_ONCE].double()
