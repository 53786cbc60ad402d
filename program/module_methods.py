"""What a module that was traced and one that was loaded have in common: programs by the names of methods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Generic, Never, TypeVar

from .. import __version__
from ..errors import ReplayError
from ..ir.files import Contents, Data, ModuleContents, write_module
from .recorded import RecordedProgram

_Program = TypeVar("_Program", bound=RecordedProgram)


class ModuleMethods(Generic[_Program]):
    """A program for each of a module's methods.

    Attributes:
        name: the class of the module.
        methods: the program of each method, in the order in which they were traced.
    """

    _which: ClassVar[str] = "methods"

    def __init__(self, name: str, methods: Mapping[str, _Program]) -> None:
        self.name = name
        self.methods: Mapping[str, _Program] = MappingProxyType(_Methods(methods, self._which))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Replay the module's own call, as that of its program ``forward``.

        Raises:
            AttributeError: ``forward`` is not among the methods.
        """
        forward: Any = self.__getattr__("forward")
        return forward(*args, **kwargs)

    def __getattr__(self, name: str) -> _Program:
        methods: Mapping[str, _Program] = self.__dict__.get("methods", {})
        if name in methods:
            return methods[name]
        raise AttributeError(
            f"{type(self).__name__} has no attribute {name!r}\n  {self._which}: {_listed(methods)}"
        )

    def __getitem__(self, name: str) -> _Program:
        """Return a method's program, also where its name is that of something else here.

        Raises:
            KeyError: there is no method of that name; the message lists those that there are.
        """
        return self.methods[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the methods."""
        return iter(self.methods)

    def __len__(self) -> int:
        return len(self.methods)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.methods})

    def _write(self, path: Path, made: Iterable[Contents], data: Data | None) -> None:
        """Write to a file what is made of each method."""
        writer = f"opscope {__version__}"
        methods = {
            name: replace(contents, writer=writer)
            for name, contents in zip(self.methods, made, strict=True)
        }
        write_module(path, ModuleContents(self.name, methods), data)

    def __reduce_ex__(self, protocol: object) -> Never:
        raise ReplayError(
            "the programs of a module hold its tensors and objects by reference, so they can be neither "
            "pickled nor copied\n"
            "  save() them, and load_module() the file"
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {', '.join(self.methods)}>"

    def __str__(self) -> str:
        return "\n".join(
            f"# {self.name}.{name}\n{program.graph}" for name, program in self.methods.items()
        )


class _Methods(dict[str, _Program]):
    """Programs by name, which say what there is where a name is not."""

    def __init__(self, methods: Mapping[str, _Program], which: str) -> None:
        super().__init__(methods)
        self._which = which

    def __missing__(self, name: str) -> _Program:
        raise KeyError(f"no method {name!r}; {self._which}: {_listed(self)}")


def _listed(methods: Iterable[str]) -> str:
    return ", ".join(methods) or "none"
