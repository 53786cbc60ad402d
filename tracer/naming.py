"""What a graph and its values are called: as the program, its arguments and its variables are."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from ..ir import Frame, Node, Scope, ScopeKind, TensorType, Value
from ..ir.own_operators import GRADIENT, MAKE_WRAPPER, WRAP
from .program.program_state import root_module
from .sources.variables import VariableNames
from .state import TracingState


def program_name(function: Callable[..., Any]) -> str:
    """Return what a program is called: a module's class, or the name of a function."""
    while isinstance(function, functools.partial):
        function = function.func
    module = root_module(function)
    if module is not None and (
        function is module or getattr(function, "__name__", "") == "forward"
    ):
        return type(module).__name__
    name = getattr(function, "__name__", type(function).__name__)
    return "function" if name == "<lambda>" else name


def identifier(path: str) -> str:
    """Return a leaf's path as a dotted name: ``batch['image'][0]`` becomes ``batch.image.0``."""
    return re.sub(r"\W+", ".", path).strip(".") or "input"


def name_values(state: TracingState) -> None:
    """Name results after the variables that the user's code assigns them to."""
    variables = VariableNames(state.walker.above)
    backward: dict[Scope, bool] = {}
    for node in state.graph.walk():
        scope = node.scope
        if scope not in backward:
            backward[scope] = scope.is_backward
        outputs = node.outputs
        if scope.kind is ScopeKind.OPERATOR:
            continue  # many nodes of one call, whose results are named below
        if node in state.implied.nodes:
            source = node.inputs[0].name if node.inputs else None
            if node.operator is GRADIENT:
                node.output.name = f"{source}.grad" if source else None
            elif node.operator not in (WRAP, MAKE_WRAPPER):
                node.output.name = source
        elif node.stack is None or backward[scope]:
            continue  # in a backward pass, the stack is that of the forward
        elif node.kind == "aten::sym_size.int":
            node.output.name = _size_name(variables, node, node.stack)
        elif outputs:
            for value, name in zip(outputs, variables.of(node.stack, len(outputs)), strict=False):
                if value.name is None and name != "_":
                    value.name = name
    for called, results in state.named_as:
        names = variables.of(called, len(results)) if called is not None else ()
        for result, name in zip(results, names, strict=False):
            if result is not None and result.name is None and name != "_":
                result.name = name


def _size_name(variables: VariableNames, node: Node, stack: Frame) -> str | None:
    """Return the variable that one size of a tensor goes to, alone or unpacked with the others."""
    tensor, dimension = node.all_args
    type_ = tensor.type if isinstance(tensor, Value) else None
    if isinstance(type_, TensorType) and type_.rank and isinstance(dimension, int):
        names = variables.of(stack, type_.rank) if type_.rank > 1 else ()
        if names:
            return None if names[dimension] == "_" else names[dimension]
    alone = variables.of(stack, 1)
    return alone[0] if alone else None
