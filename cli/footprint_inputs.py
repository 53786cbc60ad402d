"""What the command line of ``opscope footprint`` names: lists, programs, and what torch runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..footprint.executorch.programs import is_program_file
from .errors import CommandError
from .request import TargetName

_LISTS: Final = (".yaml", ".yml")
_PROGRAMS: Final = (".pte", ".bpte")


@dataclass(frozen=True, slots=True)
class Named:
    """What is named, by kind, in the order given.

    Attributes:
        lists: files of lists of operators.
        programs: files of ExecuTorch.
        files: files that torch runs.
        modules: modules in Python that are to be imported.
    """

    lists: tuple[Path, ...]
    programs: tuple[Path, ...]
    files: tuple[Path, ...]
    modules: tuple[TargetName, ...]

    @classmethod
    def of(cls, names: Iterable[Path]) -> Named:
        """Sort what is named by what it is.

        Raises:
            CommandError: a name looks like that of a module, and is none.
        """
        lists, programs, files, modules = [], [], [], []
        for path in names:
            if path.suffix.lower() in _LISTS:
                lists.append(path)
            elif path.suffix.lower() in _PROGRAMS or is_program_file(path):
                programs.append(path)
            elif ":" in path.name and not path.exists():
                modules.append(TargetName.parse(str(path)))
            else:
                files.append(path)
        return cls(tuple(lists), tuple(programs), tuple(files), tuple(modules))

    @property
    def sources(self) -> tuple[Path, ...]:
        """Files that are read and must not be written over; a list may be merged into itself."""
        return (*self.programs, *self.files)


def imported(targets: Iterable[TargetName]) -> list[Any]:
    """Return the modules that some names stand for, in evaluation mode, as apps have them.

    Raises:
        CommandError: one of them is no module.
        ProgramError: one of them cannot be made.
    """
    from .target import find_program  # loads torch

    modules = []
    for target in targets:
        module = find_program(target, {}).module
        if module is None:
            raise CommandError(f"{target} is no module, and only modules have a footprint")
        modules.append(module.eval())
    return modules
