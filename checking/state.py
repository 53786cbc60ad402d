"""The state of a program, kept as it is now, so that it can be run again and left as it was found."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch

from ..ir.places import ABSENT, HeldPlace
from ..ir.updates import Stored
from ..tracer import (
    HeldNumber,
    held_numbers,
    held_objects,
    mentioned_objects,
    named_objects,
    number_holders,
)
from .storage import Content, copy_of, storage_of

_CONTAINERS = (list, dict, set, collections.OrderedDict, collections.defaultdict)


class _KeptTensor:
    """A tensor of the program: which object, on which memory, with which content."""

    def __init__(self, tensor: torch.Tensor, contents: dict[int, Content]) -> None:
        self.tensor = tensor
        self._place = tensor.detach()  # the same memory, should the tensor be given other
        self._requires_grad = tensor.requires_grad
        self._is_leaf = tensor.is_leaf
        key = storage_of(tensor)
        content = None if key is None else contents.get(key)
        if content is None:
            content = Content(tensor)
            if key is not None:
                contents[key] = content
        self.content = content

    def is_unchanged(self) -> bool:
        return self._is_in_place() and self.content.is_in(self.tensor)

    def _is_in_place(self) -> bool:
        here, there = self.tensor, self._place
        if here.shape != there.shape or here.dtype != there.dtype:
            return False
        return storage_of(here) == storage_of(there)

    def restore(self) -> None:
        if not self._is_in_place():
            self.tensor.data = self._place
        if not self.content.is_in(self.tensor):
            self.content.put_back(self.tensor)
        if self._is_leaf and self.tensor.requires_grad is not self._requires_grad:
            self.tensor.requires_grad_(self._requires_grad)


class ProgramSnapshot:
    """The tensors of a program, the objects that hold them, and their gradients, as they are now.

    It holds a copy of every parameter and buffer, so that what a run changes can be told and undone.
    Of other Python objects it restores the attributes of modules, the owner of a bound method, the
    containers that the callable refers to, and optimizers with their schedulers.

    Args:
        function: the program.
        state: what the graph knows of its state, by name.
        modules: further modules that it may reach, such as those among its arguments.
        stored: what a replay puts into objects that the program holds.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        state: Mapping[str, Any],
        modules: Iterable[torch.nn.Module] = (),
        stored: Iterable[Stored] = (),
    ) -> None:
        self._roots = [
            *_roots(function, state, modules),
            *((each.place.name, each.place) for each in stored),
        ]
        contents: dict[int, Content] = {}
        self._names: dict[str, _KeptTensor] = {}
        self._tensors: dict[int, _KeptTensor] = {}
        self._gradients: dict[int, torch.Tensor | None] = {}
        self._numbers: dict[str, HeldNumber] = {}
        for name, tensor in self._current():
            kept = self._tensors.get(id(tensor))
            if kept is None:
                kept = self._tensors[id(tensor)] = _KeptTensor(tensor, contents)
                gradient = self._gradients[id(tensor)] = _gradient(tensor)
                if gradient is not None and id(gradient) not in self._tensors:
                    self._tensors[id(gradient)] = _KeptTensor(gradient, contents)
            self._names.setdefault(name, kept)
        owner = getattr(function, "__self__", None)
        owners = [owner] if owner is not None and hasattr(owner, "__dict__") else []
        holders, parameter_names = number_holders(function)
        for name, holder in holders:
            owners.append(holder)
            numbers = held_numbers(name, holder, parameter_names(holder))
            self._numbers.update((held.name, held) for held in numbers)
        self._plain = {name: held.find() for name, held in self._numbers.items()}
        self._attributes = list(_attributes_of(self._roots, owners))

    def tensors(self) -> Iterator[torch.Tensor]:
        """Yield the tensors that the program had when the snapshot was made, each once."""
        for kept in self._tensors.values():
            yield kept.tensor

    def differentiable(self) -> dict[str, torch.Tensor]:
        """Return the leaves of autograd's graph among the program's tensors, by name."""
        found: dict[int, tuple[str, torch.Tensor]] = {}
        for name, kept in self._names.items():
            if kept.tensor.requires_grad and kept.tensor.is_leaf:
                found.setdefault(id(kept.tensor), (name, kept.tensor))
        return dict(found.values())

    def changes(self) -> dict[str, torch.Tensor | None]:
        """Return copies of what now stands under each name, and each ``.grad``, where that has changed."""
        changes: dict[str, torch.Tensor | None] = {}
        seen: set[int] = set()
        current = dict(reversed(list(self._current())))
        for name in (*self._names, *(n for n in current if n not in self._names)):
            tensor, kept = current.get(name), self._names.get(name)
            if tensor is None:
                changes[name] = None
                continue
            if id(tensor) in seen:
                continue
            seen.add(id(tensor))
            if kept is None or kept.tensor is not tensor or not kept.is_unchanged():
                changes[name] = copy_of(tensor)
            gradient, before = _gradient(tensor), self._gradients.get(id(tensor))
            if gradient is None and before is None:
                continue
            if gradient is None:
                changes[f"{name}.grad"] = None
            elif gradient is not before or not self._tensors[id(gradient)].is_unchanged():
                changes[f"{name}.grad"] = gradient.detach().clone()
        for name, held in self._numbers.items():
            if held.find() is not self._plain[name]:
                changes[name] = _as_tensor(held.find())
        return changes

    def before(self, name: str) -> torch.Tensor | None:
        """Return what stood under a name of :meth:`changes` when the snapshot was made."""
        if name in self._plain:
            return _as_tensor(self._plain[name])
        kept = self._names.get(name)
        if kept is None and name.endswith(".grad"):
            owner = self._names.get(name.removesuffix(".grad"))
            gradient = None if owner is None else self._gradients.get(id(owner.tensor))
            kept = None if gradient is None else self._tensors[id(gradient)]
        return None if kept is None else kept.content.maker_of(kept.tensor)(kept.content)

    def restore(self) -> None:
        """Make everything as it was. What was not changed is not written."""
        for restore in self._attributes:
            restore()
        for kept in self._tensors.values():
            kept.restore()
        for key, gradient in self._gradients.items():
            tensor = self._tensors[key].tensor
            if _gradient(tensor) is not gradient:
                tensor.grad = gradient

    def _current(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield each tensor that the program holds now, under each of its names."""
        return _tensors_of(self._roots)


def _as_tensor(number: Any) -> torch.Tensor | None:
    """Return a number as a tensor, so that it is compared as tensors are; None if it is no number."""
    if type(number) not in (int, float):
        return None
    return torch.tensor(number, dtype=torch.float64 if type(number) is float else None)


def own_tensors(function: Callable[..., Any], state: Mapping[str, Any]) -> list[torch.Tensor]:
    """Return the tensors that a program has now, besides its arguments, each once."""
    tensors = {id(tensor): tensor for _, tensor in _tensors_of(_roots(function, state, ()))}
    return list(tensors.values())


def _roots(
    function: Callable[..., Any], state: Mapping[str, Any], modules: Iterable[torch.nn.Module]
) -> list[tuple[str, Any]]:
    """Return what a program can reach its tensors from, with names."""
    return [
        *named_objects(function),
        *((f"argument {n}", module) for n, module in enumerate(modules)),
        *_mentioned(function),
        *(
            (name, kept)
            for name, kept in state.items()
            if isinstance(kept, torch.Tensor | HeldPlace)
        ),
    ]


def _mentioned(function: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """Yield the optimizers and containers that a callable mentions by a name of its own."""
    for name, kept in mentioned_objects(function):
        if isinstance(kept, torch.optim.Optimizer) or type(kept) in _CONTAINERS:
            yield name, kept


def _tensors_of(roots: list[tuple[str, Any]]) -> Iterator[tuple[str, torch.Tensor]]:
    names: dict[int, str] = {}  # of parameters, to name what optimizers keep for them
    for name, root in roots:
        root = root.find() if isinstance(root, HeldPlace) else root
        if isinstance(root, torch.Tensor):
            yield name, root
        elif isinstance(root, torch.nn.Module):
            for path, tensor in _tensors_of_module(name, root):
                names.setdefault(id(tensor), path)
                yield path, tensor
    for name, root in roots:
        if isinstance(root, torch.optim.Optimizer):
            yield from _tensors_of_optimizer(name, root, names)


def _gradient(tensor: torch.Tensor) -> torch.Tensor | None:
    return tensor.grad if tensor.is_leaf else None


def _tensors_of_module(name: str, root: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    for path, module in root.named_modules(prefix=name):
        held = {**module._parameters, **module._buffers}
        held.update((n, kept) for n, kept in held_objects(vars(module)) if n not in held)
        for step, kept in held.items():
            if isinstance(kept, torch.Tensor):
                yield (f"{path}.{step}" if path else step), kept


def _tensors_of_optimizer(
    name: str, optimizer: torch.optim.Optimizer, names: Mapping[int, str]
) -> Iterator[tuple[str, torch.Tensor]]:
    position = 0
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            yield f"{name}.params.{position}", parameter
            for key, kept in optimizer.state.get(parameter, {}).items():
                if isinstance(kept, torch.Tensor):
                    yield f"{name}.state.{names.get(id(parameter), position)}.{key}", kept
            position += 1


def _attributes_of(roots: list[tuple[str, Any]], owners: list[Any]) -> Iterator[Callable[[], None]]:
    """Yield what puts back the attributes and containers of the objects that a program refers to."""
    for _, root in roots:
        if isinstance(root, torch.nn.Module):
            owners.extend(root.modules())
        elif isinstance(root, torch.optim.Optimizer):
            yield _container_restorer(root.state)
            for kept in root.state.values():
                yield _container_restorer(kept)
                for held in kept.values():
                    if type(held) in _CONTAINERS:
                        yield _container_restorer(held)
            for group in root.param_groups:
                yield _container_restorer(group)
        elif type(root) in _CONTAINERS:
            yield _container_restorer(root)
        elif isinstance(root, HeldPlace) and root.find(1) is not ABSENT:
            yield _container_restorer(root.find(1))
            yield from map(_container_restorer, _containers_in(root.find()))
    for owner in {id(owner): owner for owner in owners}.values():
        yield _container_restorer(owner.__dict__)
        for kept in owner.__dict__.values():
            if type(kept) in _CONTAINERS:
                yield _container_restorer(kept)


def _containers_in(held: Any) -> Iterator[Any]:
    if type(held) in _CONTAINERS:
        yield held
        for part in held.values() if isinstance(held, dict) else held:
            yield from _containers_in(part)


def _container_restorer(container: Any) -> Callable[[], None]:
    """Return what gives a list, dictionary or set the items again that it has now."""
    before = list(container.items()) if isinstance(container, dict) else list(container)

    def restore() -> None:
        now = list(container.items()) if isinstance(container, dict) else list(container)
        if len(now) == len(before) and all(map(_same_item, now, before)):
            return
        container.clear()
        container.extend(before) if isinstance(container, list) else container.update(before)

    return restore


def _same_item(one: Any, other: Any) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other) == 2:
        return one[0] is other[0] and one[1] is other[1]
    return one is other
