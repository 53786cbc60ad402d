"""Names of operators and types as torch's C++ spells them, and what a registry knows of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import torch

# Names, of all overloads, that the dispatcher never reports, as they are called too often for that.
_UNOBSERVED: Final = frozenset(
    f"aten::{name}" for name in ("size", "is_leaf", "output_nr", "_version", "is_complex")
) | {"profiler::_record_function_enter", "profiler::_record_function_exit"}

_DTYPES: Final = {
    torch.uint8: "Byte",
    torch.int8: "Char",
    torch.int16: "Short",
    torch.int32: "Int",
    torch.int64: "Long",
    torch.float16: "Half",
    torch.float32: "Float",
    torch.float64: "Double",
    torch.complex32: "ComplexHalf",
    torch.complex64: "ComplexFloat",
    torch.complex128: "ComplexDouble",
    torch.bool: "Bool",
    torch.qint8: "QInt8",
    torch.quint8: "QUInt8",
    torch.qint32: "QInt32",
    torch.bfloat16: "BFloat16",
    torch.quint4x2: "QUInt4x2",
    torch.quint2x4: "QUInt2x4",
    torch.uint16: "UInt16",
    torch.uint32: "UInt32",
    torch.uint64: "UInt64",
}


def name_of_dtype(dtype: torch.dtype) -> str:
    """Return the name of a type of elements in C++: ``Float`` for ``torch.float32``."""
    name = _DTYPES.get(dtype)
    if name is None:  # Float8_e5m2 and its likes are spelled like this
        plain = str(dtype).removeprefix("torch.")
        name = plain[:1].upper() + plain[1:]
    return name


def known_operator(name: str, overload: str) -> str:
    """Return the name of an operator of the dispatcher, ``aten::add.Tensor``; empty if there is none such."""
    if "::" not in name:
        return ""
    try:
        torch._C._dispatch_find_schema_or_throw(name, overload)
    except RuntimeError:
        return ""
    return f"{name}.{overload}" if overload else name


def is_observable(operator: str) -> bool:
    """Whether a call of an operator can be seen: the dispatcher has it, rather than the interpreter alone."""
    name, _, overload = operator.partition(".")
    return name not in _UNOBSERVED and bool(known_operator(name, overload))


def classes_in_schemas(operators: Iterable[str]) -> frozenset[str]:
    """Return the names of classes in C++ that the signatures of operators mention."""
    found: set[str] = set()
    for operator in operators:
        for schema in _schemas_of(operator):
            for part in (*schema.arguments, *schema.returns):
                text = part.type.annotation_str
                if "__torch__" in text:
                    found.add(class_name(text))
    return frozenset(found - {""})


def class_name(qualified: str) -> str:
    """Return the last part of the qualified name of a class, and nothing of what stands around it."""
    match = re.match(r"[A-Za-z0-9_]*", qualified.rpartition(".")[2])
    return match[0] if match else ""


def _schemas_of(operator: str) -> list[Any]:
    name, _, overload = operator.partition(".")
    schemas: list[Any] = torch._C._jit_get_schemas_for_operator(name)
    return [schema for schema in schemas if schema.overload_name == overload]
