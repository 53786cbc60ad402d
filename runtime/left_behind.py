"""What a run that ends at a guard has changed before it came there."""

from __future__ import annotations

from ..ir import Effect, Graph, Node, Value
from ..ir.own_operators import SET_GRADIENT
from ..passes.hidden_writes import written_parameters
from ..passes.storages import Storages

_MOST_NAMES = 3


def changed_before(graph: Graph, guard: Node) -> str:
    """Return in words what the nodes before ``guard`` have changed that outlives the run; empty if nothing.

    A guard on sizes stands before all that computes, one on data where the data is known.
    """
    storages = Storages()
    has_gradients: dict[Value, None] = {}
    written: dict[Value, None] = {}
    for node in graph.walk():
        if node is guard:
            break
        storages.follow(node)
        if node.operator is SET_GRADIENT:
            has_gradients[node.inputs[0]] = None
        elif Effect.WRITES in node.operator.effects:
            for name in written_parameters(node):
                for root in map(storages.root, node.values_of(name)):
                    if root.state is not None or root.definer is graph.block:
                        written[root] = None
    parts = []
    if has_gradients:
        parts.append(f"stored {_counted(len(has_gradients), 'gradient')}")
    if written:
        names = [f"%{value.name}" for value in written]
        shown = ", ".join(names[:_MOST_NAMES])
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        parts.append(f"written {shown}{more}")
    return " and ".join(parts)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
