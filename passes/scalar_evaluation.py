"""What operators on numbers give for plain numbers: the same as the Python that a replay runs."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from ..ir import Node, ScalarType
from ..ir.scalars import MATH_FUNCTIONS, scalar_form

Number: TypeAlias = bool | int | float

FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "aten::add": operator.add,
    "aten::sub": operator.sub,
    "aten::mul": operator.mul,
    "aten::div": operator.truediv,
    "aten::floordiv": operator.floordiv,
    "aten::remainder": operator.mod,
    "aten::pow": operator.pow,
    "aten::neg": operator.neg,
    "aten::__and__": operator.and_,
    "aten::__or__": operator.or_,
    "aten::__xor__": operator.xor,
    "aten::__lshift__": operator.lshift,
    "aten::__rshift__": operator.rshift,
    "aten::__not__": operator.not_,
    "aten::eq": operator.eq,
    "aten::ne": operator.ne,
    "aten::lt": operator.lt,
    "aten::le": operator.le,
    "aten::gt": operator.gt,
    "aten::ge": operator.ge,
    "prim::min": min,
    "prim::max": max,
    "prim::abs": abs,
    "aten::Int": int,
    "aten::Float": float,
    "aten::Bool": bool,
    "aten::round": round,
    **{f"aten::{name}": getattr(math, name) for name in MATH_FUNCTIONS},
}
"""The function of Python behind each operator on numbers, by its name without overload."""

_CLASSES: Final[dict[ScalarType, type]] = {
    ScalarType.INT: int,
    ScalarType.FLOAT: float,
    ScalarType.BOOL: bool,
}
_NUMBERS: Final = frozenset(_CLASSES.values())
_MOST_BITS: Final = 4096  # of a number that a graph may come to hold
_GROWS: Final = ("aten::pow", "aten::__lshift__")


def scalar_result(node: Node) -> Number | None:
    """Return what a node computes from plain numbers; None if that is not all it does, or it fails.

    A run that ends in an error, such as a division by zero, goes on to end in it.
    """
    if node.inputs or len(node.outputs) != 1 or scalar_form(node.kind) is None:
        return None
    args = node.all_args
    base = node.operator.base_name
    function = FUNCTIONS.get(base)
    if function is None or any(arg.__class__ not in _NUMBERS for arg in args):
        return None
    numbers: Any = args
    if base in _GROWS and _may_be_huge(*numbers):
        return None
    try:
        result: object = function(*numbers)
    except (ArithmeticError, ValueError, TypeError):
        return None
    type_ = node.output.type
    if not isinstance(type_, ScalarType) or result.__class__ is not _CLASSES.get(type_):
        return None
    assert isinstance(result, bool | int | float), "its class was looked at"
    if isinstance(result, int) and result.bit_length() > _MOST_BITS:
        return None
    return result


def is_same_number(one: object, other: object) -> bool:
    """Whether two numbers are the same to everybody: ``0.0`` is not ``-0.0``, and ``1`` not ``True``."""
    return one.__class__ is other.__class__ and repr(one) == repr(other)


def _may_be_huge(base: Number, exponent: Number) -> bool:
    """Whether a power of ``int``s, or one shifted, may have more digits than anybody wants to compute."""
    if isinstance(base, float) or isinstance(exponent, float):
        return False
    return exponent > _MOST_BITS or base.bit_length() * max(exponent, 1) > _MOST_BITS
