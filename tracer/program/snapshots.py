"""What modules, arguments and other objects hold, noted before a run and compared after it.

Note [Marks of what was held]
    A note keeps nothing alive that the program may let go of: numbers and strings are kept as they
    are, tensors by weak references, all else by its address. It costs microseconds per object, since
    models have hundreds of modules: addresses and numbers give the garbage collector nothing to do.
"""

from __future__ import annotations

import itertools
import operator
import weakref
import zlib
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import GeneratorType
from typing import Any

import torch

from ...ir.structure import StructureKind, parts_of
from ..diagnostics import short_text
from ..dispatch.generators import GENERATOR
from ..dispatch.literals import PLAIN, equal_literals
from ..dispatch.tensors import type_of_tensor
from .inputs import is_opaque
from .reachable import is_library, own_attributes, parts_of_object

_PLAIN = frozenset((*PLAIN, complex, bytes))
_CONTAINERS = (list, dict, set, deque, Counter, OrderedDict, defaultdict)
_MACHINERY = frozenset(vars(torch.nn.Module())) - {
    "training"
}  # what every module has, of torch's own
_LOOKED_INTO: frozenset[type] = frozenset((*_CONTAINERS, GENERATOR))  # in modules
_LOOKED_AT = _LOOKED_INTO | {torch.Tensor}
_MOST_ITEMS = 2_000
_DEEPEST = 8
_ABSENT: Any = object()


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that an object holds after a run and did not hold before, or the other way round.

    Attributes:
        owner: the object.
        name: its attribute or key.
        path: how the program's user would call it.
        text: what became of it, as the end of a sentence that begins with the path.
        value: what it was and what it is, in short.
        tensor: what it holds now, if that is a tensor.
        is_new: whether there was nothing before, or no tensor.
    """

    owner: Any
    name: Any
    path: str
    text: str
    value: str
    tensor: torch.Tensor | None = None
    is_new: bool = False


class Snapshot:
    """Notes what objects hold.

    Attributes:
        generators: the random number generators that modules hold.
    """

    def __init__(self) -> None:
        self.generators: list[torch.Generator] = []
        self._notes: list[_Note] = []
        self._seen: set[int] = set()

    def add_module(self, path: str, module: torch.nn.Module) -> None:
        """Note what one module holds, and the items of the containers among its attributes."""
        if id(module) in self._seen:
            return
        self._seen.add(id(module))
        start = f"{path}." if path else ""
        note = _ModuleNote(module, start)
        self._notes.append(note)
        for name, value in note.objects:
            if value.__class__ in _CONTAINERS:
                self.add_container(f"{start}{name}", value)
            elif value.__class__ is GENERATOR:
                self.generators.append(value)
        note.objects.clear()

    def add_class(self, class_: type) -> None:
        """Note the numbers and texts among the attributes of a class and of those it inherits from."""
        if id(class_) in self._seen:
            return
        for base in class_.__mro__:
            if id(base) in self._seen:
                continue
            self._seen.add(id(base))
            if is_library(base):
                continue
            note = _Note(base, f"{base.__name__}.", "{}", _held_by_class)
            if note.holds_anything:
                self._notes.append(note)

    def add_variables(self, function: Any, read: Callable[[Any], dict[str, Any]]) -> None:
        """Note the variables that ``read`` finds for a function, and the items of containers among them."""
        self._notes.append(_Note(function, "", "{}", read))
        for name, value in read(function).items():
            if value.__class__ in _CONTAINERS:
                self.add_container(name, value)

    def add_object(self, path: str, held: Any, compared: tuple[type, ...]) -> None:
        """Note what an object or function holds of some classes; of a container, its items."""
        if held.__class__ in _CONTAINERS:
            self.add_container(path, held)
            return

        def read(held: Any) -> dict[str, Any]:
            found: dict[str, Any] = {}
            for name, part in parts_of_object(path, held):
                if isinstance(part, compared):
                    found.setdefault(name, part)  # an attribute hides that of the class
            return found

        note = _Note(held, "", "{}", read)
        if note.holds_anything:
            self._notes.append(note)

    def add_iterator(self, path: str, iterator: Iterator[Any]) -> None:
        """Note where an iterator is, as far as it tells."""
        self._notes.append(_IteratorNote(iterator, path, "", lambda held: {"": _position(held)}))

    def has_seen(self, held: Any) -> bool:
        """Whether an object is noted as what something else holds."""
        return id(held) in self._seen

    def add_container(self, path: str, container: Any) -> None:
        """Note the items of a container."""
        if len(container) <= _MOST_ITEMS and id(container) not in self._seen:
            self._seen.add(id(container))
            self._notes.append(_Note(container, path, "[{!r}]", _items))

    def add_argument(self, path: str, whole: Any, depth: int = 0) -> None:
        """Note what an argument holds, and what that holds."""
        if isinstance(whole, torch.Tensor) or whole.__class__ in _PLAIN or id(whole) in self._seen:
            return
        if isinstance(whole, torch.nn.Module):
            for name, module in whole.named_modules(prefix=path):
                self.add_module(name, module)
        elif _is_array(whole):
            self._seen.add(id(whole))
            self._notes.append(_ArrayNote(whole, path))
        elif depth < _DEEPEST and not is_opaque(whole) and not callable(whole):
            self._add_parts(path, whole, depth)

    def _add_parts(self, path: str, whole: Any, depth: int) -> None:
        own = parts_of(whole)
        has_items = isinstance(whole, _CONTAINERS)
        can_hold = own.parts or has_items or hasattr(whole, "__dict__")
        if len(own.parts) > _MOST_ITEMS or not can_hold:
            return
        self._seen.add(id(whole))
        if not isinstance(whole, tuple | frozenset):
            step = "[{!r}]" if has_items else ".{}"
            self._notes.append(_PartsNote(whole, path, step, _parts))
        for key, part in zip(own.keys, own.parts, strict=True):
            step = f".{key}" if own.kind is StructureKind.NAMED_TUPLE else f"[{key!r}]"
            step = step if has_items or isinstance(whole, tuple) else f".{key}"
            self.add_argument(path + step, part, depth + 1)

    def changes(self) -> Iterator[Change]:
        """Yield what is no longer as it was noted."""
        for note in self._notes:
            if not note.is_as_it_was():
                yield from note.changes()


class _Note:
    """What one object held: see Note [Marks of what was held]."""

    __slots__ = ("ids", "owner", "path", "plain", "read", "step", "tensors")

    def __init__(
        self, owner: Any, path: str, step: str, read: Callable[[Any], dict[Any, Any]]
    ) -> None:
        self.owner = owner
        self.path = path
        self.step = step  # how a key follows the path
        self.read = read
        self.plain: dict[Any, Any] = {}
        self.ids: dict[Any, int] = {}
        self.tensors: dict[Any, weakref.ref[torch.Tensor]] = {}
        for key, value in read(owner).items():
            class_ = value.__class__
            if class_ in _PLAIN:
                self.plain[key] = value
            elif class_ is torch.Tensor:
                self.tensors[key] = weakref.ref(value)
            else:
                self.ids[key] = id(value)

    def is_as_it_was(self) -> bool:
        """Whether nothing has changed, as far as that is quickly seen."""
        return False

    @property
    def holds_anything(self) -> bool:
        """Whether there was anything to note."""
        return bool(self.plain or self.ids or self.tensors)

    def changes(self) -> Iterator[Change]:
        present = self.read(self.owner)
        count = len(self.plain) + len(self.ids) + len(self.tensors)
        if self.step == "[{!r}]" and len(present) != count:
            text = f"goes from {count} to {_counted(len(present))}"
            value = f"{count} -> {len(present)}"
            yield Change(self.owner, None, self.path, text, value, _last(present))
            return
        for key, value in present.items():
            if not self._holds(key, value):
                yield self._change(key, value)
        for key in (*self.plain, *self.ids, *self.tensors):
            if key not in present:
                path = self.path + self.step.format(key)
                yield Change(self.owner, key, path, "is gone", f"{self._old(key)} -> nothing")

    def _holds(self, key: Any, value: Any) -> bool:
        """Whether a value is the one that was there."""
        class_ = value.__class__
        if class_ in _PLAIN:
            mark = self.plain.get(key, _ABSENT)
            return mark is value or (mark.__class__ is class_ and equal_literals(mark, value))
        if class_ is torch.Tensor:
            reference = self.tensors.get(key)
            return reference is not None and reference() is value
        return self.ids.get(key) == id(value)

    def _old(self, key: Any) -> str:
        if key in self.plain:
            return short_text(self.plain[key])
        return "a tensor" if key in self.tensors else "an object"

    def _change(self, key: Any, value: Any) -> Change:
        path = self.path + self.step.format(key)
        new = _text(value)
        tensor = value if isinstance(value, torch.Tensor) else None
        if key not in self.plain and key not in self.ids and key not in self.tensors:
            return Change(
                self.owner, key, path, f"is new: {new}", f"nothing -> {new}", tensor, True
            )
        old = self._old(key)
        text = f"goes from {old} to {new}"
        if key not in self.plain:
            text = f"is another {'object' if tensor is None else 'tensor'} now: {new}"
        return Change(self.owner, key, path, text, f"{old} -> {new}", tensor, key in self.plain)


class _PartsNote(_Note):
    """What an object among the arguments held, and in which order."""

    __slots__ = ("order",)

    def __init__(
        self, owner: Any, path: str, step: str, read: Callable[[Any], dict[Any, Any]]
    ) -> None:
        super().__init__(owner, path, step, read)
        self.order = list(owner) if isinstance(owner, dict) else []

    def changes(self) -> Iterator[Change]:
        is_other = False
        for change in super().changes():
            is_other = True
            yield change
        if not is_other and isinstance(self.owner, dict) and list(self.owner) != self.order:
            text = "has its items in another order now"
            yield Change(self.owner, None, self.path, text, short_text(list(self.owner)))


class _ModuleNote(_Note):
    """What a module held. There are hundreds of them, so what has not changed costs little.

    Attributes:
        objects: the containers and generators among the attributes, for who makes the note.
    """

    __slots__ = ("_marks", "objects")

    def __init__(self, module: torch.nn.Module, path: str) -> None:
        self.owner = module
        self.path = path
        self.step = "{}"
        self.read = _held_by_module
        self.tensors: dict[Any, weakref.ref[torch.Tensor]] = {}
        self.objects: list[tuple[str, Any]] = []
        names, values = own_attributes(module)
        held = zip(names, values, strict=True)
        self.plain: dict[Any, Any] = {
            name: value for name, value in held if value.__class__ in _PLAIN
        }
        if not _LOOKED_AT.isdisjoint(map(type, values)):
            for name, value in zip(names, values, strict=True):
                if value.__class__ is torch.Tensor:
                    self.tensors[name] = weakref.ref(value)
                elif value.__class__ in _LOOKED_INTO:
                    self.objects.append((name, value))
        self._marks = _marks(module)
        if "training" in vars(module):
            self.plain["training"] = vars(module)["training"]
        if module._buffers:
            for name, buffer in module._buffers.items():
                if buffer.__class__ is torch.Tensor:
                    self.tensors[name] = weakref.ref(buffer)

    def is_as_it_was(self) -> bool:
        # Where a tensor is gone, its address may be that of another by now.
        for reference in self.tensors.values():
            if reference() is None:
                return False
        return _marks(self.owner) == self._marks

    def changes(self) -> Iterator[Change]:
        self.ids = {
            name: mark
            for name, mark in zip(*self._marks[:2], strict=True)
            if not (name in self.plain or name in self.tensors)
        }
        yield from super().changes()


class _ArrayNote(_Note):
    """What was in a NumPy array."""

    __slots__ = ()

    def __init__(self, array: Any, path: str) -> None:
        super().__init__(array, path, "", lambda array: {"": _checksum(array)})

    def changes(self) -> Iterator[Change]:
        if self.read(self.owner) != self.plain:
            new = short_text(self.owner)
            yield Change(self.owner, None, self.path, f"holds other numbers now: {new}", new)


class _IteratorNote(_Note):
    """Where an iterator was."""

    __slots__ = ()

    def changes(self) -> Iterator[Change]:
        if self.read(self.owner) != self.plain:
            yield Change(self.owner, "", self.path, "was advanced", "")


def _position(iterator: Iterator[Any]) -> str:
    """Return what changes when an iterator is advanced; nothing of those that do not tell, as ``zip``."""
    if isinstance(iterator, GeneratorType):
        frame = iterator.gi_frame
        if frame is None:
            return "ended"
        held = [value for value in frame.f_locals.values() if value.__class__ in _PLAIN]
        return f"{frame.f_lasti} {held}"
    if isinstance(iterator, itertools.count):
        return repr(iterator)
    return str(operator.length_hint(iterator, -1))


def _text(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"a tensor {type_of_tensor(value)}"
    return short_text(value) if value.__class__ in _PLAIN else f"a {type(value).__name__}"


def _held_by_module(module: torch.nn.Module) -> dict[str, Any]:
    """Return a module's own attributes, parameters, buffers and children by name."""
    held = {name: value for name, value in vars(module).items() if name not in _MACHINERY}
    for kept in (module._parameters, module._buffers, module._modules):
        if kept:
            held.update(kept.items())  # those of scripted modules are no dictionaries
    return held


