"""Operators: what a node runs, and what its schema says of arguments, results and effects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, Flag, auto
from typing import Final, TypeAlias

from .literals import Literal


class Effect(Flag):
    """What an operator does besides computing its results."""

    NONE = 0
    WRITES = auto()  # changes an argument in place
    RANDOM = auto()  # draws from a random number generator
    DATA_SIZED = auto()  # gives results whose sizes depend on the data of its arguments
    RESHAPES = auto()  # gives an argument other sizes, strides or memory in place
    CHECKS = auto()  # ends the run with an error where a condition of the trace does not hold
    UNKNOWN = auto()  # has no schema, so anything may happen


class Missing(Enum):
    """The default of a parameter that has none."""

    MISSING = auto()


MISSING: Final = Missing.MISSING

# By these names operators that draw random numbers for dropout are told whether to, and how many.
DROPOUT_SWITCHES: Final = ("train", "training", "dropout_p")

Default: TypeAlias = Literal | tuple[Literal, ...] | Missing


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an operator's schema.

    Attributes:
        name: as the schema spells it.
        type: the schema's type (``Tensor``, ``int[]``, ``Tensor?``).
        is_keyword: whether it is passed by name only.
        default: the value it takes when left out; ``MISSING`` where it must be given.
        alias: letters of the alias sets it belongs to; empty where results share no memory with it.
        is_written: whether the operator changes it in place.
    """

    name: str
    type: str
    is_keyword: bool = False
    default: Default = MISSING
    alias: str = ""
    is_written: bool = False


@dataclass(frozen=True, slots=True)
class Return:
    """One result of an operator's schema; ``alias`` ties it to the parameters whose memory it shares."""

    type: str
    alias: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Operator:
    """An operator with its overload, such as ``aten::add.Tensor``.

    Two operators are the same where their names are; make each once and share it.

    Attributes:
        name: namespace, name and overload: ``aten::add.Tensor``.
        parameters: what it takes, in the schema's order.
        returns: what it gives.
        effects: what it does besides.
        is_pointwise: whether it computes each element from those at its place, sizes broadcast.
        casts: whether it may compute in another dtype than that of its operands where a caller has turned on
            automatic mixed precision.
        canonical: the operator that this one is another name of: ``aten::mul.Tensor`` for
            ``aten::multiply.Tensor``. It takes as many arguments in the same order, under names of its own.
        base_name: the name without its overload: ``aten::add``.
        is_view: whether a result may share memory with an argument that is only read.
    """

    name: str
    parameters: tuple[Parameter, ...] = ()
    returns: tuple[Return, ...] = ()
    effects: Effect = Effect.UNKNOWN
    is_pointwise: bool = False
    casts: bool = True
    canonical: Operator | None = None
    base_name: str = field(init=False, repr=False)
    is_view: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        namespace, _, rest = self.name.partition("::")
        base = f"{namespace}::{rest.partition('.')[0]}" if rest else namespace
        object.__setattr__(self, "base_name", base)
        object.__setattr__(self, "is_view", _is_view(self))

    def __repr__(self) -> str:
        return f"<Operator {self.name}>"


def _is_view(operator: Operator) -> bool:
    if any("*" in p.alias for p in operator.parameters):  # an element of a returned list may
        return True
    written = {p.alias for p in operator.parameters if p.is_written}
    return any(r.alias and r.alias not in written for r in operator.returns)


OperatorTable: TypeAlias = Callable[[str], Operator]
"""Gives the operator of a name; makes one of unknown effect where the name is not known."""


def unknown_operator(name: str) -> Operator:
    """Return an operator of which nothing is known, so that every pass must leave it in place."""
    return Operator(name)
