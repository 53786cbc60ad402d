"""Graphs of any size, made without torch: chains of additions, and calls of them."""

from __future__ import annotations

from opscope import ir
from opscope.ir.own_operators import CALL_FUNCTION

_TYPE = ir.TensorType(ir.DType.F32, (8, 64))
_ADD = ir.Operator(
    "aten::add.Tensor",
    (ir.Parameter("self", "Tensor"), ir.Parameter("other", "Tensor")),
    (ir.Return("Tensor"),),
    ir.Effect.NONE,
)


def additions(size: int, chains: int = 1) -> ir.Graph:
    """Return a graph in which each node adds the last two values.

    With several chains, all of them compute the same, in turn, and only the first is returned.
    """
    graph = ir.Graph("additions")
    x, y = graph.add_input(_TYPE, "x"), graph.add_input(_TYPE, "y")
    last, before = [y] * chains, [x] * chains
    for number in range(size):
        chain = number % chains
        added = graph.append(_ADD, (before[chain], last[chain]), (_TYPE,)).output
        before[chain], last[chain] = last[chain], added
    graph.set_outputs(last[:1])
    return graph


def calls(size: int, count: int) -> ir.Graph:
    """Return ``count`` calls of one function, each in a scope of its own; inlined, that is ``size`` nodes."""
    graph = ir.Graph("calls")
    graph.functions["part"] = additions(size // count)
    last, before = graph.add_input(_TYPE, "x"), graph.add_input(_TYPE, "y")
    for number in range(count):
        call = graph.append(
            CALL_FUNCTION,
            (ir.FunctionRef("part"), before, last),
            (_TYPE,),
            scope=ir.Scope(graph.root_scope, ir.ScopeKind.MODULE, f"part.{number}", "Part"),
        )
        before, last = last, call.output
    graph.set_outputs([last])
    return graph
