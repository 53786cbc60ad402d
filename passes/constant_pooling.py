"""Constant pooling: constants that are equal become one.

Given:   constant %constant : f32[2], %constant.1 : f32[2]     # both hold 1.0, 2.0
         %0 : f32[2] = aten::add.Tensor(%x, %constant)
         %1 : f32[2] = aten::mul.Tensor(%0, %constant.1)
Result:  constant %constant : f32[2]
         %0 : f32[2] = aten::add.Tensor(%x, %constant)
         %1 : f32[2] = aten::mul.Tensor(%0, %constant)
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import ClassVar

from ..ir import Block, Graph, Node, TensorType, Value
from ..ir.own_operators import LITERAL
from .alias_analysis import AliasAnalysis, has_memory
from .base import Pass, PassResult
from .constant_propagation import private_constants
from .constant_tensors import ConstantTensor, ConstantTensors


@dataclass(frozen=True, slots=True)
class ConstantPooling(Pass):
    """Make one constant of those that are equal: tensors by their contents, and ``prim::literal`` nodes.

    A literal that others need as well moves to the start of the innermost block that all of them see. Equal
    are tensors of one type, with the same bits in the same places of their whole storage.

    Keeps inputs, other state and outputs, the order of what stays, and the first name of each constant. Keeps
    a tensor apart that is written to, or that leaves the graph or goes to somebody who may keep it, by itself
    or as a view; and a literal that a block of an operator returns, in its block.

    Sound for any graph that verifies: what is merged nobody can tell apart. Parameters, buffers and tensors
    that a program refers to may change between two runs, so they are none of these.

    Cost: O(nodes + arguments), and the bytes of constants that have a type in common.

    Attributes:
        tensors: has the tensors of constants; filled in by who runs the pass on a program.
    """

    name: ClassVar[str] = "constant_pooling"

    tensors: ConstantTensors | None = field(default=None, repr=False)

    def with_tensors(self, tensors: ConstantTensors) -> ConstantPooling:
        """Return the pass for a program that has these tensors."""
        return replace(self, tensors=tensors)

    def run(self, graph: Graph) -> PassResult:
        """Merge the constants of a graph, and the literals of its functions."""
        literals = sum(_pool_literals(part) for part in (graph, *graph.functions.values()))
        pooled = 0 if self.tensors is None else _pool_tensors(graph, self.tensors)
        return PassResult.of(literals=literals, constants=pooled)


def _pool_tensors(graph: Graph, tensors: ConstantTensors) -> int:
    """Merge equal constants; return how many went."""
    alike: dict[TensorType, list[tuple[Value, ConstantTensor]]] = {}
    own = private_constants(graph, tensors)
    for value, constant in own.items():
        alike.setdefault(constant.type, []).append((value, constant))
    candidates = [group for group in alike.values() if len(group) > 1]
    if not candidates:
        return 0
    memory = AliasAnalysis(graph, own)
    pooled = 0
    for group in candidates:
        first: dict[Hashable, Value] = {}
        for value, constant in group:
            if not _is_only_read(value, memory):
                continue
            contents = tensors.contents(constant)
            same = first.setdefault(contents, value) if contents is not None else value
            if same is not value:
                _merge(graph, value, same, tensors)
                pooled += 1
    return pooled


def _is_only_read(value: Value, memory: AliasAnalysis) -> bool:
    """Whether torch's own operators read a constant and nobody writes or keeps it."""
    place = memory.memory_of(value)
    if place in memory.writers or place in memory.leaving:
        return False
    return all(isinstance(user, Node) and user.kind.startswith("aten::") for user in value.users)


def _merge(graph: Graph, value: Value, other: Value, tensors: ConstantTensors) -> None:
    entry = value.state
    assert entry is not None, "constants are state"
    value.replace_all_uses_with(other)
    graph.remove_state(entry.name)
    tensors.drop(entry.name)


def _pool_literals(graph: Graph) -> int:
    """Merge equal literals; return how many went."""
    alike: dict[Hashable, list[Node]] = {}
    for node in graph.walk():
        if node.operator is LITERAL and _may_move(node):
            alike.setdefault(_key(node), []).append(node)
    pooled = 0
    for nodes in alike.values():
        first, *others = nodes
        if not others:
            continue
        block = _common_block(nodes)
        if first.block is not block:
            _move_to_start(first, block)
        for other in others:
            other.output.replace_all_uses_with(first.output)
            other.erase()
        pooled += len(others)
    return pooled


def _may_move(node: Node) -> bool:
    """Whether a literal is a plain value, that no operator is given as what its block returns."""
    outputs = node.outputs
    if len(outputs) != 1 or has_memory(outputs[0]) or node.inputs or node.blocks:
        return False
    return not any(isinstance(user, Block) and user.owner is not None for user in outputs[0].users)


def _key(node: Node) -> Hashable:
    args = tuple([(arg.__class__, repr(arg)) for arg in node.all_args])
    return args, node.keywords, node.output.type


def _common_block(nodes: list[Node]) -> Block:
    """Return the innermost block that holds all of some nodes, at any depth."""
    block = nodes[0].block
    assert block is not None, "they stand in the graph"
    for node in nodes[1:]:
        inner = node.block
        assert inner is not None, "they stand in the graph"
        while not inner.is_within(block):
            owner = block.owner
            assert owner is not None, "the graph's own block holds every other"
            assert owner.block is not None, "the owner stands in the graph"
            block = owner.block
    return block


def _move_to_start(node: Node, block: Block) -> None:
    first = block.first
    assert first is not None, "it holds the node, at some depth"
    node.move_before(first)
