"""Comparing tensors that two runs of one program gave: bit by bit, or within a tolerance."""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far two floating-point numbers may be apart: ``atol + rtol * abs(expected)``.

    With both zero, tensors must have the same bits: ``-0.0`` is not ``0.0``, and NaN is itself.
    """

    rtol: float = 0.0
    atol: float = 0.0

    @property
    def is_exact(self) -> bool:
        """Whether nothing but the same bits will do."""
        return self.rtol == 0.0 and self.atol == 0.0


EXACT = Tolerance()


@dataclass(frozen=True, slots=True)
class ValueDifference:
    """How the elements of two tensors of one shape differ.

    Attributes:
        count: the number of elements that differ.
        total: the number of elements.
        largest: the largest absolute difference; NaN where only NaN or bits without a distance differ.
        index: where the first difference is.
        expected: the element there.
        actual: the other tensor's element there.
        part: which part of the tensor, where it has several, such as the values of a sparse one.
    """

    count: int
    total: int
    largest: float
    index: tuple[int, ...]
    expected: Any
    actual: Any
    part: str = ""

    def text(self, expected: str, actual: str) -> str:
        """Return the difference in words; the arguments say whose each tensor is."""
        part = f" of its {self.part}" if self.part else ""
        place = f" at {list(self.index)}" if self.index else ""
        return (
            f"{self.count} of {self.total} elements{part} differ, by at most {self.largest:.6g}; "
            f"the first{place}: {expected} {self.expected!r}, {actual} {self.actual!r}"
        )


def difference(
    expected: torch.Tensor,
    actual: torch.Tensor,
    tolerance: Tolerance = EXACT,
    *,
    strides: bool = True,
    requires_grad: bool = True,
    names: tuple[str, str] = ("eager", "replay"),
) -> str | None:
    """Return in words how two tensors differ; None if they do not. O(elements).

    Args:
        expected: one tensor.
        actual: the other.
        tolerance: how far floating-point elements may be apart.
        strides: whether the order of elements in memory counts.
        requires_grad: whether it counts that autograd follows the tensor.
        names: what to call the two.
    """
    facts = _facts_difference(expected, actual, strides, requires_grad)
    if facts is not None:
        what, one, other = facts
        return f"{what}: {names[0]} {one}, {names[1]} {other}"
    found = value_difference(expected, actual, tolerance)
    return None if found is None else found.text(*names)


def _facts_difference(
    one: torch.Tensor, other: torch.Tensor, strides: bool, requires_grad: bool
) -> tuple[str, Any, Any] | None:
    """Return the first fact, besides its elements, in which two tensors differ, and both its values."""
    if type(one) is not type(other):
        return "class", type(one).__qualname__, type(other).__qualname__
    for fact in ("dtype", "device", "layout"):
        if getattr(one, fact) != getattr(other, fact):
            return fact, getattr(one, fact), getattr(other, fact)
    if not one.is_nested and one.shape != other.shape:
        return "shape", list(one.shape), list(other.shape)
    if strides and one.layout is torch.strided and not one.is_nested:
        ours, theirs = one.stride(), other.stride()
        counts = [size > 1 for size in one.shape] if one.numel() else []
        if any(c and a != b for c, a, b in zip(counts, ours, theirs, strict=False)):
            return "strides", list(ours), list(theirs)
    if requires_grad and one.requires_grad != other.requires_grad:
        return "requires_grad", one.requires_grad, other.requires_grad
    return None


def value_difference(
    expected: torch.Tensor, actual: torch.Tensor, tolerance: Tolerance = EXACT
) -> ValueDifference | None:
    """Return how the elements of two tensors of one class, dtype and shape differ; None if they do not."""
    with torch.no_grad():
        ours, theirs = list(_plain_parts(expected)), list(_plain_parts(actual))
        for (part, one), (_, other) in zip(ours, theirs, strict=False):
            found = _plain_difference(part, one, other, tolerance)
            if found is not None:
                return found
    return None


def same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors have the same dtype, device, shape and bits, wherever these lie in memory."""
    if _facts_difference(one, other, strides=False, requires_grad=False) is not None:
        return False
    return value_difference(one, other) is None


