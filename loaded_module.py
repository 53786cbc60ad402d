"""Modules that were read from files: several programs with one state, as a ``TracedModule`` is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from . import __version__
from .errors import ReplayError
from .ir.files import ModuleContents, read_module, write_module
from .loaded import LoadedProgram
from .saving import module_target


class LoadedModule:
    """A module that was saved: a program for each of its methods, and one state for all.

    A method is called by its name, as in ``loaded.encode(x)``, and the module's own call by calling the
    whole. What one method writes to the state, the others read.

    Attributes:
        name: the class of the module.
        methods: the program of each method, in the order in which they were traced.
        path: the file.
    """

    def __init__(self, name: str, methods: Mapping[str, LoadedProgram], path: Path) -> None:
        self.name = name
        self.methods: Mapping[str, LoadedProgram] = MappingProxyType(dict(methods))
        self.path = path

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Replay the module's own call; see :meth:`LoadedProgram.__call__`.

        Raises:
            AttributeError: ``forward`` is not among the methods.
        """
        return self.__getattr__("forward")(*args, **kwargs)

    def __getattr__(self, name: str) -> LoadedProgram:
        methods = self.__dict__.get("methods", {})
        if name in methods:
            program: LoadedProgram = methods[name]
            return program
        raise AttributeError(
            f"{type(self).__name__} has no attribute {name!r}\n  methods in the file: {', '.join(methods)}"
        )

    def __getitem__(self, name: str) -> LoadedProgram:
        """Return a method's program, also where its name is that of something else here."""
        return self.methods[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the methods."""
        return iter(self.methods)

    def __len__(self) -> int:
        return len(self.methods)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.methods})

    @property
    def state(self) -> Mapping[str, Any]:
        """The parameters, buffers and constants that the methods read, by name. Loads torch and reads them.

        Raises:
            FormatError: the file is damaged, or another one by now.
            ReplayError: the file holds no state, or a tensor is on a device that is not here.
        """
        entries = {n: kept for p in self.methods.values() for n, kept in p.state.items()}
        return MappingProxyType(entries)

    def save(self, path: str | Path, *, state: bool | None = None) -> Path:
        """Write the module to a file as it is now; see :meth:`TracedModule.save`.

        Raises:
            ReplayError: ``state`` is True, and the file that it was read from holds none.
        """
        target = module_target(path)
        has_state = all(program.has_state for program in self.methods.values())
        if state and not has_state:
            raise ReplayError(f"{self.path} was saved without state, so there is none to save")
        if has_state and state is not False:
            from .program_contents import contents_of_all  # loads torch, which only the state needs

            programs = [program.traced for program in self.methods.values()]
            made, data = contents_of_all(programs, with_state=True)
        else:
            made = [program.contents(with_state=False)[0] for program in self.methods.values()]
            data = None
        writer = f"opscope {__version__}"
        methods = {
            name: replace(contents, writer=writer)
            for name, contents in zip(self.methods, made, strict=True)
        }
        write_module(target, ModuleContents(self.name, methods), data)
        return target

    def __repr__(self) -> str:
        return f"<LoadedModule {self.name}: {', '.join(self.methods)}>"

    def __str__(self) -> str:
        return "\n".join(
            f"# {self.name}.{name}\n{program.graph}" for name, program in self.methods.items()
        )


def load_module(path: str | Path, *, objects: Mapping[str, Any] | None = None) -> LoadedModule:
    """Read a module that ``TracedModule.save`` wrote. Needs no torch, and runs nothing.

    Args:
        path: the file.
        objects: see :func:`opscope.load`.

    Raises:
        FormatError: it is no such file, of a later version, damaged, or too large.
        OSError: it cannot be read.
    """
    contents, archive = read_module(Path(path))
    methods: dict[str, LoadedProgram] = {}
    first: LoadedProgram | None = None
    for name, each in contents.methods.items():
        methods[name] = LoadedProgram(each, archive, objects or {}, first)
        first = first or methods[name]
    return LoadedModule(contents.name, methods, archive.path)
