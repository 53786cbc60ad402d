"""Costs node by node, for pictures that colour by them."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import ReportError
from ..ir import Graph, Node
from ..passes.storages import Storages
from .flops import FlopCounter
from .traffic import Sizes, moved_bytes


@dataclass(frozen=True, slots=True)
class NodeCosts:
    """What each node costs; nodes that own blocks cost nothing themselves.

    Attributes:
        flops: of nodes whose count is known and not nought; a multiplication and an addition are two.
        moved_bytes: what nodes read and write, where that is not nought.
        made_bytes: the memory that came with their results; views and in-place results have none.
    """

    flops: dict[Node, float] = field(default_factory=dict)
    moved_bytes: dict[Node, float] = field(default_factory=dict)
    made_bytes: dict[Node, float] = field(default_factory=dict)


def node_costs(graph: Graph) -> NodeCosts:
    """Return what each node of a graph costs. O(size)."""
    storages = Storages()
    storages.follow_all(graph.block)
    shared = storages.shared
    counter = FlopCounter()
    sizes = Sizes()
    costs = NodeCosts()
    for node in graph.walk():
        if node.blocks:
            continue
        moved = moved_bytes(node, shared, sizes)
        made = sizes.sum(value for value in node.outputs if value not in shared)
        flops = _flops(counter, node)
        for numbers, number in (
            (costs.flops, flops),
            (costs.moved_bytes, moved),
            (costs.made_bytes, made),
        ):
            if number:
                numbers[node] = number
    return costs


def _flops(counter: FlopCounter, node: Node) -> int:
    """Return the FLOPs of a node; nought where a formula does not fit it, which a summary would tell."""
    try:
        count = counter.count(node)
    except ReportError:
        return 0
    return count if isinstance(count, int) else 0
