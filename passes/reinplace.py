"""Reinplacing: a new tensor becomes a write over one that nothing reads any more."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Final

from ..errors import PassError
from ..ir import Graph, Node, Operator, TensorType, Value
from .alias_analysis import AliasAnalysis, Memory, has_memory
from .base import Pass, PassResult
from .geometry import same_geometry
from .overloads import functional_overload, is_followed
from .storages import sharing_of
from .torch_facts import TorchFacts

_ALLOCATES: Final = frozenset(
    f"aten::{name}"
    for name in """
    linear addmm mm bmm baddbmm matmul conv1d conv2d conv3d convolution embedding softmax log_softmax cat
    layer_norm rms_norm group_norm batch_norm
    """.split()
)
"""Operators that give a tensor of its own memory whatever they are called with, besides pointwise ones."""

_ROW_MAJOR: Final = frozenset(
    f"aten::{name}" for name in ("linear", "addmm", "mm", "bmm", "baddbmm")
)
"""Those of them whose results lie in memory row by row, whatever lies how."""

_DEVICES: Final = frozenset(("cpu", "cuda"))
"""Where torch itself has all kernels; elsewhere some in place may be missing."""

_GRADIENTS: Final = frozenset(("grad", "inference"))
"""The modes that decide whether autograd follows a node."""


@dataclass(frozen=True, slots=True)
class Reinplace(Pass):
    """Where an operator reads a tensor for the last time and gives one like it, write over the one read.

    Given:   %h : f32[2, 16] = aten::linear(%x, %w, %b)
             %a : f32[2, 16] = aten::gelu(%h)
             %y : f32[2, 4] = aten::linear(%a, %v, %c)
    Result:  %h : f32[2, 16] = aten::linear(%x, %w, %b)
             %a : f32[2, 16] = aten::gelu_(%h)
             %y : f32[2, 4] = aten::linear(%a, %v, %c)

    That saves the memory of a tensor, and the time in which it comes into the caches. It happens to operators
    that compute element by element, where the first operand was made in the same modes by an operator that
    always allocates, has the type of the result, and is read nowhere any more, also through no view. Neither
    of the two may leave the graph, or be written otherwise. The opposite is ``remove_mutation``.

    Keeps values bit by bit, random numbers, names, scopes and sources.

    Sound for any graph, for inputs of any sizes. Left alone is what autograd may follow, what runs in mixed
    precision, what stands in blocks and functions, what has a second tensor for an operand, to whose size the
    result may be broadcast, and what may lie in memory otherwise than row by row; complex numbers, too,
    which torch multiplies otherwise in place, and devices but processors and CUDA. What is the same for all
    calls inside ``vmap`` cannot be written over, so a program may fail there. Cost: O(nodes + operands).

    Attributes:
        fixed_sizes: whether types tell sizes and strides of each run, so that any of these is no obstacle.
            Guards must stand before the graph then.
        without_gradients: whether autograd follows nothing when the graph runs, whatever it did at the trace.
        facts: answers questions about torch's operators; ``TracedProgram.apply`` gives them.
    """

    name: ClassVar[str] = "reinplace"

    fixed_sizes: bool = False
    without_gradients: bool = False
    facts: TorchFacts | None = None

    def with_facts(self, facts: TorchFacts) -> Reinplace:
        """Return the pass that asks these facts, unless it has some."""
        return replace(self, facts=facts) if self.facts is None else self

    def run(self, graph: Graph) -> PassResult:
        """Write in place in the outermost block of a graph.

        Raises:
            PassError: there may be something to write over, and nothing was said about torch's operators.
        """
        if not any(map(_could_write, graph.block)):
            return PassResult.of()
        if self.facts is None:
            raise PassError(
                f"pass {self.name} must be told about torch's operators\n"
                f"  run it on a traced program: traced.apply({self.name!r})"
            )
        return PassResult.of(reinplaced=_Reinplacement(graph, self, self.facts).run())


class _Reinplacement:
    """One walk through a graph."""

    def __init__(self, graph: Graph, options: Reinplace, facts: TorchFacts) -> None:
        self._graph = graph
        self._options = options
        self._facts = facts
        analysis = AliasAnalysis(graph)
        self._memory_of = analysis.memory_of
        self._seen = analysis.leaving | analysis.writers.keys()
        self._found: dict[Node, Operator] = {}
        self._twins: dict[Operator, Operator | None] = {}
        self._last_reader: dict[Memory, Node] = {}
        self._followed: set[Memory] = set()
        for node in graph.walk():
            read = list(map(self._memory_of, node.inputs))
            self._last_reader.update(dict.fromkeys(read, node))
            if self._may_be_followed(node):
                self._followed.update(read)

    def run(self) -> int:
        """Replace what can be; return how many nodes that were."""
        for node in self._graph.block:
            twin = self._twin_for(node)
            if twin is not None:
                self._found[node] = twin
        for node, twin in self._found.items():
            with self._graph.inserting(node):
                made = self._graph.append(
                    twin,
                    node.all_args,
                    (node.output.type,),
                    keywords=node.keywords,
                    scope=node.scope,
                    stack=node.stack,
                    modes=node.modes,
                )
            made.output.name = node.output.name
            node.output.replace_all_uses_with(made.output)
            node.erase()
        return len(self._found)

    def _twin_for(self, node: Node) -> Operator | None:
        """Return the operator that writes over the first operand what a node makes anew; None if none may."""
        if not _could_write(node) or node.modes.autocast:
            return None
        written = node.all_args[0]
        if not isinstance(written, Value) or not self._is_free(node, written):
            return None
        if not _are_alike(written, node.output) or not self._stay_alike(node, written):
            return None
        if node.operator not in self._twins:
            self._twins[node.operator] = self._twin_of(node.operator)
        return self._twins[node.operator]

    def _is_free(self, node: Node, written: Value) -> bool:
        """Whether a tensor was made for this program alone, and a node is the last to read its memory."""
        maker, memory = written.node, self._memory_of(written)
        if maker is None or maker.modes != node.modes or not _allocates(maker.operator):
            return False
        if memory in self._followed or {memory, self._memory_of(node.output)} & self._seen:
            return False
        reads = [value for value in node.inputs if self._memory_of(value) == memory]
        return self._last_reader[memory] is node and len(reads) == 1

    def _stay_alike(self, node: Node, written: Value) -> bool:
        """Whether in each run what a node makes has the sizes and strides of its first operand."""
        if self._options.fixed_sizes:
            return True
        # Where a size is one, strides are chosen anew for what does not lie row by row.
        maker = written.node
        is_row_major = maker in self._found or (
            maker is not None and maker.operator.base_name in _ROW_MAJOR
        )
        return is_row_major and not any(map(has_memory, node.inputs[1:]))

    def _may_be_followed(self, node: Node) -> bool:
        """Whether autograd follows a node in some run. What the program does not set, its caller does."""
        if self._options.without_gradients:
            return False
        modes, around = node.modes, self._graph.modes
        is_other = (modes.grad, modes.inference) != (around.grad, around.inference)
        is_set = is_other or not _GRADIENTS.isdisjoint(modes.fixed)
        return is_followed(node) or not is_set

    def _twin_of(self, operator: Operator) -> Operator | None:
        """Return the overload that writes over the first operand of an operator what that would return."""
        for candidate in self._facts.overloads(f"{operator.base_name}_"):
            written = [parameter.is_written for parameter in candidate.parameters]
            if written and written[0] and not any(written[1:]) and len(candidate.returns) == 1:
                found = functional_overload(candidate, self._facts)
                if found is not None and found.operator.name == operator.name:
                    # Who has replaced one of the two computes something else by it.
                    is_replaced = any(map(self._facts.is_replaced, (operator, candidate)))
                    return None if is_replaced else candidate
        return None


def _are_alike(one: Value, other: Value) -> bool:
    """Whether two tensors are of one type, and of one that is computed in place to the same bits."""
    first, second = one.type, other.type
    if not isinstance(first, TensorType) or not isinstance(second, TensorType):
        return False
    # A tensor of no dimensions may be on another device than what it is added to.
    if first.device != second.device or first.device.type not in _DEVICES:
        return False
    if first.class_name or second.class_name or first.layout.name != "strided":
        return False
    is_complex = first.dtype is None or first.dtype.is_complex
    return not is_complex and same_geometry(first, second)


def _could_write(node: Node) -> bool:
    """Whether a node computes one new tensor, element by element, and does nothing else."""
    return _computes_elements(node.operator) and len(node.outputs) == 1 and not node.gives_lists


def _computes_elements(operator: Operator) -> bool:
    """Whether an operator computes new tensors, element by element, and does nothing else."""
    return (
        operator.is_pointwise
        and not operator.effects
        and operator.name.startswith("aten::")
        and sharing_of(operator) is None
    )


def _allocates(operator: Operator) -> bool:
    """Whether what an operator returns is on memory of its own, whatever it is called with."""
    is_listed = operator.base_name in _ALLOCATES and not any(
        parameter.is_written for parameter in operator.parameters
    )
    return is_listed or _computes_elements(operator)
