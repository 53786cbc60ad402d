"""What a program puts into the objects that it holds: state of optimizers, averages in a dictionary.

Note [What a run leaves in objects]
    An optimizer makes its state at its first step, a scaler its scale, an average its first copies; LBFGS
    puts new tensors in the place of old ones at each step. No operator tells of that, so what these objects
    hold is noted before the run and compared after it. A change becomes a :class:`Store`, which a replay
    makes again with tensors of its own, if all that it puts there is made of tensors, numbers and plain
    things in new containers. What stood there before decided which way the program went: a condition.

    An optimizer is looked at as a whole. Of other objects, and of dictionaries and lists, only tensors count:
    that a counter goes up or a list of losses grows is reported, and no reason to refuse a second replay.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any, Final

import torch

from ...ir.places import HeldPlace
from ...ir.structure import ATOMS
from .held_notes import Note, items_of, tensors_of
from .held_numbers import HOLDERS
from .reachable import is_library
from .stores import Comparison, Condition, has_length

_DEEPEST = 4  # containers within containers that are looked into
_MOST_ITEMS = 10_000  # in one of them
_MOST_OF_OTHERS = 2_000  # in a container that no optimizer holds
_MOST_NOTES = 5_000  # of such containers
_NO_NAMES: Final[Mapping[Any, str]] = {}


class HeldObjects:
    """The objects of a program that hold something for its next run, and what they held before this one."""

    def __init__(self) -> None:
        self._notes: list[Note] = []
        self._known: set[int] = set()  # ids of the objects that were there before the run
        self._shared: set[int] = set()  # ids of the containers that more than one way leads to

    def add_holder(self, name: str, holder: Any, names: Mapping[Any, str]) -> None:
        """Note what an optimizer, or a companion of one, holds.

        Args:
            name: of the object.
            holder: the object.
            names: what the parameters of an optimizer are called.
        """
        note = self._add(name, holder, (), vars(holder), names, is_strict=False)
        self._add_parts(note, _DEEPEST, is_strict=True)

    def add_object(self, name: str, held: Any, *, is_of_module: bool = False) -> None:
        """Note what a container, or an object of a class of the user's, holds itself.

        Args:
            name: of the object.
            held: the object.
            is_of_module: whether it is an attribute of a module. What modules keep there for the first time
                is mostly there to be looked at, or saves a computation, and no reason to refuse a replay.
        """
        if id(held) in self._known:
            return
        if isinstance(held, dict | list):
            if len(held) <= _MOST_OF_OTHERS:
                note = self._add(name, held, (), held, _NO_NAMES, is_strict=False)
                note.is_of_module = is_of_module
                self._add_parts(note, _DEEPEST)
        elif not (isinstance(held, (*ATOMS, *HOLDERS, tuple)) or is_library(type(held))):
            attributes = getattr(held, "__dict__", None)
            if type(attributes) is dict:
                self._add_parts(
                    self._add(name, held, (), attributes, _NO_NAMES, is_strict=False), _DEEPEST
                )

    def remove(self, gone: Container[int]) -> None:
        """Forget objects, by their ids, that are no state of the program."""
        self._notes = [note for note in self._notes if id(note.owner) not in gone]

    def tensors(self) -> Iterator[tuple[torch.Tensor, HeldPlace]]:
        """Yield the tensors that were held before the run and are alive, and where each was."""
        for note in self._notes:
            for key, mark in note.marks.items():
                for tensor, keys in tensors_of(mark, (key,)):
                    yield tensor, HeldPlace("", note.owner, (*note.keys, *keys))

    def compare(self) -> Comparison:
        """Return what the run put into the objects and took out of them."""
        notes = {id(note.container): note for note in self._notes}
        comparison = Comparison(self._known, self._shared, notes)
        for note in self._notes:
            if note.is_there:
                comparison.include(note)
        return comparison

    def lengths(self, owner: Any) -> Iterator[Condition]:
        """Yield, for each list in the state of an optimizer, how many items it had."""
        for note in self._notes:
            if note.owner is owner and note.keys[:1] == ("state",):
                if isinstance(note.container, list):
                    yield has_length(note)

    def _add(
        self,
        name: str,
        owner: Any,
        keys: tuple[Any, ...],
        container: Any,
        names: Mapping[Any, str],
        *,
        is_strict: bool,
    ) -> Note:
        self._known.update((id(container), id(owner)))
        note = Note(name, owner, keys, container, names, is_strict=is_strict)
        self._notes.append(note)
        return note

    def _add_parts(self, note: Note, depth: int, *, is_strict: bool = False) -> None:
        """Note the lists and dictionaries in a container as well."""
        for key, part in items_of(note.container) if depth else ():
            if not isinstance(part, dict | list):
                continue
            if id(part) in self._known:
                self._shared.add(id(part))
            elif is_strict or len(self._notes) < _MOST_NOTES:
                if len(part) > (_MOST_ITEMS if is_strict else _MOST_OF_OTHERS):
                    continue
                keys = (*note.keys, key)
                below = self._add(
                    note.step(key), note.owner, keys, part, note.names, is_strict=is_strict
                )
                below.is_of_module = note.is_of_module
                self._add_parts(below, depth - 1, is_strict=is_strict)
