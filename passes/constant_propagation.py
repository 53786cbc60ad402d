"""Constant propagation: what is the same at every run is computed once, before the first.

Given:   %n : int = aten::mul.int(4, 8)
         %0 : f32[32] = aten::ones([%n])
         %1 : f32[32] = aten::div.Tensor(%0, 3)
         %y : f32[32] = aten::add.Tensor(%x, %1)
Result:  constant %constant : f32[32]
         %y : f32[32] = aten::add.Tensor(%x, %constant)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import ClassVar

from ..ir import STRIDED, Block, Graph, Literal, Node, Operator, StateKind, TensorType, Value
from ..ir.collector import paused_collector
from ..ir.own_operators import AUTOGRAD_FUNCTION, LITERAL
from ..ir.scalars import GUARD_OPERATOR
from .alias_analysis import AliasAnalysis, has_memory, is_pure
from .base import Pass, PassResult
from .constant_tensors import Constant, ConstantTensor, ConstantTensors
from .known_literals import KnownLiterals
from .scalar_evaluation import scalar_result


@dataclass(frozen=True, slots=True)
class ConstantPropagation(Pass):
    """Compute the nodes whose operands are all constants, and put what they give in their place.

    Numbers become literals where they are read; where only a value may stand, as in the return, a
    ``prim::literal``. A guard that then holds at every run goes. Tensors become constants of the graph; so
    they are computed only in a program that can be replayed, by ``tensors``. Constants that nothing reads
    any more go.

    Keeps inputs, other state and outputs, the order of what stays, random operators, and what fails: it fails
    at the replay. Keeps a tensor that is written to, or that leaves the graph or goes to somebody who may
    keep it, by itself or as a view: each run gives a new one. Keeps what depends on the modes or settings of
    a caller, except the default dtype, to which replays are held then.

    Sound for any graph that verifies. A constant is what the trace copied from Python, as ``torch.tensor``
    does, or what this pass computed; tensors that a program refers to may change between two runs.

    Cost: O(nodes + arguments), and what the nodes themselves cost, about twice.

    Attributes:
        max_bytes: how large a constant may be that is made; one that is larger is computed at each run.
        tensors: has the tensors of constants; filled in by who runs the pass on a program.
    """

    name: ClassVar[str] = "constant_propagation"

    max_bytes: int = 1 << 16
    tensors: ConstantTensors | None = field(default=None, repr=False)

    def with_tensors(self, tensors: ConstantTensors) -> ConstantPropagation:
        """Return the pass for a program that has these tensors."""
        return replace(self, tensors=tensors)

    @paused_collector()
    def run(self, graph: Graph) -> PassResult:
        """Compute what is constant in a graph, and the numbers that are in its functions."""
        # Functions keep no state of their own, so in them tensors stay what they are.
        parts = [_Propagation(function, None) for function in graph.functions.values()]
        tensors = None if self.tensors is None else _Tensors(graph, self.tensors, self.max_bytes)
        parts.append(_Propagation(graph, tensors))
        for part in parts:
            part.run()
        stats = {
            "computed": sum(part.literals.computed for part in parts),
            "arguments": sum(part.literals.arguments for part in parts),
            "guards": sum(part.literals.guards for part in parts),
        }
        if tensors is not None:
            stats |= {
                "constants": tensors.made,
                "bytes": tensors.nbytes,
                "dropped": tensors.dropped,
            }
        return PassResult.of(**stats)


class _Propagation:
    """One walk through a graph, which remembers what is constant.

    Attributes:
        literals: the values that are plain.
    """

    def __init__(self, graph: Graph, tensors: _Tensors | None) -> None:
        self.literals = KnownLiterals(graph)
        self._graph = graph
        self._tensors = tensors

    def run(self) -> None:
        self._propagate(self._graph.block)
        if self._tensors is not None:
            self._tensors.place(self.literals.found)
        self.literals.remove_found()
        if self._tensors is not None:
            self._tensors.drop_unread()

    def _propagate(self, block: Block) -> None:
        literals = self.literals
        for node in block:
            if node.operator is GUARD_OPERATOR:
                literals.check(node)
                continue
            literals.fill_in(node)
            self._compute(node)
            if node.operator is not AUTOGRAD_FUNCTION:  # whose block shows what runs, and runs not
                for inner in node.blocks:
                    self._propagate(inner)

    def _compute(self, node: Node) -> None:
        """Take note of what a node gives, if that is the same at every run."""
        found = self._results(node)
        if found is None:
            return
        self.literals.found[node] = None
        for value, constant in zip(node.outputs, found, strict=True):
            if isinstance(constant, ConstantTensor):
                assert self._tensors is not None, "only they compute tensors"
                self._tensors.known[value] = constant
            else:
                self.literals.values[value] = constant

    def _results(self, node: Node) -> tuple[Constant, ...] | None:
        if node.operator is LITERAL:
            return _literal_of(node)
        number = scalar_result(node)
        if number is not None:
            return (number,)
        return None if self._tensors is None else self._tensors.results(node)


class _Tensors:
    """The constants of one graph that are tensors.

    Attributes:
        known: the tensors that values are.
        made: how many constants were added to the graph.
        nbytes: how many bytes these have.
        dropped: how many constants went.
    """

    def __init__(self, graph: Graph, tensors: ConstantTensors, max_bytes: int) -> None:
        self.known: dict[Value, Constant] = {}
        self.made = 0
        self.nbytes = 0
        self.dropped = 0
        self._graph = graph
        self._tensors = tensors
        self._max_bytes = max_bytes
        self._values: dict[ConstantTensor, Value] = {}  # the state that constants are
        self._taken = {name for entry in graph.state.values() for name in entry.names}
        self._numbers: dict[str, int] = {}  # the last that was put behind a name
        self._own = private_constants(graph, tensors)
        self._memory = AliasAnalysis(graph, self._own)
        for value, constant in self._own.items():
            if self._stays_inside(value):
                self.known[value] = constant
                self._values[constant] = value

    def results(self, node: Node) -> tuple[Constant, ...] | None:
        """Return what a node computes from constants; None if it is no such node."""
        known = self.known
        for value in node.inputs:
            if value not in known:
                return None
        if not _is_computable(node.operator) or node.blocks or not node.outputs:
            return None
        for value in node.outputs:
            if not self._fits(value):
                return None
        return self._tensors.compute(node, known)

    def place(self, found: Mapping[Node, None]) -> None:
        """Put constants in the place of results that something else reads than the nodes that go."""
        for node in found:
            for value in node.outputs:
                constant = self.known.get(value)
                if isinstance(constant, ConstantTensor) and any(
                    user not in found for user in value.users
                ):
                    value.replace_all_uses_with(self._state_of(constant, value.name))

    def drop_unread(self) -> None:
        """Take out the constants that nothing reads any more."""
        for value in self._own:
            entry = value.state
            if entry is not None and not value.is_used:
                self._graph.remove_state(entry.name)
                self._tensors.drop(entry.name)
                self.dropped += 1

    def _state_of(self, constant: ConstantTensor, hint: str | None) -> Value:
        value = self._values.get(constant)
        if value is None:
            name = self._free_name(hint or "constant")
            value = self._graph.add_state(name, constant.type, StateKind.CONSTANT)
            self._tensors.keep(name, constant)
            self._values[constant] = value
            self.made += 1
            self.nbytes += constant.type.nbytes or 0
        return value

    def _free_name(self, wanted: str) -> str:
        name = wanted
        while name in self._taken or not self._tensors.is_free(name):
            number = self._numbers[wanted] = self._numbers.get(wanted, 0) + 1
            name = f"{wanted}.{number}"
        self._taken.add(name)
        return name

    def _fits(self, value: Value) -> bool:
        """Whether a result may be a constant: small, plain, and nobody's but the graph's."""
        type_ = value.type
        if not isinstance(type_, TensorType):
            return not has_memory(value)
        if type_.requires_grad or type_.class_name or type_.layout != STRIDED:
            return False
        if type_.nbytes is None:
            return False
        return type_.nbytes <= self._max_bytes and self._stays_inside(value)

    def _stays_inside(self, value: Value) -> bool:
        memory = self._memory.memory_of(value)
        return memory not in self._memory.writers and memory not in self._memory.leaving


def private_constants(graph: Graph, tensors: ConstantTensors) -> dict[Value, ConstantTensor]:
    """Return the constants of a graph that nobody else can change, and that no function of it shares."""
    shared = {name for function in graph.functions.values() for name in function.state}
    found = {}
    for entry in graph.state.values():
        if entry.kind is StateKind.CONSTANT and entry.value.is_used and entry.name not in shared:
            constant = tensors.constant(entry)
            if constant is not None:
                found[entry.value] = constant
    return found


@lru_cache(maxsize=4096)
def _is_computable(operator: Operator) -> bool:
    return operator.name.startswith("aten::") and is_pure(operator)


def _literal_of(node: Node) -> tuple[Literal] | None:
    args, outputs = node.all_args, node.outputs
    if len(args) != 1 or len(outputs) != 1 or has_memory(outputs[0]):
        return None
    literal = args[0]
    return None if isinstance(literal, Value | tuple) else (literal,)
