"""Comparing the structure of two graphs: operators, connections, literals, types; never names or places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import torch

from ..ir import CALL, Argument, Block, Graph, Modes, Node, StateKind, TensorType, Value
from ..ir.places import HeldPlace
from ..runtime.compare import same_bits
from ..tracer import equal_literals


@dataclass(frozen=True, slots=True)
class GraphDifference:
    """The first place where two graphs do different things.

    Attributes:
        what: says it in a sentence.
        first: the node of the first graph; None where it has none there.
        second: the node of the second graph.
        is_content: whether only the content of a constant differs; both graphs then have the same nodes.
    """

    what: str
    first: Node | None = None
    second: Node | None = None
    is_content: bool = False


class _Different(Exception):
    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def compare_graphs(
    first: Graph,
    second: Graph,
    first_state: Mapping[str, Any],
    second_state: Mapping[str, Any],
) -> GraphDifference | None:
    """Return the first difference between two graphs of one program; None if there is none. O(nodes).

    Sizes count where the inputs have equal sizes. State is the same where it is the same object, or
    a constant with the same content.
    """
    return _Comparison(first, second, first_state, second_state).run()


class _Comparison:
    def __init__(
        self,
        first: Graph,
        second: Graph,
        first_state: Mapping[str, Any],
        second_state: Mapping[str, Any],
    ) -> None:
        self._graphs = (first, second)
        self._states = (first_state, second_state)
        self._twins: dict[Value, Value] = {}
        ours, theirs = ([_shape(value) for value in graph.inputs] for graph in (first, second))
        self._sizes_count = ours == theirs
        self._compared: set[Graph] = set()
        self._content: str | None = None  # the constant of the present node whose content differs
        self._first_content: GraphDifference | None = None

    def run(self) -> GraphDifference | None:
        first, second = self._graphs
        found = self._block(first.block, second.block)
        return self._first_content if found is None else found

    def _callees(self, one: Node, other: Node) -> list[tuple[Block, Block]]:
        """Return what two calls run, where that is compared for the first time."""
        if one.kind != CALL:
            return []
        ours, theirs = (
            graph.functions[node.args[0].name]  # type: ignore[union-attr,index]  # a call names its function
            for graph, node in zip(self._graphs, (one, other), strict=True)
        )
        if ours in self._compared:
            return []
        self._compared.add(ours)
        return [(ours.block, theirs.block)]

    def _block(self, first: Block, second: Block) -> GraphDifference | None:
        if len(first.inputs) != len(second.inputs):
            return GraphDifference(
                f"the first run has {len(first.inputs)} inputs, the second {len(second.inputs)}"
            )
        self._twins.update(zip(first.inputs, second.inputs, strict=True))
        for one, other in zip_longest(first, second):
            if one is None or other is None:
                return GraphDifference(_count_text(one, other), one, other)
            try:
                self._node(one, other)
            except _Different as different:
                return GraphDifference(different.what, one, other)
            if self._content is not None and self._first_content is None:
                what = (
                    f"{one.kind} read the constant %{self._content}, which had other content the "
                    "second time"
                )
                self._first_content = GraphDifference(what, one, other, is_content=True)
            self._content = None
            for ours, theirs in (
                *zip(one.blocks, other.blocks, strict=True),
                *self._callees(one, other),
            ):
                found = self._block(ours, theirs)
                if found is not None:
                    return found
        try:
            self._require_equal(tuple(first.outputs), tuple(second.outputs), "the return")
        except _Different as different:
            return GraphDifference(different.what)
        return None

    def _node(self, one: Node, other: Node) -> None:
        if one.kind != other.kind:
            raise _Different(
                f"the second run called {other.kind} where the first called {one.kind}"
            )
        if one.keywords != other.keywords or one.groups != other.groups:
            raise _Different(
                f"the second run called {one.kind} with other keyword arguments, or got more or fewer results"
            )
        self._require_equal(one.all_args, other.all_args, one.kind)
        ours, theirs = (self._modes(n, node) for n, node in enumerate((one, other)))
        if ours != theirs:
            raise _Different(f"{one.kind} ran in other modes: first {ours}, then {theirs}")
        if len(one.blocks) != len(other.blocks):
            raise _Different(f"{one.kind} owns other blocks")
        for result, twin in zip(one.outputs, other.outputs, strict=True):
            if not self._same_type(result, twin):
                raise _Different(f"{one.kind} gave {result.type} first and then {twin.type}")
            self._twins[result] = twin

    def _modes(self, which: int, node: Node) -> Modes | None:
        """Return a node's modes where they are not those in which the program was entered."""
        return None if node.modes == self._graphs[which].modes else node.modes

    def _require_equal(self, one: Argument, other: Argument, reader: str) -> None:
        if isinstance(one, tuple) and isinstance(other, tuple):
            if len(one) != len(other):
                raise _Different(f"{reader} got {len(one)} arguments first and then {len(other)}")
            for part, twin in zip(one, other, strict=True):
                self._require_equal(part, twin, reader)
        elif isinstance(one, Value) and isinstance(other, Value):
            if not self._same_value(one, other):
                raise _Different(f"{reader} read {_shown(one)} first and then {_shown(other)}")
        elif isinstance(one, Value) or isinstance(other, Value) or not equal_literals(one, other):
            raise _Different(f"{reader} read {_shown(one)} first and then {_shown(other)}")

    def _same_value(self, one: Value, other: Value) -> bool:
        known = self._twins.get(one)
        if known is None and one.state is not None and other.state is not None:
            ours = self._states[0].get(one.state.name)
            theirs = self._states[1].get(other.state.name)
            kind = one.state.kind if one.state.kind is other.state.kind else None
            is_same = ours is theirs or (isinstance(ours, HeldPlace) and ours == theirs)
            is_constant = kind is StateKind.CONSTANT
            if is_same or (is_constant and self._same_constant(one, ours, theirs)):
                known = self._twins[one] = other
        return known is other

    def _same_constant(self, value: Value, one: Any, other: Any) -> bool:
        """Whether two constants are of one kind; takes note where their content differs."""
        if not isinstance(one, torch.Tensor) or not isinstance(other, torch.Tensor):
            return type(one) is type(other)
        if (one.dtype, one.device, one.layout) != (other.dtype, other.device, other.layout):
            return False
        if not one.is_nested and one.shape != other.shape:
            return False
        if not same_bits(one, other) and value.state is not None:
            self._content = value.state.name
        return True

    def _same_type(self, one: Value, other: Value) -> bool:
        ours, theirs = one.type, other.type
        if not isinstance(ours, TensorType) or not isinstance(theirs, TensorType):
            return ours == theirs
        if (ours.dtype, ours.device, ours.layout) != (theirs.dtype, theirs.device, theirs.layout):
            return False
        return not self._sizes_count or ours.shape == theirs.shape


def _shape(value: Value) -> Any:
    return value.type.shape if isinstance(value.type, TensorType) else None


def _shown(arg: Argument) -> str:
    """Return an argument for a message: what made it, rather than what it is called."""
    if isinstance(arg, tuple):
        return f"[{', '.join(_parts(arg))}]"
    if not isinstance(arg, Value):
        return str(arg)
    if arg.node is not None:
        return f"a result of {arg.node.kind}"
    return f"%{arg.state.name}" if arg.state is not None else f"input %{arg.name}"


def _parts(args: tuple[Argument, ...]) -> Iterator[str]:
    yield from map(_shown, args)


def _count_text(one: Node | None, other: Node | None) -> str:
    if one is None and other is not None:
        return f"the second run went on to call {other.kind} where the first had ended"
    assert one is not None, "the longer of two lists has an item at every place"
    return f"the second run had ended where the first called {one.kind}"
