"""What a program makes of its arguments' own contents, done again to the arguments of a replay.

A program may put tensors into a list, a dictionary or a cache that it was given. What an argument holds
afterwards is a structure, as what the program returns is; a replay builds that *into* the caller's object.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from .structure import Structure, StructureKind, builtin_base, parts_of

_NOTHING: Final[Any] = object()
_UNCHANGING = (StructureKind.TUPLE, StructureKind.NAMED_TUPLE)


def with_kept_parts(after: Structure, before: Structure | None) -> Structure:
    """Return the structure of an argument after the run, with what it held before marked as kept.

    These are the parts without tensors that are the same object, or an equal plain one, in the same place.
    """
    if after.kind is StructureKind.CONSTANT:
        return replace(after, kind=StructureKind.KEPT) if _is_same(after, before) else after
    known = {} if before is None else dict(zip(before.keys, before.children, strict=True))
    children = [
        with_kept_parts(child, known.get(key))
        for key, child in zip(after.keys, after.children, strict=True)
    ]
    return replace(after, children=tuple(children))


def _is_same(after: Structure, before: Structure | None) -> bool:
    if before is None or before.kind is not StructureKind.CONSTANT:
        return False
    one, other = before.constant, after.constant
    is_plain = type(one) in (bool, int, float, complex, str, bytes)
    return one is other or (is_plain and type(one) is type(other) and one == other)


def update(structure: Structure, original: Any, leaves: Iterator[Any]) -> Any:
    """Make an argument of a replay hold what it held after the run, and return it.

    Args:
        structure: of :func:`with_kept_parts`.
        original: the argument, or what stands in a place of it; changed as far as it can be.
        leaves: what goes to the places of tensors and numbers; as many are taken as there are.
    """
    kind = structure.kind
    if kind is StructureKind.LEAF:
        return next(leaves)
    if kind is StructureKind.KEPT:
        return original
    if kind is StructureKind.CONSTANT:
        return structure.constant
    if type(original) is not structure.class_:  # a new object, made as at the trace
        return structure.build_from(leaves)
    own = parts_of(original)
    held = dict(zip(own.keys, own.parts, strict=True))
    parts = [
        update(child, held.get(key, _NOTHING), leaves)
        for key, child in zip(structure.keys, structure.children, strict=True)
    ]
    if kind in _UNCHANGING:
        is_as_it_was = all(map(_is_one, parts, own.parts))
        return original if is_as_it_was else structure.build_of(parts)
    _fill(structure, original, parts, held)
    return original


def _is_one(one: Any, other: Any) -> bool:
    return one is other


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
    if count or isinstance(original, dict):
        base = builtin_base(structure.class_)
        for key in [key for key in dict.keys(original) if key not in structure.keys[:count]]:
            base.__delitem__(original, key)
        for key, part in zip(structure.keys[:count], parts[:count], strict=True):
            base.__setitem__(original, key, part)
    for name in structure.mirrored:
        object.__setattr__(original, name, parts[structure.keys.index(name)])
    names = structure.keys[count:]
    for name, part in zip(names, parts[count:], strict=True):
        if held.get(name, _NOTHING) is not part:
            object.__setattr__(original, name, part)
    gone = (
        vars(original).keys() - {*names, *structure.mirrored}
        if hasattr(original, "__dict__")
        else ()
    )
    for name in gone:
        object.__delattr__(original, name)
