"""How modules were first come to: noted in little time while a program runs, and read afterwards."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from types import CodeType, FrameType
from typing import Any, Final

MANGLED: Final = re.compile(r"<torch_package_\d+>")
_MACHINERY: Final = frozenset(
    ("importlib", "importlib._bootstrap", "importlib._bootstrap_external", "threading")
)


@dataclass(frozen=True, slots=True)
class Step:
    """A place on the way to a module.

    Attributes:
        module: the module that was running there; empty for code that belongs to none.
        function: the function, or ``<module>`` while the module was imported.
        file: where its code stands.
        line: the line it had come to, from 1.
    """

    module: str
    function: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class FirstUse:
    """How a module came to run.

    Attributes:
        module: its name.
        file: its file, as it says itself; None if it has none.
        path: the way from what was called to the first frame of the module; one step for each stay in a
            module, at the line where that was left. The machinery of imports and threads is left out.
        package: the mark of the ``torch.package`` archive that it comes from; None for others.
    """

    module: str
    file: str | None
    path: tuple[Step, ...]
    package: str | None = None


class Sighting:
    """The first frame of a module with those that led to it, of which nothing is kept that holds data."""

    __slots__ = ("_file", "_name", "_way")

    def __init__(self, name: str, frame: FrameType, root: FrameType | None) -> None:
        """Note what can be told later.

        Args:
            name: the module's name as its globals have it.
            frame: the frame.
            root: the frame that what led to it began in; all of them if None, as in another thread.
        """
        self._name = name
        self._file = _file_of(frame.f_globals)
        self._way: list[tuple[object, CodeType, int]] = []
        at: FrameType | None = frame
        while at is not None and at is not root:
            # Which line it is takes long to find out.
            self._way.append((dict.get(at.f_globals, "__name__"), at.f_code, at.f_lasti))
            at = at.f_back

    def read(self) -> FirstUse:
        """Return what was noted."""
        package = MANGLED.match(self._name)
        path = tuple(_shortened([_step(*place) for place in reversed(self._way)]))
        return FirstUse(plain_name(self._name), self._file, path, package and package[0])


def name_of(names: dict[str, Any]) -> str | None:
    """Return the name of the module whose globals these are; None if they are of no module.

    Code that programs make as they run, as named tuples do, has globals that were never a module's.
    """
    name = dict.get(names, "__name__")
    spec = dict.get(names, "__spec__")
    if type(name) is not str:
        name = spec.name if type(spec) is ModuleSpec else None
    if type(name) is not str:
        return None
    is_module = name in sys.modules or spec is not None or _file_of(names) is not None
    return name if is_module or MANGLED.match(name) else None


def plain_name(name: str) -> str:
    """Return the name of a module as it is without the mark of a ``torch.package`` archive."""
    package = MANGLED.match(name)
    return name if package is None else name[package.end() + 1 :]


def _file_of(names: dict[str, Any]) -> str | None:
    file = dict.get(names, "__file__")
    return file if type(file) is str else None


def _step(name: object, code: CodeType, offset: int) -> Step:
    is_module = type(name) is str and (name in sys.modules or MANGLED.match(name))
    lines = (line for start, end, line in code.co_lines() if start <= offset < end)
    module = plain_name(name) if is_module and isinstance(name, str) else ""
    return Step(
        module, code.co_qualname, code.co_filename, next(lines, None) or code.co_firstlineno
    )


def _shortened(steps: list[Step]) -> Iterator[Step]:
    """Yield the last step of each stay in a module, without machinery."""
    ways = [step for step in steps[:-1] if step.module not in _MACHINERY]
    ways.append(steps[-1])
    for step, following in zip(ways, [*ways[1:], None], strict=True):
        if following is None or step.module != following.module:
            yield step
