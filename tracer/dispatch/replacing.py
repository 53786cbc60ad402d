"""Putting something in the place of what torch has, for as long as a trace runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from types import CodeType, FunctionType
from typing import Any

Patch = tuple[Any, str, Callable[[Any], Any]]
"""Where a wrapper goes, under which name, and what makes it from what stands there."""


def exchange_code(
    undo: ExitStack, function: Any, make: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> None:
    """Make a function call another one that is made of what it was, whoever has imported it."""
    before = function.__code__
    original = FunctionType(before, function.__globals__, function.__name__)
    original.__kwdefaults__ = function.__kwdefaults__
    name = f"_opscope_{function.__name__}"
    code = _code_calling(name, function.__name__)

    def restore() -> None:
        if function.__code__ is code:
            function.__code__ = before
            del function.__globals__[name]

    function.__globals__[name] = make(original)
    function.__code__ = code
    undo.callback(restore)


@cache
def _code_calling(name: str, own_name: str) -> CodeType:
    """Return the code of a function that calls the one that its globals hold under another name."""
    text = f"def {own_name}(*args, **kwargs):\n    return {name}(*args, **kwargs)\n"
    made: dict[str, Any] = {}
    exec(compile(text, f"<opscope {own_name}>", "exec"), made)
    # Taken out of its own globals, the function goes at once.
    code: CodeType = made.pop(own_name).__code__
    return code
