"""Python's objects as JSON, as far as plain data goes; all else by its name, which a file cannot replace.

Plain data comes back as it was. A class or a function is written as the name that leads to it, and comes
back as :class:`Named`; a constant of torch as :class:`TorchConstant`; any other object as :class:`Absent`,
which knows what it was. Reading imports nothing and calls nothing.
"""

from __future__ import annotations

import reprlib
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from types import BuiltinFunctionType, FunctionType
from typing import Any, Final

from ...errors import FormatError
from ..structure import Structure, StructureKind
from .facts import float_json, float_of
from .fields import MOST_DEEP, fields, listed, tagged, text, whole
from .stand_ins import Absent, Member, Named, TensorRef, TorchConstant, name_of

_TORCH_KINDS: Final = ("dtype", "device", "layout", "memory_format", "Size")
_CONTAINERS: Final[dict[type, str]] = {
    tuple: "tuple",
    list: "list",
    set: "set",
    frozenset: "frozenset",
}
_BUILTIN: Final = {class_.__name__: class_ for class_ in (tuple, list, dict, set, frozenset)}
_STRUCTURES: Final = {kind.name.lower(): kind for kind in StructureKind}
_short = reprlib.Repr()
_short.maxother = _short.maxstring = 80


@dataclass
class ObjectWriter:
    """Writes objects, those that a file cannot hold once each.

    Attributes:
        absent: what was written of these.
    """

    absent: list[Any] = field(default_factory=list)
    _known: dict[int, tuple[Any, int]] = field(
        default_factory=dict
    )  # held, so that ids stay theirs
    _labels: set[str] = field(default_factory=set)

    def write(self, whole_: Any, where: str, depth: int = 0) -> Any:
        """Return an object as JSON; ``where`` is what to call it if the file cannot hold it."""
        class_ = type(whole_)
        if whole_ is None or class_ in (bool, int, str):
            return whole_
        plain = _plain_json(whole_, class_)
        if plain is not None:
            return plain
        if depth > MOST_DEEP // 4:
            return self._absent(whole_, where)

        def part(inner: Any) -> Any:
            return self.write(inner, where, depth + 1)

        if class_ in _CONTAINERS:
            items = list(whole_)
            if class_ in (set, frozenset):
                items.sort(key=repr)
            return {_CONTAINERS[class_]: list(map(part, items))}
        if class_ is dict:
            return {"dict": [[part(key), part(held)] for key, held in whole_.items()]}
        if class_ is slice:
            return {"slice": [part(whole_.start), part(whole_.stop), part(whole_.step)]}
        if class_ is Structure:
            return {"structure": self.structure(whole_, where, depth + 1)}
        if isinstance(whole_, Enum | Member):
            owner = whole_.class_ if isinstance(whole_, Member) else name_of(class_)
            return (
                self._absent(whole_, where)
                if owner is None
                else {"member": [owner.module, owner.name, whole_.name]}
            )
        if isinstance(whole_, type | FunctionType | BuiltinFunctionType | Named):
            named = name_of(whole_)
            if named is not None:
                return {"named": [named.module, named.name]}
        return self._absent(whole_, where)

    def structure(self, structure: Structure, where: str, depth: int = 0) -> Any:
        """Return a structure as JSON."""
        if structure.kind is StructureKind.LEAF and structure.name is None:
            return "leaf"
        if depth > MOST_DEEP // 2:
            raise FormatError(f"{where} is nested too deeply to be saved")
        made: dict[str, Any] = {"kind": structure.kind.name.lower()}
        steps = _steps(structure, where)
        if structure.children:
            made["children"] = [
                self.structure(child, step, depth + 1)
                for child, step in zip(structure.children, steps, strict=True)
            ]
        if structure.keys:
            if all(type(k) is int and k == n for n, k in enumerate(structure.keys)):
                made["count"] = len(structure.keys)
            else:
                made["keys"] = [self.write(key, where) for key in structure.keys]
        if structure.class_ is not None:
            made["class"] = self._class(structure.class_, where)
        if structure.kind is StructureKind.CONSTANT:
            made["constant"] = self.write(structure.constant, where)
        if structure.items:
            made["items"] = structure.items
        if structure.mirrored:
            made["mirrored"] = list(structure.mirrored)
        if structure.name is not None:
            made["name"] = self.write(structure.name, where)
        return made

    def _class(self, class_: Any, where: str) -> Any:
        if class_ in _BUILTIN.values():
            return class_.__name__
        named = name_of(class_)
        if named is not None:
            return {"named": [named.module, named.name]}
        if isinstance(class_, Absent):
            return self._absent(class_, where)
        return self._absent(class_, f"{class_.__module__}.{class_.__qualname__}")

    def _absent(self, whole_: Any, where: str) -> Any:
        known = self._known.get(id(whole_))
        if known is not None:
            return {"absent": known[1]}
        number = len(self.absent)
        self._known[id(whole_)] = whole_, number
        if isinstance(whole_, Absent):
            label, class_name, shown = whole_.label, whole_.class_name, whole_.shown
        else:
            class_ = type(whole_)
            label, class_name = where, f"{class_.__module__}.{class_.__qualname__}"
            shown = _shown(whole_)
        suffix = 0
        free = label
        while free in self._labels:
            suffix += 1
            free = f"{label}.{suffix}"
        self._labels.add(free)
        self.absent.append([free, class_name, shown])
        return {"absent": number}


