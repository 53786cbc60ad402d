"""Simple tuples: what takes a tuple apart reads the parts that the tuple was made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..ir import Argument, Block, Graph, Node, Value
from ..ir.composites import noted_composites
from ..ir.own_operators import LITERAL
from ..ir.tuples import (
    TUPLE_CONSTRUCT,
    TUPLE_OPERATORS,
    TUPLE_SLICE,
    TUPLE_UNPACK,
    chosen_parts,
)
from .base import Pass, PassResult


@dataclass(frozen=True, slots=True)
class LowerSimpleTuples(Pass):
    """Where a tuple is made and taken apart again, use its parts; erase tuples that nothing reads.

    Given:   %t : tuple[f32[2], f32[2]] = prim::TupleConstruct(%x, %y)
             %a : f32[2], %b : f32[2] = prim::TupleUnpack(%t)
             %c : f32[2] = aten::add.Tensor(%a, %b, alpha=1)
    Result:  %c : f32[2] = aten::add.Tensor(%x, %y, alpha=1)

    So goes an index that is a number of the graph's text and within the tuple, a slice (which becomes a
    tuple of these parts), and a tuple made of all that another one was taken apart into. A part that is a
    literal becomes a ``prim::literal`` where it was taken out.

    Keeps inputs, outputs and every node that is not on tuples. Tuples that come from elsewhere, or go
    elsewhere, stay: ``lower_all_tuples`` sees to them. Sound for any graph: tuples never change, and the
    parts are the very values. Cost: O(nodes + operands).
    """

    name: ClassVar[str] = "lower_simple_tuples"

    def run(self, graph: Graph) -> PassResult:
        """Lower the tuples of a graph and of its functions."""
        lowered = erased = 0
        for part in (graph, *graph.functions.values()):
            lowering = _Lowering(part)
            lowering.lower()
            lowered += lowering.lowered
            erased += lowering.erased
        return PassResult.of(lowered=lowered, erased=erased)


class _Lowering:
    """One walk through a graph; definitions come before uses, so what it reads is lowered already."""

    def __init__(self, graph: Graph) -> None:
        self.lowered = 0
        self.erased = 0
        self._graph = graph
        self._becomes: dict[Value, Value] = {}
        self._tuples: list[Node] = []

    def lower(self) -> None:
        graph = self._graph
        noted = noted_composites(graph)
        self._lower(graph.block)
        for node in reversed(self._tuples):
            if not any(value.is_used for value in node.outputs):
                node.erase()
                self.erased += 1
        if noted:
            graph.composites = {s: each.with_values(self._becomes) for s, each in noted.items()}

    def _lower(self, block: Block) -> None:
        becomes = self._becomes
        for node in block:
            if becomes:
                node.replace_inputs(becomes)
            if node.kind in TUPLE_OPERATORS:
                self._tuples.append(node)
                self._forward(node)
            for inner in node.blocks:
                self._lower(inner)
        if becomes:
            block.replace_inputs(becomes)

    def _forward(self, node: Node) -> None:
        """Find out what the results of a node on tuples are, where that is known."""
        if node.kind == TUPLE_CONSTRUCT.name:
            whole = _taken_apart(node)
            if whole is not None:
                self._become(node.output, whole)
            return
        made_of = _parts(node.all_args[0])
        parts = None if made_of is None else chosen_parts(node, made_of)
        if parts is None:
            return
        if node.kind == TUPLE_SLICE.name:
            self._become(node.output, self._tuple_of(node, parts))
            return
        for value, part in zip(node.outputs, parts, strict=True):
            self._become(value, self._value_of(node, value, part))

    def _tuple_of(self, node: Node, parts: tuple[Argument, ...]) -> Value:
        """Return the tuple that a slice gives, made of these parts."""
        with self._graph.inserting(node):
            made = self._graph.append(
                TUPLE_CONSTRUCT, parts, (node.output.type,),
                scope=node.scope, stack=node.stack, modes=node.modes,
            )  # fmt: skip
        made.output.name = node.output.name
        self._tuples.append(made)
        return made.output

    def _value_of(self, node: Node, value: Value, part: Argument) -> Value:
        """Return the value that a part of a tuple is; of a literal, one is made where it is taken out."""
        if isinstance(part, Value):
            return part
        with self._graph.inserting(node):
            made = self._graph.append(
                LITERAL, (part,), (value.type,),
                scope=node.scope, stack=node.stack, modes=node.modes,
            )  # fmt: skip
        made.output.name = value.name
        return made.output

    def _become(self, value: Value, other: Value) -> None:
        self._becomes[value] = other
        self.lowered += 1


def _parts(whole: Argument) -> tuple[Argument, ...] | None:
    """Return what a tuple was made of; None if that is not seen."""
    maker = whole.node if isinstance(whole, Value) else None
    return maker.all_args if maker is not None and maker.kind == TUPLE_CONSTRUCT.name else None


def _taken_apart(node: Node) -> Value | None:
    """Return the tuple that was taken apart into just the parts of the one that a node makes."""
    first = node.all_args[0] if node.all_args else None
    unpack = first.node if isinstance(first, Value) else None
    if unpack is None or unpack.kind != TUPLE_UNPACK.name or unpack.outputs != node.all_args:
        return None
    whole = unpack.inputs[0]
    return whole if whole.type == node.output.type else None
