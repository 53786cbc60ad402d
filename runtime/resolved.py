"""What stands in a file for an object, replaced by the object: a loaded class, a constant of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any, Final

import torch

from ..errors import FormatError
from ..ir.files import Absent, Member, Named, SavedGenerator, TensorRef, TorchConstant
from ..ir.structure import Structure, StructureKind

_BASES: Final[Mapping[StructureKind, type]] = {
    StructureKind.TUPLE: tuple,
    StructureKind.NAMED_TUPLE: tuple,
    StructureKind.LIST: list,
    StructureKind.DICT: dict,
}


class Resolver:
    """Finds objects, and notes which are missing.

    Attributes:
        missing: what was asked for and is not here: what to call it, and what to do about it, in words.

    Args:
        given: objects that the user gives, by what they are called in messages.
        tensors: those of the file, by number.
    """

    def __init__(self, given: Mapping[str, Any], tensors: Sequence[torch.Tensor]) -> None:
        self.missing: dict[str, str] = {}
        self._given = given
        self._tensors = tensors

    def plain(self, held: Any) -> Any:
        """Return an object with all that stands for another one replaced; what is missing stays."""
        match held:
            case Named():
                return self._named(held)
            case Member():
                return self._member(held)
            case TorchConstant():
                return self._constant(held)
            case Absent():
                return self._absent(held)
            case TensorRef():
                return self._tensors[held.number]
            case SavedGenerator():
                return self._generator(held)
            case Structure():
                return self.structure(held)
        if type(held) in (list, tuple, set, frozenset):
            return type(held)(map(self.plain, held))
        if type(held) is dict:
            return {self.plain(key): self.plain(part) for key, part in held.items()}
        if type(held) is slice:
            return slice(*map(self.plain, (held.start, held.stop, held.step)))
        return held

    def structure(self, structure: Structure) -> Structure:
        """Return a structure of real classes, keys and constants."""
        if structure.kind is StructureKind.LEAF:
            return structure
        class_ = self.plain(structure.class_)
        if isinstance(class_, type):
            self._require_kind(structure, class_)
        return replace(
            structure,
            children=tuple(map(self.structure, structure.children)),
            keys=tuple(map(self.plain, structure.keys)),
            class_=class_,
            constant=self._part_of(structure),
            name=self.plain(structure.name),
        )

    def _part_of(self, structure: Structure) -> Any:
        """Return a constant; one that is told by its parts may be absent itself."""
        held = structure.constant
        if isinstance(held, Absent) and structure.class_ is not None:
            return self._given.get(held.label, held)
        return self.plain(held)

    def _require_kind(self, structure: Structure, class_: type) -> None:
        """Note a class that must not be made of what a file has for it."""
        name = f"{class_.__module__}.{class_.__qualname__}"
        base = _BASES.get(structure.kind)
        if base is not None and not issubclass(class_, base):
            self._miss(name, f"is no {base.__name__} any more")
        if structure.kind is StructureKind.OBJECT and hasattr(class_, "__del__"):
            self._miss(
                name, "runs code of its own when an object goes, on what the file says of it"
            )

    def _named(self, named: Named) -> Any:
        found = self._given.get(str(named))
        if found is None:
            found = named.find()
        if found is None:
            self._miss(
                str(named),
                f"import {named.module} before the call, or pass it to opscope.load(..., "
                f"objects={{{str(named)!r}: ...}})",
            )
            return named
        return found

    def _member(self, member: Member) -> Any:
        class_ = self._named(member.class_)
        if class_ is member.class_:
            return member
        found = class_.__members__.get(member.name) if _is_enum(class_) else None
        if found is None:
            self._miss(str(member), "is no member of that class any more")
            return member
        return found

    def _constant(self, constant: TorchConstant) -> Any:
        if constant.kind == "Size":
            return torch.Size(constant.value)  # type: ignore[arg-type]  # which are numbers
        if constant.kind == "device":
            return torch.device(str(constant.value))
        found = getattr(torch, str(constant.value).removeprefix("torch."), None)
        if not isinstance(found, torch.dtype | torch.layout | torch.memory_format):
            self._miss(str(constant), f"is not in torch {torch.__version__}")
            return constant
        return found

    def _absent(self, absent: Absent) -> Any:
        if absent.label in self._given:
            return self._given[absent.label]
        self._miss(
            absent.label,
            f"was {absent.shown}, of class {absent.class_name}, which a file cannot hold: pass it to "
            f"opscope.load(..., objects={{{absent.label!r}: ...}})",
        )
        return absent

    def _generator(self, saved: SavedGenerator) -> torch.Generator:
        device = torch.device(saved.device)
        if saved.state is None:
            if device.type == "cpu":
                return torch.default_generator
            return torch.cuda.default_generators[device.index or 0]
        generator = torch.Generator(device)
        try:
            generator.set_state(self._tensors[saved.state])
        except (RuntimeError, TypeError) as error:
            raise FormatError(f"the state of a generator is none: {error}") from error
        return generator

    def _miss(self, name: str, what: str) -> None:
        self.missing.setdefault(name, what)


def _is_enum(class_: Any) -> bool:
    return isinstance(class_, type) and issubclass(class_, Enum)
