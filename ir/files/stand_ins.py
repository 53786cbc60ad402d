"""What stands in a file for what a file cannot hold: names of classes, constants of torch, absent objects."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

_module_dict: Final[Any] = vars(ModuleType)["__dict__"].__get__
_class_dict: Final[Any] = vars(type)["__dict__"].__get__


@dataclass(frozen=True, slots=True)
class Named:
    """A class or a function, by the module that has it and its name there."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"

    def find(self) -> Any:
        """Return it if its module is loaded, else ``None``; nothing is imported, and no code runs."""
        found: Any = sys.modules.get(self.module)
        for step in self.name.split("."):
            # Not ``getattr``, which a lazy module answers by importing something.
            if issubclass(type(found), ModuleType):
                found = _module_dict(found).get(step)
            elif issubclass(type(found), type):
                found = _class_dict(found).get(step)
            else:
                return None
        return found


@dataclass(frozen=True, slots=True)
class TorchConstant:
    """A dtype, device, layout, memory format or size of torch."""

    kind: str
    value: str | tuple[int, ...]

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True, slots=True, eq=False)
class Absent:
    """Stands for an object that a file cannot hold.

    Attributes:
        label: what to call it, unique in a file.
        class_name: of its class, with the module.
        shown: what it printed as, shortened.
    """

    label: str
    class_name: str
    shown: str

    def __repr__(self) -> str:
        return f"<{self.shown}, which the file does not hold>"


@dataclass(frozen=True, slots=True)
class TensorRef:
    """Stands for a tensor of the program's state, by its number in the file."""

    number: int


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an enumeration, by the name of its class and its own."""

    class_: Named
    name: str

    def __str__(self) -> str:
        return f"{self.class_}.{self.name}"


def name_of(whole_: Any) -> Named | None:
    """Return the name that leads to a class or a function; None if none does."""
    if isinstance(whole_, Named):
        return whole_
    module, name = getattr(whole_, "__module__", None), getattr(whole_, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str):
        return None
    named = Named(module, name)
    return named if named.find() is whole_ else None
