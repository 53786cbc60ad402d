"""What a program makes of its arguments' own contents, done again to the arguments of a replay.

A program may put tensors into a list, a dictionary or a cache that it was given. What an argument holds
afterwards is a structure, as what the program returns is; a replay builds that *into* the caller's object.
"""

from __future__ import annotations

import operator
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from .identities import Identities, Way
from .places import HeldPlace
from .structure import Structure, StructureKind, builtin_base, parts_of


@dataclass(frozen=True, slots=True)
class Stored:
    """One thing that a program puts into an object that it holds, or takes out of one.

    Attributes:
        place: where.
        structure: of what stands there afterwards; None where nothing does.
        is_whole: whether that is all that the list in this place holds from then on.
    """

    place: HeldPlace
    structure: Structure | None
    is_whole: bool = False

    def store(self, leaves: Iterator[Any], objects: dict[Hashable, Any]) -> None:
        """Do that, with ``leaves`` in the places of tensors and numbers; see :func:`update`."""
        if self.structure is None:
            self.place.remove()
            return
        made = update(self.structure, _NOTHING, leaves, objects)
        if self.is_whole:
            self.place.find()[:] = made
        else:
            self.place.write(made)


_NOTHING: Final[Any] = object()
_UNCHANGING = (StructureKind.TUPLE, StructureKind.NAMED_TUPLE)


def with_kept_parts(
    after: Structure, before: Structure | None, identities: Identities, way: Way
) -> Structure:
    """Return the structure of what a run left somewhere, with what stood there before marked as kept.

    These are the parts without tensors that are the same object, or an equal plain one, in the same place.
    An object that stands where it stood has no name then.

    Args:
        after: what stands in a place after the run.
        before: what stood there before.
        identities: of the objects before and after.
        way: leads to the place; empty for one that is not among the arguments.
    """
    if after.kind is StructureKind.SAME:
        is_kept = identities.is_at_home(after.keys[0], way)
        return Structure(StructureKind.KEPT) if is_kept else after
    name = after.name
    origin = identities.before(name)
    if origin is not None:
        before = origin
        name = None if identities.is_at_home(name, way) else name
    if after.kind is StructureKind.CONSTANT:
        is_kept = origin is not None or _is_same(after, before)
        return Structure(StructureKind.KEPT, name=name) if is_kept else replace(after, name=name)
    known = {} if before is None else dict(zip(before.keys, before.children, strict=True))
    children = [
        with_kept_parts(child, known.get(key), identities, (*way, key) if way else ())
        for key, child in zip(after.keys, after.children, strict=True)
    ]
    return replace(after, children=tuple(children), name=name)


def _is_same(after: Structure, before: Structure | None) -> bool:
    if before is None or before.kind is not StructureKind.CONSTANT:
        return False
    one, other = before.constant, after.constant
    is_plain = type(one) in (bool, int, float, complex, str, bytes)
    return one is other or (is_plain and type(one) is type(other) and one == other)


def update(
    structure: Structure, original: Any, leaves: Iterator[Any], objects: dict[Hashable, Any]
) -> Any:
    """Make an argument of a replay hold what it held after the run, and return it.

    Args:
        structure: of :func:`with_kept_parts`.
        original: the argument, or what stands in a place of it; changed as far as it can be.
        leaves: what goes to the places of tensors and numbers; as many are taken as there are.
        objects: the arguments' own by the names they have in the structure; takes those that are made.
    """
    if structure.name is None:
        return _updated(structure, original, leaves, objects)
    original = objects.get(structure.name, _NOTHING)  # nothing, for one that the run made
    made = objects[structure.name] = _updated(structure, original, leaves, objects)
    return made


def _updated(
    structure: Structure, original: Any, leaves: Iterator[Any], objects: dict[Hashable, Any]
) -> Any:
    kind = structure.kind
    if kind is StructureKind.LEAF:
        return next(leaves)
    if kind is StructureKind.KEPT:
        return original
    if kind is StructureKind.CONSTANT:
        return structure.constant
    if kind is StructureKind.SAME:
        return objects[structure.keys[0]]
    if type(original) is not structure.class_:  # a new object, made as at the trace
        return structure.build_of(
            [update(child, _NOTHING, leaves, objects) for child in structure.children]
        )
    own = parts_of(original)
    held = dict(zip(own.keys, own.parts, strict=True))
    parts = [
        update(child, held.get(key, _NOTHING), leaves, objects)
        for key, child in zip(structure.keys, structure.children, strict=True)
    ]
    if kind in _UNCHANGING:
        is_as_it_was = all(map(operator.is_, parts, own.parts))
        return original if is_as_it_was else structure.build_of(parts)
    _fill(structure, original, parts, held)
    return original


def _fill(structure: Structure, original: Any, parts: list[Any], held: dict[Any, Any]) -> None:
    """Make ``original`` hold these parts and no others."""
    if structure.kind is StructureKind.LIST:
        original[:] = parts
        return
    if structure.kind is StructureKind.DICT:
        original.clear()
        original.update(zip(structure.keys, parts, strict=True))
        return
    count = structure.items
    own_items: set[Any] = set()
    if isinstance(original, dict):
        own_items.update(dict.keys(original))
        base = builtin_base(structure.class_)
        for key in list(dict.keys(original)):  # all of them, for the order
            base.__delitem__(original, key)
        for key, part in zip(structure.keys[:count], parts[:count], strict=True):
            base.__setitem__(original, key, part)
    for name in structure.mirrored:
        object.__setattr__(original, name, parts[structure.keys.index(name)])
    names = structure.keys[count:]
    for name, part in zip(names, parts[count:], strict=True):
        if held.get(name, _NOTHING) is not part:
            object.__setattr__(original, name, part)
    present = (held.keys() - own_items) | getattr(original, "__dict__", {}).keys()
    for name in present - {*names, *structure.mirrored}:
        object.__delattr__(original, name)