def _plain_json(whole_: Any, class_: type) -> Any:
    """Return what has no parts as JSON; None if it is no such thing."""
    if class_ is float:
        return {"float": float_json(whole_)}
    if class_ is complex:
        return {"complex": [float_json(whole_.real), float_json(whole_.imag)]}
    if class_ is bytes:
        return {"bytes": b64encode(whole_).decode("ascii")}
    if class_ is range:
        return {"range": [whole_.start, whole_.stop, whole_.step]}
    if whole_ is Ellipsis:
        return {"ellipsis": True}
    if class_ is TensorRef:
        return {"tensor": whole_.number}
    if class_ is TorchConstant:
        return {"torch": [whole_.kind, _size_json(whole_.value)]}
    if class_.__module__ == "torch" and class_.__qualname__ in _TORCH_KINDS:
        is_size = class_.__qualname__ == "Size"
        if not is_size or all(type(size) is int for size in whole_):
            return {"torch": [class_.__qualname__, list(whole_) if is_size else str(whole_)]}
    return None


def _size_json(value: str | tuple[int, ...]) -> Any:
    return value if isinstance(value, str) else list(value)


def _shown(whole_: Any) -> str:
    try:
        shown = " ".join(_short.repr(whole_).split())
    except Exception as error:  # noqa: BLE001  # whatever a user's __repr__ may raise
        shown = f"an object whose repr raises {type(error).__name__}"
    return shown if len(shown) <= 120 else f"{shown[:117]}..."


def _steps(structure: Structure, where: str) -> list[str]:
    return [where + structure.step_text(position) for position in range(len(structure.children))]


class ObjectReader:
    """Reads what :class:`ObjectWriter` wrote.

    Attributes:
        absent: the objects that the file does not hold.
        tensor_count: how many tensors it holds.
    """

    def __init__(self, absent: Any, tensor_count: int = 0) -> None:
        self.tensor_count = tensor_count
        self.absent: list[Absent] = []
        for number, row in enumerate(listed(absent, "absent")):
            where = f"absent[{number}]"
            self.absent.append(Absent(*[text(part, where) for part in listed(row, where, 3)]))

    def read(self, value: Any, where: str, depth: int = 0) -> Any:
        """Return an object."""
        if value is None or value.__class__ in (bool, int, str):
            return value
        if depth > MOST_DEEP:
            raise FormatError(f"{where} is nested too deeply")
        kind, content = tagged(value, where)
        reader = _READERS.get(kind)
        if reader is None:
            raise FormatError(f"{where} is of a kind {kind!r}, which this version does not know")
        try:
            return reader(self, content, where, depth + 1)
        except (TypeError, ValueError) as error:  # a list in a set, or as a key
            raise FormatError(f"{where} is no {kind}: {error}") from error

    def structure(self, value: Any, where: str, depth: int = 0) -> Structure:
        """Return a structure."""
        if value == "leaf":
            return Structure(StructureKind.LEAF)
        if depth > MOST_DEEP:
            raise FormatError(f"{where} is nested too deeply")
        parts = fields(value, where, ("kind",), _PARTS_OF_STRUCTURE)
        if parts["kind"].__class__ is not str or parts["kind"] not in _STRUCTURES:
            raise FormatError(f"{where} is of a kind that structures do not have")
        kind = _STRUCTURES[parts["kind"]]
        children = [
            self.structure(child, where, depth + 1)
            for child in listed(parts.get("children", []), where)
        ]
        keys: list[Any] = list(range(whole(parts.get("count", 0), where, 0, len(children) or 1)))
        if "keys" in parts:
            keys = [self.read(key, where) for key in listed(parts["keys"], where)]
            for key in keys:
                _require_key(key, where)
        name = self.read(parts.get("name"), where)
        _require_key(name, where)
        mirrored = [text(step, where) for step in listed(parts.get("mirrored", []), where)]
        structure = Structure(
            kind,
            tuple(children),
            tuple(keys),
            self._class(parts.get("class"), where),
            self.read(parts.get("constant"), where),
            whole(parts.get("items", 0), where, 0, len(children)),
            tuple(mirrored),
            name,
        )
        _require_sense(structure, where)
        return structure

    def _class(self, value: Any, where: str) -> Any:
        if value is None or (value.__class__ is str and value in _BUILTIN):
            return None if value is None else _BUILTIN[value]
        found = self.read(value, where)
        if not isinstance(found, Named | Absent):
            raise FormatError(f"{where} has a class that is none")
        return found


