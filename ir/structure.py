"""Nested Python objects taken apart into leaves and a structure, and put together again.

Lists, tuples, dictionaries, named tuples, dataclasses and any other object with attributes are
followed as far as a leaf can be found in them; all else is a constant of the structure. Objects are
rebuilt from their attributes without calling their constructor, so a subclass of ``dict`` with
fields of its own, such as a model output, comes out as it went in.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from ..errors import CaptureError


class StructureKind(Enum):
    """What a part of a structure is."""

    LEAF = auto()
    CONSTANT = auto()
    TUPLE = auto()
    LIST = auto()
    DICT = auto()
    NAMED_TUPLE = auto()
    OBJECT = auto()


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """The shape of a nested object, its leaves left out.

    Attributes:
        kind: what this part is.
        children: the parts below, in order.
        keys: what leads to each child: positions, dictionary keys, field or attribute names.
        class_: the class to rebuild; None for leaves and constants.
        constant: the object itself, for a constant.
        items: for an object that is also a dictionary or list, how many of the children are its
            items; they come before its attributes.
    """

    kind: StructureKind
    children: tuple[Structure, ...] = ()
    keys: tuple[Any, ...] = ()
    class_: Any = None
    constant: Any = None
    items: int = 0

    @property
    def leaf_count(self) -> int:
        """The number of leaves below."""
        return sum(1 for part in self.walk() if part.kind is StructureKind.LEAF)

    def walk(self) -> Iterator[Structure]:
        """Yield this part and all below, in order."""
        yield self
        for child in self.children:
            yield from child.walk()

    def leaf_paths(self, start: str = "") -> list[str]:
        """Return how Python would write the way to each leaf: ``batch['image']``, ``out.logits``."""
        if self.kind is StructureKind.LEAF:
            return [start]
        paths = []
        for position, child in enumerate(self.children):
            paths.extend(child.leaf_paths(start + self.step_text(position)))
        return paths

    def step_text(self, position: int) -> str:
        """Return how Python would write the step to one child."""
        key = self.keys[position]
        if self.kind is StructureKind.NAMED_TUPLE or (
            self.kind is StructureKind.OBJECT and position >= self.items
        ):
            return f".{key}"
        return f"[{key!r}]"

    def build(self, leaves: Sequence[Any]) -> Any:
        """Return the object again, with ``leaves`` in place of those taken out."""
        return self._build(iter(leaves))

    def _build(self, leaves: Iterator[Any]) -> Any:
        if self.kind is StructureKind.LEAF:
            return next(leaves)
        if self.kind is StructureKind.CONSTANT:
            return self.constant
        parts = [child._build(leaves) for child in self.children]
        class_ = self.class_
        assert class_ is not None, "only leaves and constants have no class"
        if self.kind is StructureKind.NAMED_TUPLE:
            return class_(*parts)
        if self.kind in (StructureKind.TUPLE, StructureKind.LIST):
            return class_(parts)
        if self.kind is StructureKind.DICT:
            return dict(zip(self.keys, parts, strict=True))
        return self._build_object(class_, parts)

    def _build_object(self, class_: Any, parts: list[Any]) -> Any:
        made = class_.__new__(class_)
        for key, part in zip(self.keys[: self.items], parts[: self.items], strict=True):
            _builtin_base(class_).__setitem__(made, key, part)
        for name, part in zip(self.keys[self.items :], parts[self.items :], strict=True):
            object.__setattr__(made, name, part)
        return made


_ATOMS = (
    str, bytes, int, float, complex, bool, type(None), type, FunctionType, MethodType,
    BuiltinFunctionType, ModuleType, range, slice,
)  # fmt: skip


def take_apart(
    whole: Any, is_leaf: Callable[[Any], bool], is_opaque: Callable[[Any], bool] = lambda _: False
) -> tuple[list[Any], Structure]:
    """Return the leaves of a nested object and its structure.

    Args:
        whole: any object.
        is_leaf: tells leaves.
        is_opaque: tells objects not to look into.

    Raises:
        CaptureError: a leaf stands in a set, or an object that holds leaves contains itself.
    """
    leaves: list[Any] = []
    structure = _take_apart(whole, is_leaf, is_opaque, leaves, ())
    return leaves, structure


def _take_apart(
    whole: Any,
    is_leaf: Callable[[Any], bool],
    is_opaque: Callable[[Any], bool],
    leaves: list[Any],
    around: tuple[int, ...],
) -> Structure:
    if is_leaf(whole):
        leaves.append(whole)
        return Structure(StructureKind.LEAF)
    if isinstance(whole, _ATOMS) or is_opaque(whole):
        return Structure(StructureKind.CONSTANT, constant=whole)
    if id(whole) in around:
        return Structure(StructureKind.CONSTANT, constant=whole)
    kind, keys, parts, items = parts_of(whole)
    mark = len(leaves)
    below = (*around, id(whole))
    children = tuple(_take_apart(part, is_leaf, is_opaque, leaves, below) for part in parts)
    found_leaves = len(leaves) > mark
    if isinstance(whole, set | frozenset) and found_leaves:
        raise CaptureError(
            "a set of tensors has no order to replay them in; use a list or a dictionary"
        )
    is_plain = kind is not StructureKind.OBJECT and type(whole) in (tuple, list, dict)
    if not found_leaves and not is_plain:
        return Structure(StructureKind.CONSTANT, constant=whole)
    return Structure(kind, children, tuple(keys), type(whole), items=items)


def parts_of(whole: Any) -> tuple[StructureKind, list[Any], list[Any], int]:
    """Return kind, keys and parts of a container, and how many of the parts are its items."""
    class_ = type(whole)
    if isinstance(whole, set | frozenset):
        return StructureKind.OBJECT, list(range(len(whole))), list(whole), len(whole)
    if isinstance(whole, tuple):
        if hasattr(class_, "_fields"):
            return StructureKind.NAMED_TUPLE, list(class_._fields), list(whole), 0
        return StructureKind.TUPLE, list(range(len(whole))), list(whole), 0
    if class_ is list:
        return StructureKind.LIST, list(range(len(whole))), whole, 0
    if class_ is dict:
        return StructureKind.DICT, list(whole), list(whole.values()), 0
    keys: list[Any] = []
    parts: list[Any] = []
    if isinstance(whole, dict):
        keys, parts = list(whole), [dict.__getitem__(whole, key) for key in whole]
    items = len(keys)
    for name, value in _attributes(whole):
        keys.append(name)
        parts.append(value)
    return StructureKind.OBJECT, keys, parts, items


def _attributes(whole: Any) -> Iterator[tuple[str, Any]]:
    yield from list(getattr(whole, "__dict__", {}).items())
    for name in copyreg._slotnames(type(whole)):  # type: ignore[attr-defined]  # the copy module's own way
        if hasattr(whole, name):
            yield name, getattr(whole, name)


def _builtin_base(class_: type) -> Any:
    """Return the built-in container that a class inherits its items from."""
    return next(base for base in class_.__mro__ if base.__module__ in ("builtins", "collections"))
