"""What a composite operator called, and whether that is all it did.

Note [All that an operator does]
    What an operator calls may take its place in a graph, provided that it does all that the operator does:

    * it makes every result, as the very tensor that came out; a composite operator may set what a
      tensor is without an operator, or give back what it was given, and some do nothing else;
    * no tensor comes from nowhere, and no data is read, unless gradients depend on it: a replay would be
      refused for other data;
    * none that was given gets other sizes, as with ``out=``: functional graphs cannot say that;
    * every tensor that was given is read: from one that is left out, C++ may have taken numbers, and so
      it may from integers that were computed of such and are read by nothing;
    * all that is read was written by operators, and not by C++ itself, as ``at::tensor`` does.

    Otherwise the operator stays a node. That is what flat capture does, so it is right.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from ...ir import Block, Effect, Node, Scope, TensorType, Type, Value
from ...ir.composites import Composites
from ..diagnostics import DiagnosticKind
from ..values import Entries

_NUMBERS = (type(None), bool, int)
"""Classes of results besides tensors: they follow from what a replay is held to."""

OF_PARTS = frozenset((DiagnosticKind.DATA_READ, DiagnosticKind.UNTRACKED_TENSOR))
"""What is told of an operator's parts, and does not matter where it is one node."""


class Inside:
    """What a composite operator called.

    Attributes:
        block: holds what it called.
        entries: what the tensors are, by it, that it made or wrote.
        scope: the operator's.
        results: what it returned, lists taken apart.
        made: what these are by what was called; None where that is not known, or no tensor.
        composites: the calls that scopes inside stand for.
        reports: what could not be recorded exactly of what it called.
        followed: how many calls autograd had followed before it ran, and after.
        saved: how many results autograd had saved before it ran, and after.
    """

    __slots__ = (
        "block", "composites", "entries", "followed", "made", "reports", "results", "saved", "scope",
    )  # fmt: skip

    def __init__(self, block: Block, scope: Scope) -> None:
        self.block = block
        self.scope = scope
        self.entries: Entries = {}
        self.results: list[Any] = []
        self.made: list[Value | None] = []
        self.composites: Composites = {}
        self.reports: list[tuple[DiagnosticKind, Callable[[], None]]] = []
        self.followed = (0, 0)
        self.saved = (0, 0)

    def is_all_of(self, inputs: Sequence[Value], types: Sequence[Type]) -> bool:
        """Whether a call does nothing else; see Note [All that an operator does]. O(size of both).

        Args:
            inputs: the values that it is given.
            types: those of its results.
        """
        return self._makes(types) and self._tells_all(types) and self._works_alike(inputs)

    def kept_before(self, inputs: Collection[Value]) -> list[Value]:
        """Return the values that it reads, that were made before, and that it is not given.

        Autocast casts a weight once and keeps that.
        """
        return [
            value
            for inner in self.block
            for value in inner.inputs
            if value.node is not None and value.block is not self.block and value not in inputs
        ]

    def _makes(self, types: Sequence[Type]) -> bool:
        block = self.block
        for result, type_, value in zip(self.results, types, self.made, strict=True):
            if value is None:
                if type(result) not in _NUMBERS:
                    return False
            elif value.block is not block or not (value.type is type_ or value.type == type_):
                return False
        return True

    def _tells_all(self, types: Iterable[Type]) -> bool:
        told = {kind for kind, _ in self.reports}
        if told.isdisjoint(OF_PARTS):
            return True
        is_followed = any(isinstance(t, TensorType) and t.requires_grad for t in types)
        return is_followed and DiagnosticKind.UNTRACKED_TENSOR not in told

    def _works_alike(self, inputs: Sequence[Value]) -> bool:
        """Whether what was called reads all tensors that are given, and nothing that C++ wrote."""
        given = [value for value in inputs if value.type.__class__ is TensorType]
        read: set[Value | None] = set(self.made)
        of_integers: list[Value] = []
        makes_empty = False
        for inner in self.block:
            operator = inner.operator
            read.update(inner.inputs)
            effects = operator.effects
            if effects is not Effect.NONE and _resizes(inner, given):
                return False
            makes_empty = makes_empty or "empty" in operator.base_name
            if _is_of_integers(inner.inputs):
                of_integers += filter(is_integer, inner.outputs)
        return (
            (read.issuperset(given) or self._reads_all_kept(inputs, given, read))
            and read.issuperset(of_integers)
            and not (makes_empty and self._reads_unwritten())
        )

    def _reads_all_kept(
        self, inputs: Sequence[Value], given: Sequence[Value], read: Collection[Value | None]
    ) -> bool:
        """Whether all that was given is read, directly or by what made what it goes on with."""
        kept = {
            value
            for made in self.kept_before(inputs)
            if made.node is not None
            for value in made.node.inputs
        }
        return all(value in read or value in kept for value in given)

    def _reads_unwritten(self) -> bool:
        unwritten: set[Value] = set()
        for node in self.block:
            operator = node.operator
            if "empty" in operator.base_name:
                unwritten.update(filter(_has_elements, node.outputs))
                continue
            written = _written(node)
            read = unwritten.intersection(node.inputs).difference(written)
            if read and not operator.is_view:
                return True
            if read:
                unwritten.update(node.outputs)
            unwritten.difference_update(written)
        return not unwritten.isdisjoint(self.made)


def is_tensor(value: Value) -> bool:
    """Whether a value is a tensor."""
    return isinstance(value.type, TensorType)


def is_integer(value: Value) -> bool:
    """Whether a value is a tensor of integers or truth values."""
    dtype = value.type.dtype if isinstance(value.type, TensorType) else None
    return dtype is not None and not (dtype.is_floating_point or dtype.is_complex)


def _is_of_integers(values: Iterable[Value]) -> bool:
    """Whether there are tensors among values, and all are of integers."""
    is_any = False
    for value in values:
        if value.type.__class__ is TensorType:
            if not is_integer(value):
                return False
            is_any = True
    return is_any


def _has_elements(value: Value) -> bool:
    return isinstance(value.type, TensorType) and 0 not in (value.type.shape or ())


def _written(node: Node) -> list[Value]:
    """Return the tensors that a node writes, as its schema says."""
    if Effect.WRITES not in node.operator.effects:
        return []
    written = []
    for parameter in node.operator.parameters:
        if parameter.is_written:
            argument = node.argument(parameter.name)
            parts = argument if isinstance(argument, tuple) else (argument,)
            written += [part for part in parts if isinstance(part, Value)]
    return written


def _resizes(node: Node, given: Collection[Value]) -> bool:
    """Whether a node gives one of these tensors other sizes in place."""
    if Effect.RESHAPES not in node.operator.effects:
        return False
    return any(value in given for value in _written(node))