_PARTS_OF_STRUCTURE: Final = (
    "children", "keys", "count", "class", "constant", "items", "mirrored", "name",
)  # fmt: skip


def _require_key(key: Any, where: str) -> None:
    try:
        hash(key)
    except TypeError as error:
        raise FormatError(f"{where} has a key that can be none: {error}") from error


def _require_sense(structure: Structure, where: str) -> None:
    """Raise a FormatError where the parts of a structure do not fit its kind."""
    match structure.kind:
        case StructureKind.LEAF | StructureKind.KEPT:
            fits = not structure.children and structure.class_ is None
        case StructureKind.SAME:
            fits = not structure.children and len(structure.keys) == 1
        case StructureKind.CONSTANT:
            fits = len(structure.keys) == len(structure.children)
            fits = fits and (structure.class_ is not None or not structure.children)
        case _:
            fits = len(structure.keys) == len(structure.children) and structure.class_ is not None
            fits = fits and all(name in structure.keys for name in structure.mirrored)
    if not fits:
        raise FormatError(f"{where} has parts that do not fit a {structure.kind.name.lower()}")


def _read_all(reader: ObjectReader, content: Any, where: str, depth: int) -> list[Any]:
    return [reader.read(part, where, depth) for part in listed(content, where)]


def _read_dict(reader: ObjectReader, content: Any, where: str, depth: int) -> dict[Any, Any]:
    pairs = [_read_all(reader, pair, where, depth) for pair in listed(content, where)]
    return {key: held for key, held in pairs}


def _read_slice(reader: ObjectReader, content: Any, where: str, depth: int) -> slice:
    return slice(*_read_all(reader, listed(content, where, 3), where, depth))


def _read_range(reader: ObjectReader, content: Any, where: str, depth: int) -> range:
    return range(*[whole(part, where, -(2**63)) for part in listed(content, where, 3)])


def _read_complex(reader: ObjectReader, content: Any, where: str, depth: int) -> complex:
    real, imaginary = listed(content, where, 2)
    return complex(float_of(real, where), float_of(imaginary, where))


def _read_bytes(reader: ObjectReader, content: Any, where: str, depth: int) -> bytes:
    return b64decode(text(content, where), validate=True)


def _read_named(reader: ObjectReader, content: Any, where: str, depth: int) -> Named:
    module, name = listed(content, where, 2)
    return Named(text(module, where), text(name, where))


def _read_member(reader: ObjectReader, content: Any, where: str, depth: int) -> Member:
    module, name, member = listed(content, where, 3)
    return Member(Named(text(module, where), text(name, where)), text(member, where))


def _read_torch(reader: ObjectReader, content: Any, where: str, depth: int) -> TorchConstant:
    kind, value = listed(content, where, 2)
    if kind not in _TORCH_KINDS:
        raise FormatError(f"{where} is a {kind!r} of torch, which this version does not know")
    if kind == "Size":
        return TorchConstant(kind, tuple([whole(size, where) for size in listed(value, where)]))
    return TorchConstant(kind, text(value, where))


def _read_tensor(reader: ObjectReader, content: Any, where: str, depth: int) -> TensorRef:
    return TensorRef(whole(content, where, 0, reader.tensor_count - 1))


def _read_absent(reader: ObjectReader, content: Any, where: str, depth: int) -> Absent:
    return reader.absent[whole(content, where, 0, len(reader.absent) - 1)]


_READERS: Final[dict[str, Callable[[ObjectReader, Any, str, int], Any]]] = {
    "tuple": lambda *given: tuple(_read_all(*given)),
    "list": _read_all,
    "set": lambda *given: set(_read_all(*given)),
    "frozenset": lambda *given: frozenset(_read_all(*given)),
    "dict": _read_dict,
    "slice": _read_slice,
    "range": _read_range,
    "float": lambda reader, content, where, depth: float_of(content, where),
    "complex": _read_complex,
    "bytes": _read_bytes,
    "ellipsis": lambda *given: Ellipsis,
    "named": _read_named,
    "member": _read_member,
    "torch": _read_torch,
    "structure": lambda reader, content, where, depth: reader.structure(content, where, depth),
    "tensor": _read_tensor,
    "absent": _read_absent,
}
