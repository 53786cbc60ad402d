"""What the program sees of the graph's numbers: classes that behave as ``int``, ``float`` and ``bool``.

``isinstance(n, int)`` holds for them, as it does without a trace. They are ``torch.SymInt`` and its
siblings, which torch's argument parser passes on as they are; see Note [Numbers as data].
"""

from __future__ import annotations

import dis
import math
import operator
import sys
import weakref
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, cast

import torch

from ...ir.scalars import MATH_FUNCTIONS
from ..dispatch.number import Number, number_of
from .numbers import own_frames

own_frames(__file__)
_PLAIN = frozenset((int, float, bool))


def makes_text(frame: FrameType) -> bool:
    """Whether a frame makes text with ``%``, as logging does, of what it asks for a plain number."""
    code, position = frame.f_code.co_code, frame.f_lasti
    return code[position : position + 2] in _FORMATTING


def _instructions(*statements: str) -> Iterator[bytes]:
    for statement in statements:
        code = compile(statement, "", "exec")
        for found in dis.get_instructions(code):
            if found.opname.startswith("BINARY"):
                yield code.co_code[found.offset : found.offset + 2]


_FORMATTING = frozenset(_instructions("a % b", "a %= b"))


def is_traced(value: Any) -> bool:
    """Whether a value is a traced number."""
    return type(value) in _TRACED


def traced(number: Any) -> Any:
    """Return a number as the program sees it; a plain one as it is."""
    if type(number) is not Number:
        return number
    kind = type(number.plain)
    if kind is bool and not number.numbers.is_in_block():
        return number.numbers.decide(number)  # torch and ``is`` take none but Python's own
    made = _CLASSES[kind](number)
    number.numbers.seen.append(weakref.ref(made))
    return made


def compute(base: str, function: Callable[..., Any], *operands: Any) -> Any:
    """Return ``function`` of traced and plain numbers: traced where the trace records, else plain."""
    own = tuple([o.node if type(o) in _TRACED else o for o in operands])
    first: Number = next(o for o in own if type(o) is Number)
    return traced(first.numbers.compute(base, function, own))


def _binary(base: str, function: Callable[[Any, Any], Any], *, reflected: bool = False) -> Any:
    def method(self: Any, other: Any) -> Any:
        kind = type(other)
        if kind not in _PLAIN and kind not in _TRACED:
            number = number_of(other)
            if number is not None:  # as torch hands it back
                return method(self, traced(number))
            if not isinstance(other, int | float | complex):
                return NotImplemented
            # A subclass, one of NumPy's say, has ways of its own.
            plain = self.plain("meets a number of a class that the graph does not have")
            return function(other, plain) if reflected else function(plain, other)
        if base == "aten::pow":
            _settle_class(self if reflected else other)
        own, operand = self.node, other.node if kind in _TRACED else other
        if not reflected:
            return traced(own.numbers.compute(base, function, (own, operand)))
        numbers = operand.numbers if kind in _TRACED else own.numbers
        return traced(numbers.compute(base, function, (operand, own)))

    return method


def _settle_class(exponent: Any) -> None:
    """Hold the sign of an exponent, on which the class of a power depends."""
    if type(exponent) is TracedInt:
        bool(exponent >= 0)


def _unary(base: str, function: Callable[[Any], Any]) -> Any:
    def method(self: Any, *_: Any) -> Any:
        return compute(base, function, self)

    return method


