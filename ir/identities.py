"""Which object is which, where a program moves the objects among its arguments or puts one into two places.

An object that stood among the arguments before a run is called by the way to it, a tuple that begins with
the argument's name; one that the run made, by a number.
"""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterator, Mapping
from typing import Any, Final

from .structure import ATOMS, Structure, StructureKind, parts_of

Way = tuple[Any, ...]

_IMMUTABLE: Final = (tuple, frozenset)


def objects_in(
    structure: Structure, whole: Any, way: Way = ()
) -> Iterator[tuple[Way, Any, Structure]]:
    """Yield the objects that can change in what a structure was made of, with the ways to them."""
    if structure.kind is StructureKind.LEAF:
        return
    if way and not isinstance(whole, (*ATOMS, *_IMMUTABLE)):
        yield way, whole, structure
    if structure.children:
        own = parts_of(whole)
        held = dict(zip(own.keys, own.parts, strict=True))
        for key, child in zip(structure.keys, structure.children, strict=True):
            yield from objects_in(child, held[key], (*way, key))


class Identities:
    """The objects that were there before a run, and those that were met since in what it left.

    Args:
        structure: of the arguments before the run, by name.
        arguments: themselves, at that time. The objects in them are held.
    """

    def __init__(self, structure: Structure, arguments: Mapping[str, Any]) -> None:
        self._before = {way: (whole, own) for way, whole, own in objects_in(structure, arguments)}
        self._names: dict[int, Way] = {}
        for way, (whole, _) in self._before.items():
            self._names.setdefault(id(whole), way)
        self._changed: Container[int] = ()
        self._met: dict[int, tuple[Any, Hashable]] = {}  # held, so that addresses stay theirs

    def note_changed(self, changed: Container[int]) -> None:
        """Note the ids of the objects whose contents the run changed."""
        self._changed = changed

    def meet(self, whole: Any) -> tuple[Hashable, bool]:
        """Return what an object is called, and whether it has a place already."""
        known = self._met.get(id(whole))
        if known is not None:
            return known[1], True
        name: Hashable = self._names.get(id(whole), len(self._met))
        self._met[id(whole)] = (whole, name)
        return name, False

    def was_there(self, whole: Any) -> bool:
        """Whether an object stood among the arguments before the run."""
        return id(whole) in self._names

    def is_whole(self, whole: Any) -> bool:
        """Whether an object of the arguments was looked at from outside only."""
        before = self.before(self._names.get(id(whole)))
        return (
            before is not None and before.kind is StructureKind.CONSTANT and before.class_ is None
        )

    def is_emptied(self, whole: Any) -> bool:
        """Whether an object of the arguments that holds no leaf by now held some, or is a plain container."""
        before = self.before(self._names.get(id(whole)))
        is_own = before is not None and before.kind is not StructureKind.CONSTANT
        return is_own and id(whole) in self._changed

    def settle(self, argument: str) -> None:
        """Give the objects in an argument that the run left alone their places there."""
        for way, (whole, _) in self._before.items():
            if way[0] == argument and self._names[id(whole)] == way:
                self._met[id(whole)] = (whole, way)

    def dismiss(self, argument: str, met: int) -> None:
        """Forget the objects in an argument that no replay can change, and all but the first ``met``."""
        self.forget(met)
        for key in [key for key, way in self._names.items() if way[0] == argument]:
            del self._names[key]

    def forget(self, met: int) -> None:
        """Forget all objects but the first ``met``."""
        while len(self._met) > met:
            self._met.popitem()

    @property
    def count(self) -> int:
        """How many objects were met."""
        return len(self._met)

    def twins(self) -> dict[Way, frozenset[Way]]:
        """Return the ways to objects that the run changed, each with all ways to that object."""
        ways: dict[int, list[Way]] = {}
        for way, (whole, _) in self._before.items():
            if id(whole) in self._changed:
                ways.setdefault(id(whole), []).append(way)
        return {way: frozenset(same) for same in ways.values() for way in same}

    def before(self, name: Hashable) -> Structure | None:
        """Return the structure of an object before the run."""
        known = self._before.get(name) if isinstance(name, tuple) else None
        return None if known is None else known[1]

    def is_at_home(self, name: Hashable, way: Way) -> bool:
        """Whether an object stood in this place before."""
        one, other = (
            self._before.get(way),
            self._before.get(name) if isinstance(name, tuple) else None,
        )
        return one is not None and other is not None and one[0] is other[0]


def speaks_of_objects(structure: Structure) -> bool:
    """Whether a part is an object that stands elsewhere too, or stood elsewhere before the run."""
    return any(
        part.kind is StructureKind.SAME or isinstance(part.name, tuple) for part in structure.walk()
    )


def unlike_twins(
    twins: Mapping[Way, frozenset[Way]], objects: Mapping[Hashable, Any]
) -> tuple[Way, Any] | None:
    """Return two ways that lead to one object of a replay, or did at the trace, and not both times."""
    ways: dict[int, set[Hashable]] = {}
    for way, whole in objects.items():
        ways.setdefault(id(whole), set()).add(way)
    for way, expected in twins.items():
        others = ways[id(objects[way])] ^ expected
        if others:
            return way, next(iter(others))
    return None


def way_text(structure: Structure, way: Way) -> str:
    """Return how Python would write a way: ``cache.layers[0]``."""
    first, *keys = way
    text = str(first)
    structure = structure.children[structure.keys.index(first)]
    for key in keys:
        position = structure.keys.index(key)
        text += structure.step_text(position)
        structure = structure.children[position]
    return text
