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

from collections.abc import Callable, Collection, Iterable
from typing import Any

from ...ir import Block, Effect, Node, Scope, TensorType, Value
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
        facts: what the recorder knows of the operator.
        block: holds what it called; nothing if it was not looked into.
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
        "block", "composites", "entries", "facts", "followed", "made", "reports", "results", "saved",
        "scope",
    )  # fmt: skip

    def __init__(self, facts: Any, block: Block, scope: Scope) -> None:
        self.facts = facts
        self.block = block
        self.scope = scope
        self.entries: Entries = {}
        self.results: list[Any] = []
        self.made: list[Value | None] = []
        self.composites: Composites = {}
        self.reports: list[tuple[DiagnosticKind, Callable[[], None]]] = []
        self.followed = (0, 0)
        self.saved = (0, 0)

    def is_all_of(self, node: Node) -> bool:
        """Whether a node does nothing else; see Note [All that an operator does]."""
        given = [value for value in node.inputs if is_tensor(value)]
        return (
            self._makes_results(node)
            and self._tells_all(node)
            and not any(_resizes(inner, given) for inner in self.block)
            and self._reads_all(node, given)
            and not self._reads_unwritten()
        )

    def kept_before(self, node: Node) -> list[Value]:
        """Return the values that it reads, that were made before, and that the node is not given.

        Autocast casts a weight once and keeps that.
        """
        return [
            value
            for inner in self.block
            for value in inner.inputs
            if value.node is not None and value.block is not self.block and value not in node.inputs
        ]

    def _makes_results(self, node: Node) -> bool:
        if len(self.results) != len(node.outputs):
            return False  # it was not looked into
        for result, output, value in zip(self.results, node.outputs, self.made, strict=True):
            if value is None:
                if type(result) not in _NUMBERS:
                    return False
            elif value.type != output.type or value.block is not self.block:
                return False
        return True

    def _tells_all(self, node: Node) -> bool:
        told = {kind for kind, _ in self.reports}
        is_followed = any(
            isinstance(output.type, TensorType) and output.type.requires_grad
            for output in node.outputs
        )
        return not told & OF_PARTS or (is_followed and DiagnosticKind.UNTRACKED_TENSOR not in told)

    def _reads_all(self, node: Node, given: Iterable[Value]) -> bool:
        read = {value for inner in self.block for value in inner.inputs}
        read.update(value for value in self.made if value is not None)
        for kept in self.kept_before(node):
            read.update(() if kept.node is None else kept.node.inputs)
        return all(value in read for value in given) and not any(
            is_integer(output) and output not in read
            for inner in self.block
            if _is_of_integers(inner)
            for output in inner.outputs
        )

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


def _is_of_integers(node: Node) -> bool:
    """Whether a node computes something of tensors of integers alone."""
    tensors = [value for value in node.inputs if is_tensor(value)]
    return bool(tensors) and all(map(is_integer, tensors))


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
