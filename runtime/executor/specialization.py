"""Specialization: a program made one that holds only where guards do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from ...ir import Argument, DType, Effect, Graph, Node, ScalarType, TensorType, Type, Value
from ...ir.profiles import watch
from ...ir.scalars import GUARD_OPERATOR, read_operator, scalar_operator
from ...ir.types import SymDim
from ...passes.alias_analysis import has_memory
from ...passes.base import Pass
from ...passes.geometry import same_geometry
from ...passes.registry import read_passes
from ...passes.reinplace import Reinplace
from ...passes.size_rules import is_data_sized
from ...passes.specialize_types import SpecializeTypes
from .facts import InputFact
from .program import Program

_REORDERS_GRADIENTS: Final = ("cse", "peephole")
"""Passes after which gradients may be added up in another order, so that last bits of them differ."""

_WITHOUT_GRADIENTS: Final = (
    "cse{reorder_gradients=true}", "peephole{reorder_gradients=true}", "no_grad",
)  # fmt: skip

_WHOLE: Final = frozenset(
    dtype for dtype in DType if not (dtype.is_floating_point or dtype.is_complex)
)
_READ_SIZE: Final = read_operator("aten::sym_size.int", ("Tensor", "int"), ScalarType.INT)
_EQUAL: Final = scalar_operator("aten::eq", (ScalarType.INT, ScalarType.INT), ScalarType.BOOL)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to make the program of a plan.

    Attributes:
        program: what to begin with; it stays as it is.
        facts: what guards see to before the plan runs.
        grad: the gradient mode that guards see to; None if it may be on.
        pipeline: the passes to run, which hold for all inputs that guards admit.
        reuses_memory: whether what is made may be written over.
        types: those of the values of the program's graph, and then of its functions, in each run that the
            facts are of; none where they differ or there was none, and those of the trace serve.
    """

    program: Program
    facts: tuple[InputFact, ...] = ()
    grad: bool | None = None
    pipeline: str = "profiled"
    reuses_memory: bool = False
    types: tuple[Type, ...] = ()

    def optimized(self) -> Program:
        """Return the optimized program. Its types are those of a run."""
        program = self.program.copy()
        graph = program.graph
        if self.types:
            parts = (graph, *graph.functions.values())
            for value, type_ in zip(chain(*[p.values() for p in parts]), self.types, strict=True):
                value.type = type_
        program.apply("inline")
        promised = _state_sizes(graph, self.facts)
        program.apply(*_pipeline(self.pipeline, graph, self.grad))
        if _may_reorder(graph, self.grad):
            program.apply(*_WITHOUT_GRADIENTS)
        for node in promised:
            if node.block is not None:
                node.erase()
        program.apply("dce")
        return program

    def reusing_memory(self, program: Program) -> Program:
        """Return the optimized program as it runs without an engine.

        That writes over what it has made and nothing reads any more, where autograd follows nothing.
        """
        if not self.reuses_memory or not _may_reorder(program.graph, self.grad):
            return program
        reusing = program.copy()
        fixed_sizes = self._tells_types(program.graph)
        reusing.apply(Reinplace(fixed_sizes=fixed_sizes, without_gradients=True))
        return reusing

    def _tells_types(self, graph: Graph) -> bool:
        """Whether the types of an optimized graph are those of each run that guards admit."""
        facts = {fact.number: fact for fact in self.facts if fact.is_exact}
        for number, value in enumerate(graph.inputs):
            is_known = number in facts and same_geometry(value.type, facts[number].type)
            if value.is_used and not is_known:
                return False
        return all(map(_types_follow, graph.walk()))

    def tell_types(self, program: Program) -> None:
        """Have the types of inputs say what guards promise, and those of other values no sizes.

        That is for readers: what is compiled of a graph goes by the types of a run, which say more.
        """
        for fact in self.facts:
            watch(program.graph, program.graph.inputs[fact.number]).output.type = fact.type
        program.apply(SpecializeTypes())


def _pipeline(name: str, graph: Graph, grad: bool | None) -> list[Pass]:
    passes = read_passes(name)
    if _may_reorder(graph, grad):
        return list(passes)
    return [pass_ for pass_ in passes if pass_.name not in _REORDERS_GRADIENTS]


def _may_reorder(graph: Graph, grad: bool | None) -> bool:
    """Whether autograd follows nothing, neither in the mode of the caller nor in one that the graph sets."""
    if grad is not False:
        return False
    ambient = graph.modes
    return all(
        not node.modes.grad or (ambient.grad and "grad" not in node.modes.fixed)
        for part in (graph, *graph.functions.values())
        for node in part.walk()
    )


def _types_follow(node: Node) -> bool:
    """Whether sizes and element types of the tensors that a node makes follow from those that it reads."""
    if node.kind == GUARD_OPERATOR.name:
        return True
    if not node.kind.startswith("aten::") or node.blocks:
        return False
    if node.operator.effects & (Effect.RESHAPES | Effect.UNKNOWN) or is_data_sized(node):
        return False
    if not any(map(has_memory, node.outputs)):
        return True  # what makes tensors of such numbers is refused
    return (
        all(map(has_memory, node.inputs))
        and all(isinstance(v.type, TensorType) and v.type.is_exact for v in node.outputs)
        and not _goes_by_default(node)
    )


def _goes_by_default(node: Node) -> bool:
    """Whether a node makes fractions where it reads none, so that torch's default says of which type."""
    made, read = (
        {v.type.dtype for v in values if isinstance(v.type, TensorType)} - _WHOLE
        for values in (node.outputs, node.inputs)
    )
    return bool(made) and not read and not any(isinstance(arg, DType) for arg in node.all_args)


def _state_sizes(graph: Graph, facts: Sequence[InputFact]) -> list[Node]:
    """State what is promised of sizes as guards of the graph, for passes to go by; return these guards."""
    guards: list[Node] = []
    reads = _Reads(graph)
    known: dict[SymDim, tuple[Value, int]] = {}
    with graph.inserting_after(graph.block):
        for fact in facts:
            value = graph.inputs[fact.number]
            for dimension, size in enumerate(fact.shape or ()):
                if isinstance(size, int):
                    read = reads.read(value, dimension)
                    guards.append(graph.append(GUARD_OPERATOR, (read, size)))
                elif size in known:
                    pair = reads.read(value, dimension), reads.read(*known[size])
                    equal = graph.append(_EQUAL, pair, (ScalarType.BOOL,)).output
                    guards.append(graph.append(GUARD_OPERATOR, (equal, True)))
                else:
                    known[size] = value, dimension
    return guards


class _Reads:
    """Nodes that read sizes where a graph begins, with names and lines of those further down."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._later: dict[tuple[Argument, ...], Node] = {}
        for node in graph.walk():
            if node.kind == _READ_SIZE.name:
                self._later.setdefault(node.all_args, node)
        self._made: dict[tuple[Argument, ...], Value] = {}

    def read(self, value: Value, dimension: int) -> Value:
        """Return a size of an input."""
        args = (value, dimension)
        if args not in self._made:
            like = self._later.get(args)
            made = self._graph.append(
                _READ_SIZE,
                args,
                (ScalarType.INT,),
                scope=None if like is None else like.scope,
                stack=None if like is None else like.stack,
            ).output
            made.name = made.name if like is None else like.output.name
            self._made[args] = made
        return self._made[args]
