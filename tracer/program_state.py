"""The tensors and objects that a program keeps from run to run, and what they are called."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import FrameType
from typing import Any

import torch

from ..ir import Graph, ScalarType, StateKind, TensorType, Value
from .modules import held_objects
from .tensors import type_of_value


class _Candidate:
    """A tensor that becomes state once the program reads it."""

    __slots__ = ("kind", "names", "required_grad", "tensor")

    def __init__(self, tensor: torch.Tensor, kind: StateKind) -> None:
        self.tensor = tensor
        self.required_grad = tensor.requires_grad  # when the trace began
        self.kind = kind
        self.names: list[str] = []


class ProgramState:
    """Knows the parameters, buffers and named constants of a callable; adds those that are read.

    Attributes:
        objects: what each state entry of the graph stands for, by its first name. Tensors are held
            by reference: a replay reads the very parameters of the model.
        outer_names: names of the modules that a traced function refers to, by their id.
    """

    def __init__(self, graph: Graph, function: Callable[..., Any]) -> None:
        self.objects: dict[str, Any] = {}
        self.outer_names: dict[int, str] = {}
        self._graph = graph
        self._candidates: dict[int, _Candidate] = {}
        self._attributes: dict[int, tuple[torch.Tensor, str]] | None = None
        self._modules: list[tuple[str, torch.nn.Module]] = []  # with their paths from the roots
        self._opaque: dict[int, Value] = {}
        self._suffixes: dict[str, int] = {}
        self._named_objects: dict[int, tuple[Any, str]] = {}  # by id; those that are no tensors
        for name, kept in named_objects(function):
            self.register(name, kept)

    def register(self, name: str, kept: Any) -> None:
        """Take note of a named tensor, or of a module with all it holds."""
        if isinstance(kept, torch.nn.Module):
            for path, module in kept.named_modules(prefix=name, remove_duplicate=False):
                self.outer_names.setdefault(id(module), path)
                self._modules.append((path, module))
                start = f"{path}." if path else ""
                for step, parameter in module._parameters.items():
                    if parameter is not None:
                        self._add_candidate(start + step, parameter, StateKind.PARAMETER)
                for step, buffer in module._buffers.items():
                    if buffer is not None:
                        self._add_candidate(start + step, buffer, StateKind.BUFFER)
        elif isinstance(kept, torch.Tensor):
            is_parameter = isinstance(kept, torch.nn.Parameter)
            self._add_candidate(
                name, kept, StateKind.PARAMETER if is_parameter else StateKind.CONSTANT
            )
        else:
            self._named_objects.setdefault(id(kept), (kept, name))

    def _add_candidate(self, name: str, tensor: torch.Tensor, kind: StateKind) -> None:
        candidate = self._candidates.get(id(tensor))
        if candidate is None:
            candidate = self._candidates[id(tensor)] = _Candidate(tensor, kind)
        if name not in candidate.names:
            candidate.names.append(name)

    def register_as(self, name: str, tensor: torch.Tensor, kind: StateKind) -> None:
        """Take note of a tensor of a known kind, unless a name leads to it already."""
        if id(tensor) not in self._candidates:
            self._add_candidate(name, tensor, kind)

    def name_of(self, kept: Any) -> str | None:
        """Return the name under which the program, or a module of it, keeps an object; None if none does."""
        named = self._named_objects.get(id(kept))
        if named is not None and named[0] is kept:
            return named[1]
        for path, module in self._modules:
            for name, held in held_objects(vars(module)):
                if held is kept:
                    return f"{path}.{name}" if path else name
        return None

    def value_of(self, tensor: torch.Tensor, frame: FrameType | None = None) -> Value | None:
        """Return the state that a tensor is, adding it to the graph; None if no name leads to it.

        Globals of the functions that run in ``frame`` and above count as names.
        """
        candidate = self._candidates.get(id(tensor))
        if candidate is not None:
            value = self._add(tuple(candidate.names), tensor, candidate.kind)
            type_ = value.type
            if isinstance(type_, TensorType) and type_.requires_grad is not candidate.required_grad:
                value.type = replace(type_, requires_grad=candidate.required_grad)
            return value
        attribute = self._attribute_names().get(id(tensor))
        if attribute is not None and attribute[0] is tensor:
            return self._add((attribute[1],), tensor, StateKind.CONSTANT)
        name = name_in_globals(tensor, frame)
        return None if name is None else self._add((name,), tensor, StateKind.CONSTANT)

    def constant(self, kept: Any, name: str) -> Value:
        """Keep a tensor or object as a constant called ``name``, or nearly so if that is taken."""
        if isinstance(kept, torch.Tensor):
            return self._add((self._free(name),), kept, StateKind.CONSTANT)
        known = self._opaque.get(id(kept))
        if known is None:
            known = self._add((self._free(name),), kept, StateKind.CONSTANT)
            self._opaque[id(kept)] = known
        return known

    def named(self, tensor: torch.Tensor) -> str | None:
        """Return the name of a parameter, buffer or constant; None for any other tensor."""
        candidate = self._candidates.get(id(tensor))
        return None if candidate is None else candidate.names[0]

    def is_constant(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor is a named constant, neither parameter nor buffer."""
        candidate = self._candidates.get(id(tensor))
        return candidate is not None and candidate.kind is StateKind.CONSTANT

    def flag_changed(self) -> Iterator[torch.Tensor]:
        """Yield the named tensors whose ``requires_grad`` is not what it was when the trace began."""
        for candidate in self._candidates.values():
            if candidate.tensor.requires_grad is not candidate.required_grad:
                yield candidate.tensor

    def rebound(self) -> Iterator[str]:
        """Yield the names under which modules hold another parameter or buffer than at the start."""
        candidates = self._candidates
        for path, module in self._modules:
            for held in (module._parameters, module._buffers):
                for name, tensor in held.items():
                    if tensor is not None and id(tensor) not in candidates:
                        yield f"{path}.{name}" if path else name

    def candidates(self) -> Iterator[torch.Tensor]:
        """Yield every named tensor, whether or not the program has read it."""
        for candidate in self._candidates.values():
            yield candidate.tensor

    def _add(self, names: tuple[str, ...], kept: Any, kind: StateKind) -> Value:
        if names[0] in self._graph.state:
            names = (self._free(names[0]), *names[1:])
        type_ = type_of_value(kept) if isinstance(kept, torch.Tensor) else ScalarType.OBJECT
        value = self._graph.add_state(names, type_, kind)
        self.objects[names[0]] = kept
        return value

    def _free(self, name: str) -> str:
        free, suffix = name, self._suffixes.get(name, 0)
        while free in self._graph.state:
            suffix += 1
            free = f"{name}.{suffix}"
        self._suffixes[name] = suffix
        return free

    def _attribute_names(self) -> dict[int, tuple[torch.Tensor, str]]:
        """Return the tensors that modules hold as plain attributes, looked for once."""
        if self._attributes is None:
            self._attributes = {}
            for path, module in self._modules:
                for name, kept in held_objects(vars(module)):
                    if isinstance(kept, torch.Tensor):
                        full = f"{path}.{name}" if path else name
                        self._attributes.setdefault(id(kept), (kept, full))
        return self._attributes


