"""Comparing tensors of every kind bit by bit: sparse, nested, quantized, conjugate, wrapped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

import opscope
from opscope.ir.structure import take_apart

_COMPRESSED = {
    torch.sparse_csr: ("crow_indices", "col_indices"),
    torch.sparse_bsr: ("crow_indices", "col_indices"),
    torch.sparse_csc: ("ccol_indices", "row_indices"),
    torch.sparse_bsc: ("ccol_indices", "row_indices"),
}


def check_exact(
    function: Callable[..., Any],
    make: Callable[[], tuple[Any, ...]],
    *,
    diagnostics: int = 0,
) -> opscope.TracedProgram:
    """Run, trace and replay on inputs made anew each time; results must be equal in every respect."""
    torch.manual_seed(0)
    expected = tensors_of(function(*make()))
    torch.manual_seed(0)
    traced = opscope.trace(function, make(), warn=False)
    torch.manual_seed(0)
    actual = tensors_of(traced(*make()))
    assert len(actual) == len(expected) > 0
    for ours, theirs in zip(actual, expected, strict=True):
        assert_identical(ours, theirs)
    assert len(traced.diagnostics) == diagnostics, traced.diagnostics
    opscope.verify(traced.graph)
    assert str(opscope.parse(str(traced.graph))) == str(traced.graph)
    return traced


def tensors_of(whole: Any) -> list[torch.Tensor]:
    """Return every tensor in a nested result."""
    return take_apart(whole, lambda part: isinstance(part, torch.Tensor))[0]


def assert_identical(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """Assert that two tensors agree in class, type, flags, layout and every bit."""
    assert type(ours) is type(theirs)
    for fact in ("dtype", "layout", "device", "requires_grad"):
        assert getattr(ours, fact) == getattr(theirs, fact), fact
    for flag in ("is_conj", "is_neg", "is_inference"):
        assert getattr(ours, flag)() == getattr(theirs, flag)(), flag
    if ours.layout is torch.strided and not ours.is_nested:
        assert ours.shape == theirs.shape
        assert ours.stride() == theirs.stride()
    for one, other in zip(_dense_parts(ours), _dense_parts(theirs), strict=True):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert _bits(one) == _bits(other)


@torch.no_grad()
def _dense_parts(tensor: torch.Tensor) -> list[torch.Tensor]:
    if tensor.is_nested:
        return list(tensor.unbind())
    if tensor.layout is torch.sparse_coo:
        return [tensor._indices(), tensor._values(), torch.tensor(tensor.is_coalesced())]
    if tensor.layout in _COMPRESSED:
        return [
            *(getattr(tensor, name)() for name in _COMPRESSED[tensor.layout]),
            tensor.values(),
        ]
    if tensor.layout is torch._mkldnn:  # type: ignore[attr-defined]
        return [tensor.to_dense()]
    if tensor.is_quantized:
        return [tensor.int_repr(), tensor.dequantize()]
    if tensor.is_meta:
        return []
    inner = _inner(tensor)
    return inner if inner else [tensor]


def _inner(tensor: Any) -> list[torch.Tensor]:
    if type(tensor) in (torch.Tensor, torch.nn.Parameter):
        return []
    is_wrapper: bool = is_traceable_wrapper_subclass(tensor)
    if is_wrapper:
        parts = [getattr(tensor, name) for name in tensor.__tensor_flatten__()[0]]
    else:
        parts = list(vars(tensor).values())
    held = [part for part in parts if isinstance(part, torch.Tensor)]
    return [part for one in held for part in _dense_parts(one)]


def _bits(tensor: torch.Tensor) -> list[int]:
    plain = tensor.detach().as_subclass(torch.Tensor).resolve_conj().resolve_neg()
    bits: list[int] = (
        plain.contiguous().reshape(-1).view(torch.uint8).tolist() if plain.numel() else []
    )
    return bits
