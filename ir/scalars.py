"""Arithmetic on plain numbers: the operators that sizes and items of tensors go through.

Their names are TorchScript's, with the classes of the operands as overload: ``aten::mul.int``,
``aten::pow.float_int``. They mean what Python means by the expression that stands beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from .operator import Effect, Operator, Parameter, Return
from .types import ScalarType

GUARD: Final = "prim::guard"
"""The operator that ends a run with an error unless its first argument equals its second."""

_ATOM: Final = 20
_UNARY: Final = 13


@dataclass(frozen=True, slots=True)
class ScalarForm:
    """How Python writes an operation.

    Attributes:
        template: the expression, with ``{}`` for each operand.
        precedence: how tightly it binds; the tighter, the higher.
        is_right: whether operands of the same precedence need no parentheses on the right.
    """

    template: str
    precedence: int = _ATOM
    is_right: bool = False

    def takes(self, count: int) -> bool:
        """Whether there are as many operands; a graph that was read from elsewhere may have others."""
        return self.template.count("{}") == count

    @property
    def is_call(self) -> bool:
        """Whether the operands stand alone, as arguments do."""
        return self.precedence == _ATOM


@dataclass(frozen=True, slots=True)
class Expression:
    """A Python expression and how tightly it binds."""

    text: str
    precedence: int = _ATOM

    def within(self, precedence: int) -> str:
        """Return the text for a place that asks for at least this precedence."""
        return self.text if self.precedence >= precedence else f"({self.text})"


_ARITHMETIC: Final = {
    "aten::add": ScalarForm("{} + {}", 11),
    "aten::sub": ScalarForm("{} - {}", 11),
    "aten::mul": ScalarForm("{} * {}", 12),
    "aten::div": ScalarForm("{} / {}", 12),
    "aten::floordiv": ScalarForm("{} // {}", 12),
    "aten::remainder": ScalarForm("{} % {}", 12),
    "aten::pow": ScalarForm("{} ** {}", 14, is_right=True),
    "aten::neg": ScalarForm("-{}", _UNARY),
    "aten::__and__": ScalarForm("{} & {}", 9),
    "aten::__or__": ScalarForm("{} | {}", 7),
    "aten::__xor__": ScalarForm("{} ^ {}", 8),
    "aten::__lshift__": ScalarForm("{} << {}", 10),
    "aten::__rshift__": ScalarForm("{} >> {}", 10),
    "aten::__not__": ScalarForm("not {}", 5),
    "aten::eq": ScalarForm("{} == {}", 6),
    "aten::ne": ScalarForm("{} != {}", 6),
    "aten::lt": ScalarForm("{} < {}", 6),
    "aten::le": ScalarForm("{} <= {}", 6),
    "aten::gt": ScalarForm("{} > {}", 6),
    "aten::ge": ScalarForm("{} >= {}", 6),
    "prim::min": ScalarForm("min({}, {})"),
    "prim::max": ScalarForm("max({}, {})"),
    "prim::abs": ScalarForm("abs({})"),
    "aten::Int": ScalarForm("int({})"),
    "aten::Float": ScalarForm("float({})"),
    "aten::Bool": ScalarForm("bool({})"),
    "aten::round": ScalarForm("round({})"),
}
MATH_FUNCTIONS: Final = (
    "ceil", "cos", "exp", "floor", "isfinite", "isinf", "isnan", "log", "log10", "log1p", "log2",
    "sin", "sqrt", "tanh", "trunc",
)  # fmt: skip
"""The functions of Python's ``math``, of one argument, that have an operator of the same name."""

