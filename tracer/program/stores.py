"""What a run put into the objects that its program holds, for a replay to do as well.

See Note [What a run leaves in objects] in ``held_objects.py``.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from ...ir.conditions import Circumstance
from ...ir.places import ABSENT, HeldPlace
from ...ir.structure import ATOMS
from ..dispatch.literals import PLAIN
from .held_notes import NAMED, Note, TupleMark, fits, is_same, items_of, lasting
from .held_numbers import HOLDERS, NUMBERS

_CONSTANTS = (*ATOMS, torch.dtype, torch.device, torch.layout, torch.Size)
_DEEPEST = 4  # containers within containers that are looked into
_ADVICE = (
    "a trace holds for the state that it began with, and what a first run makes a later one finds: trace "
    "again as it is now"
)


@dataclass(frozen=True, slots=True)
class IsAbsent:
    """Whether nothing is in a place, and what it would be in is there."""

    def __call__(self, place: HeldPlace) -> bool:
        """Return the answer for a place."""
        return place.find() is ABSENT and place.find(1) is not ABSENT


@dataclass(frozen=True, slots=True)
class HoldsAlike:
    """Whether what is in a place is like what was noted; see :func:`fits`."""

    mark: Any
    are_followed: bool

    def __call__(self, place: HeldPlace) -> bool:
        """Return the answer for a place."""
        return fits(self.mark, place.find(), are_followed=self.are_followed)


@dataclass(frozen=True, slots=True)
class HasLength:
    """Whether a container of a class and length is in a place."""

    class_: type
    count: int

    def __call__(self, place: HeldPlace) -> bool:
        """Return the answer for a place."""
        found = place.find()
        class_: Any = type(found)
        return class_ is self.class_ and len(found) == self.count


@dataclass(frozen=True, slots=True)
class Condition:
    """What must be so when a replay begins, as it was when the run did.

    Attributes:
        text: that, in words.
        place: where it must be so.
        is_met: whether what is there will do.
    """

    text: str
    place: HeldPlace
    is_met: Callable[[HeldPlace], bool]

    def holds(self) -> bool:
        """Whether it is so now."""
        return self.is_met(self.place)

    def of(self, real: Callable[[Any], Any]) -> Condition:
        """Return the same of what the objects on the way stand for."""
        return replace(self, place=self.place.of(real))


@dataclass(frozen=True, slots=True)
class Store:
    """One thing that a run put somewhere, or took away.

    Attributes:
        place: where.
        content: what stands there after the run; ``ABSENT`` if nothing does.
        condition: what stood there before.
        is_whole: whether the content is all that the list in this place holds from now on.
    """

    place: HeldPlace
    content: Any
    condition: Condition
    is_whole: bool = False


class Comparison:
    """What one run changed in the objects that its program holds.

    Attributes:
        stores: what a replay does as well.
        others: what it does not do and nobody else tells of: the object, what changed of it, and how.
    """

    def __init__(self, known: set[int], shared: set[int], notes: Mapping[int, Note]) -> None:
        self.stores: list[Store] = []
        self.others: list[tuple[Any, str, str]] = []
        self._known = known
        self._shared = shared
        self._notes = notes
        self._slots: set[tuple[int, Any]] = set()
        self._whole: set[int] = set()
        self._names: set[str] = set()
        self._places: set[tuple[int, tuple[Any, ...]]] = set()

    def includes(self, owner: Any, key: Any, name: str) -> bool:
        """Whether a replay does all that the run did to an object, or with one key or attribute of it."""
        if key is None:
            return id(owner) in self._whole
        return name in self._names or (isinstance(key, NAMED) and (id(owner), key) in self._slots)

    def replaces(self, place: HeldPlace) -> bool:
        """Whether a replay puts something else where a thing was, or where what it was in was."""
        keys = place.keys
        return any((id(place.owner), keys[:n]) in self._places for n in range(1, len(keys) + 1))

    def include(self, note: Note) -> None:
        """Compare what one container holds with what it held."""
        container, marks = note.container, note.marks
        if isinstance(container, list) and len(container) != len(marks):
            if note.is_strict:
                self._include_whole(note)
            return
        changed = [
            (key, held)
            for key, held in items_of(container)
            if not (key in marks and self._is_same(note, key, held))
        ]
        gone = [key for key in marks if key not in container] if isinstance(container, dict) else []
        if not changed and not gone:
            return
        count = len(self.stores)
        if _is_in_other_order(note):
            self._other(note, note.name, "has its items in another order")
            return
        for key in gone:
            self._take_away(note, key)
        for key, held in changed:
            self._put(note, key, held)
        if len(self.stores) - count == len(changed) + len(gone):
            self._whole.add(id(container))

    def _is_same(self, note: Note, key: Any, held: Any) -> bool:
        """Whether what was there is there, or an empty container for an empty one, as a scaler leaves it."""
        mark = note.marks[key]
        if is_same(mark, held, are_followed=note.are_numbers_followed):
            return True
        stood = self._stood(mark)
        if stood is None or stood.marks or type(held) is not type(stood.container) or held:
            return False
        self._whole.add(mark)
        self._names.add(note.step(key))
        return True

    def _include_whole(self, note: Note) -> None:
        items = list(note.container)
        if not all(_is_storable(item, self._known) for item in items):
            self._other(note, note.name, "holds other objects, which a replay does not put there")
            return
        place = HeldPlace(note.name, note.owner, note.keys)
        mark, are_followed = lasting(id(note.container), self._notes), note.are_numbers_followed
        condition = Condition(has_length(note).text, place, HoldsAlike(mark, are_followed))
        self._add(Store(place, items, condition, is_whole=True))

    def _take_away(self, note: Note, key: Any) -> None:
        mark = note.marks[key]
        if note.is_strict or isinstance(mark, weakref.ref):
            self._store(note, key, ABSENT)

    def _put(self, note: Note, key: Any, held: Any) -> None:
        mark = note.marks.get(key, ABSENT)
        if not note.is_strict and not _holds_tensor(held):
            return
        if note.is_of_module and (mark is ABSENT or mark == (None,)):
            return
        stood = self._stood(mark)
        is_followed = stood is not None and note.are_numbers_followed and isinstance(held, list)
        if stood is not None and is_followed and _has_numbers_alone(stood, held):
            return  # these are followed
        is_plain = held.__class__ in PLAIN and held.__class__ not in NUMBERS
        if is_plain and isinstance(mark, tuple):
            text = f"goes from {mark[0]!r} to {held!r}; a replay leaves it as it is"
            self._other(note, note.step(key), text)
        elif _is_storable(held, self._known) and self._is_alone(note, mark):
            self._store(note, key, held)
        else:
            text = f"is a {type(held).__name__} now, which a replay does not put there"
            self._other(note, note.step(key), text, held)

    def _is_alone(self, note: Note, mark: Any) -> bool:
        """Whether nothing but a note leads to what stood somewhere, as far as that can change."""
        if isinstance(mark, TupleMark):
            return all(self._is_alone(note, part) for part in mark.marks)
        if not isinstance(mark, int):
            return True
        stood = self._stood(mark)
        return (
            stood is not None
            and stood.owner is note.owner
            and mark not in self._shared
            and all(self._is_alone(note, part) for part in stood.marks.values())
        )

    def _stood(self, mark: Any) -> Note | None:
        """Return the note of the container that a mark is of; None where it is of something else."""
        return self._notes.get(mark) if isinstance(mark, int) else None

    def _store(self, note: Note, key: Any, held: Any) -> None:
        place = note.place(key)
        mark = lasting(note.marks.get(key, ABSENT), self._notes)
        self._add(Store(place, held, _condition(note, key, mark, place)))
        self._names.add(place.name)
        if isinstance(key, NAMED):
            self._slots.add((id(note.container), key))

    def _add(self, store: Store) -> None:
        self.stores.append(store)
        self._places.add((id(store.place.owner), store.place.keys))

    def _other(self, note: Note, name: str, text: str, held: Any = None) -> None:
        # What is new in containers, and lists and dictionaries in attributes, a snapshot tells of.
        is_attribute = note.container is not note.owner and not note.keys
        is_untold = is_attribute and not isinstance(held, (*PLAIN, list, dict, torch.Tensor))
        if isinstance(note.owner, HOLDERS) or is_untold:
            self.others.append((note.owner, name, text))


@dataclass(frozen=True, slots=True)
class OfConditions(Circumstance):
    """Several conditions as one circumstance."""

    conditions: tuple[Condition, ...] = ()

    def of(self, real: Callable[[Any], Any]) -> Circumstance:
        """Return the same of what the objects that these are about stand for."""
        return circumstance_of([condition.of(real) for condition in self.conditions])


def circumstance_of(conditions: Sequence[Condition]) -> Circumstance:
    """Return several conditions of one object as one circumstance."""
    first, *others = conditions
    more = f", as for {len(others)} more" if others else ""

    def failing() -> str | None:
        return next((each.text for each in conditions if not each.holds()), None)

    text = first.text + more
    return OfConditions(text, None, failing, tuple(conditions), advice=_ADVICE)


def circumstances(stores: Sequence[Store]) -> Iterator[Circumstance]:
    """Yield what must be so for a replay to put things where a run has put them, by the object."""
    by_owner: dict[int, list[Condition]] = {}
    for store in stores:
        by_owner.setdefault(id(store.place.owner), []).append(store.condition)
    yield from map(circumstance_of, by_owner.values())


def _has_numbers_alone(note: Note, held: list[Any]) -> bool:
    """Whether a list was replaced by one of as many numbers of the same classes."""
    marks = list(note.marks.values())
    return (
        len(marks) == len(held)
        and all(
            is_same(mark, item, are_followed=True) for mark, item in zip(marks, held, strict=True)
        )
        and all(item.__class__ in NUMBERS for item in held)
    )


def _is_in_other_order(note: Note) -> bool:
    """Whether what was in a dictionary and still is comes in another order, or after what is new."""
    if not isinstance(note.container, dict):
        return False
    kept = [key for key in note.marks if key in note.container]
    return any(one is not other for one, other in zip(kept, note.container, strict=False))


def _holds_tensor(held: Any, depth: int = _DEEPEST) -> bool:
    if isinstance(held, torch.Tensor):
        return True
    if not depth or isinstance(held, (*_CONSTANTS, torch.nn.Module)):
        return False
    if not isinstance(held, dict | list | tuple):
        held = getattr(held, "__dict__", {})
    return any(_holds_tensor(item, depth - 1) for _, item in items_of(held))


def _is_storable(held: Any, known: set[int], depth: int = _DEEPEST) -> bool:
    """Whether a replay can make something anew: of tensors and plain things, in containers of the run."""
    if isinstance(held, (torch.Tensor, *_CONSTANTS)):
        return True
    if not (_is_container(held) and depth) or id(held) in known:
        return False
    items = held.values() if isinstance(held, dict) else held
    return all(_is_storable(item, known, depth - 1) for item in items)


def _is_container(held: Any) -> bool:
    class_ = type(held)
    return class_ in (list, tuple, dict, OrderedDict) or (
        issubclass(class_, tuple) and hasattr(class_, "_fields")
    )


def _condition(note: Note, key: Any, mark: Any, place: HeldPlace) -> Condition:
    """Return what stood somewhere before the run as a condition."""
    are_followed = note.are_numbers_followed
    if mark is ABSENT:
        text = f"{place.name} is not set"
        if isinstance(key, torch.Tensor):
            text = f"{note.name} has no entry for {place.name.removeprefix(f'{note.name}.')}"
        return Condition(text, place, IsAbsent())
    text = f"{place.name} holds what it held"
    if isinstance(mark, weakref.ref):
        text = f"{place.name} is a tensor"
    elif isinstance(mark, tuple):
        text = f"{place.name} is {mark[0]!r}"
    return Condition(text, place, HoldsAlike(mark, are_followed))


def has_length(note: Note) -> Condition:
    """Return that a container has as many items as it had."""
    class_: Any = type(note.container)
    count = len(note.marks)
    text = f"{note.name} is a {class_.__name__} of {count} item{'' if count == 1 else 's'}"
    return Condition(text, HeldPlace(note.name, note.owner, note.keys), HasLength(class_, count))
