"""Names of operators and keys of kernels, as the build of ExecuTorch spells them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ..errors import FormatError

ANY_KERNEL: Final = "default"
"""The key of a kernel for all types and orders of dimensions."""

_VERSION: Final = "v1"
_PRIM_NAMESPACE: Final = "executorch_prim::"
_PRIMS: Final = frozenset({"aten::sym_size.int", "aten::sym_numel", "aten::_local_scalar_dense"})

# Names go into C++ and into lists with commas, so one that is none must come no further than here.
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+::[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?")

_DTYPES: Final = (
    "Byte", "Char", "Short", "Int", "Long", "Half", "Float", "Double", "ComplexHalf", "ComplexFloat",
    "ComplexDouble", "Bool", "QInt8", "QUInt8", "QInt32", "BFloat16", "QUInt4x2", "QUInt2x4", "Bits1x8",
    "Bits2x4", "Bits4x2", "Bits8", "Bits16", "Float8_e5m2", "Float8_e4m3fn", "Float8_e5m2fnuz",
    "Float8_e4m3fnuz", "UInt16", "UInt32", "UInt64",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TensorKind:
    """What chooses a kernel by a tensor.

    Attributes:
        dtype: the number of the type of its elements, ``6`` for ``Float``.
        dim_order: its dimensions, the outermost in memory first.
    """

    dtype: int
    dim_order: tuple[int, ...]


def operator_name(name: str, overload: str = "") -> str:
    """Return the whole name of an operator, ``aten::add.out``.

    Raises:
        FormatError: it is no name.
    """
    whole = f"{name}.{overload}" if overload else name
    if not _NAME.fullmatch(whole):
        raise FormatError(f"it calls an operator {whole[:80]!r}, which is no name of one")
    return whole


def kernel_key(tensors: Iterable[TensorKind]) -> str:
    """Return the key of the kernel that a call takes: ``v1/6;0,1|6;0,1`` for two matrices of floats.

    A call without a tensor has the key ``v1``, as in the lists that ExecuTorch writes.
    """
    parts = [f"{tensor.dtype};{','.join(map(str, tensor.dim_order))}" for tensor in tensors]
    return f"{_VERSION}/{'|'.join(parts)}" if parts else _VERSION


def dtypes_of(keys: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the types in some keys, each once, by name. Keys of all types have none."""
    numbers = {
        part.partition(";")[0] for key in keys for part in key.partition("/")[2].split("|") if part
    }
    return tuple(sorted(map(_dtype_name, numbers)))


def dim_orders_of(keys: Iterable[str]) -> tuple[tuple[int, ...], ...]:
    """Return the orders of dimensions in some keys, each once, short ones first; of scalars none."""
    texts = {
        part.partition(";")[2] for key in keys for part in key.partition("/")[2].split("|") if part
    }
    orders = {tuple(map(int, text.split(","))) for text in texts if _is_order(text)}
    return tuple(sorted(orders, key=lambda order: (len(order), order)))


def is_prim(operator: str) -> bool:
    """Whether the runtime has an operator itself, so that no library of kernels must."""
    return operator.startswith(_PRIM_NAMESPACE) or operator in _PRIMS


def is_plain(order: Sequence[int]) -> bool:
    """Whether dimensions lie in memory as they are counted."""
    return list(order) == list(range(len(order)))


def _dtype_name(number: str) -> str:
    known = number.isascii() and number.isdigit() and int(number[:4]) < len(_DTYPES)
    return _DTYPES[int(number[:4])] if known else f"type {number}"


def _is_order(text: str) -> bool:
    return bool(text) and all(part.isascii() and part.isdigit() for part in text.split(","))
