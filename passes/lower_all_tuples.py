"""All tuples: signatures of the graph, its functions and blocks take and return the parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from ..ir import CALL, Argument, Block, Graph, Node, TupleType, Type, Value
from ..ir.composites import noted_composites
from ..ir.names import is_number
from ..ir.own_operators import LITERAL
from ..ir.tuples import (
    TUPLE_CONSTRUCT,
    TUPLE_OPERATORS,
    TUPLE_SLICE,
    TUPLE_UNPACK,
    chosen_parts,
    flat_types,
)
from ..ir.type_fit import type_of_literal
from .base import Pass, PassResult
from .tuple_limits import require_lowerable, tells_of_tuples


@dataclass(frozen=True, slots=True)
class LowerAllTuplesResult(PassResult):
    """What the pass did.

    Attributes:
        inputs: the types of the graph's inputs before, if there was a tuple anywhere;
            ``ir.tuples.flattened`` turns what the graph took then into what it takes now.
        outputs: the types of its outputs before; ``ir.tuples.nested`` turns what it returns now into what it
            returned.
    """

    inputs: tuple[Type, ...] = ()
    outputs: tuple[Type, ...] = ()


@dataclass(frozen=True, slots=True)
class LowerAllTuples(Pass):
    """Put its parts in the place of every tuple, also where one is taken, returned, or handed on.

    Given:   graph(%t : tuple[f32[2], int]) -> (tuple[f32[2], f32[2]]):
               %a : f32[2], %n : int = prim::TupleUnpack(%t)
               %y : f32[2] = aten::mul.Scalar(%a, %n)
               %r : tuple[f32[2], f32[2]] = prim::TupleConstruct(%a, %y)
               return (%r)
    Result:  graph(%a : f32[2], %n : int) -> (f32[2], f32[2]):
               %y : f32[2] = aten::mul.Scalar(%a, %n)
               return (%a, %y)

    Inputs and outputs of the graph, of functions and of blocks, arguments and results of calls and of
    nodes with blocks become those of the parts, in order, however deep tuples are nested. Where an operator
    takes a list, a tuple becomes a list of its parts, which is the same to it.

    Keeps every node that is not on tuples, and the order of what goes in and out. A traced program takes and
    returns the same objects as before; for a graph by itself the result has the types of before.

    Sound for any graph: tuples never change. What has no parts to put in its place is an error, and the graph
    is left as it was: a part chosen by a number that is computed, a tuple that an operator itself returns
    or wants, one in a list, a dictionary, a record or the state of the graph. Named tuples are records and
    stay. Cost: O(nodes + operands + parts).
    """

    name: ClassVar[str] = "lower_all_tuples"

    def run(self, graph: Graph) -> LowerAllTuplesResult:
        """Lower all tuples of a graph and of its functions.

        Raises:
            PassError: a tuple cannot be lowered; the message names the node and the user's line.
        """
        parts = (graph, *graph.functions.values())
        if not any(map(tells_of_tuples, parts)):
            return LowerAllTuplesResult(changed=False)
        for part in parts:
            require_lowerable(part, graph.functions)
        types = [tuple([v.type for v in values]) for values in (graph.inputs, graph.outputs)]
        lowered = 0
        for part in parts:
            lowering = _Lowering(part)
            lowering.lower()
            lowered += lowering.lowered
        return LowerAllTuplesResult(
            bool(lowered), {"lowered": lowered} if lowered else {}, types[0], types[1]
        )


Parts: TypeAlias = "tuple[Argument | Whole, ...]"


@dataclass(frozen=True, slots=True)
class Whole:
    """A tuple by its parts, some of which may be tuples themselves."""

    parts: Parts

    def flat(self) -> Iterator[Argument]:
        """Yield the parts that are no tuples, in order."""
        for part in self.parts:
            if isinstance(part, Whole):
                yield from part.flat()
            else:
                yield part


class _Lowering:
    """One walk through a graph, which knows the parts of every tuple that it came by.

    Attributes:
        lowered: how many values were tuples.
    """

    def __init__(self, graph: Graph) -> None:
        self.lowered = 0
        self._graph = graph
        self._wholes: dict[Value, Whole] = {}
        self._becomes: dict[Value, Value] = {}  # of values that are no tuples
        self._arranged: list[tuple[Block, list[Value]]] = []  # what inputs blocks will have
        self._replaced: list[Node] = []

    def lower(self) -> None:
        graph = self._graph
        noted = noted_composites(graph)
        self._lower_block(graph.block)
        for node in reversed(self._replaced):
            node.erase()
        for block, inputs in self._arranged:
            block.arrange_inputs(inputs)
        if noted:
            graph.composites = {s: each.with_values(self._becomes) for s, each in noted.items()}

    def _lower_block(self, block: Block) -> None:
        self._take_inputs(block)
        for node in block:
            node.replace_inputs(self._becomes)
            if node.kind in TUPLE_OPERATORS:
                self._follow(node)
                self._replaced.append(node)
                continue
            for inner in self._lower_node(node).blocks:
                self._lower_block(inner)
        self._give_outputs(block)

    def _take_inputs(self, block: Block) -> None:
        """Add an input for each part of one that is a tuple."""
        if not any(_is_tuple(value) for value in block.inputs):
            return
        arranged: list[Value] = []
        for value in block.inputs:
            if not isinstance(value.type, TupleType):
                arranged.append(value)
                continue
            made = [block.add_input(type_) for type_ in flat_types([value.type])]
            self._stand_for(value, made)
            arranged += made
        self._arranged.append((block, arranged))

    def _give_outputs(self, block: Block) -> None:
        """Put out the parts of tuples."""
        if all(value not in self._wholes and value not in self._becomes for value in block.outputs):
            return
        with self._graph.inserting(block):
            flat = [
                part if isinstance(part, Value) else self._literal(block.last, part)
                for value in block.outputs
                for part in self._flat(value)
            ]
        block.set_outputs(flat)

    def _follow(self, node: Node) -> None:
        """Find out what the results of a node on tuples are."""
        if node.kind == TUPLE_CONSTRUCT.name:
            self._know(node.output, Whole(tuple(map(self._part, node.all_args))))
            return
        parts = chosen_parts(node, self._wholes[node.inputs[0]].parts)
        assert parts is not None, "seen to be chosen in the text"
        if node.kind == TUPLE_SLICE.name:
            self._know(node.output, Whole(parts))
            return
        for value, part in zip(node.outputs, parts, strict=True):
            if isinstance(part, Whole):
                self._know(value, part)
            elif isinstance(part, Value):
                self._becomes[value] = part
            else:
                with self._graph.inserting(node):
                    self._becomes[value] = self._literal(node, part, value)

    def _lower_node(self, node: Node) -> Node:
        """Give a node the parts of the tuples that it reads and gives; return what does it now."""
        if not any(value in self._wholes for value in node.inputs) and not any(
            map(_is_tuple, node.outputs)
        ):
            return node
        passes_on = node.kind == CALL or bool(node.blocks)
        args = self._spliced(node.all_args) if passes_on else self._listed(node.all_args)
        results = [list(flat_types([value.type])) for value in node.outputs]
        with self._graph.inserting(node):
            made = self._graph.append(
                node.operator,
                args,
                [type_ for types in results for type_ in types],
                keywords=node.keywords,
                groups=_flat_groups(node, results),
                scope=node.scope,
                stack=node.stack,
                modes=node.modes,
            )
        made.take_blocks(node)
        rest = iter(made.outputs)
        for value, types in zip(node.outputs, results, strict=True):
            given = [next(rest) for _ in types]
            if _is_tuple(value):
                self._stand_for(value, given)
            else:
                given[0].name = value.name
                self._becomes[value] = given[0]
        self._replaced.append(node)
        return made

    def _spliced(self, args: Iterable[Argument]) -> tuple[Argument, ...]:
        """Return arguments with the parts of tuples in their place, those in lists too."""
        spliced: list[Argument] = []
        for arg in args:
            if isinstance(arg, tuple):
                spliced.append(self._spliced(arg))
            else:
                spliced += self._flat(arg)
        return tuple(spliced)

    def _listed(self, args: Iterable[Argument]) -> tuple[Argument, ...]:
        """Return arguments with lists of their parts in the place of tuples."""
        return tuple(
            [
                tuple(self._flat(arg)) if isinstance(arg, Value) and arg in self._wholes else arg
                for arg in args
            ]
        )

    def _flat(self, arg: Argument) -> Iterable[Argument]:
        part = self._part(arg)
        return part.flat() if isinstance(part, Whole) else (part,)

    def _part(self, arg: Argument) -> Argument | Whole:
        if not isinstance(arg, Value):
            return arg
        return self._wholes.get(arg) or self._becomes.get(arg, arg)

    def _stand_for(self, value: Value, parts: Sequence[Value]) -> None:
        """Let values be the parts of one that is a tuple, and name them."""
        for part, name in zip(parts, _names_of_parts(value), strict=True):
            part.name = name
        assert isinstance(value.type, TupleType), "only a tuple has parts"
        self._know(value, _whole(value.type, iter(parts)))

    def _know(self, value: Value, whole: Whole) -> None:
        self._wholes[value] = whole
        self.lowered += 1

    def _literal(self, place: Node | None, literal: Argument, value: Value | None = None) -> Value:
        """Return a value that is a literal, made where the graph inserts nodes."""
        made = self._graph.append(
            LITERAL,
            (literal,),
            (type_of_literal(literal) if value is None else value.type,),
            scope=None if place is None else place.scope,
            stack=None if place is None else place.stack,
            modes=None if place is None else place.modes,
        ).output
        made.name = None if value is None else value.name
        return made


def _whole(type_: TupleType, parts: Iterator[Value]) -> Whole:
    return Whole(
        tuple(
            [
                _whole(element, parts) if isinstance(element, TupleType) else next(parts)
                for element in type_.elements
            ]
        )
    )


def _is_tuple(value: Value) -> bool:
    return isinstance(value.type, TupleType)


def _flat_groups(node: Node, results: list[list[Type]]) -> tuple[int | None, ...] | None:
    """Return how the parts of results map to what a node returns."""
    if not node.gives_lists:
        return None
    counts = iter(map(len, results))
    groups: list[int | None] = []
    for group in node.groups:
        if group is None:
            groups += [None] * next(counts)
        else:
            groups.append(sum([next(counts) for _ in range(group)]))
    return tuple(groups)


def _names_of_parts(value: Value) -> list[str | None]:
    """Return names for the parts of a tuple: those that it is taken apart into, or its own and numbers."""
    for user in value.users:
        if isinstance(user, Node) and user.kind == TUPLE_UNPACK.name:
            return [
                name
                for part in user.outputs
                for name in (_names_of_parts(part) if _is_tuple(part) else (part.name,))
            ]
    named = value.name is not None and not is_number(value.name)
    return list(_numbered(value.type, value.name if named else None))


def _numbered(type_: Type, name: str | None) -> Iterator[str | None]:
    if not isinstance(type_, TupleType):
        yield name
        return
    for number, element in enumerate(type_.elements):
        yield from _numbered(element, None if name is None else f"{name}_{number}")
