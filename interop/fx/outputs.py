"""What a converted module returns: the tensors, in the containers and objects of the program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import torch
from torch.fx.node import Argument

from ...ir.structure import Structure, StructureKind, take_apart
from .calls import build
from .emitter import Emitter

_PLAIN: Final = (type(None), bool, int, float, complex, str, torch.dtype, torch.device)


def output_argument(emitter: Emitter, structure: Structure, leaves: Sequence[Argument]) -> Argument:
    """Return what a module returns, with ``leaves`` in the places of tensors."""
    return _argument(emitter, structure, iter(leaves))


def _argument(emitter: Emitter, structure: Structure, leaves: Iterator[Argument]) -> Argument:
    if structure.kind is StructureKind.LEAF:
        return next(leaves)
    if structure.kind is StructureKind.CONSTANT:
        if type(structure.constant) in _PLAIN:
            return structure.constant  # type: ignore[no-any-return]
        return emitter.attribute("constant", structure.constant)
    parts = [_argument(emitter, child, leaves) for child in structure.children]
    if structure.kind is StructureKind.LIST:
        return parts
    if structure.kind is StructureKind.TUPLE and structure.class_ is tuple:
        return tuple(parts)
    is_named = all(type(key) is str for key in structure.keys)
    if structure.kind is StructureKind.DICT and is_named:
        return dict(zip(structure.keys, parts, strict=True))
    return _object(emitter, structure, parts)


def _object(emitter: Emitter, structure: Structure, parts: list[Argument]) -> Argument:
    """Return the call that makes an object: of its class, where that makes the very same."""
    name = "returned"
    if structure.kind is StructureKind.NAMED_TUPLE and _is_made(structure, by_name=False):
        return emitter.call(structure.class_, tuple(parts), name=name)
    if structure.kind is StructureKind.OBJECT and _is_made(structure, by_name=True):
        return emitter.call(
            structure.class_, (), dict(zip(structure.keys, parts, strict=True)), name=name
        )
    flat = Structure(
        structure.kind,
        tuple(Structure(StructureKind.LEAF) for _ in parts),
        structure.keys,
        structure.class_,
        structure.constant,
        structure.items,
        structure.mirrored,
    )
    kept = emitter.attribute("structure", flat)
    return emitter.call(build, (kept, parts), name=name)


class _Part:
    """Stands for a tensor where a class is tried."""


def _is_made(structure: Structure, *, by_name: bool) -> bool:
    """Whether a class, called with the parts of an object, makes one that has these parts and no others."""
    if by_name and not hasattr(structure.class_, "__dataclass_fields__"):
        return False  # a constructor that somebody wrote may do anything
    parts = [_Part() for _ in structure.children]
    try:
        if by_name:
            made = structure.class_(**dict(zip(structure.keys, parts, strict=True)))
        else:
            made = structure.class_(*parts)
        found, again = take_apart(made, lambda part: isinstance(part, _Part))
    except Exception:  # noqa: BLE001  # whatever a class has against it, it is made of its parts then
        return False
    return (
        len(found) == len(parts)
        and all(one is other for one, other in zip(found, parts, strict=True))
        and again.kind is structure.kind
        and again.keys == structure.keys
        and again.items == structure.items
        and again.mirrored == structure.mirrored
    )
