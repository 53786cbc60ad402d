"""Putting something in the place of what torch has, for as long as a trace runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import CodeType, FunctionType
from typing import Any

Patch = tuple[Any, str, Callable[[Any], Any]]
"""Where a wrapper goes, under which name, and what makes it from what stands there."""


class Property:
    """Stands before an attribute of a class for its instances; the class itself shows the original.

    Args:
        read: gives what is read.
        original: the attribute itself, through which values are set and deleted.
        changed: is told of whom a value was set or deleted.
    """

    def __init__(
        self,
        read: Callable[[Any], Any],
        original: Any,
        changed: Callable[[Any], None] = lambda instance: None,
    ) -> None:
        self._read = read
        self._original = original
        self._changed = changed

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self._original if instance is None else self._read(instance)

    def __set__(self, instance: Any, value: Any) -> None:
        self._original.__set__(instance, value)
        self._changed(instance)

    def __delete__(self, instance: Any) -> None:
        self._original.__delete__(instance)
        self._changed(instance)


class Undo:
    """Steps that put things back, the last one first: all are run, whatever interrupts that.

    A step is run again if it was interrupted, so a second time must do no harm; and it is added before
    what it undoes is done.
    """

    def __init__(self) -> None:
        self._steps: list[Callable[[], None]] = []

    def add(self, step: Callable[[], None]) -> None:
        """Add what is to be run before all that was added so far."""
        self._steps.append(step)

    def run(self) -> None:
        """Run the steps; an interrupt is raised when that is done."""
        interrupt: KeyboardInterrupt | None = None
        while self._steps:
            try:
                while self._steps:
                    self._steps[-1]()
                    self._steps.pop()
            except KeyboardInterrupt as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt


def exchange_code(
    undo: Undo, function: Any, make: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> None:
    """Make a function call another one that is made of what it was, whoever has imported it."""
    before = function.__code__
    original = FunctionType(
        before,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    original.__kwdefaults__ = function.__kwdefaults__
    name = f"_opscope_{function.__name__}"
    code = _code_calling(name, function.__name__, before.co_freevars)

    def restore() -> None:
        if function.__code__ is code:
            function.__code__ = before
        function.__globals__.pop(name, None)

    undo.add(restore)
    function.__globals__[name] = make(original)
    function.__code__ = code


@cache
def _code_calling(name: str, own_name: str, closed_over: tuple[str, ...]) -> CodeType:
    """Return the code of a function that calls the one that its globals hold under another name.

    Python lets a function exchange its code only for one that closes over as many variables.
    """
    text = (
        f"def made({', '.join(closed_over)}):\n"
        f"    def {own_name}(*args, **kwargs):\n"
        f"        return {name}(*args, **kwargs)\n"
        f"        {' + '.join(closed_over) or 'None'}\n"
        f"    return {own_name}\n"
    )
    made: dict[str, Any] = {}
    exec(compile(text, f"{__file__}:{own_name}", "exec"), made)  # ours, as stacks go
    # Taken out of its own globals, the function goes at once.
    code: CodeType = made.pop("made")(*closed_over).__code__
    return code
