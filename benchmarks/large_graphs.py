"""Graphs of any size, made without torch: chains of additions, calls of them, and networks of blocks."""

from __future__ import annotations

import random

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


_HEADS = 24
_ELEMENTWISE = ("gelu", "relu", "silu", "tanh", "sigmoid", "exp", "abs", "sin", "cos", "square")


def network(blocks: int) -> ir.Graph:
    """Return a network of attention blocks in nested scopes, of 200 operators each and hardly two alike."""
    graph = ir.Graph("network")
    dice = random.Random(0)
    last = graph.add_input(_TYPE, "x")
    for number in range(blocks):
        last = _Block(graph, number).add(last, dice)
    graph.set_outputs([last])
    return graph


class _Block:
    """Adds one block of a network."""

    def __init__(self, graph: ir.Graph, number: int) -> None:
        self._graph = graph
        self._path = f"blocks.{number}"
        self._scope = self._module(graph.root_scope, self._path, "Block")
        self._weights = [
            graph.add_state(f"{self._path}.attention.{name}", ir.TensorType(ir.DType.F32, (64, 64)))
            for name in ("query", "key", "value")
        ]

    def add(self, x: ir.Value, dice: random.Random) -> ir.Value:
        """Add the block, and return its result."""
        attention = self._module(self._scope, f"{self._path}.attention", "Attention")
        mlp = self._module(self._scope, f"{self._path}.mlp", "Mlp")
        normal = self._step("layer_norm", self._scope, x)
        heads = [self._head(normal, attention, head) for head in range(_HEADS)]
        out = self._step("add.Tensor", self._scope, self._step("cat", attention, *heads), x)
        for name in dice.choices(_ELEMENTWISE, k=4):
            out = self._step(name, mlp, out)
        return self._step("add.Tensor", self._scope, out, x)

    def _head(self, x: ir.Value, attention: ir.Scope, number: int) -> ir.Value:
        scope = self._module(attention, f"{attention.path}.heads.{number}", "Head")
        query, key, value = (self._step("matmul", scope, x, weight) for weight in self._weights)
        scores = self._step("div.Tensor", scope, self._step("bmm", scope, query, key), key)
        weights = self._step("dropout", scope, self._step("softmax.int", scope, scores))
        return self._step("matmul", scope, weights, value)

    def _step(self, name: str, scope: ir.Scope, *values: ir.Value) -> ir.Value:
        parameters = tuple(ir.Parameter(f"input{at}", "Tensor") for at in range(len(values)))
        operator = ir.Operator(f"aten::{name}", parameters, (ir.Return("Tensor"),), ir.Effect.NONE)
        return self._graph.append(operator, values, (_TYPE,), scope=scope).output

    @staticmethod
    def _module(parent: ir.Scope, path: str, class_name: str) -> ir.Scope:
        return ir.Scope(parent, ir.ScopeKind.MODULE, path, class_name)
