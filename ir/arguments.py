"""What nodes are called with: values, literals, and nested lists of these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from .literals import PYTHON_LITERALS, FunctionRef, Literal
from .value import Value

Argument: TypeAlias = "Value | Literal | tuple[Argument, ...]"


def values_in(args: tuple[Argument, ...]) -> tuple[Value, ...]:
    """Return the values in arguments, lists taken apart: ``args`` itself where there is nothing else."""
    for arg in args:
        if arg.__class__ is not Value:
            values: list[Value] = []
            _collect_values(args, values)
            return tuple(values)
    return args  # type: ignore[return-value]  # the loop has seen that all are values


def _collect_values(args: tuple[Argument, ...], into: list[Value]) -> None:
    for arg in args:
        if arg.__class__ in PYTHON_LITERALS:
            continue
        if isinstance(arg, Value):
            into.append(arg)
        elif isinstance(arg, tuple):
            _collect_values(arg, into)


def substitute(arg: Argument, remaining: list[int], value: Value) -> Argument:
    """Return ``arg`` with its operand number ``remaining[0]`` replaced, counting down as it goes."""
    if isinstance(arg, Value):
        remaining[0] -= 1
        return value if remaining[0] == -1 else arg
    if isinstance(arg, tuple):
        return tuple(substitute(item, remaining, value) for item in arg)
    return arg


def exchange_all(
    args: tuple[Argument, ...], becomes: Mapping[Value, Argument]
) -> tuple[Argument, ...]:
    """Return arguments with something else in the place of the values that are keys."""
    return tuple(
        [
            exchange_all(arg, becomes)
            if isinstance(arg, tuple)
            else becomes.get(arg, arg)
            if isinstance(arg, Value)
            else arg
            for arg in args
        ]
    )


def exchange(arg: Argument, old: Value, new: Value) -> Argument:
    """Return ``arg`` with ``new`` in the place of ``old``."""
    if isinstance(arg, tuple):
        return tuple(exchange(item, old, new) for item in arg)
    return new if arg is old else arg


def renamed(arg: Argument, names: Mapping[str, str]) -> Argument:
    """Return ``arg`` with functions called by their new names."""
    if isinstance(arg, tuple):
        return tuple(renamed(item, names) for item in arg)
    if isinstance(arg, FunctionRef):
        return FunctionRef(names.get(arg.name, arg.name))
    return arg
