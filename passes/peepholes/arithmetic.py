"""Arithmetic that gives back what it was given, bit by bit.

The result is a tensor of its own, so the operand stands for it only where nobody can tell; and only where
its elements lie in memory as those of the result do, which is certain of what fills its memory.
"""

from __future__ import annotations

from typing import Final

from ...ir import Device, DType, TensorType, Value
from ..patterns.captures import LiteralOf
from ..patterns.matching import Match
from ..patterns.rule import Condition, Rule, rewrite_rule

_INTEGERS: Final = frozenset((DType.I64, DType.I32, DType.I16, DType.I8, DType.U8))
_FLOATS: Final = frozenset((DType.F64, DType.F32, DType.F16, DType.BF16))
# Processors change the sign of these in place; others take a detour that gives each NaN the same bits.
_SIGNS_FLIP: Final = frozenset((DType.F64, DType.F32))


def _is_integer(match: Match) -> bool:
    x = match.value("x")
    return match.certain.dtype(x) in _INTEGERS and match.certain.is_dense(x)


def _is_float(match: Match) -> bool:
    x = match.value("x")
    return match.certain.dtype(x) in _FLOATS and match.certain.is_dense(x)


def _flips_signs(match: Match) -> bool:
    x = match.value("x")
    is_exact = match.certain.dtype(x) in _SIGNS_FLIP and _on_processor(x)
    return _is_integer(match) or (is_exact and match.certain.is_dense(x))


def _on_processor(value: Value) -> bool:
    return isinstance(value.type, TensorType) and value.type.device == Device("cpu")


def _is_bool(match: Match) -> bool:
    x = match.value("x")
    return match.certain.dtype(x) is DType.BOOL and match.certain.is_dense(x)


def _twice(operator: str, where: Condition) -> Rule:
    return rewrite_rule(
        f"""
        graph(%x : tensor):
          %0 : tensor = {operator}(%x)
          %1 : tensor = {operator}(%0)
          return (%1)
        """,
        "graph(%x : tensor):\n return (%x)",
        name=f"{operator} twice",
        where=where,
        keeps_inner=True,
    )


def _neutral(operator: str, number: str, where: Condition) -> list[Rule]:
    """Return the rules that a number changes nothing, in the overloads for numbers and for tensors."""
    return [
        rewrite_rule(
            f"graph(%x : tensor):\n %0 : tensor = {operator}.{overload}(%x, {number})\n return (%0)",
            "graph(%x : tensor):\n return (%x)",
            name=f"{operator} {number}",
            where=where,
        )
        for overload in ("Tensor", "Scalar")
    ]


def _zero(operator: str) -> list[Rule]:
    """Return the rules that any number of times an integer 0, added or taken away, changes no integer."""
    return [
        rewrite_rule(
            f"""
            graph(%x : tensor, %times : int):
              %0 : tensor = {operator}.{overload}(%x, 0, {alpha}%times)
              return (%0)
            """,
            "graph(%x : tensor):\n return (%x)",
            name=f"{operator} 0",
            captures={"times": LiteralOf((int,))},
            where=_is_integer,
        )
        for overload, alpha in (("Tensor", "alpha="), ("Scalar", ""))
    ]


def _either(match: Match) -> bool:
    return _is_bool(match) or _is_integer(match)


RULES: Final[tuple[Rule, ...]] = (
    _twice("aten::neg", _flips_signs),
    _twice("aten::logical_not", _is_bool),
    _twice("aten::bitwise_not", _either),
    *_zero("aten::add"),
    *_zero("aten::sub"),
    *_neutral("aten::mul", "1", _is_integer),
)

FLOAT_RULES: Final[tuple[Rule, ...]] = tuple(
    rule
    for operator, numbers in {
        "aten::mul": ("1", "1.0"),
        "aten::div": ("1", "1.0"),
        "aten::sub": ("0", "0.0"),
        "aten::add": ("-0.0",),
    }.items()
    for number in numbers
    for rule in _neutral(operator, number, _is_float)
)