def fingerprint(tensor: torch.Tensor) -> bytes:
    """Return 16 bytes that two tensors share if, and in practice only if, they share type and bits."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{tensor.dtype} {tensor.layout} {tensor.requires_grad}".encode())
    with torch.no_grad():
        for part, plain in _plain_parts(tensor):
            bits = _bits(plain).cpu()
            digest.update(f"{part} {tuple(plain.shape)}".encode())
            if bits.numel():
                size = bits.numel() * bits.element_size()
                digest.update((ctypes.c_char * size).from_address(bits.data_ptr()))
    return digest.digest()


def is_given_back(tensor: torch.Tensor) -> bool:
    """Whether a tensor's memory is given back for a while, as that of gathered parameters is."""
    is_plain = type(tensor).__torch_dispatch__ is torch.Tensor.__torch_dispatch__
    if not is_plain or tensor.layout is not torch.strided or tensor.is_nested or tensor.is_meta:
        return False
    if not tensor.numel() or torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        return False
    return not tensor.untyped_storage().nbytes() and not torch._is_zerotensor(tensor)


def _plain_parts(tensor: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the strided tensors that hold a tensor's elements; none for one without data."""
    if tensor.is_meta or getattr(tensor, "fake_mode", None) is not None:
        return
    if is_given_back(tensor):
        return
    tensor = tensor.detach()
    if hasattr(tensor, "__tensor_flatten__"):
        for name in tensor.__tensor_flatten__()[0]:
            held = getattr(tensor, name)
            if isinstance(held, torch.Tensor):  # and not the mesh of a distributed tensor
                for part, plain in _plain_parts(held):
                    yield f"{name} {part}".strip(), plain
        return
    if type(tensor) is not torch.Tensor and tensor.layout is torch.strided:
        tensor = tensor.as_subclass(torch.Tensor)
    if tensor.is_quantized:
        yield "integers", tensor.int_repr()
        yield "numbers", tensor.dequantize()
    elif tensor.is_nested:
        for number, component in enumerate(tensor.unbind()):
            yield f"component {number}", component
    elif tensor.layout is torch.sparse_coo:
        yield "indices", tensor._indices()
        yield "values", tensor._values()
    elif tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        yield "row pointers", tensor.crow_indices()
        yield "column indices", tensor.col_indices()
        yield "values", tensor.values()
    elif tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        yield "column pointers", tensor.ccol_indices()
        yield "row indices", tensor.row_indices()
        yield "values", tensor.values()
    elif tensor.layout is not torch.strided:
        yield "", tensor.to_dense()
    else:
        yield "", tensor.resolve_conj().resolve_neg()


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    """Return the elements of a strided tensor as integers, in row-major order."""
    plain = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    return plain.contiguous().view(_BITS[plain.element_size()])


def _plain_difference(
    part: str, one: torch.Tensor, other: torch.Tensor, tolerance: Tolerance
) -> ValueDifference | None:
    if one.shape != other.shape:  # as the number of elements of two sparse tensors
        return ValueDifference(
            1, 1, float("nan"), (), f"of shape {list(one.shape)}", f"{list(other.shape)}", part
        )
    unequal = _bits(one) != _bits(other)
    if one.is_complex():
        unequal = unequal.any(-1)
    if not tolerance.is_exact and (one.is_floating_point() or one.is_complex()):
        close = torch.isclose(
            _wide(other), _wide(one), tolerance.rtol, tolerance.atol, equal_nan=True
        )
        unequal = unequal & ~close
    count = int(unequal.sum())
    if count == 0:
        return None
    first = unequal.flatten().to(torch.uint8).argmax()
    index = tuple(int(i) for i in torch.unravel_index(first, one.shape)) if one.dim() else ()
    distance = (_wide(other) - _wide(one)).abs()[unequal]
    distance = distance[~distance.isnan()]
    return ValueDifference(
        count=count,
        total=one.numel(),
        largest=float(distance.max()) if distance.numel() else float("nan"),
        index=index,
        expected=one[index].item(),
        actual=other[index].item(),
        part=part,
    )


def _wide(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(torch.complex128 if tensor.is_complex() else torch.float64)
