"""Callables that hold values: partials and closures taken apart into plain parts, and made again.

A function passed to a custom operator may carry a tensor that the program computed, as
``partial(block, mask=mask)`` and ``lambda x: block(x, mask)`` do. Taken apart, such tensors stand among
the arguments like any others, and a replay makes the callable again with its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import CellType, FunctionType
from typing import Any, NamedTuple

from .structure import is_plain_container, parts_of


class OpenPartial(NamedTuple):
    """A ``functools.partial``, as a tuple of what it holds."""

    function: Any
    args: tuple[Any, ...]
    keywords: dict[str, Any]

    def closed(self) -> Any:
        """Return the partial again."""
        return functools.partial(self.function, *self.args, **self.keywords)


class OpenClosure(NamedTuple):
    """A function, and the contents of those of its variables that hold values, by their names."""

    function: FunctionType
    contents: dict[str, Any]

    def closed(self) -> Any:
        """Return a function with these contents; its other variables stay the ones it shares."""
        function: Any = self.function  # checkers take a function among fields for a method
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        closure = tuple(
            CellType(self.contents[name]) if name in self.contents else cell for name, cell in cells
        )
        made = FunctionType(
            function.__code__,
            function.__globals__,
            function.__name__,
            function.__defaults__,
            closure,
        )
        made.__kwdefaults__ = function.__kwdefaults__
        made.__dict__.update(function.__dict__)
        return made


def open_callables(whole: Any, is_value: Callable[[Any], bool]) -> Any:
    """Return an argument with the callables in it that hold values taken apart.

    Args:
        whole: an argument, or a list, tuple or dictionary of them.
        is_value: tells what must stand among the arguments. An object that holds none stays itself.
    """
    return _Opener(is_value).open(whole)


def close_callables(whole: Any) -> Any:
    """Return an argument with the callables in it made again."""
    if not is_plain_container(whole):
        return whole
    rebuilt = _rebuilt(whole, [close_callables(part) for part in parts_of(whole).parts])
    return rebuilt.closed() if isinstance(rebuilt, OpenPartial | OpenClosure) else rebuilt


class _Opener:
    """One walk, which does not enter a function that it is inside of."""

    def __init__(self, is_value: Callable[[Any], bool]) -> None:
        self._is_value = is_value
        self._inside: set[int] = set()

    def open(self, whole: Any) -> Any:
        if id(whole) in self._inside:
            return whole
        self._inside.add(id(whole))
        try:
            if isinstance(whole, functools.partial):
                return self._partial(whole)
            if isinstance(whole, FunctionType) and whole.__closure__:
                return self._closure(whole)
            if is_plain_container(whole):
                parts = parts_of(whole).parts
                opened = [self.open(part) for part in parts]
                if all(one is other for one, other in zip(opened, parts, strict=True)):
                    return whole
                return _rebuilt(whole, opened)
            return whole
        finally:
            self._inside.discard(id(whole))

    def _partial(self, whole: functools.partial[Any]) -> Any:
        parts = OpenPartial(whole.func, whole.args, whole.keywords)
        opened = self.open(tuple(parts))
        return OpenPartial(*opened) if self._holds(opened) else whole

    def _closure(self, whole: FunctionType) -> Any:
        contents: dict[str, Any] = {}
        for name, cell in zip(whole.__code__.co_freevars, whole.__closure__ or (), strict=True):
            try:
                opened = self.open(cell.cell_contents)
            except ValueError:  # a variable that has no value yet
                continue
            if self._holds(opened):
                contents[name] = opened
        return OpenClosure(whole, contents) if contents else whole

    def _holds(self, opened: Any) -> bool:
        if self._is_value(opened):
            return True
        return is_plain_container(opened) and any(map(self._holds, parts_of(opened).parts))


def _rebuilt(whole: Any, parts: list[Any]) -> Any:
    """Return a container like ``whole`` with other parts."""
    if isinstance(whole, dict):
        return dict(zip(whole, parts, strict=True))
    if isinstance(whole, list):
        return parts
    return tuple.__new__(type(whole), parts)
