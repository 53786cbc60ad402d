"""Comparing the structure of what a program returns with that of what its replay returns."""

from __future__ import annotations

from typing import Any

from ..ir.structure import Structure, StructureKind
from ..tracer import equal_literals

_COMPARABLE = (bool, int, float, complex, str, bytes, type(None))


def structure_difference(one: Structure, other: Structure, path: str = "result") -> str | None:
    """Return in words where two structures differ, the first named first; None if they do not.

    Constants of a class that need not be comparable only have to be of one class.
    """
    if one.kind is not other.kind or one.class_ is not other.class_:
        return f"{path} is {_shown(one)} in the program and {_shown(other)} in the replay"
    if one.kind is StructureKind.CONSTANT:
        return _constant_difference(one.constant, other.constant, path)
    if one.keys != other.keys:
        return f"{path} has {list(one.keys)} in the program and {list(other.keys)} in the replay"
    for position, (ours, theirs) in enumerate(zip(one.children, other.children, strict=True)):
        found = structure_difference(ours, theirs, path + one.step_text(position))
        if found is not None:
            return found
    return None


def _constant_difference(one: Any, other: Any, path: str) -> str | None:
    if type(one) is not type(other):
        return f"{path} is {one!r} in the program and {other!r} in the replay"
    if isinstance(one, _COMPARABLE) and not equal_literals(one, other):
        return f"{path} is {one!r} in the program and {other!r} in the replay, where it is fixed"
    return None


def _shown(structure: Structure) -> str:
    match structure.kind:
        case StructureKind.LEAF:
            return "a tensor"
        case StructureKind.CONSTANT:
            return repr(structure.constant)
    return f"a {getattr(structure.class_, '__qualname__', structure.class_)}"
