"""Nested Python objects taken apart into leaves and a structure, and put together again.

Lists, tuples, dictionaries, named tuples, dataclasses and any other object with attributes are
followed as far as a leaf can be found in them; all else is a constant of the structure. Objects are
rebuilt from their attributes without calling their constructor, so a subclass of ``dict`` with
fields of its own, such as a model output, comes out as it went in.
"""

from __future__ import annotations

import copyreg
import reprlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from ..errors import CaptureError

if TYPE_CHECKING:
    from .identities import Identities


class StructureKind(Enum):
    """What a part of a structure is."""

    LEAF = auto()
    CONSTANT = auto()
    TUPLE = auto()
    LIST = auto()
    DICT = auto()
    NAMED_TUPLE = auto()
    OBJECT = auto()
    SAME = auto()  # an object that has another place, by its name, which is the only key
    KEPT = auto()  # what stands there already, where an object is updated


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Structure:
    """The shape of a nested object, its leaves left out; it shows as Python would, with ``*`` for a leaf.

    Attributes:
        kind: what this part is.
        children: the parts below, in order.
        keys: what leads to each child: positions, dictionary keys, field or attribute names.
        class_: the class to rebuild; None for leaves, and for constants but those told by their parts.
        constant: the object itself, for a constant.
        items: for an object that is also a dictionary or list, how many of the children are its
            items; they come before its attributes.
        mirrored: attributes that hold the item of the same name, as those of a model output do.
        name: what other places that hold this very object call it; see ``identities.py``.
    """

    kind: StructureKind
    children: tuple[Structure, ...] = ()
    keys: tuple[Any, ...] = ()
    class_: Any = None
    constant: Any = None
    items: int = 0
    mirrored: tuple[str, ...] = ()
    name: Hashable = None

    def __repr__(self) -> str:
        match self.kind:
            case StructureKind.LEAF:
                return "*"
            case StructureKind.CONSTANT:
                return reprlib.repr(self.constant)
            case StructureKind.KEPT:
                return "..."
            case StructureKind.SAME:
                return f"<the object {self.keys[0]}>"
            case StructureKind.LIST:
                return f"[{', '.join(map(repr, self.children))}]"
            case StructureKind.TUPLE:
                end = "," if len(self.children) == 1 else ""
                return f"({', '.join(map(repr, self.children))}{end})"
        parts = list(zip(self.keys, self.children, strict=True))
        items = f"{{{', '.join(f'{key!r}: {part!r}' for key, part in parts)}}}"
        if self.kind is StructureKind.DICT:
            return items
        inside = ", ".join(f"{key}={part!r}" for key, part in parts)
        name = getattr(self.class_, "__qualname__", self.class_)  # one that is not loaded has none
        return f"{name}({inside})"

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
        has_attributes = self.kind in (StructureKind.OBJECT, StructureKind.CONSTANT)
        if self.kind is StructureKind.NAMED_TUPLE or (has_attributes and position >= self.items):
            return f".{key}"
        # What an object prints as may be long, and its data.
        return f"[{key!r}]" if isinstance(key, _PRINTED_KEYS) else f"[key {position}]"

    def build(self, leaves: Sequence[Any]) -> Any:
        """Return the object again, with ``leaves`` in place of those taken out."""
        return self._build_from(iter(leaves))

    def _build_from(self, leaves: Iterator[Any]) -> Any:
        if self.kind is StructureKind.LEAF:
            return next(leaves)
        if self.kind is StructureKind.CONSTANT:
            return self.constant
        return self.build_of([child._build_from(leaves) for child in self.children])

    def build_of(self, parts: list[Any]) -> Any:
        """Return the object again from its parts."""
        class_ = self.class_
        assert class_ is not None, "only leaves and constants have no class"
        if self.kind in (StructureKind.NAMED_TUPLE, StructureKind.TUPLE):
            if hasattr(class_, "n_sequence_fields") or not class_.__flags__ & _MADE_IN_PYTHON:
                return class_(
                    parts
                )  # made in C: named tuples such as those of torch.max, torch.Size
            return tuple.__new__(
                class_, parts
            )  # a class may ask for other arguments than its parts
        if self.kind is StructureKind.LIST:
            return parts
        if self.kind is StructureKind.DICT:
            return dict(zip(self.keys, parts, strict=True))
        return self._build_object(class_, parts)

    def _build_object(self, class_: Any, parts: list[Any]) -> Any:
        made = class_.__new__(class_)
        for key, part in zip(self.keys[: self.items], parts[: self.items], strict=True):
            builtin_base(class_).__setitem__(made, key, part)
        for name in self.mirrored:
            object.__setattr__(made, name, parts[self.keys.index(name)])
        for name, part in zip(self.keys[self.items :], parts[self.items :], strict=True):
            object.__setattr__(made, name, part)
        return made


