"""Whether a program is going to run a backward pass, told from its code before it runs.

Note [Named before it runs]
    A backward pass reads what operators are made of, which has to be recorded before anybody knows that one
    will run. So the code that a call can reach is searched for the names by which one is run: ``backward``,
    ``autograd.grad`` and the like. That is a guess, good enough to decide how a program is recorded: where
    it names one in vain, the trace is slower, and where it hides one, a diagnostic of the trace says so.

    The search looks at code objects, globals, closures, and attributes that the code names, as they lie
    in dictionaries. It runs nothing, imports nothing, and asks no object for an attribute. It follows what
    is not torch's or Python's own, nearest first, up to a bound.
"""

from __future__ import annotations

import functools
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from types import (
    CellType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any, Final

import torch

_MOST_FUNCTIONS: Final = 50  # whose code is read
_MOST_OBJECTS: Final = 2_000
_MOST_ITEMS: Final = 16  # of a list or dictionary

_FOREIGN: Final = frozenset(sys.stdlib_module_names) - {"__main__"} | {"torch", "numpy", "opscope"}
"""Packages whose code is not looked into: it reaches a great deal, and none of it is the user's own."""

_RUN_BACKWARD: Final = (torch.autograd.grad, torch.autograd.backward)
_OF_FUNCTIONAL: Final = frozenset(("jacobian", "hessian", "vjp", "jvp", "vhp", "hvp"))
_PLAIN: Final = (type(None), bool, int, float, complex, str, bytes, torch.Tensor)
_IS_OPTIMIZED: Final = 1  # the flag of the code of functions, which that of a class body has not
_NOTHING: Final[Mapping[str, Any]] = {}


def may_run_backward(function: Any, arguments: Iterable[Any] = ()) -> bool:
    """Whether code that a call can reach names a backward pass; see Note [Named before it runs].

    Args:
        function: what is called.
        arguments: what it is called with.
    """
    search = _Search(_package_of(function))
    for met in (function, *arguments):
        search.meet(met)
    return search.finds_backward()


class _Search:
    """Looks through code, nearest first; a name is looked up in all objects that were met, early or late.

    Args:
        own: the package of what is called, which is looked into unless it is torch.
    """

    def __init__(self, own: str) -> None:
        self._foreign = _FOREIGN - ({own} - {"torch"})
        self._are_foreign: dict[str, bool] = {}
        self._found = False
        self._seen: dict[int, Any] = {}  # by id; held, so that no other object gets the id
        self._met: deque[Any] = deque()  # what was not looked at yet
        self._functions: deque[FunctionType] = deque()  # whose code was not read yet
        self._names: dict[str, None] = {}
        self._namespaces: list[
            Mapping[str, Any]
        ] = []  # dictionaries of objects, classes and modules

    def meet(self, met: Any) -> None:
        """Take note of something that the program may call, or take attributes of."""
        # An object may say that it is of another class, but only if it is asked.
        seen = self._seen
        if id(met) in seen or issubclass(type(met), _PLAIN):
            return
        if len(seen) < _MOST_OBJECTS:
            seen[id(met)] = met
            self._met.append(met)

    def finds_backward(self) -> bool:
        """Look at all that was met, and at what this leads to."""
        read = 0
        while not self._found:
            if self._met:
                self._look_at(self._met.popleft())
            elif self._functions and read < _MOST_FUNCTIONS:
                self._read(self._functions.popleft())
                read += 1
            else:
                break
        return self._found

    def _look_at(self, met: Any) -> None:
        kind = type(met)
        if kind is FunctionType:
            self._meet_function(met)
        elif issubclass(kind, torch.nn.Module):
            self._meet_module(met)
        elif kind in (list, tuple, dict):
            for item in list(met.values() if kind is dict else met)[:_MOST_ITEMS]:
                self.meet(item)
        elif issubclass(kind, ModuleType):
            namespace = _dictionary(met)
            if not self._is_foreign(namespace.get("__name__")):
                self._look_into(namespace)
        elif issubclass(kind, type):
            self._meet_class(met)
        else:
            parts = _parts_of_callable(met, kind)
            for part in parts:
                self.meet(part)
            if not parts:
                self._meet_object(met, "__call__")

    def _meet_function(self, function: FunctionType) -> None:
        self.meet(vars(function).get("__wrapped__"))
        module = function.__globals__.get("__name__")
        if function in _RUN_BACKWARD or module == "torch.autograd.functional":
            self._found = True
        elif not self._is_foreign(module):
            self._functions.append(function)

    def _meet_module(self, module: torch.nn.Module) -> None:
        children = _dictionary(module).get("_modules")
        for child in children.values() if type(children) is dict else ():
            self.meet(child)
        class_ = type(module)
        if not self._is_foreign(class_.__module__) and id(class_) not in self._seen:
            self._meet_object(module, "forward")

    def _meet_object(self, met: Any, entry: str) -> None:
        """Meet an object, its class, and the method that a call of it runs."""
        class_, own = type(met), _dictionary(met)
        self.meet(own.get("__wrapped__"))  # of what stands around a function
        if not self._is_foreign(class_.__module__):
            self._look_into(own)
            self.meet(class_)
            namespaces = (own, *map(vars, class_.__mro__))
            self.meet(next((space[entry] for space in namespaces if entry in space), None))

    def _meet_class(self, class_: type) -> None:
        # What a custom function does in its backward is part of no forward.
        if not issubclass(class_, torch.autograd.Function):
            for each in class_.__mro__:
                if not self._is_foreign(each.__module__):
                    self._look_into(vars(each))

    def _look_into(self, namespace: Mapping[str, Any]) -> None:
        """Meet what a dictionary holds by names that code has named, now or from now on."""
        self._namespaces.append(namespace)
        for name in [name for name in self._names if name in namespace]:
            self.meet(namespace[name])

    def _read(self, function: FunctionType) -> None:
        """Look at what the code of a function names."""
        names = _names_in(function.__code__)
        variables = function.__globals__
        reached = [variables[name] for name in names if name in variables]
        reached += _contents(function.__closure__ or ())
        self._found = self._found or _name_backward(names.keys(), reached)
        for each in reached:
            self.meet(each)
        new = [name for name in names if name not in self._names]
        self._names.update(names)
        for namespace in self._namespaces if new else ():
            for name in new:
                if name in namespace:
                    self.meet(namespace[name])

    def _is_foreign(self, module: Any) -> bool:
        if type(module) is not str:
            return False
        known = self._are_foreign.get(module)
        if known is None:
            known = self._are_foreign[module] = module.partition(".")[0] in self._foreign
        return known


def _name_backward(names: AbstractSet[str], reached: list[Any]) -> bool:
    """Whether names of code, some of which lead to what is ``reached``, are those of a backward pass."""
    if "backward" in names:
        return True
    is_of_autograd = "autograd" in names or any(each is torch.autograd for each in reached)
    is_of_functional = "functional" in names or any(
        each is torch.autograd.functional for each in reached
    )
    return (is_of_autograd and "grad" in names) or (
        is_of_functional and not names.isdisjoint(_OF_FUNCTIONAL)
    )


@functools.lru_cache(maxsize=1 << 12)
def _names_in(code: CodeType) -> Mapping[str, None]:
    """Return the globals and attributes that code names, as keys; those of functions inside it too."""
    names = dict.fromkeys(code.co_names)
    for constant in code.co_consts:
        # A class body assigns what it defines: a custom function has a ``backward`` and calls none.
        if isinstance(constant, CodeType) and constant.co_flags & _IS_OPTIMIZED:
            names.update(_names_in(constant))
    return names


def _parts_of_callable(met: Any, kind: type) -> tuple[Any, ...]:
    """Return what something is made of that Python's own classes make of functions."""
    if kind is MethodType:
        return met.__func__, met.__self__
    if issubclass(kind, functools.partial):
        return met.func, *met.args, *met.keywords.values()
    if kind in (staticmethod, classmethod):
        return (met.__func__,)
    if kind is property:
        return (met.fget,)
    if kind is functools.cached_property:
        return (met.func,)
    return ()


def _contents(cells: Iterable[CellType]) -> Iterator[Any]:
    for cell in cells:
        try:
            yield cell.cell_contents
        except ValueError:  # a variable that is not assigned yet
            continue


def _dictionary(met: Any) -> Mapping[str, Any]:
    """Return the attributes that an object holds itself, without asking it."""
    for class_ in type(met).__mro__:
        holder = vars(class_).get("__dict__")
        if isinstance(holder, GetSetDescriptorType | MemberDescriptorType):
            found = holder.__get__(met)
            return found if type(found) is dict else _NOTHING
    return _NOTHING


def _package_of(function: Any) -> str:
    """Return the name of the top package in which what is called was defined."""
    while issubclass(type(function), functools.partial) or type(function) is MethodType:
        function = function.__func__ if type(function) is MethodType else function.func
    if type(function) is FunctionType:
        return str(function.__globals__.get("__name__")).partition(".")[0]
    return str(type(function).__module__).partition(".")[0]
