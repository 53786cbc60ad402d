"""Bit by bit: whether two results of a program are the same, and in words where they differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import torch

from opscope.ir.structure import Structure, StructureKind, take_apart

_WORDS: Final = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_COMPRESSED_ROWS: Final = (torch.sparse_csr, torch.sparse_bsr)
_COMPRESSED_COLUMNS: Final = (torch.sparse_csc, torch.sparse_bsc)


def tensors_in(whole: Any) -> tuple[list[torch.Tensor], Structure]:
    """Return the tensors in any nested object, and what is left of it without them."""
    return take_apart(whole, lambda part: isinstance(part, torch.Tensor))


def structure_difference(one: Structure, other: Structure) -> str | None:
    """Return where two nested results differ besides in their tensors; None where they agree."""
    if (one.kind, one.class_, one.keys) != (other.kind, other.class_, other.keys):
        return f"a {_class_name(one)} is a {_class_name(other)} in eager"
    if one.kind is StructureKind.CONSTANT and not _equal(one.constant, other.constant):
        return f"{one.constant!r} is {other.constant!r} in eager"
    pairs = zip(one.children, other.children, strict=True)
    return next((found for pair in pairs if (found := structure_difference(*pair))), None)


def tensor_difference(one: torch.Tensor, other: torch.Tensor) -> str | None:
    """Return how two tensors differ in type, order in memory, or value; None if they do not."""
    return type_difference(one, other) or value_difference(one, other)


def type_difference(one: torch.Tensor, other: torch.Tensor) -> str | None:
    """Return how two tensors differ besides in their values; None if they do not."""
    for what, fact in _FACTS.items():
        found, expected = fact(one), fact(other)
        if found != expected:
            return f"{what} {found} is {expected} in eager"
    return None


def value_difference(one: torch.Tensor, other: torch.Tensor) -> str | None:
    """Return how the values of two tensors of one type differ; None if they do not.

    NaN equals NaN, whatever its payload; zero does not equal minus zero.
    """
    with torch.no_grad():
        for part, twin in zip(_parts(one), _parts(other), strict=True):
            if part.shape != twin.shape:
                return f"shape {list(part.shape)} of a part is {list(twin.shape)} in eager"
            unequal = _unequal(part, twin)
            count = int(unequal.sum())
            if count:
                return f"{count} of {unequal.numel()} values differ"
    return None


def sharing(tensors: Sequence[torch.Tensor]) -> list[int]:
    """Return for each tensor the first one that has its memory: itself, where no earlier one does."""
    first: dict[Any, int] = {}
    return [first.setdefault(_memory(t), number) for number, t in enumerate(tensors)]


def _memory(tensor: torch.Tensor) -> Any:
    try:
        return tensor.untyped_storage()._cdata
    except (RuntimeError, NotImplementedError):  # sparse tensors and wrapper subclasses have none
        return id(tensor)


def _strides(tensor: torch.Tensor) -> tuple[int, ...] | None:
    if tensor.layout is not torch.strided or tensor.is_nested:
        return None
    return (*map(int, tensor.stride()), int(tensor.storage_offset()))


def _shape(tensor: torch.Tensor) -> list[Any]:
    if tensor.is_nested:
        return (
            [str(size) for size in tensor._nested_tensor_size()] if not _is_wrapper(tensor) else []
        )
    return list(tensor.shape)


_FACTS: Final[dict[str, Callable[[torch.Tensor], Any]]] = {
    "class": type,
    "dtype": lambda tensor: tensor.dtype,
    "layout": lambda tensor: tensor.layout,
    "device": lambda tensor: tensor.device,
    "shape": _shape,
    "strides and offset": _strides,
    "requires_grad": lambda tensor: tensor.requires_grad,
    "conjugate bit": lambda tensor: tensor.is_conj(),
    "negative bit": lambda tensor: tensor.is_neg(),
}


def _is_wrapper(tensor: torch.Tensor) -> bool:
    return hasattr(tensor, "__tensor_flatten__")


def _parts(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield plain strided tensors that together say all about a tensor's values."""
    tensor = tensor.detach()
    if _is_wrapper(tensor):
        names, _ = tensor.__tensor_flatten__()  # type: ignore[attr-defined]
        for name in names:
            yield from _parts(getattr(tensor, name))
    elif tensor.is_nested:
        for part in tensor.unbind():
            yield from _parts(part)
    elif tensor.layout is torch.sparse_coo:
        yield tensor._indices()
        yield tensor._values()
    elif tensor.layout in _COMPRESSED_ROWS:
        yield from (tensor.crow_indices(), tensor.col_indices(), tensor.values())
    elif tensor.layout in _COMPRESSED_COLUMNS:
        yield from (tensor.ccol_indices(), tensor.row_indices(), tensor.values())
    elif tensor.is_mkldnn:
        yield tensor.to_dense()
    elif tensor.is_quantized:
        yield tensor.int_repr()
    elif tensor.device.type != "meta":
        yield tensor.as_subclass(torch.Tensor)


def _unequal(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return where the bits of two tensors differ, except in NaNs."""
    one, other = one.resolve_conj().resolve_neg(), other.resolve_conj().resolve_neg()
    if one.is_complex():
        # Cloned, because torch takes no complex view of the values of a compressed sparse tensor.
        one, other = torch.view_as_real(one.clone()), torch.view_as_real(other.clone())
    if not one.is_floating_point():
        return one != other
    word = _WORDS[one.element_size()]
    unequal = one.contiguous().view(word) != other.contiguous().view(word)
    return unequal & ~(one.isnan() & other.isnan())


def _equal(one: Any, other: Any) -> bool:
    """Whether two constants of a result are equal; objects without an equality are if of one class."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float | complex) and one != one:
        return bool(other != other)
    if not any("__eq__" in vars(class_) for class_ in type(one).__mro__[:-1]):
        return True
    equal = one == other
    return bool(equal.all() if hasattr(equal, "all") else equal)


def _class_name(structure: Structure) -> str:
    if structure.kind is StructureKind.CONSTANT:
        return repr(structure.constant)
    return "tensor" if structure.class_ is None else str(structure.class_.__qualname__)
