"""What one container held, or the attributes of one object, noted before a run."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ...ir.places import HeldPlace, find, item
from ..dispatch.literals import PLAIN, equal_literals
from .held_numbers import HOLDERS, NUMBERS

NAMED = (str, int)
"""The classes of keys that go into names as they are."""


@dataclass(frozen=True, slots=True)
class TupleMark:
    """What a tuple held."""

    class_: type
    marks: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class ContainerMark:
    """What a list or dictionary held, for longer than a :class:`Note`, which holds the container."""

    class_: type
    marks: Mapping[Any, Any]


class Note:
    """What one container, or the attributes of one object, held.

    Plain things are noted as tuples of one, tensors by weak references, tuples by what they hold, and all
    else by address.
    """

    __slots__ = (
        "container",
        "is_of_module",
        "is_strict",
        "keys",
        "marks",
        "name",
        "names",
        "owner",
    )

    def __init__(
        self,
        name: str,
        owner: Any,
        keys: tuple[Any, ...],
        container: Any,
        names: Mapping[Any, str],
        *,
        is_strict: bool,
    ) -> None:
        self.name = name
        self.owner = owner
        self.keys = keys
        self.container = container
        self.names = names
        self.is_strict = is_strict
        self.is_of_module = False
        self.marks: dict[Any, Any] = {key: _mark(held) for key, held in items_of(container)}

    @property
    def are_numbers_followed(self) -> bool:
        """Whether the graph knows the numbers in the container, so that they may be others at a replay."""
        return isinstance(self.owner, HOLDERS)

    @property
    def is_there(self) -> bool:
        """Whether the container is still where it was."""
        return not self.keys or find(self.owner, self.keys) is self.container

    def place(self, key: Any) -> HeldPlace:
        """Return the place of one item."""
        return HeldPlace(self.step(key), self.owner, (*self.keys, key))

    def step(self, key: Any) -> str:
        """Return what the item of a key is called."""
        known = self.names.get(key) if isinstance(key, torch.Tensor) else key
        if not isinstance(known, NAMED):
            keys = dict.fromkeys((*self.marks, *(key for key, _ in items_of(self.container))))
            known = next(number for number, other in enumerate(keys) if other is key)
        return f"{self.name}.{known}" if self.name else str(known)


def items_of(container: Any) -> list[tuple[Any, Any]]:
    """Return the keys, or positions, of a container with what they lead to."""
    return list(container.items() if isinstance(container, dict) else enumerate(container))


def _mark(held: Any) -> Any:
    if isinstance(held, torch.Tensor):
        return weakref.ref(held)
    if held.__class__ in PLAIN:
        return (held,)
    if isinstance(held, tuple):
        return TupleMark(type(held), tuple(map(_mark, held)))
    return id(held)


def is_same(mark: Any, held: Any, *, are_followed: bool) -> bool:
    """Whether something is what was noted; numbers that are followed are where they are of one class."""
    if isinstance(mark, weakref.ref):
        return mark() is held
    if isinstance(mark, tuple):
        return _is_equal(mark[0], held, are_followed)
    if isinstance(mark, TupleMark):
        return _is_alike(mark, held) and all(
            is_same(part, item, are_followed=are_followed)
            for part, item in zip(mark.marks, held, strict=True)
        )
    return bool(mark == id(held))


def lasting(mark: Any, notes: Mapping[int, Note]) -> Any:
    """Return a mark with those of noted containers in place of their addresses."""
    if isinstance(mark, TupleMark):
        return TupleMark(mark.class_, tuple(lasting(part, notes) for part in mark.marks))
    note = notes.get(mark) if isinstance(mark, int) else None
    if note is None:
        return mark
    marks = {key: lasting(part, notes) for key, part in note.marks.items()}
    return ContainerMark(type(note.container), marks)


def fits(mark: Any, found: Any, *, are_followed: bool) -> bool:
    """Whether a program that went by what was noted goes the same way by what is found.

    That is where there are tensors for tensors, equal plain things, and containers alike of such.
    """
    if isinstance(mark, weakref.ref):
        return isinstance(found, torch.Tensor)
    if isinstance(mark, tuple):
        return _is_equal(mark[0], found, are_followed)
    if isinstance(mark, TupleMark):
        mark = ContainerMark(mark.class_, dict(enumerate(mark.marks)))
    if isinstance(mark, ContainerMark):
        return _is_alike(mark, found) and all(
            fits(part, item(found, key), are_followed=are_followed)
            for key, part in mark.marks.items()
        )
    return found is mark or bool(mark == id(found))


def _is_alike(mark: TupleMark | ContainerMark, found: Any) -> bool:
    """Whether something is of the class and the length of what was noted."""
    class_: Any = type(found)
    return class_ is mark.class_ and len(found) == len(mark.marks)


def _is_equal(plain: Any, found: Any, are_followed: bool) -> bool:
    if are_followed and plain.__class__ in NUMBERS:
        return (
            found.__class__ is plain.__class__
        )  # that of a traced number is that of the plain one
    return type(found) is type(plain) and bool(equal_literals(plain, found))


def tensors_of(mark: Any, keys: tuple[Any, ...]) -> Iterator[tuple[torch.Tensor, tuple[Any, ...]]]:
    """Yield the tensors of a mark that are alive, each with the way to it, which begins with ``keys``."""
    if isinstance(mark, weakref.ref):
        tensor = mark()
        if tensor is not None:
            yield tensor, keys
    elif isinstance(mark, TupleMark):
        for position, part in enumerate(mark.marks):
            yield from tensors_of(part, (*keys, position))
