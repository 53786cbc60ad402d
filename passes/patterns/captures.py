"""What a name in a pattern may stand for: a tensor, a number, a literal, a list, anything."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final

from ...errors import PassError
from ...ir import (
    Argument,
    DType,
    ListType,
    Literal,
    ScalarType,
    SymDim,
    TensorType,
    Type,
    Value,
)


class Capture(ABC):
    """What an argument must be like to be captured under a name."""

    __slots__ = ()

    @abstractmethod
    def fits(self, arg: Argument) -> bool:
        """Whether an argument of a node is like that."""


@dataclass(frozen=True, slots=True)
class Anything(Capture):
    """Whatever stands there: a value, a literal or a list, ``None`` and defaults among them."""

    def fits(self, arg: Argument) -> bool:
        """Return True."""
        return True


@dataclass(frozen=True, slots=True)
class AnyTensor(Capture):
    """A tensor.

    Attributes:
        dtype: its dtype, at each replay; None for any. Where a caller's automatic mixed precision might give
            it another one than at the trace, nothing is replaced.
        rank: the number of its dimensions; None for any.
        is_plain: whether it must be of torch's own class and have strides, so that operators mean what
            they say.
    """

    dtype: DType | None = None
    rank: int | None = None
    is_plain: bool = True

    def fits(self, arg: Argument) -> bool:
        """Whether an argument is such a tensor, its type taken at its word."""
        type_ = arg.type if isinstance(arg, Value) else None
        if not isinstance(type_, TensorType):
            return False
        if self.is_plain and (type_.class_name or type_.layout.name != "strided"):
            return False
        return (self.dtype is None or type_.dtype == self.dtype) and (
            self.rank is None or type_.rank == self.rank
        )


@dataclass(frozen=True, slots=True)
class Number(Capture):
    """A plain number, be it a literal or a value that the graph computes.

    Attributes:
        types: of which types: INT, FLOAT, BOOL.
    """

    types: tuple[ScalarType, ...] = (ScalarType.INT, ScalarType.FLOAT, ScalarType.BOOL)

    def fits(self, arg: Argument) -> bool:
        """Whether an argument is such a number."""
        found = arg.type if isinstance(arg, Value) else _CLASSES.get(type(arg))
        return found in self.types


@dataclass(frozen=True, slots=True)
class LiteralOf(Capture):
    """A literal that stands in the graph, so that its value is known.

    Attributes:
        classes: Python's classes of it: ``(int, float)``. ``True`` is a bool and no int.
    """

    classes: tuple[type, ...]

    def fits(self, arg: Argument) -> bool:
        """Whether an argument is such a literal."""
        return arg.__class__ in self.classes


@dataclass(frozen=True, slots=True)
class ListOf(Capture):
    """A list, each item of which fits.

    Attributes:
        item: what its items must be like.
        length: how many there are; None for any number.
    """

    item: Capture
    length: int | None = None

    def fits(self, arg: Argument) -> bool:
        """Whether an argument is such a list."""
        if not isinstance(arg, tuple) or self.length not in (None, len(arg)):
            return False
        return all(map(self.item.fits, arg))


SIZES: Final = ListOf(Number((ScalarType.INT,)))
"""A list of sizes, each a literal or a value."""

_CLASSES: Final[dict[type, ScalarType]] = {
    int: ScalarType.INT,
    float: ScalarType.FLOAT,
    bool: ScalarType.BOOL,
}
_LITERALS: Final[dict[ScalarType, type[Literal]]] = {
    ScalarType.STR: str,
    ScalarType.COMPLEX: complex,
    ScalarType.DTYPE: DType,
    ScalarType.NONE: type(None),
}


def capture_of(type_: Type, name: str) -> Capture:
    """Return what a type means that a pattern's text gives a name: ``f32[*]``, ``list[int]``, ``any``.

    Raises:
        PassError: it asks for something that holds for one replay and not for the next.
    """
    if isinstance(type_, TensorType):
        if any(not isinstance(size, SymDim) for size in type_.shape or ()):
            raise PassError(
                f"%{name} : {type_} asks for a size, and sizes may differ at each replay\n"
                "  ask for a rank by names, as in f32[rows, columns]"
            )
        return AnyTensor(type_.dtype, type_.rank)
    if isinstance(type_, ListType):
        return ListOf(capture_of(type_.element, name))
    if type_ in (ScalarType.INT, ScalarType.FLOAT, ScalarType.BOOL):
        assert isinstance(type_, ScalarType), "it is one of these"
        return Number((type_,))
    if isinstance(type_, ScalarType) and type_ in _LITERALS:
        return LiteralOf((_LITERALS[type_],))
    return Anything()


def is_same(one: Argument, other: Argument) -> bool:
    """Whether two arguments are the same: one value, or literals that nothing can tell apart."""
    if isinstance(one, Value) or isinstance(other, Value):
        return one is other
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(is_same, one, other))
    return one.__class__ is other.__class__ and repr(one) == repr(other)
