"""A whole graph as a networkx multigraph, for algorithms rather than for the eye."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..ir import Block, FunctionRef, Graph, Node, StateKind, TensorType, Value, value_names
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
    Functions that the graph calls stand beside it: their nodes are named ``function0.node0`` and carry
    the function's name as ``function``; operators that call one have it as ``callee``.
    """
    import networkx  # an optional dependency, and slow to load

    exported: networkx.MultiDiGraph[str] = networkx.MultiDiGraph(name=graph.name)
    _add_graph(exported, graph)
    for number, (name, function) in enumerate(graph.functions.items()):
        _add_graph(exported, function, f"function{number}.", {"function": name})
    return exported


def _add_graph(
    exported: networkx.MultiDiGraph[str],
    graph: Graph,
    prefix: str = "",
    shared: Mapping[str, object] = MappingProxyType({}),
) -> None:
    """Add all that is in one graph, under names that begin with a prefix, with facts that all share."""
    names = value_names(graph)
    makers: dict[Value, tuple[str, int]] = {}
    blocks: dict[Block, str] = {}
    for number, value in enumerate(graph.inputs):
        name = f"{prefix}input{number}"
        makers[value] = (name, 0)
        exported.add_node(name, kind="input", name=names[value], **_tensor(value), **shared)
    for number, entry in enumerate(graph.state.values()):
        name = f"{prefix}state{number}"
        makers[entry.value] = (name, 0)
        kind = "parameter" if entry.kind is StateKind.PARAMETER else entry.kind.value
        exported.add_node(name, kind=kind, name=entry.name, **_tensor(entry.value), **shared)
    for number, node in enumerate(graph.walk()):
        name = f"{prefix}node{number}"
        exported.add_node(name, kind="operator", **_operator(node, names), **shared)
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
        name = f"{prefix}output{number}"
        exported.add_node(name, kind="output", name=names[value], **_tensor(value), **shared)
        _add_use(exported, makers[value], name, 0, value, names)


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
    callee = next((arg.name for arg in node.args if isinstance(arg, FunctionRef)), None)
    if callee is not None:
        facts["callee"] = callee
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