def _held_by_class(class_: type) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(class_).items()
        if value.__class__ in _PLAIN and not name.startswith("__")
    }


def _marks(module: torch.nn.Module) -> tuple[list[str], list[int], Any]:
    """Return the names and the addresses of what a module holds, in order, and whether it trains."""
    names, values = own_attributes(module)
    for kept in (module._parameters, module._buffers, module._modules):
        if kept:
            names += kept.keys()
            values += kept.values()
    return names, [*map(id, values)], vars(module).get("training")


def _items(container: Any) -> dict[Any, Any]:
    if isinstance(container, dict):
        return dict(container)
    if isinstance(container, set):
        return {(id(item), type(item)): None for item in container}
    return dict(enumerate(container))


def _parts(whole: Any) -> dict[Any, Any]:
    if isinstance(whole, set):
        return _items(whole)
    own = parts_of(whole)
    return dict(zip(own.keys, own.parts, strict=True))


def _last(present: dict[Any, Any]) -> torch.Tensor | None:
    value = next(reversed(present.values()), None)
    return value if isinstance(value, torch.Tensor) else None


def _counted(count: int) -> str:
    return f"{count} item" + ("" if count == 1 else "s")


def _is_array(value: Any) -> bool:
    return type(value).__module__ == "numpy" and hasattr(value, "__array_interface__")


def _checksum(array: Any) -> int:
    return zlib.crc32(array.tobytes() if array.dtype != object else repr(array.tolist()).encode())
