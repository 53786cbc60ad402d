"""One number that the graph knows, in the form in which torch carries symbolic numbers about."""

# ruff: noqa: D102  # the methods from ``is_int`` on are those of torch's SymNode and mean the same

from __future__ import annotations

import math
import operator
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeAlias

import torch

from ...ir import Block, Frame, Node, Operator, Scope, Value

PlainNumber: TypeAlias = int | float | bool


class Place(NamedTuple):
    """Where in the graph and in the program a number came to be.

    Attributes:
        block: the block that was being recorded.
        anchor: the last node at that time; None at the start of the block.
        is_entry: whether it depends on nothing but the sizes of inputs.
    """

    block: Block
    anchor: Node | None
    scope: Scope
    stack: Frame | None
    is_entry: bool


class NumberBook(Protocol):
    """What keeps the numbers of a trace: ``numbers.Numbers``."""

    seen: list[weakref.ref[Any]]

    def compute(self, base: str, function: Callable[..., Any], operands: tuple[Any, ...]) -> Any:
        """Return the number that ``function`` makes of numbers and plain ones; plain where it is none."""
        ...

    def pin(self, number: Number, use: str) -> Any:
        """Return a number as the plain one it is; a guard holds it to that."""
        ...

    def shown(self, number: Number, text: str, *, is_shape: bool = False) -> None:
        """Take note that a number, or the shape that it is part of, was turned into text."""
        ...

    def is_in_block(self) -> bool:
        """Whether a function inside the program is being recorded, whose result may be a truth value."""
        ...

    def decide(self, number: Number) -> bool:
        """Return a number as a plain truth value; a guard holds it to that."""
        ...


def _computed(base: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Number, *others: Any) -> Any:
        result = self.numbers.compute(base, function, (self, *others))
        return result if type(result) is Number else Number.constant(self.numbers, result)

    return method


class Number:
    """What the graph knows of one number: an operator and its operands, or a value.

    Torch's argument parser hands it on inside a ``torch.SymInt`` and calls the methods below, which
    are those of torch's own ``SymNode``.

    Attributes:
        numbers: those of the trace it belongs to.
        plain: what it was at the trace.
        operator: how it is computed; None for a number that is a value already, or a constant.
        operands: numbers, tensors' values and literals, in the operator's order.
        is_data: whether it depends on the data of a tensor, not on sizes alone.
        is_kept: whether it depends on a number that the program keeps, as an optimizer does.
        is_pinned: whether a guard at the start of the graph holds it to what it is.
        value: its value in the graph; None until something in the graph reads it.
    """

    __slots__ = (
        "__weakref__",
        "is_data",
        "is_kept",
        "is_pinned",
        "numbers",
        "operands",
        "operator",
        "place",
        "plain",
        "value",
    )

    def __init__(
        self,
        numbers: NumberBook,
        plain: PlainNumber,
        operator: Operator | None,
        operands: tuple[Any, ...],
        place: Place | None,
        is_data: bool,
        value: Value | None = None,
    ) -> None:
        self.numbers = numbers
        self.plain = plain
        self.operator = operator
        self.operands = operands
        self.place = place
        self.is_data = is_data
        self.is_kept = False
        self.is_pinned = False
        self.value = value

    @classmethod
    def constant(cls, numbers: NumberBook, plain: PlainNumber) -> Number:
        """Return a plain number as one that torch can calculate with; it is a literal in the graph."""
        return cls(numbers, plain, None, (), None, False)

    @property
    def is_literal(self) -> bool:
        """Whether it is the same at every run that comes so far."""
        return self.is_pinned or (self.operator is None and self.value is None)

    def __repr__(self) -> str:
        return f"<Number {self.plain!r}>"

    def is_int(self) -> bool:
        return type(self.plain) is int

    def is_float(self) -> bool:
        return type(self.plain) is float

    def is_bool(self) -> bool:
        return type(self.plain) is bool

    def is_symbolic(self) -> bool:
        return True

    def has_hint(self) -> bool:
        return True

    def is_constant(self) -> bool:
        return False

    def is_nested_int(self) -> bool:
        return False

    def nested_int(self) -> None:
        return None

    def constant_int(self) -> None:
        return None

    def constant_bool(self) -> None:
        return None

    def maybe_as_int(self) -> None:
        return None

    def clone(self) -> Number:
        return self

    def _graph_repr(self) -> str:
        return repr(self.plain)

    def wrap_int(self, plain: int) -> Number:
        return Number.constant(self.numbers, plain)

    wrap_float = wrap_bool = wrap_int

    def guard_int(self, file: str, line: int) -> int:
        return int(self.numbers.pin(self, "is needed as a plain int by torch"))

    def guard_float(self, file: str, line: int) -> float:
        return float(self.numbers.pin(self, "is needed as a plain float by torch"))

    def guard_bool(self, file: str, line: int) -> bool:
        return self.numbers.decide(self)

    expect_true = guard_size_oblivious = guard_or_true = guard_bool

    def guard_or_false(self, file: str, line: int) -> bool:
        return False  # what torch would leave out if it knew better is recorded

    statically_known_true = guard_or_false

    def int_(self) -> int:
        return self.guard_int("", 0)

    def bool_(self) -> bool:
        return self.numbers.decide(self)

    add = _computed("aten::add", operator.add)
    sub = _computed("aten::sub", operator.sub)
    mul = _computed("aten::mul", operator.mul)
    truediv = int_truediv = float_truediv = _computed("aten::div", operator.truediv)
    floordiv = int_floordiv = _computed("aten::floordiv", operator.floordiv)
    mod = _computed("aten::remainder", operator.mod)
    pow = float_pow = pow_by_natural = _computed("aten::pow", operator.pow)
    neg = _computed("aten::neg", operator.neg)
    eq = _computed("aten::eq", operator.eq)
    ne = _computed("aten::ne", operator.ne)
    lt = _computed("aten::lt", operator.lt)
    le = _computed("aten::le", operator.le)
    gt = _computed("aten::gt", operator.gt)
    ge = _computed("aten::ge", operator.ge)
    and_ = _computed("aten::__and__", operator.and_)
    or_ = _computed("aten::__or__", operator.or_)
    sym_and, sym_or = and_, or_
    sym_not = _computed("aten::__not__", operator.not_)
    sym_min = _computed("prim::min", min)
    sym_max = _computed("prim::max", max)
    sym_float = _computed("aten::Float", float)
    floor = _computed("aten::floor", math.floor)
    ceil = _computed("aten::ceil", math.ceil)
    trunc = _computed("aten::trunc", math.trunc)
    sym_sqrt = _computed("aten::sqrt", math.sqrt)
    str = _graph_repr


_HOLD_NONE = frozenset((torch.Tensor, torch.nn.Parameter, str, type(None)))
_SYMBOLIC = (torch.SymInt, torch.SymFloat, torch.SymBool)


def number_of(value: Any) -> Number | None:
    """Return the number behind a traced one, in whatever class torch hands it on; else None."""
    if isinstance(value, _SYMBOLIC):
        node: Any = value.node
        if type(node) is Number:
            return node
    return None


def with_plain_numbers(argument: Any) -> Any:
    """Return an operator's argument with what traced numbers were in place of them."""
    if argument.__class__ in _HOLD_NONE:
        return argument
    if isinstance(argument, list | tuple):
        return [item if type(item) is int else with_plain_numbers(item) for item in argument]
    number = number_of(argument)
    return argument if number is None else number.plain