ATOMS = (
    str, bytes, int, float, complex, bool, type(None), type, FunctionType, MethodType,
    BuiltinFunctionType, ModuleType, range, slice, Enum,
)  # fmt: skip


_MOST_PARTS = 1_000  # an object without leaves that has more is one constant
_PRINTED_KEYS = (str, bytes, int, float, complex, tuple, frozenset, type, type(None), Enum)
_MADE_IN_PYTHON = 1 << 9  # the flag of classes that were made by a ``class`` statement


def take_apart(
    whole: Any,
    is_leaf: Callable[[Any], bool],
    is_opaque: Callable[[Any], bool] = lambda _: False,
    *,
    keeps_parts: bool = False,
    identities: Identities | None = None,
    opened: set[int] | None = None,
) -> tuple[list[Any], Structure]:
    """Return the leaves of a nested object and its structure.

    Args:
        whole: any object.
        is_leaf: tells leaves.
        is_opaque: tells objects not to look into.
        keeps_parts: whether a constant whose class does not say what equals it has its parts, as they
            are now, for children.
        identities: of objects that have a place already, which become parts that only name them; takes
            those that are met here.
        opened: takes the ids of the objects that the structure has the parts of.

    Raises:
        CaptureError: a leaf stands in a set, or an object that holds leaves contains itself.
    """
    search = _Search(is_leaf, is_opaque, keeps_parts, identities)
    structure = search.visit(whole, ())
    if opened is not None:
        opened.update(search.opened)
    return search.leaves, structure


class _Search:
    """Walks a nested object once; an object found to hold no leaf is not walked again."""

    def __init__(
        self,
        is_leaf: Callable[[Any], bool],
        is_opaque: Callable[[Any], bool],
        keeps_parts: bool,
        identities: Identities | None,
    ) -> None:
        self._identities = identities
        self.opened: list[int] = []  # objects that the structure has the parts of
        self.leaves: list[Any] = []
        self._is_leaf = is_leaf
        self._is_opaque = is_opaque
        self._keeps_parts = keeps_parts
        self._visited = 0
        # Objects without leaves; held, so that their addresses stay theirs.
        self._barren: dict[int, tuple[Any, Structure]] = {}
        self._entered_again: set[int] = set()

    def visit(self, whole: Any, around: tuple[int, ...]) -> Structure:
        self._visited += 1
        if self._is_leaf(whole):
            self.leaves.append(whole)
            return Structure(StructureKind.LEAF)
        known = self._barren.get(id(whole))
        if known is not None and self._identities is None:
            return known[1]
        constant = Structure(StructureKind.CONSTANT, constant=whole)
        if isinstance(whole, ATOMS) or self._is_opaque(whole):
            return constant
        if id(whole) in around:
            self._entered_again.add(id(whole))
            return constant
        name = None
        if self._identities is not None and not isinstance(whole, tuple | frozenset):
            name, is_met = self._identities.meet(whole)
            if is_met:
                return Structure(StructureKind.SAME, keys=(name,))
            constant = replace(constant, name=name)
        met = 0 if self._identities is None else self._identities.count
        own = parts_of(whole)
        mark, visited = len(self.leaves), self._visited
        opened = len(self.opened)
        self.opened.append(id(whole))
        below = (*around, id(whole))
        children = tuple([self.visit(part, below) for part in own.parts])
        # What an object says its class is, where it stands in for one that cannot be derived from.
        class_ = whole.__class__ if isinstance(whole, tuple) else type(whole)
        structure = Structure(
            own.kind, children, own.keys, class_, None, own.items, own.mirrored, name
        )
        if len(self.leaves) > mark:
            self._require_order(whole)
            return structure
        if self._identities is not None and self._is_to_be_made(whole, children, self._identities):
            return structure
        if self._identities is not None:  # what is below goes with it
            self._identities.forget(met)
        if type(whole) not in (tuple, list, dict):
            is_told = (
                self._keeps_parts
                and own.parts  # one that holds nothing may serve to be told from all others
                and self._visited - visited <= _MOST_PARTS
                and not self._entered_again
                and _is_told_by_parts(type(whole))
            )
            kind = StructureKind.CONSTANT
            structure = replace(structure, kind=kind, constant=whole) if is_told else constant
            del self.opened[opened:]
        self._barren[id(whole)] = (whole, structure)
        return structure

    def _is_to_be_made(
        self, whole: Any, children: tuple[Structure, ...], identities: Identities
    ) -> bool:
        """Whether an object without leaves is of other parts at each replay."""
        if identities.is_whole(whole):
            return False
        is_new = not identities.was_there(whole)
        if identities.is_emptied(whole) or (is_new and type(whole) in (list, dict)):
            return True
        for child in children:
            if child.kind is StructureKind.CONSTANT:
                is_others = isinstance(child.name, tuple)
            else:
                is_others = child.kind is StructureKind.SAME
                if not is_others:
                    return True
            if is_new and is_others:
                return True
        return False

    def _require_order(self, whole: Any) -> None:
        if isinstance(whole, set | frozenset):
            raise CaptureError(
                "a set of tensors has no order to replay them in; use a list or a dictionary"
            )
        if id(whole) in self._entered_again:
            raise CaptureError(
                f"an object of class {type(whole).__qualname__} holds tensors and itself, which cannot be "
                "rebuilt at a replay; return its tensors in plain containers"
            )


