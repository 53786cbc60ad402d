"""Facts: the single things in which a node, a scope or a graph differs from what it is matched with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ..ir import Argument, Modes, Scope, SourceRange, Type
from ..ir.operator import Missing


@dataclass(frozen=True, slots=True)
class OperatorChange:
    """Another operator, or another overload of it."""

    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ArgumentChange:
    """Another literal, or a value from elsewhere.

    Attributes:
        name: the parameter by its schema name, with the place in a list: ``size[1]``.
        before: what was given; ``MISSING`` where nothing was.
        after: what is given now.
    """

    name: str
    before: Argument | Missing
    after: Argument | Missing


@dataclass(frozen=True, slots=True)
class TypeChange:
    """Another type of a result, an input or an output.

    Attributes:
        of: what has it: ``result``, ``result 1``, ``input``.
        before: the type it had; None where there was no such result.
        after: the type it has now.
    """

    of: str
    before: Type | None
    after: Type | None


@dataclass(frozen=True, slots=True)
class GroupsChange:
    """Results that come as other lists; see ``Node.groups``."""

    before: tuple[int | None, ...]
    after: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class ModesChange:
    """Other modes of gradients, inference or autocast."""

    before: Modes
    after: Modes


@dataclass(frozen=True, slots=True)
class ScopeChange:
    """Another scope than the one that the scope around is matched with."""

    before: Scope
    after: Scope


@dataclass(frozen=True, slots=True)
class OrderChange:
    """Another place among nodes that both graphs have.

    Attributes:
        by: how many of them it passed: toward the end if positive, toward the start if negative.
    """

    by: int


@dataclass(frozen=True, slots=True)
class BlocksChange:
    """Another number of blocks."""

    before: int
    after: int


@dataclass(frozen=True, slots=True)
class SourceChange:
    """Another line of the user's code."""

    before: SourceRange | None
    after: SourceRange | None


@dataclass(frozen=True, slots=True)
class NameChange:
    """Another name, of a program or of a piece of state."""

    before: str
    after: str


@dataclass(frozen=True, slots=True)
class AddressChange:
    """A scope at another address: it has another name, or stands in another scope."""

    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ClassChange:
    """A module of another class."""

    before: str
    after: str


@dataclass(frozen=True, slots=True)
class KindChange:
    """State of another kind, such as a buffer that was a parameter."""

    before: str
    after: str


@dataclass(frozen=True, slots=True)
class NamesChange:
    """State with other names, as when weights are tied that were not."""

    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CompositeChange:
    """A scope of a composite operator that stands for another call."""

    before: str
    after: str


Fact: TypeAlias = (
    OperatorChange
    | ArgumentChange
    | TypeChange
    | GroupsChange
    | ModesChange
    | ScopeChange
    | OrderChange
    | BlocksChange
    | SourceChange
    | NameChange
    | AddressChange
    | ClassChange
    | KindChange
    | NamesChange
    | CompositeChange
)
