"""Tensors, modules and optimizers that Python objects lead to, with names that say how.

A program may keep tensors anywhere: in globals, closures, default arguments, attributes of objects
and of their classes, and in containers of these. They are looked for before the run, so that what
the run puts there is not taken for something that the program had.
"""

from __future__ import annotations

import copyreg
import inspect
import itertools
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import torch

from ...ir import Graph

_MOST_OBJECTS = 20_000  # a program that keeps more is not searched to the end
_DEEPEST = 6
_FOUND = (torch.Tensor, torch.nn.Module, torch.optim.Optimizer)
_LEAF_CLASSES: frozenset[type] = frozenset((str, bytes, int, float, complex, bool, type(None)))
_LEAVES: tuple[type, ...] = (
    *(*_LEAF_CLASSES, ModuleType, torch.dtype, torch.device),
    *(torch._ops.OperatorBase, torch._ops.OpOverloadPacket),  # they lead to all that ever ran them
)
_MAY_HOLD = (torch.Tensor, list, tuple, dict)
# Of our own: what a trace holds while it runs is none of the program's.
_LIBRARIES = (
    __name__.partition(".")[0],
    "torch",
    "builtins",
    "numpy",
    "collections",
    "threading",
    "logging",
    "functools",
    "re",
)


class Search:
    """One search through the objects of a program; each is looked into once."""

    def __init__(self) -> None:
        # What was looked into, with its name, by address; held, so that addresses stay theirs.
        self._seen: dict[int, tuple[Any, str]] = {}
        self._in_modules: set[int] = set()  # ids of what modules hold among it
        # What the classes of modules hold themselves.
        self._of_classes: dict[type, list[tuple[str, Any]]] = {}

    def name_of(self, held: Any) -> str | None:
        """Return the name under which an object, neither tensor nor module, was found; None if it was not."""
        seen = self._seen.get(id(held))
        return None if seen is None else seen[1]

    def looked_into(self) -> Iterator[tuple[str, Any]]:
        """Yield the containers, functions and other objects that led on, with their names; no modules."""
        for held, name in self._seen.values():
            if not isinstance(held, torch.nn.Module):
                yield name, held

    def is_in_module(self, held: Any) -> bool:
        """Whether something that was looked into is an attribute of a module."""
        return id(held) in self._in_modules

    def reachable(self, roots: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
        """Yield the tensors, modules and optimizers that named objects are or lead to, nearest first."""
        level = list(roots)
        for _ in range(_DEEPEST):
            below: list[tuple[str, Any]] = []
            for name, held in level:
                if id(held) in self._seen or isinstance(held, _LEAVES):
                    continue
                if isinstance(held, _FOUND):
                    yield name, held
                    if isinstance(held, torch.optim.Optimizer):
                        below.extend(_wrapped_optimizers(name, held))
                elif len(self._seen) < _MOST_OBJECTS:
                    self._seen[id(held)] = (held, name)
                    below.extend(parts_of_object(name, held))
            level = below

    def in_modules(self, named: Iterable[tuple[str, torch.nn.Module]]) -> Iterator[tuple[str, Any]]:
        """Yield what each of these modules holds besides its parameters, buffers and modules."""
        seen = self._seen
        for path, module in named:
            if id(module) in seen:
                continue
            seen[id(module)] = (module, path)
            held = [
                (name, value)
                for name, value in zip(*own_attributes(module), strict=True)
                if value.__class__ not in _LEAF_CLASSES
                and not (value.__class__ is tuple and _LEAF_CLASSES.issuperset(map(type, value)))
            ]
            self._in_modules.update([id(value) for _, value in held])
            roots = [(name, value) for name, value in held if id(value) not in seen]
            class_ = type(module)
            own = self._of_classes.get(class_)
            if own is None:
                own = self._of_classes[class_] = list(class_attributes("", class_))
            if roots or own:
                start = f"{path}." if path else ""
                yield from self.reachable([(start + name, held) for name, held in (*roots, *own)])


def _wrapped_optimizers(
    name: str, optimizer: torch.optim.Optimizer
) -> Iterator[tuple[str, torch.optim.Optimizer]]:
    for attribute, held in _own_attributes(name, optimizer):
        if isinstance(held, torch.optim.Optimizer):
            yield attribute, held


_REGISTRIES = list(vars(torch.nn.Module()))
_REGISTRY = frozenset(_REGISTRIES)


def own_attributes(module: torch.nn.Module) -> tuple[list[str], list[Any]]:
    """Return the names of a module's attributes, but those that every module has, and what they are."""
    attributes = vars(module)
    names, values = [*attributes], [*attributes.values()]
    count = len(_REGISTRIES)
    if (
        names[:count] == _REGISTRIES
    ):  # torch's own come first, unless somebody has set the rest anew
        return names[count:], values[count:]
    own = [name for name in names if name not in _REGISTRY]
    return own, [attributes[name] for name in own]


def parts_of_object(name: str, held: Any) -> Iterator[tuple[str, Any]]:
    """Yield what an object holds, one step down."""
    if isinstance(held, list | tuple):
        yield from ((f"{name}.{position}", item) for position, item in enumerate(held))
    elif isinstance(held, dict):
        for position, (key, item) in enumerate(held.items()):
            yield f"{name}.{key if isinstance(key, str | int) else position}", item
    elif isinstance(held, FunctionType):
        if not is_library(held):
            yield from parts_of_function(held, name)
    elif isinstance(held, MethodType):
        yield name, held.__self__
        yield name, held.__func__
    elif not (isinstance(held, type) or is_traced_program(held)):
        if not is_library(type(held)):
            yield from _attributes(name, held)
        elif _is_public_in_torch(type(held)):  # a distribution, say, or a scaler of gradients
            yield from _own_attributes(name, held)


def parts_of_function(function: FunctionType, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the closure, the globals and the default arguments that a function can read."""
    code = function.__code__
    for variable, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield variable, cell.cell_contents
        except ValueError:  # a variable that has no value yet
            continue
    names = _global_names(code)
    for variable in names:
        if variable in function.__globals__:
            yield from _of_global(variable, function.__globals__[variable], names)
    start = f"{name}." if name else ""
    for parameter, default in _defaults(function):
        yield start + parameter, default


def _global_names(code: CodeType) -> tuple[str, ...]:
    """Return the names of globals and attributes that a function and those defined inside it mention."""
    inner = [_global_names(const) for const in code.co_consts if isinstance(const, CodeType)]
    return tuple(dict.fromkeys(itertools.chain(code.co_names, *inner))) if inner else code.co_names


def _of_global(name: str, held: Any, used: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Yield a global; of a Python module, the tensors that the code may ask for."""
    if not isinstance(held, ModuleType):
        yield name, held
        return
    for attribute in used:
        found = vars(held).get(attribute)
        if isinstance(found, torch.Tensor):
            yield f"{name}.{attribute}", found


def _defaults(function: FunctionType) -> Iterator[tuple[str, Any]]:
    positional = function.__defaults__ or ()
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    yield from zip(names[len(names) - len(positional) :], positional, strict=True)
    yield from (function.__kwdefaults__ or {}).items()


def _own_attributes(name: str, held: Any) -> Iterator[tuple[str, Any]]:
    start = f"{name}." if name else ""
    for attribute, value in getattr(held, "__dict__", {}).items():
        yield start + attribute, value


def _attributes(name: str, held: Any) -> Iterator[tuple[str, Any]]:
    yield from _own_attributes(name, held)
    start = f"{name}." if name else ""
    for slot in copyreg._slotnames(type(held)):  # type: ignore[attr-defined]  # the copy module's own way
        value = inspect.getattr_static(held, slot, None)
        if inspect.ismemberdescriptor(value):
            try:
                yield start + slot, value.__get__(held)
            except AttributeError:  # a slot that is empty
                continue
    yield from class_attributes(start, type(held))


def is_traced_program(held: Any) -> bool:
    """Whether an object is a program that was traced before: what it keeps goes by its names for it."""
    return isinstance(getattr(held, "__dict__", {}).get("graph"), Graph)


def is_library(made: Any) -> bool:
    """Whether a class or function belongs to a library whose objects hold no tensors of the user's."""
    return str(made.__module__).partition(".")[0] in _LIBRARIES


def _is_public_in_torch(class_: type) -> bool:
    return class_.__module__.startswith("torch.") and not class_.__module__.startswith("torch._")


def class_attributes(start: str, class_: type) -> Iterator[tuple[str, Any]]:
    """Yield the tensors, and the containers that may hold some, among the attributes of a class."""
    for base in class_.__mro__:
        if is_library(base):
            continue
        for attribute, value in vars(base).items():
            if isinstance(value, _MAY_HOLD) and not attribute.startswith("__"):
                yield start + attribute, value