def holds_nothing(whole: Any) -> bool:
    """Whether an object can only serve to be told from all others, as one that stands for no argument."""
    return _is_told_by_parts(type(whole)) and not parts_of(whole).parts


def _is_told_by_parts(class_: type) -> bool:
    """Whether all that objects of a class hold can be seen, and equality says nothing of it."""
    bases = class_.__mro__[:-1]
    return all(base.__flags__ & _MADE_IN_PYTHON and "__eq__" not in vars(base) for base in bases)


def is_plain_container(whole: Any) -> bool:
    """Whether an object is a list, tuple, dictionary or named tuple, and nothing beyond that."""
    class_ = type(whole)
    return class_ in (list, tuple, dict) or (
        issubclass(class_, tuple) and hasattr(class_, "_fields")
    )


@dataclass(frozen=True, slots=True)
class Parts:
    """A container's own parts: what :class:`Structure` keeps of it, with the objects in place."""

    kind: StructureKind
    keys: tuple[Any, ...]
    parts: tuple[Any, ...]
    items: int = 0
    mirrored: tuple[str, ...] = ()


def parts_of(whole: Any) -> Parts:
    """Return the parts of a container or other object, not looking further down."""
    class_ = type(whole)
    if isinstance(whole, set | frozenset):
        return Parts(StructureKind.OBJECT, tuple(range(len(whole))), tuple(whole), len(whole))
    if isinstance(whole, tuple):
        if hasattr(class_, "_fields"):
            return Parts(StructureKind.NAMED_TUPLE, tuple(class_._fields), tuple(whole))
        return Parts(StructureKind.TUPLE, tuple(range(len(whole))), tuple(whole))
    if class_ is list:
        return Parts(StructureKind.LIST, tuple(range(len(whole))), tuple(whole))
    if class_ is dict:
        return Parts(StructureKind.DICT, tuple(whole), tuple(whole.values()))
    items = {key: dict.__getitem__(whole, key) for key in whole} if isinstance(whole, dict) else {}
    attributes = dict(_attributes(whole))
    mirrored = tuple(name for name, value in attributes.items() if items.get(name, items) is value)
    for name in mirrored:
        del attributes[name]
    return Parts(
        StructureKind.OBJECT,
        (*items, *attributes),
        (*items.values(), *attributes.values()),
        len(items),
        mirrored,
    )


def _attributes(whole: Any) -> Iterator[tuple[str, Any]]:
    yield from list(getattr(whole, "__dict__", {}).items())
    for name in copyreg._slotnames(type(whole)):  # type: ignore[attr-defined]  # the copy module's own way
        if hasattr(whole, name):
            yield name, getattr(whole, name)


def builtin_base(class_: type) -> Any:
    """Return the built-in container that a class inherits its items from."""
    return next(base for base in class_.__mro__ if base.__module__ in ("builtins", "collections"))
