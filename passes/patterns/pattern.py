"""Patterns: a few nodes that read one another, with names for what they read from outside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ...ir import Literal
from .captures import AnyTensor, Capture


@dataclass(frozen=True, slots=True)
class Name:
    """An argument that is captured under a name; the same name twice is the same argument twice."""

    name: str


@dataclass(frozen=True, slots=True)
class Result:
    """An argument that is a result of a node of the pattern.

    Attributes:
        node: the number of that node.
        position: which of its results.
    """

    node: int
    position: int = 0


Term: TypeAlias = "Name | Result | Literal | tuple[Term, ...]"
"""An argument of a node in a pattern."""


@dataclass(frozen=True, slots=True)
class PatternNode:
    """A node of a pattern.

    Attributes:
        operator: its name with overload; ``aten::add.*`` stands for any overload.
        args: its arguments, those passed by name last.
        keywords: the names of these.
        results: what its results must be like; None where any number of any will do.
        groups: how results map to what it returns, see ``Node.groups``; None where that does not matter.
        is_commutative: whether its first two arguments may also stand the other way round.
    """

    operator: str
    args: tuple[Term, ...]
    keywords: tuple[str, ...] = ()
    results: tuple[Capture, ...] | None = (AnyTensor(),)
    groups: tuple[int | None, ...] | None = None
    is_commutative: bool = False

    def runs(self, operator: str) -> bool:
        """Whether an operator of this name is meant."""
        wanted = self.operator
        if wanted.endswith(".*"):
            return operator == wanted[:-2] or operator.startswith(wanted[:-1])
        return operator == wanted


@dataclass(frozen=True, slots=True)
class Pattern:
    """What a rule looks for.

    Attributes:
        captures: what each name may stand for.
        nodes: in an order in which each reads only what stands before it; the last is the root, all of
            whose results the pattern gives.
    """

    captures: Mapping[str, Capture]
    nodes: tuple[PatternNode, ...]

    @property
    def root(self) -> PatternNode:
        """The node whose results are replaced."""
        return self.nodes[-1]


def names_in(terms: tuple[Term, ...]) -> Iterator[str]:
    """Yield the names in arguments, those in lists too."""
    for term in terms:
        if isinstance(term, Name):
            yield term.name
        elif isinstance(term, tuple):
            yield from names_in(term)


def results_in(terms: tuple[Term, ...]) -> Iterator[Result]:
    """Yield the results of nodes that arguments are, those in lists too."""
    for term in terms:
        if isinstance(term, Result):
            yield term
        elif isinstance(term, tuple):
            yield from results_in(term)
