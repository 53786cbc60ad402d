"""Clutter: nodes that a picture leaves out unless somebody asks, because they only serve others."""

from __future__ import annotations

from dataclasses import replace

from ..ir import Effect, Graph, ListType, Node, ScalarType, TensorType, Type
from ..ir.scalars import GUARD, scalar_form
from .families import bare_name

_PLAIN_NUMBERS = (ScalarType.INT, ScalarType.BOOL)
_SIZE_QUERIES = frozenset(
    """
    size sym_size numel sym_numel stride sym_stride storage_offset sym_storage_offset dim ndim len
    is_contiguous sym_is_contiguous is_floating_point
    """.split()
)


def size_arithmetic(graph: Graph) -> dict[Node, None]:
    """Return the nodes that ask for sizes, compute numbers from them, or check numbers. O(operands)."""
    found: dict[Node, None] = {}
    for node in graph.walk():
        if node.kind == GUARD or (
            node.inputs and scalar_form(node.kind) and all(v.node in found for v in node.inputs)
        ):
            found[node] = None
        if not node.outputs or not all(_is_plain_number(value.type) for value in node.outputs):
            continue
        if node.blocks or Effect.WRITES in node.operator.effects:
            continue
        if bare_name(node.operator) in _SIZE_QUERIES or all(
            _is_plain_number(value.type) for value in node.inputs
        ):
            found[node] = None
    return found


def bookkeeping(graph: Graph) -> dict[Node, None]:
    """Return the nodes that only count batches in state. O(operands)."""
    return {node: None for node in graph.walk() if _is_counter_update(node)}


def _is_counter_update(node: Node) -> bool:
    return (
        Effect.WRITES in node.operator.effects
        and len(node.inputs) == 1
        and node.inputs[0].state is not None
        and not node.blocks
        and not any(value.is_used for value in node.outputs)
    )


def unused_results(graph: Graph) -> dict[Node, None]:
    """Return the nodes without effect whose results nothing reads. O(operands).

    There are none in a graph that returns nothing: what it computes is then all there is to see.
    """
    found: dict[Node, None] = {}
    if not graph.outputs:
        return found
    for node in graph.walk(reverse=True):
        if (
            node.outputs
            and not node.blocks
            and node.operator.effects is Effect.NONE
            and all(user in found for value in node.outputs for user in value.users)
        ):
            found[node] = None
    return found


def without_identities(graph: Graph) -> tuple[Graph, int]:
    """Return the graph without casts and copies that gave back what they got, and their number.

    A tensor that ``to`` leaves as it is goes on as the result of ``to``; drawn so, a residual
    connection would seem to start inside the block that asked. The graph itself is not changed.
    """
    if not any(is_identity(node) for node in graph.walk()):
        return graph, 0
    simpler = graph.copy()
    count = 0
    for node in simpler.walk():
        if is_identity(node):
            node.output.replace_all_uses_with(node.inputs[0])
            node.erase()
            count += 1
    return simpler, count


def is_identity(node: Node) -> bool:
    """Return whether a node is a cast or copy that gave back what it got."""
    if len(node.inputs) != 1 or len(node.outputs) != 1 or node.inputs[0].state is not None:
        return False
    if bare_name(node.operator) not in ("to", "contiguous") or node.kwargs.get("copy"):
        return False
    return _without_gradient(node.inputs[0].type) == _without_gradient(node.output.type)


def _without_gradient(type_: Type) -> Type:
    return replace(type_, requires_grad=False) if isinstance(type_, TensorType) else type_


def _is_plain_number(type_: Type) -> bool:
    while isinstance(type_, ListType):
        type_ = type_.element
    return type_ in _PLAIN_NUMBERS
