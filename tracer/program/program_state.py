"""The tensors and objects that a program keeps from run to run, and what they are called."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from types import FrameType
from typing import Any, cast

import torch

from ...ir import Graph, ScalarType, StateKind, TensorType, Value
from ...ir.conditions import Circumstance
from ...ir.places import HeldPlace
from ..dispatch.memories import owned_memory_of
from ..dispatch.tensors import PLAIN_CLASSES, type_of_value
from ..distributed.shards import gathered_tensors
from .held_numbers import HOLDERS, HeldNumber
from .held_objects import HeldObjects
from .held_tensors import HeldTensor
from .modules import module_tree
from .optimizers import Options, is_read_by_place, optimizer_tensors
from .reachable import (
    Search,
    class_attributes,
    is_traced_program,
    parts_of_function,
    parts_of_object,
)
from .stores import Comparison, Store, circumstance_of
from .subclasses import inner_tensors


class _Candidate:
    """A tensor that becomes state once the program reads it; until then it is not held."""

    __slots__ = ("is_of_module", "kind", "names", "reference", "required_grad")

    def __init__(self, name: str, tensor: torch.Tensor, kind: StateKind) -> None:
        self.reference = weakref.ref(tensor)
        self.required_grad = tensor.requires_grad  # when the trace began
        self.kind = kind
        self.is_of_module = False
        self.names = [name]


class ProgramState:
    """Knows the parameters, buffers and named constants of a callable; adds those that are read.

    Attributes:
        objects: what each state entry of the graph stands for, by its first name. Tensors are held
            by reference: a replay reads the very parameters of the model. For a number there is its place.
        copies: names of the constants that belong to the trace: nobody else changes their data.
        private: names of those among them whose memory nobody else has.
        on_module: told of modules that turn up while the program runs.
        holders: the optimizers, and their companions, that hold numbers, each once, with their names.
        on_holder: told of holders that turn up while the program runs.
        outer_names: names of the modules and optimizers that a traced function refers to, by their id.
        held: what optimizers and other objects of the program held before the run.
    """

    def __init__(self, graph: Graph, function: Callable[..., Any]) -> None:
        self.objects: dict[str, Any] = {}
        self.copies: dict[str, None] = {}
        self.private: dict[str, None] = {}
        self.on_module: Callable[[str, torch.nn.Module], None] | None = None
        self.holders: list[tuple[str, Any]] = []
        self.on_holder: Callable[[str, Any], None] | None = None
        self.outer_names: dict[int, str] = {}
        self.held = HeldObjects()
        self._graph = graph
        self._candidates: dict[int, _Candidate] = {}
        self._modules: list[tuple[str, torch.nn.Module]] = []  # with their paths from the roots
        self._optimizers: list[tuple[str, torch.optim.Optimizer, Options]] = []
        self._named_by_optimizers: set[str] = set()
        self._excluded: list[weakref.ref[Any]] = []
        self._stored: dict[str, None] = {}  # what held numbers that the program stores are called
        self._opaque: dict[int, Value] = {}
        self._suffixes: dict[str, int] = {}
        self._by_storage: dict[int, list[weakref.ref[torch.Tensor]]] = {}
        self._by_inner: dict[int, tuple[weakref.ref[torch.Tensor], weakref.ref[torch.Tensor]]] = {}
        self._indexed = 0  # how many candidates there were at that time
        self._search = Search()
        named = list(named_objects(function, self._search))
        # Modules first, whose own names for a tensor are the best, and optimizers last.
        for class_ in (torch.nn.Module, torch.Tensor, torch.optim.Optimizer):
            for name, kept in named:
                if isinstance(kept, class_):
                    self.register(name, kept)
        self._add_object("", _owner_of(function))
        for name, held in self._search.looked_into():
            self._add_object(name, held, is_of_module=self._search.is_in_module(held))

    def register(self, name: str, kept: Any) -> None:
        """Take note of a named tensor, or of a module or an optimizer with all it holds."""
        if isinstance(kept, torch.Tensor):
            if self._candidate(kept) is None:
                is_parameter = isinstance(kept, torch.nn.Parameter)
                kind = StateKind.PARAMETER if is_parameter else StateKind.CONSTANT
                self._add_candidate(name, kept, kind)
            return
        if isinstance(kept, torch.optim.Optimizer):
            self._register_optimizer(name, kept)
            return
        tree = module_tree(name, kept)
        for path, module in tree:
            self._register_tensors(path, module)
        for memory_name, memory in gathered_tensors(tree):
            self._add_candidate(memory_name, memory, StateKind.BUFFER)
        for inner_name, inner in self._search.in_modules(tree):
            if isinstance(inner, torch.Tensor) or id(inner) not in self.outer_names:
                self.register(inner_name, inner)

    def _register_optimizer(self, name: str, optimizer: torch.optim.Optimizer) -> None:
        if any(known is optimizer for _, known, _ in self._optimizers):
            return
        self._optimizers.append((name, optimizer, Options(name, optimizer)))
        self.outer_names.setdefault(id(optimizer), name)
        self._add_holder(name, optimizer)
        names = self.parameter_names(optimizer)
        for path, tensor, kind in optimizer_tensors(name, optimizer, names):
            if self._candidate(tensor) is None:
                self._add_candidate(path, tensor, kind)
                self._named_by_optimizers.add(path)

    def parameter_names(self, owner: Any) -> dict[torch.Tensor, str]:
        """Return what the parameters of an optimizer are called, to name the state that belongs to them.

        One that nothing else leads to is called by its number, as in ``state_dict()``.
        """
        if not isinstance(owner, torch.optim.Optimizer):
            return {}
        parameters = (parameter for group in owner.param_groups for parameter in group["params"])
        names: dict[torch.Tensor, str] = {}
        for number, parameter in enumerate(parameters):
            name = self.named(parameter)
            is_own = name is None or name in self._named_by_optimizers
            names.setdefault(parameter, str(number) if name is None or is_own else name)
        return names

    def _add_object(self, name: str, held: Any, *, is_of_module: bool = False) -> None:
        if isinstance(held, HOLDERS):
            self._add_holder(name, held)
        elif not (isinstance(held, torch.nn.Module) or is_traced_program(held)):
            self.held.add_object(name, held, is_of_module=is_of_module)

    def _add_holder(self, name: str, held: Any) -> None:
        if not any(known is held for _, known in self.holders):
            self.holders.append((name, held))
            self.held.add_holder(name, held, self.parameter_names(held))
            if self.on_holder is not None:
                self.on_holder(name, held)

    def exclude(self, holder: Any) -> None:
        """Take note that what holds numbers is no state of the program, which makes it or is given it."""
        self._excluded.append(weakref.ref(holder))
        self.holders = [named for named in self.holders if named[1] is not holder]
        self.held.remove({id(holder)})

    def exclude_arguments(self, bound: Mapping[str, Any]) -> None:
        """Take note of what holds numbers among the arguments: these are compared at each call."""
        search = Search()
        found = [*search.reachable(bound.items()), *search.looked_into()]
        for _, held in found:
            if isinstance(held, HOLDERS):
                self.exclude(held)
        self.held.remove({id(held) for _, held in found})

    def register_late(self, optimizer: torch.optim.Optimizer, frame: FrameType) -> None:
        """Take note of an optimizer that is used in ``frame``, unless it is known or the program made it."""
        name = name_in_globals(optimizer, frame) or type(optimizer).__name__
        self.register_holder(name, optimizer)

    def register_holder(self, name: str, holder: Any) -> None:
        """Take note of what holds numbers and turns up late, unless it is known or the program made it."""
        is_known = any(known is holder for _, known in self.holders)
        if is_known or any(other() is holder for other in self._excluded):
            return
        if isinstance(holder, torch.optim.Optimizer):
            self._register_optimizer(name, holder)
        else:
            self._add_object(name, holder)

    def add_number(self, held: HeldNumber, type_: ScalarType) -> Value:
        """Add a number that the program keeps to the graph's state."""
        held.name = self._free(held.name)
        self.objects[held.name] = held
        return self._graph.add_state(held.name, type_, StateKind.NUMBER)

    def forget(self, name: str) -> None:
        """Take a piece of state out of the graph that nothing reads."""
        self._graph.remove_state(name)
        del self.objects[name]

    def note_stored(self, held: HeldNumber) -> None:
        """Take note that the graph stores a number as the program does."""
        self._stored[held.name] = None
        if held.is_replaced:
            self._stored[held.name.rpartition(".")[0]] = None

    def is_stored(self, name: str) -> bool:
        """Whether a held number of this name, or a list of such, changes at a replay as in the program."""
        return name in self._stored

    def _register_tensors(self, path: str, module: torch.nn.Module) -> None:
        self.outer_names.setdefault(id(module), path)
        self._modules.append((path, module))
        if self.on_module is not None:
            self.on_module(path, module)
        start = f"{path}." if path else ""
        for kind, tensors in (
            (StateKind.PARAMETER, module._parameters),
            (StateKind.BUFFER, module._buffers),
        ):
            for step, tensor in tensors.items() if tensors else ():
                if tensor is not None:
                    self._add_candidate(start + step, tensor, kind).is_of_module = True

    def _add_candidate(self, name: str, tensor: torch.Tensor, kind: StateKind) -> _Candidate:
        candidate = self._candidates.get(id(tensor))
        if candidate is None or candidate.reference() is not tensor:
            candidate = self._candidates[id(tensor)] = _Candidate(name, tensor, kind)
        elif name not in candidate.names:
            candidate.names.append(name)
        return candidate

    def _candidate(self, tensor: torch.Tensor) -> _Candidate | None:
        candidate = self._candidates.get(id(tensor))
        return candidate if candidate is not None and candidate.reference() is tensor else None

    def register_as(self, name: str, tensor: torch.Tensor, kind: StateKind) -> None:
        """Take note of a tensor of a known kind, unless a name leads to it already."""
        if self._candidate(tensor) is None:
            self._add_candidate(name, tensor, kind)

    def name_of(self, kept: Any) -> str | None:
        """Return the name under which the program, or a module of it, keeps an object; None if none does."""
        return self._search.name_of(kept)

    def value_of(self, tensor: torch.Tensor, frame: FrameType | None = None) -> Value | None:
        """Return the state that a tensor is, adding it to the graph; None if no name leads to it.

        Globals of the functions that run in ``frame`` and above count as names.
        """
        candidate = self._candidate(tensor)
        if candidate is not None:
            value = self._add(tuple(candidate.names), tensor, candidate.kind)
            type_ = cast(TensorType, value.type)
            if type_.requires_grad is not candidate.required_grad:
                value.type = replace(type_, requires_grad=candidate.required_grad)
            return value
        name = name_in_globals(tensor, frame)
        return None if name is None else self._add((name,), tensor, StateKind.CONSTANT)

    def constant(self, kept: Any, name: str, *, is_copy: bool = False) -> Value:
        """Keep a tensor or object as a constant called ``name``, or nearly so if that is taken.

        ``is_copy`` says that nobody else has the memory of a tensor.
        """
        if isinstance(kept, torch.Tensor):
            free = self._free(name)
            self.copies[free] = None
            if is_copy:
                self.private[free] = None
            return self._add((free,), kept, StateKind.CONSTANT)
        known = self._opaque.get(id(kept))
        if known is None:
            known = self._add((self._free(name),), kept, StateKind.CONSTANT)
            self._opaque[id(kept)] = known
        return known

    def named(self, tensor: torch.Tensor) -> str | None:
        """Return the name of a parameter, buffer or constant; None for any other tensor."""
        candidate = self._candidate(tensor)
        return None if candidate is None else candidate.names[0]

    def is_known(self, module: torch.nn.Module) -> bool:
        """Whether a module is one of the program's own."""
        return id(module) in self.outer_names

    def is_constant(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor is a named constant, neither parameter nor buffer."""
        candidate = self._candidate(tensor)
        return candidate is not None and candidate.kind is StateKind.CONSTANT

    def flag_changed(self) -> Iterator[torch.Tensor]:
        """Yield the named tensors whose ``requires_grad`` is not what it was when the trace began."""
        for candidate in self._candidates.values():
            tensor = candidate.reference()
            if tensor is not None and tensor.requires_grad is not candidate.required_grad:
                yield tensor

    def modules(self) -> Iterator[tuple[str, torch.nn.Module]]:
        """Yield every known module with its path."""
        yield from self._modules

    def looked_into(self) -> Iterator[tuple[str, Any]]:
        """Yield the containers, functions and other objects that lead to what the program keeps."""
        return self._search.looked_into()

    def optimizer_circumstances(self, stored: Iterable[Store]) -> Iterator[Circumstance]:
        """Yield what of the optimizers that the graph uses a replay must find as it was.

        Args:
            stored: what a replay puts into them, among other things.
        """
        places = [*self.objects.values(), *(store.place for store in stored)]
        used = {id(place.owner) for place in places if isinstance(place, HeldPlace)}
        for _, optimizer, options in self._optimizers:
            if id(optimizer) in used:
                yield options.circumstance()
                lengths = tuple(self.held.lengths(optimizer))
                if lengths:
                    yield circumstance_of(lengths)

    def hold_by_place(self, compared: Comparison) -> Iterator[str]:
        """Have a replay read the tensors that optimizers keep, and those that the run replaced, by place.

        Yields, in words, where that cannot be done.
        """
        names = {
            id(tensor): name
            for name, entry in self._graph.state.items()
            if isinstance(tensor := self.objects[name], torch.Tensor) and entry.value.is_used
        }
        places: dict[str, list[HeldPlace]] = {}
        for tensor, place in self.held.tensors():
            name = names.get(id(tensor))
            if name is not None:
                places.setdefault(name, []).append(place)
        for name, all_found in places.items():
            found = [place for place in all_found if is_read_by_place(place)] or all_found
            tensor = self.objects[name]
            is_replaced = any(map(compared.replaces, found))
            candidate = self._candidate(tensor)
            if len(found) > 1 or candidate is None or candidate.is_of_module:
                if is_replaced:
                    yield name
            elif is_replaced or is_read_by_place(found[0]):
                self.objects[name] = HeldTensor(found[0], name, tensor)

    def candidates(self) -> Iterator[torch.Tensor]:
        """Yield every named tensor, whether or not the program has read it."""
        for candidate in list(self._candidates.values()):
            tensor = candidate.reference()
            if tensor is not None:
                yield tensor

    def sharing(self, key: int, key_of: Callable[[torch.Tensor], int | None]) -> list[torch.Tensor]:
        """Return the named tensors whose storage had this key when they were indexed, and has it now."""
        self._index(key_of)
        live = [reference() for reference in self._by_storage.get(key, ())]
        return [tensor for tensor in live if tensor is not None and key_of(tensor) == key]

    def wrapping(
        self, key: int, key_of: Callable[[torch.Tensor], int | None]
    ) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Return a named tensor that wraps one whose storage has this key, and the one inside.

        That may have no elements of its own: where there are more processes than rows to share, the parts
        of some are empty, in memory that is not.
        """
        self._index(key_of)
        found = self._by_inner.get(key)
        wrapper, inner = (None, None) if found is None else (found[0](), found[1]())
        if wrapper is None or inner is None or owned_memory_of(inner) != key:
            return None
        return wrapper, inner

    def _index(self, key_of: Callable[[torch.Tensor], int | None]) -> None:
        if len(self._candidates) == self._indexed:
            return
        self._by_storage, self._by_inner = {}, {}
        for tensor in self.candidates():
            storage = key_of(tensor)
            if storage is not None:
                self._by_storage.setdefault(storage, []).append(weakref.ref(tensor))
            if tensor.__class__ in PLAIN_CLASSES:
                continue
            for _, inner in inner_tensors(tensor):
                storage = owned_memory_of(inner)
                if storage is not None:
                    self._by_inner[storage] = weakref.ref(tensor), weakref.ref(inner)
        self._indexed = len(self._candidates)

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


def named_objects(
    function: Callable[..., Any], search: Search | None = None
) -> Iterator[tuple[str, Any]]:
    """Yield the tensors and modules that a callable can read besides its arguments, with their names.

    A module or optimizer, and one that owns a bound method, goes without a name: its parameters are
    called as it calls them. Then come the arguments of a ``partial``, attributes of other owners, the
    closure, default arguments, and the globals that the code mentions, with all that these lead to.
    """
    module = root_module(function)
    if module is not None:
        yield "", module
    yield from (search or Search()).reachable(mentioned_objects(function))


def number_holders(
    function: Callable[..., Any],
) -> tuple[list[tuple[str, Any]], Callable[[Any], Mapping[torch.Tensor, str]]]:
    """Return the optimizers, and their companions, that a callable can reach, with their names.

    And what tells the names of an optimizer's parameters.
    """
    kept = ProgramState(Graph(), function)
    return kept.holders, kept.parameter_names


def mentioned_objects(function: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """Yield what a callable itself names besides its arguments: the first step of :func:`named_objects`."""
    while isinstance(function, functools.partial):
        yield from ((f"partial.{position}", held) for position, held in enumerate(function.args))
        yield from function.keywords.items()
        function = function.func
    owner = _owner_of(function)
    if isinstance(owner, torch.Tensor):
        yield "self", owner
    elif isinstance(owner, torch.optim.Optimizer):
        yield "", owner
    elif isinstance(owner, type):
        yield from class_attributes("", owner)
    elif root_module(function) is None and owner is not None and not inspect.ismodule(owner):
        yield from parts_of_object("", owner)
    if isinstance(function, torch.nn.Module):
        return
    called: Any = function if inspect.isroutine(function) else type(function).__call__
    while called is not None:
        plain = getattr(called, "__func__", called)
        if inspect.isfunction(plain):
            yield from parts_of_function(plain)
        called = getattr(plain, "__wrapped__", None)


def _owner_of(function: Callable[..., Any]) -> Any:
    """Return what a method is bound to; an object that is called, itself; None for other functions."""
    if hasattr(function, "_wrapped_by_lr_sched"):  # ``step`` of an optimizer that has a scheduler
        return inspect.getclosurevars(function).nonlocals["opt_ref"]()
    return getattr(function, "__self__", None if inspect.isroutine(function) else function)


def name_in_globals(kept: Any, frame: FrameType | None) -> str | None:
    """Return the global variable through which one of the running functions can see an object."""
    while frame is not None:
        for name in frame.f_code.co_names:
            if frame.f_globals.get(name) is kept:
                return name
        frame = frame.f_back
    return None
