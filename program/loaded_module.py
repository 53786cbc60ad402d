"""Modules that were read from files: several programs with one state, as a ``TracedModule`` is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..errors import ReplayError
from ..ir.files import read_module
from ..saving import module_target
from .loaded import LoadedProgram
from .module_methods import ModuleMethods


class LoadedModule(ModuleMethods[LoadedProgram]):
    """A module that was saved: a program for each of its methods, and one state for all.

    A method is called by its name, as in ``loaded.encode(x)``, and the module's own call by calling the
    whole. What one method writes to the state, the others read.

    Attributes:
        name: the class of the module.
        methods: the program of each method, in the order in which they were traced.
        path: the file.
    """

    _which = "methods in the file"

    def __init__(self, name: str, methods: Mapping[str, LoadedProgram], path: Path) -> None:
        super().__init__(name, methods)
        self.path = path

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
            from .contents import contents_of_all  # loads torch, which only the state needs

            programs = [program.traced for program in self.methods.values()]
            made, data = contents_of_all(programs, with_state=True)
        else:
            made = [program.contents(with_state=False)[0] for program in self.methods.values()]
            data = None
        self._write(target, made, data)
        return target


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
