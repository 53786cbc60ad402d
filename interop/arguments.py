"""What nodes are called with, by the names of parameters and as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..ir import CALL, Argument, FunctionRef, Graph, Node, Value, literal_text
from ..ir.printer import value_text


def named_arguments(
    node: Node, functions: Mapping[str, Graph], input_names: Mapping[str, tuple[str, ...]]
) -> list[tuple[str, Argument]]:
    """Return the arguments of a node, each with the name of its parameter.

    Arguments of a call are named as the inputs of the function; where nothing tells a name, they are
    numbered.

    Args:
        node: the node.
        functions: what it may call.
        input_names: what the inputs of each function are called.
    """
    names = [parameter.name for parameter in node.operator.parameters if not parameter.is_keyword]
    args = node.args
    callee = args[0] if node.kind == CALL and args else None
    if isinstance(callee, FunctionRef) and callee.name in functions:
        names = ["function", *input_names[callee.name]]
    named = [
        (names[at] if at < len(names) else f"argument {at}", arg) for at, arg in enumerate(args)
    ]
    return [*named, *node.kwargs.items()]


def input_names(function: Graph) -> tuple[str, ...]:
    """Return what the inputs of a function are called, each by its name, or else its number."""
    return tuple(value.name or f"input {at}" for at, value in enumerate(function.inputs))


def operand_names(arguments: list[tuple[str, Argument]]) -> list[str]:
    """Return a name for each value in arguments, in order: ``weight``, ``tensors[1]``."""
    return [name for name, _ in _values(arguments)]


def _values(arguments: list[tuple[str, Argument]]) -> Iterator[tuple[str, Value]]:
    pending = list(reversed(arguments))
    while pending:
        name, arg = pending.pop()
        if isinstance(arg, Value):
            yield name, arg
        elif isinstance(arg, tuple):
            items = [(f"{name}[{at}]", item) for at, item in enumerate(arg)]
            pending.extend(reversed(items))


def argument_text(arg: Argument, names: Mapping[Value, str]) -> str:
    """Return an argument as the text of graphs shows it: ``[%x, 1]``."""
    if isinstance(arg, Value):
        return value_text(names[arg])
    if isinstance(arg, tuple):
        return f"[{', '.join([argument_text(item, names) for item in arg])}]"
    return literal_text(arg)
