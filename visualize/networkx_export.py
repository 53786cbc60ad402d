"""A whole graph as a networkx multigraph, for algorithms rather than for the eye."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ir import Block, Graph, Node, StateKind, TensorType, Value, value_names
from .families import family_of

if TYPE_CHECKING:
    import networkx


def to_networkx(graph: Graph) -> networkx.MultiDiGraph[str]:
    """Return a multigraph with a node for each input, state entry, operator and output. O(size).

    Node names are ``input0``, ``state0``, ``node0`` and ``output0``, counted in program order. Every
    node has a ``kind`` (``input``, ``parameter``, ``buffer``, ``constant``, ``number``, ``operator``,
    ``output``). Operators have ``op``, ``family``, ``scope``, ``module`` and ``source``; what holds one
    tensor has ``shape`` (a tuple), ``dtype`` and ``device``. There is an edge for each use, with the
    ``operand`` it is, the ``value`` name, its ``result`` number and its ``type``. Nodes in inner blocks
    carry the name of their owner as ``owner``, and get an edge from it for each block input they read.
    """
    import networkx  # an optional dependency, and slow to load

    exported: networkx.MultiDiGraph[str] = networkx.MultiDiGraph(name=graph.name)
    names = value_names(graph)
    makers: dict[Value, tuple[str, int]] = {}
    blocks: dict[Block, str] = {}
    for number, value in enumerate(graph.inputs):
        makers[value] = (f"input{number}", 0)
        exported.add_node(f"input{number}", kind="input", name=names[value], **_tensor(value))
    for number, entry in enumerate(graph.state.values()):
        makers[entry.value] = (f"state{number}", 0)
        kind = "parameter" if entry.kind is StateKind.PARAMETER else entry.kind.value
        exported.add_node(f"state{number}", kind=kind, name=entry.name, **_tensor(entry.value))
    for number, node in enumerate(graph.walk()):
        name = f"node{number}"
        exported.add_node(name, kind="operator", **_operator(node, names))
        owner = None if node.block is None else blocks.get(node.block)
        if owner is not None:
            exported.nodes[name]["owner"] = owner
        for block in node.blocks:
            blocks[block] = name
            makers.update((value, (name, n)) for n, value in enumerate(block.inputs))
        makers.update((value, (name, n)) for n, value in enumerate(node.outputs))
        for operand, value in enumerate(node.inputs):
            _add_use(exported, makers[value], name, operand, value, names)
    for number, value in enumerate(graph.outputs):
        exported.add_node(f"output{number}", kind="output", name=names[value], **_tensor(value))
        _add_use(exported, makers[value], f"output{number}", 0, value, names)
    return exported


def _add_use(
    exported: networkx.MultiDiGraph[str],
    maker: tuple[str, int],
    user: str,
    operand: int,
    value: Value,
    names: dict[Value, str],
) -> None:
    source, result = maker
    exported.add_edge(
        source, user, operand=operand, value=names[value], result=result, type=str(value.type)
    )


def _operator(node: Node, names: dict[Value, str]) -> dict[str, object]:
    source = node.source
    facts: dict[str, object] = {
        "op": node.kind,
        "name": ", ".join(names[value] for value in node.outputs),
        "family": family_of(node.operator).value,
        "scope": node.scope.address,
        "module": node.scope.class_name,
        "source": "" if source is None else str(source),
    }
    return facts | (_tensor(node.outputs[0]) if len(node.outputs) == 1 else {})


def _tensor(value: Value) -> dict[str, object]:
    type_ = value.type
    if not isinstance(type_, TensorType):
        return {"type": str(type_)}
    facts: dict[str, object] = {"type": str(type_), "device": str(type_.device)}
    if type_.dtype is not None:
        facts["dtype"] = type_.dtype.long_name
    if type_.shape is not None:
        facts["shape"] = tuple(n if isinstance(n, int) else n.name for n in type_.shape)
    return facts