class TracedNumber:
    """What traced numbers of all classes do."""

    node: Number

    def plain(self, use: str) -> Any:
        """Return the plain number, held to what it is by a guard; ``use`` says what for."""
        return self.node.numbers.pin(self.node, use)

    __add__ = _binary("aten::add", operator.add)
    __radd__ = _binary("aten::add", operator.add, reflected=True)
    __sub__ = _binary("aten::sub", operator.sub)
    __rsub__ = _binary("aten::sub", operator.sub, reflected=True)
    __mul__ = _binary("aten::mul", operator.mul)
    __rmul__ = _binary("aten::mul", operator.mul, reflected=True)
    __truediv__ = _binary("aten::div", operator.truediv)
    __rtruediv__ = _binary("aten::div", operator.truediv, reflected=True)
    __floordiv__ = _binary("aten::floordiv", operator.floordiv)
    __rfloordiv__ = _binary("aten::floordiv", operator.floordiv, reflected=True)
    __mod__ = _binary("aten::remainder", operator.mod)
    __rmod__ = _binary("aten::remainder", operator.mod, reflected=True)
    __and__ = _binary("aten::__and__", operator.and_)
    __rand__ = _binary("aten::__and__", operator.and_, reflected=True)
    __or__ = _binary("aten::__or__", operator.or_)
    __ror__ = _binary("aten::__or__", operator.or_, reflected=True)
    __xor__ = _binary("aten::__xor__", operator.xor)
    __rxor__ = _binary("aten::__xor__", operator.xor, reflected=True)
    __lshift__ = _binary("aten::__lshift__", operator.lshift)
    __rlshift__ = _binary("aten::__lshift__", operator.lshift, reflected=True)
    __rshift__ = _binary("aten::__rshift__", operator.rshift)
    __rrshift__ = _binary("aten::__rshift__", operator.rshift, reflected=True)
    __eq__ = _binary("aten::eq", operator.eq)
    __ne__ = _binary("aten::ne", operator.ne)
    __lt__ = _binary("aten::lt", operator.lt)
    __le__ = _binary("aten::le", operator.le)
    __gt__ = _binary("aten::gt", operator.gt)
    __ge__ = _binary("aten::ge", operator.ge)
    _power = _binary("aten::pow", operator.pow)
    __rpow__ = _binary("aten::pow", operator.pow, reflected=True)
    __neg__ = _unary("aten::neg", operator.neg)
    __abs__ = _unary("prim::abs", abs)
    __floor__ = _unary("aten::floor", math.floor)
    __ceil__ = _unary("aten::ceil", math.ceil)
    __trunc__ = _unary("aten::trunc", math.trunc)
    __sym_float__ = _unary("aten::Float", float)
    __sym_not__ = _unary("aten::__not__", operator.not_)
    __sym_sqrt__ = _unary("aten::sqrt", math.sqrt)
    __sym_min__ = _binary("prim::min", min)
    __sym_max__ = _binary("prim::max", max)

    def __pow__(self, other: Any, modulus: Any = None) -> Any:
        if modulus is not None:
            return pow(self.plain("is raised modulo a number"), other, modulus)
        return self._power(other)

    def __pos__(self) -> Any:
        return self

    def __invert__(self) -> Any:
        if type(self) is TracedFloat:
            return ~self.plain("is inverted")
        return -self - 1

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __round__(self, digits: int | None = None) -> Any:
        if type(self) is TracedInt and (digits is None or digits >= 0):
            return self
        if digits is None:
            return compute("aten::round", round, self)
        return round(self.plain("is rounded to some digits"), digits)

    def __bool__(self) -> bool:
        number = self.node
        if number.is_bool():
            return number.numbers.decide(number)
        return bool(self != 0)

    def __int__(self) -> int:
        if makes_text(sys._getframe(1)):
            return int(self._shown())
        if type(self) is TracedFloat:  # what is left of it may well be the same at the next run
            return int(compute("aten::Int", int, self))
        return int(self.plain("is turned into a plain int"))

    def __float__(self) -> float:
        if makes_text(sys._getframe(1)):
            return float(self._shown())
        return float(self.plain("is turned into a plain float"))

    def __complex__(self) -> complex:
        return complex(self.plain("is turned into a plain complex number"))

    def __hash__(self) -> int:
        return hash(self.plain("is used as a key"))

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        import numpy as np  # who asks for an array has it

        return np.asarray(self.plain("goes to NumPy"), dtype=dtype)

    def __repr__(self) -> str:
        return self.__format__("")

    __str__ = __repr__

    def _shown(self) -> Any:
        """Return the plain number for a text."""
        number = self.node
        number.numbers.shown(number, repr(number.plain))
        return number.plain

    def __format__(self, spec: str) -> str:
        text = format(self.node.plain, spec)
        self.node.numbers.shown(self.node, text)
        return text

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self

    def __reduce__(self) -> Any:
        plain = self.plain("is pickled")
        return type(plain), (plain,)

    def __getattr__(self, name: str) -> Any:
        if name == "__torch_function__":  # which torch asks all its arguments for
            raise AttributeError
        plain_class = type(self.node.plain)
        if name == "node" or not hasattr(plain_class, name):
            raise AttributeError(f"{plain_class.__name__!r} object has no attribute {name!r}")
        return getattr(self.plain(f"is asked for .{name}"), name)


def _as_plain(name: str) -> Any:
    """Return a method that Python's numbers have and torch's symbolic ones have in another way."""

    def method(self: Any, *args: Any) -> Any:
        return getattr(self.plain(f"is asked for .{name}()"), name)(*args)

    return method


for _name in ("as_integer_ratio", "bit_length", "conjugate", "hex", "is_integer"):
    setattr(TracedNumber, _name, _as_plain(_name))


class TracedInt(TracedNumber, torch.SymInt):
    """An ``int`` that the graph knows."""

    def __index__(self) -> int:
        if makes_text(sys._getframe(1)):
            return int(self._shown())
        return int(
            self.plain(
                "is used where Python needs a plain int, as in range(), an index or a repeat"
            )
        )

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return int


class TracedFloat(TracedNumber, torch.SymFloat):
    """A ``float`` that the graph knows."""

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return float


class TracedBool(TracedNumber, torch.SymBool):
    """A ``bool`` that the graph knows; the branch that it decides is guarded."""

    def __index__(self) -> int:
        return int(self.plain("is used where Python needs a plain int"))

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return bool


_CLASSES: dict[type, Callable[[Number], Any]] = {
    int: cast(Any, TracedInt),
    float: cast(Any, TracedFloat),
    bool: cast(Any, TracedBool),
}
_TRACED = frozenset((TracedInt, TracedFloat, TracedBool))
MATH: dict[str, Callable[..., Any]] = {name: getattr(math, name) for name in MATH_FUNCTIONS}
"""The functions of ``math`` that have an operator, as they are without a trace."""


def pinned(argument: Any, use: str) -> Any:
    """Return an argument with plain numbers for traced ones, each held to what it is by a guard."""
    if isinstance(argument, list | tuple):
        items = [pinned(item, use) for item in argument]
        return items if isinstance(argument, list) else tuple(items)
    return argument.plain(use) if is_traced(argument) else argument
