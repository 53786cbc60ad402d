"""What a large graph costs that a trace made: training steps of a transformer, one after another."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.passes.dialect.common.cse_pass import CSEPass

import opscope
from opscope import ir
from opscope.ir.own_operators import CALL_FUNCTION
from opscope.passes.cse import CommonSubexpressionElimination
from opscope.passes.dce import DeadCodeElimination
from opscope.passes.inline import Inline
from opscope.passes.outline import Outline

from .harness import Effort, Report
from .models import training_step
from .peer_graphs import fx_copy
from .table import Table


def training(effort: Effort) -> Report:
    """Trace a training step of a GPT of 12 layers, and do with many in a row what users of a graph do."""
    called = steps(effort.size(50_000, 10_000))
    ours = called.copy()
    Inline().run(ours)
    fx, text = _FxGraph(ours).graph, str(ours)
    module = torch.fx.GraphModule(torch.nn.Module(), fx_copy(fx))
    table = Table(effort)
    table.add(
        "print",
        lambda: str(ours),
        {"torch.fx": lambda: str(fx), "with types": lambda: fx.python_code("", verbose=True)},
        {"with types": 3},
    )
    table.add("parse", lambda: ir.parse(text), {})
    table.add("verify", lambda: ir.verify(ours), {"torch.fx": fx.lint}, {"torch.fx": 1})
    table.add("copy", ours.copy, {"torch.fx": lambda: fx_copy(fx)}, {"torch.fx": 3})
    eliminate: Any = torch.fx.Graph.eliminate_dead_code
    dce = {"torch.fx": (lambda: fx_copy(fx), eliminate)}
    table.add_pass("dce", (ours.copy, DeadCodeElimination().run), dce)
    cse = {"torch.fx": (lambda: module, CSEPass())}
    table.add_pass("cse", (ours.copy, CommonSubexpressionElimination().run), cse, {"torch.fx": 3})
    table.add_pass("inline", (called.copy, Inline().run), {})
    table.add_pass("outline", (ours.copy, Outline("step*").run), {})
    return Report(
        f"Training steps of a GPT in a row, {sum(1 for _ in ours.walk()):,} nodes",
        "ms",
        tuple(table.rows),
        (
            "Forward, backward and AdamW, traced deep, each step in its scope. torch.fx has the same nodes,",
            "with fake tensors for types and no scopes; its dce and cse know nothing of what is written.",
        ),
    )


def steps(size: int) -> ir.Graph:
    """Return a graph that calls a traced training step as often as comes to ``size`` nodes inlined."""
    step, inputs = training_step()
    traced = opscope.trace(step, inputs, warn=False).graph
    graph = ir.Graph("steps")
    given = [graph.add_input(value.type, value.name) for value in traced.inputs]
    name, entries = ir.take_in(graph, traced)
    kept = [graph.add_state(entry.names, entry.value.type, entry.kind) for entry in entries]
    losses = []
    for number in range(max(size // sum(1 for _ in traced.walk()), 1)):
        call = graph.append(
            CALL_FUNCTION,
            (ir.FunctionRef(name), *given, *kept),
            [value.type for value in traced.outputs],
            scope=ir.Scope(graph.root_scope, ir.ScopeKind.REGION, "step", call=number + 1),
        )
        losses.append(call.outputs[0])
    graph.set_outputs(losses)
    return graph


class _FxGraph:
    """A graph of ours in torch.fx, node by node, to be looked at and not to be run."""

    def __init__(self, graph: ir.Graph) -> None:
        self.graph = torch.fx.Graph()
        self._nodes: dict[ir.Value, Any] = {}
        self._fakes: dict[ir.Type, Any] = {}
        kept = [entry.value for entry in graph.state.values()]
        for number, value in enumerate((*graph.inputs, *kept)):
            self._define(value, self.graph.placeholder(f"input_{number}"))
        for node in graph.walk():
            self._add(node)
        self.graph.output(tuple([self._nodes[value] for value in graph.outputs]))

    def _add(self, node: ir.Node) -> None:
        args = tuple([self._argument(arg) for arg in node.args])
        kwargs = {name: self._argument(arg) for name, arg in node.kwargs.items()}
        made = self.graph.call_function(_target(node.operator), args, kwargs)
        if node.source is not None:
            made.meta["stack_trace"] = (
                f'  File "{node.source.file}", line {node.source.line}, in {node.source.function}\n'
                f"    {node.source.text}"
            )
        if len(node.outputs) == 1:
            self._define(node.output, made)
            return
        for number, value in enumerate(node.outputs):
            self._define(value, self.graph.call_function(operator.getitem, (made, number)))

    def _define(self, value: ir.Value, node: torch.fx.Node) -> None:
        self._nodes[value] = node
        type_ = value.type
        if isinstance(type_, ir.TensorType) and type_ not in self._fakes:
            sizes = [size for size in type_.shape or () if isinstance(size, int)]
            with FakeTensorMode():
                self._fakes[type_] = torch.empty(sizes)
        node.meta["val"] = self._fakes.get(type_)

    def _argument(self, arg: ir.Argument) -> Any:
        if isinstance(arg, ir.Value):
            return self._nodes[arg]
        if isinstance(arg, tuple):
            return [self._argument(item) for item in arg]
        return arg if isinstance(arg, bool | int | float | str | None) else str(arg)


def _target(op: ir.Operator) -> Any:
    namespace, _, name = op.name.partition("::")
    base, _, overload = name.partition(".")
    packet = getattr(getattr(torch.ops, namespace), base, None)
    return getattr(packet, overload or "default", operator.add)  # only its name counts