def root_module(function: Callable[..., Any]) -> torch.nn.Module | None:
    """Return the module that a callable is, or that it is a method of, decorated or not."""
    seen: set[int] = set()
    while id(function) not in seen:
        seen.add(id(function))
        if isinstance(function, torch.nn.Module):
            return function
        owner = getattr(function, "__self__", None)
        if isinstance(owner, torch.nn.Module):
            return owner
        if isinstance(function, functools.partial):
            function = function.func
        elif owner is None:
            function = getattr(function, "__wrapped__", function)
    return None


def named_objects(function: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """Yield what a callable refers to besides its arguments, with the names it uses for them.

    A module, and the owner of a bound method, goes without a name: its parameters are called as it
    calls them. Then come the arguments of a ``partial``, attributes of other owners, the closure,
    and the globals that the code mentions.
    """
    while isinstance(function, functools.partial):
        yield from held_objects({f"partial.{k}": v for k, v in enumerate(function.args)})
        yield from held_objects(dict(function.keywords))
        function = function.func
    root = root_module(function)
    if root is not None:
        yield "", root
    owner = getattr(function, "__self__", None if inspect.isroutine(function) else function)
    if isinstance(owner, torch.Tensor):
        yield "self", owner
    elif root is None and owner is not None and not inspect.ismodule(owner):
        yield from held_objects(_attributes(owner))
    if not isinstance(function, torch.nn.Module):
        called: Any = function if inspect.isroutine(function) else type(function).__call__
        seen: set[int] = set()
        while called is not None:  # a decorator's function, then the one that it decorates
            plain = getattr(called, "__func__", called)
            yield from _closure(plain, seen)
            called = getattr(plain, "__wrapped__", None)


def _attributes(owner: Any) -> dict[str, Any]:
    """Return what an object holds under names, in its dictionary and in the slots of its classes."""
    held = dict(getattr(owner, "__dict__", {}))
    for class_ in type(owner).__mro__:
        slots = vars(class_).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(owner, name):
                held.setdefault(name, getattr(owner, name))
    return held


def name_in_globals(kept: Any, frame: FrameType | None) -> str | None:
    """Return the global variable through which one of the running functions can see an object."""
    while frame is not None:
        for name in frame.f_code.co_names:
            if frame.f_globals.get(name) is kept:
                return name
        frame = frame.f_back
    return None


def _closure(function: Any, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Yield the closure and globals of a function, and of the plain functions found there."""
    code = getattr(function, "__code__", None)
    if code is None or id(function) in seen or isinstance(function, torch.nn.Module):
        return
    seen.add(id(function))
    names: dict[str, Any] = {}
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            names[name] = cell.cell_contents
        except ValueError:  # a variable that has no value yet
            continue
    for name in code.co_names:
        if name in function.__globals__:
            names.setdefault(name, function.__globals__[name])
    # Tensors that are defaults are arguments of the call, and modules are not.
    defaults = inspect.signature(function, follow_wrapped=False).parameters.values()
    for parameter in defaults:
        if isinstance(parameter.default, torch.nn.Module):
            names.setdefault(parameter.name, parameter.default)
    yield from held_objects(names)
    for kept in names.values():
        if inspect.isfunction(kept) and kept.__globals__ is function.__globals__:
            yield from _closure(kept, seen)
