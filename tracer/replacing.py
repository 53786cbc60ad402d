"""Putting a function in the place of one of torch's for a while, and taking it out again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from types import FunctionType
from typing import Any


def replace_function(undo: ExitStack, owner: Any, name: str, door: Callable[..., Any]) -> None:
    """Put a function in the place of that of a module or class; leave alone what others put there since."""
    before = getattr(owner, name)

    def restore() -> None:
        if getattr(owner, name) is door:
            setattr(owner, name, before)

    setattr(owner, name, door)
    undo.callback(restore)


def exchange_code(
    undo: ExitStack, function: Any, make: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> None:
    """Make a function, whoever imported it, call another one that is made of what it was."""
    before = function.__code__
    original = FunctionType(before, function.__globals__, function.__name__)
    original.__kwdefaults__ = function.__kwdefaults__
    name = f"_opscope_{function.__name__}"
    text = f"def {function.__name__}(*args, **kwargs):\n    return {name}(*args, **kwargs)\n"
    made: dict[str, Any] = {}
    exec(compile(text, f"<opscope {function.__name__}>", "exec"), made)
    code = made[function.__name__].__code__

    def restore() -> None:
        if function.__code__ is code:
            function.__code__ = before
            del function.__globals__[name]

    function.__globals__[name] = make(original)
    function.__code__ = code
    undo.callback(restore)
