"""Modules of torch.fx whose sizes are read as Python reads them, which a trace follows as data."""

from __future__ import annotations

from typing import Final

import torch
from torch.fx.graph_module import GraphModule

_METHODS: Final = {
    torch.ops.aten.sym_size.int: "size",
    torch.ops.aten.sym_stride.int: "stride",
    torch.ops.aten.sym_numel.default: "numel",
    torch.ops.aten.sym_storage_offset.default: "storage_offset",
}


def reading_sizes(module: GraphModule) -> GraphModule:
    """Return a module that calls methods of tensors where ``module`` calls operators that read sizes.

    It shares parameters and other modules with ``module``, and is ``module`` itself where that reads none.
    """
    inner = {
        name: changed
        for name, child in module.named_children()
        if isinstance(child, GraphModule) and (changed := reading_sizes(child)) is not child
    }
    if not inner and not any(node.target in _METHODS for node in module.graph.nodes):
        return module
    graph = torch.fx.Graph()
    graph.set_codegen(module.graph._codegen)
    copied: dict[torch.fx.Node, torch.fx.Node] = {}
    graph.graph_copy(module.graph, copied)
    for node in module.graph.nodes:
        if node.op == "output":
            graph.node_copy(node, copied.__getitem__)
        elif node.target in _METHODS:
            copied[node].op = "call_method"
            copied[node].target = _METHODS[node.target]
    made = GraphModule(module, graph, class_name=type(module).__name__)
    for name, child in inner.items():
        setattr(made, name, child)
    return made
