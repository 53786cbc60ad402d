"""Places in a program's objects as plain data, and in objects that stand for these in another process.

An optimizer is not saved. What the graph reads from it and writes to it is: in the process that loads the
program, an object of :class:`SavedObject` has the same at the same places, and a replay changes it there.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch

from ...errors import FormatError
from ...ir import TensorType
from ...ir.files import (
    SavedCondition,
    SavedHolder,
    SavedPlace,
    TensorRef,
)
from ...ir.places import ABSENT, HeldPlace, item
from ..dispatch.literals import PLAIN
from ..program.held_notes import ContainerMark, TupleMark
from ..program.held_numbers import HeldNumber
from ..program.held_tensors import HeldTensor
from ..program.stores import Condition, HasLength, HoldsAlike, IsAbsent

_DEEPEST: Final = 8  # containers within containers in one place
_CLASSES: Final = {"dict": dict, "list": list, "tuple": tuple}
_ANY_TENSOR: Final = weakref.ref(torch.Tensor)
"""The mark of a tensor: which one it was does not matter any more."""

_NUMBER_CLASSES: Final[dict[str, type]] = {"int": int, "float": float}


class SavedObject:
    """Stands for an object of a program that was saved, an optimizer say, with what the graph needs of it."""

    __slots__ = ("__dict__", "class_name", "name")

    def __init__(self, name: str, class_name: str, content: dict[str, Any]) -> None:
        self.name = name
        self.class_name = class_name
        self.__dict__.update(content)

    def __repr__(self) -> str:
        return f"<{self.class_name} {self.name or 'of the program'}, as it was saved>"


class PlaceWriter:
    """Numbers places and what holds them, and collects what is in them.

    Args:
        number_of: adds a tensor to the file under a name, and gives its number.
    """

    def __init__(self, number_of: Callable[[torch.Tensor, str], int]) -> None:
        self._number_of = number_of
        # Held, as are their owners, so that ids stay theirs.
        self._numbers: dict[tuple[type, HeldPlace, str], int] = {}
        self._rows: list[SavedPlace] = []
        self._owners: dict[int, int] = {}
        self._held: list[tuple[Any, str, _Part]] = []

    def place(self, place: HeldPlace) -> int | None:
        """Return the number of a place; None if the way to it, or what is there, cannot be written."""
        identity = type(place), place, place.name
        if identity in self._numbers:
            return self._numbers[identity]
        content = place.find()
        keys = tuple([self._key(key, place.name) for key in place.keys])
        plain = self._plain(content, place.name, _DEEPEST)
        if None in keys or plain is _UNKNOWN:
            return None
        if isinstance(place, HeldTensor) and not isinstance(content, torch.Tensor):
            return None
        holder = self._holder(place)
        if not self._held[holder][2].add(place, keys, plain):
            return None
        kind, is_replaced = "place", False
        saved_type: TensorType | str = ""
        if isinstance(place, HeldTensor):
            kind, saved_type = "tensor", place.type
        elif isinstance(place, HeldNumber):
            kind, saved_type = "number", place.number_class.__name__
            is_replaced = place.is_replaced
        self._numbers[identity] = len(self._rows)
        self._rows.append(SavedPlace(kind, place.name, holder, keys, saved_type, is_replaced))
        return len(self._rows) - 1

    def _holder(self, place: HeldPlace) -> int:
        known = self._owners.get(id(place.owner))
        if known is None:
            known = self._owners[id(place.owner)] = len(self._held)
            owner = place.owner
            top = owner if isinstance(owner, dict | list) else vars(owner)
            self._held.append((owner, place.owner_name, _Part(top)))
        return known

    def _key(self, key: Any, name: str) -> Any:
        if isinstance(key, torch.Tensor):
            return TensorRef(self._number_of(key, name))
        return key if type(key) in (str, int) else None

    def _plain(self, content: Any, name: str, depth: int) -> Any:
        """Return what is in a place as plain data, tensors by number."""
        if content is ABSENT or content.__class__ in PLAIN:
            return content
        if isinstance(content, torch.Tensor):
            return TensorRef(self._number_of(content, name))
        if type(content) in (list, tuple) and depth:
            parts = [self._plain(part, name, depth - 1) for part in content]
            return _UNKNOWN if _UNKNOWN in parts else type(content)(parts)
        if type(content) is dict and depth:
            made: dict[Any, Any] = {}
            for key, held in content.items():
                known, plain = self._key(key, name), self._plain(held, name, depth - 1)
                if known is None or plain is _UNKNOWN:
                    return _UNKNOWN
                made[known] = plain
            return made
        return _UNKNOWN

    def condition(self, condition: Condition) -> SavedCondition | None:
        """Return a condition as a file has it; None if it cannot."""
        number = self.place(condition.place)
        if number is None:
            return None
        met = condition.is_met
        if isinstance(met, IsAbsent):
            return SavedCondition(condition.text, number, "absent")
        if isinstance(met, HasLength):
            name = _class_name(met.class_)
            if name is None:
                return None
            return SavedCondition(condition.text, number, "length", (name, met.count))
        mark = self._mark(met.mark) if isinstance(met, HoldsAlike) else None
        if mark is None or not isinstance(met, HoldsAlike):
            return None
        return SavedCondition(condition.text, number, "alike", (mark, met.are_followed))

    def _mark(self, mark: Any) -> Any:
        """Return what was noted of a thing; None if that cannot be written."""
        if isinstance(mark, TupleMark):
            mark = ContainerMark(mark.class_, dict(enumerate(mark.marks)))
        if isinstance(mark, ContainerMark):
            name = _class_name(mark.class_)
            keys = [self._key(key, "") for key in mark.marks]
            parts = list(map(self._mark, mark.marks.values()))
            if name is None or None in keys or None in parts:
                return None
            return "container", name, list(zip(keys, parts, strict=True))
        if isinstance(mark, tuple):
            return "plain", mark[0]
        return None if isinstance(mark, int) else ("tensor",)

    @property
    def places(self) -> tuple[SavedPlace, ...]:
        """The places, by number."""
        return tuple(self._rows)

    @property
    def holders(self) -> tuple[SavedHolder, ...]:
        """What holds them, by number, with what is in them and on the way there."""
        return tuple(
            [
                SavedHolder(name, _class_of(owner), part.content())
                for owner, name, part in self._held
            ]
        )


_UNKNOWN: Final[Any] = object()


def _class_of(owner: Any) -> str:
    return owner.class_name if isinstance(owner, SavedObject) else type(owner).__qualname__


def _class_name(class_: type) -> str | None:
    return next((name for name, known in _CLASSES.items() if known is class_), None)


class _Part:
    """A container on the way to places, with those of its items that matter."""

    def __init__(self, container: Any) -> None:
        self._container = container
        self._items: dict[Any, Any] = {}

    def add(self, place: HeldPlace, keys: tuple[Any, ...], content: Any) -> bool:
        """Note what is in a place; say whether the way there is one that can be written."""
        part = self
        for real, key in zip(place.keys[:-1], keys[:-1], strict=True):
            below = part._items.get(key)
            if below is None:
                container = item(part._container, real)
                if not isinstance(container, dict | list | tuple) or hasattr(container, "_fields"):
                    return False
                below = part._items[key] = _Part(container)
            if not isinstance(below, _Part):
                return True  # what is there was noted whole
            part = below
        if content is not ABSENT:
            part._items[keys[-1]] = content
        return True

    def content(self) -> Any:
        """Return the container as plain data; what does not matter in a list is None."""
        items = {
            key: held.content() if isinstance(held, _Part) else held
            for key, held in self._items.items()
        }
        if isinstance(self._container, dict):
            return items
        listed = [items.get(position) for position in range(len(self._container))]
        return tuple(listed) if isinstance(self._container, tuple) else listed


class PlaceRestorer:
    """Makes places, and objects that have them.

    Args:
        places: as a file has them.
        holders: what holds these.
        tensors: by number.
        plain: makes an object of what the file has for it, tensors included.
    """

    def __init__(
        self,
        places: Sequence[SavedPlace],
        holders: Sequence[SavedHolder],
        tensors: Sequence[torch.Tensor],
        plain: Callable[[Any], Any],
    ) -> None:
        owners = [_owner(holder, plain(holder.content)) for holder in holders]
        self.places = [_place(saved, owners, tensors) for saved in places]
        self._tensors = tensors

    def condition(self, saved: SavedCondition) -> Condition:
        """Return a condition that is looked at in such an object."""
        place = self.places[saved.place]
        match saved.kind:
            case "absent":
                return Condition(saved.text, place, IsAbsent())
            case "length":
                name, count = saved.mark
                return Condition(saved.text, place, HasLength(_CLASSES[name], count))
        mark, are_followed = saved.mark
        return Condition(saved.text, place, HoldsAlike(self._mark(mark), bool(are_followed)))

    def _mark(self, mark: Any) -> Any:
        kind, *details = mark
        if kind == "container":
            name, pairs = details
            return ContainerMark(
                _CLASSES[name], {self._key(key): self._mark(part) for key, part in pairs}
            )
        return _ANY_TENSOR if kind == "tensor" else (details[0],)

    def _key(self, key: Any) -> Any:
        return self._tensors[key.number] if isinstance(key, TensorRef) else key


def _owner(holder: SavedHolder, content: Any) -> Any:
    if isinstance(content, list) or holder.class_name in ("dict", "defaultdict", "OrderedDict"):
        return content
    return SavedObject(holder.name, holder.class_name, content)


def _place(saved: SavedPlace, owners: Sequence[Any], tensors: Sequence[torch.Tensor]) -> HeldPlace:
    keys = tuple([tensors[key.number] if isinstance(key, TensorRef) else key for key in saved.keys])
    place = HeldPlace(saved.name, owners[saved.holder], keys)
    if saved.kind == "number":
        number = HeldNumber(saved.name, place.owner, keys, _NUMBER_CLASSES[str(saved.type)])
        number.is_replaced = saved.is_replaced
        return number
    if isinstance(saved.type, TensorType):
        held = place.find()
        if not isinstance(held, torch.Tensor):
            raise FormatError(f"there is no tensor in the place of {saved.name}")
        return HeldTensor(place, saved.name, held).expecting(saved.type)
    return place