_FORMS: Final = {
    **_ARITHMETIC,
    **{f"aten::{name}": ScalarForm(f"math.{name}({{}})") for name in MATH_FUNCTIONS},
}
_READS: Final = {
    "aten::sym_size.int": ScalarForm("{}.size({})"),
    "aten::sym_stride.int": ScalarForm("{}.stride({})"),
    "aten::sym_numel": ScalarForm("{}.numel()"),
    "aten::sym_storage_offset": ScalarForm("{}.storage_offset()"),
    "aten::dim": ScalarForm("{}.dim()"),
    "prim::is_none": ScalarForm("{} is None", 6),
    "aten::is_contiguous": ScalarForm("{}.is_contiguous()"),
    "aten::is_contiguous.memory_format": ScalarForm("{}.is_contiguous(memory_format={})"),
    "prim::requires_grad": ScalarForm("{}.requires_grad"),
    "prim::is_leaf": ScalarForm("{}.is_leaf"),
    "prim::has_no_history": ScalarForm("{}.grad_fn is None", 6),
    "prim::has_no_gradient": ScalarForm("{}.grad is None", 6),
    "prim::retains_grad": ScalarForm("{}.retains_grad"),
    "prim::is_no_view": ScalarForm("{}._base is None", 6),
    "prim::is_view": ScalarForm("{}._is_view()"),
    "prim::is_inference": ScalarForm("{}.is_inference()"),
    "prim::is_shared": ScalarForm("{}.is_shared()"),
    "prim::is_conj": ScalarForm("{}.is_conj()"),
    "prim::is_neg": ScalarForm("{}.is_neg()"),
    "prim::version": ScalarForm("{}._version"),
    "prim::storage_nbytes": ScalarForm("{}.untyped_storage().nbytes()"),
}
_OVERLOADS: Final = {
    "int": ScalarType.INT,
    "float": ScalarType.FLOAT,
    "bool": ScalarType.BOOL,
}


def scalar_form(name: str) -> ScalarForm | None:
    """Return how Python writes an operator on numbers, or one that reads a fact such as a tensor's size."""
    read = _READS.get(name)
    if read is not None:
        return read
    base, _, overload = name.partition(".")
    form = _FORMS.get(base)
    if form is None or not overload or not set(overload.split("_")) <= _OVERLOADS.keys():
        return None
    return form


@cache
def scalar_operator(base: str, operands: tuple[ScalarType, ...], result: ScalarType) -> Operator:
    """Return the operator of an operation on operands of these classes."""
    kinds = [operand.value for operand in operands]
    overload = kinds[0] if len(set(kinds)) == 1 else "_".join(kinds)
    return _numeric(f"{base}.{overload}", tuple(kinds), result.value)


@cache
def read_operator(name: str, parameters: tuple[str, ...], result: ScalarType) -> Operator:
    """Return the operator that reads a fact of a value other than a tensor's data."""
    return _numeric(name, parameters, result.value)


GUARD_OPERATOR: Final = Operator(
    GUARD,
    (Parameter("actual", "any"), Parameter("expected", "any")),
    (),
    Effect.CHECKS,
)


@cache
def scalar_named(name: str) -> Operator | None:
    """Return the operator on numbers, or the guard, of this name; None if it is none of them."""
    if name == GUARD:
        return GUARD_OPERATOR
    form = scalar_form(name)
    if form is None:
        return None
    if name in _READS:
        return _numeric(name, ("Tensor", *["int"] * (form.template.count("{}") - 1)), "int")
    kinds = name.partition(".")[2].split("_")
    count = form.template.count("{}")
    return _numeric(name, tuple(kinds if len(kinds) == count else kinds * count), "any")


def _numeric(name: str, types: tuple[str, ...], result: str) -> Operator:
    parameters = tuple(
        Parameter(letter, type_) for letter, type_ in zip("abcd", types, strict=False)
    )
    return Operator(name, parameters, (Return(result),), Effect.NONE)


def write_expression(form: ScalarForm, operands: Sequence[Expression]) -> Expression:
    """Return an operation on written operands, with parentheses where Python needs them."""
    precedence = form.precedence
    if form.is_call:
        first, *rest = operands
        receiver = first.within(_ATOM if form.template.startswith("{}.") else 0)
        return Expression(form.template.format(receiver, *[operand.text for operand in rest]))
    if len(operands) == 1:
        return Expression(form.template.format(operands[0].within(precedence)), precedence)
    left, right = operands
    is_comparison = precedence == 6
    on_left = precedence + 1 if form.is_right or is_comparison else precedence
    on_right = _UNARY if form.is_right else precedence + 1
    return Expression(
        form.template.format(left.within(on_left), right.within(on_right)), precedence
    )


def write_number(number: float) -> Expression:
    """Return a plain number as an expression."""
    return Expression(repr(number), _UNARY if number < 0 else _ATOM)
