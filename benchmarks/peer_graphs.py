"""The graphs of ``large_graphs.py`` in torch.fx and in TorchScript."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx.experimental.const_fold import _inline_module


def fx_additions(size: int, chains: int = 1) -> torch.fx.Graph:
    """Return a graph in which each node adds the last two values."""
    graph = torch.fx.Graph()
    x, y = graph.placeholder("x"), graph.placeholder("y")
    last, before = [y] * chains, [x] * chains
    add: Any = torch.ops.aten.add.Tensor
    with torch._subclasses.FakeTensorMode():
        fake = torch.empty(8, 64)
    x.meta["val"] = y.meta["val"] = fake
    for number in range(size):
        chain = number % chains
        added = graph.call_function(add, (before[chain], last[chain]))
        added.meta["val"] = fake  # from which torch.fx knows the type
        before[chain], last[chain] = last[chain], added
    graph.output(last[0])
    return graph


def fx_calls(size: int, count: int) -> torch.fx.GraphModule:
    """Return a module that calls another ``count`` times; inlined, that is ``size`` nodes."""
    root = torch.nn.Module()
    root.part = torch.fx.GraphModule(torch.nn.Module(), fx_additions(size // count))
    graph = torch.fx.Graph()
    last, before = graph.placeholder("x"), graph.placeholder("y")
    for _ in range(count):
        before, last = last, graph.call_module("part", (before, last))
    graph.output(last)
    return torch.fx.GraphModule(root, graph)


def fx_inline(module: torch.fx.GraphModule) -> None:
    """Inline all calls of :func:`fx_calls`, each as torch.fx inlines a module."""
    for _ in [node for node in module.graph.nodes if node.op == "call_module"]:
        _inline_module(module, "part", run_dce=False)


def fx_copy(graph: torch.fx.Graph) -> torch.fx.Graph:
    """Return a copy of a graph."""
    copy = torch.fx.Graph()
    copy.output(copy.graph_copy(graph, {}))
    return copy


def fx_copy_calls(module: torch.fx.GraphModule) -> torch.fx.GraphModule:
    """Return a copy of such a module that shares the one it calls."""
    return torch.fx.GraphModule(dict(module.named_children()), fx_copy(module.graph))


def torchscript_text(size: int, chains: int = 1) -> str:
    """Return the text of a graph in which each node adds the last two values."""
    type_ = "Float(8, 64, strides=[64, 1], requires_grad=0, device=cpu)"
    lines = ["graph(%x : Tensor, %y : Tensor):", "  %one : int = prim::Constant[value=1]()"]
    last, before = ["%y"] * chains, ["%x"] * chains
    for number in range(size):
        chain = number % chains
        added = f"%v{number}"
        lines.append(f"  {added} : {type_} = aten::add({before[chain]}, {last[chain]}, %one)")
        before[chain], last[chain] = last[chain], added
    lines.append(f"  return ({last[0]})")
    return "\n".join(lines)


def torchscript_additions(size: int, chains: int = 1) -> torch._C.Graph:
    """Return the graph of that text."""
    return torch._C.parse_ir(torchscript_text(size, chains))


def torchscript_calls(size: int, count: int) -> torch.jit.CompilationUnit:
    """Return a unit whose function ``calls`` calls another ``count`` times; inlined, that is ``size`` nodes.

    Its graph refers to the function without keeping it alive, as the unit does.
    """
    return torch.jit.CompilationUnit(
        "def part(x: Tensor, y: Tensor):\n"
        + "    x, y = y, x + y\n" * (size // count)
        + "    return y\ndef calls(x: Tensor, y: Tensor):\n"
        + "    x, y = y, part(x, y)\n" * count
        + "    return y\n"
    )
