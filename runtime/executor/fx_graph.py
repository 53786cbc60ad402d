"""The function of a plan as a graph of ``torch.fx``, for engines that take one."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any, Final, cast

import torch
from torch import fx

from ...ir.operator import DROPOUT_SWITCHES

_PLAIN: Final = (
    torch._ops.OpOverload, int, float, complex, bool, str, type(None),
    torch.dtype, torch.device, torch.layout, torch.memory_format,
)  # fmt: skip


class Untraceable(Exception):
    """A function does other things than to call operators."""


def tensors_bound(function: Callable[..., Any]) -> list[torch.Tensor]:
    """Return the state that a generated function reads."""
    return [value for value in _globals(function).values() if isinstance(value, torch.Tensor)]


def strides_memory(function: Callable[..., Any]) -> bool:
    """Whether a generated function has operators that go through memory by steps of their own.

    What they read depends on where in it their tensor begins.
    """
    return any(
        isinstance(value, torch._ops.OpOverload) and "as_strided" in value._schema.name
        for value in _globals(function).values()
    )


def fx_graph(function: Callable[..., Any], count: int) -> fx.GraphModule:
    """Return a generated function as a graph, which takes the state that it reads behind its inputs.

    Args:
        function: calls operators of ``torch.ops`` one after another.
        count: how many inputs it takes.

    Raises:
        Untraceable: it enters modes, branches, or calls something else, which a graph would not show.
    """
    graph = fx.Graph()
    tracer = fx.proxy.GraphAppendingTracer(graph)
    inputs = [fx.Proxy(graph.placeholder(f"input_{n}"), tracer) for n in range(count)]
    namespace = dict(_globals(function))
    for name, value in namespace.items():
        if isinstance(value, torch.Tensor):
            namespace[name] = fx.Proxy(graph.placeholder(f"state_{name}"), tracer)
        elif not isinstance(value, _PLAIN) and value is not math and name != "__builtins__":
            raise Untraceable(name)
    named = cast(FunctionType, function)
    try:
        results = FunctionType(named.__code__, namespace, named.__name__)(*inputs)
    except Exception as error:  # whatever a stand-in for a value cannot do
        raise Untraceable(str(error)) from error
    graph.output(tuple(r.node if isinstance(r, fx.Proxy) else r for r in results))
    graph.lint()
    return fx.GraphModule(torch.nn.Module(), graph)


def writes_or_draws(module: fx.GraphModule) -> str | None:
    """Return in words why a graph may not be run twice; None where it may."""
    for node in module.graph.nodes:
        target = node.target
        if isinstance(target, torch._ops.OpOverload):
            if target._schema.is_mutable:
                return f"writes to memory ({target})"
            if torch.Tag.nondeterministic_seeded in target.tags and not _is_off(node):
                return f"draws random numbers ({target})"
        elif node.op == "call_function" and not isinstance(target, ModuleType):
            if isinstance(target, torch._ops.OperatorBase):
                return f"calls functions ({target})"
    return None


def _is_off(node: fx.Node) -> bool:
    """Whether an operator says by an argument that it draws nothing now."""
    schema = cast(torch._ops.OpOverload, node.target)._schema
    given: dict[str, Any] = {argument.name: argument.default_value for argument in schema.arguments}
    given.update(zip(given, node.args, strict=False))
    given.update(node.kwargs)
    told = next((given[name] for name in DROPOUT_SWITCHES if name in given), None)
    return told.__class__ in (bool, float) and not told


def _globals(function: Callable[..., Any]) -> dict[str, Any]:
    return cast(FunctionType, function).__globals__
