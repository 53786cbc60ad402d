"""What a call needs of Python: modules, the distributions that they come from, and requirements of these."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from ...errors import FootprintError, TracerWarning
from .distributions import (
    Distribution,
    DistributionIndex,
    Origin,
    OriginKind,
    file_of,
    names_of,
    normal_name,
)
from .first_uses import Step
from .imports import imports_of
from .requirements import requirement
from .tracing import NOT_WHOLE, ModuleTracer

_OF_THE_USER = (OriginKind.LOCAL, OriginKind.EDITABLE)


class How(Enum):
    """How a module comes to be needed."""

    RAN = "ran"  # some of its Python code ran
    LOADED = "loaded"  # it was imported meanwhile, and has no Python code
    IMPORTED = "imported"  # a module of yours imports it


@dataclass(frozen=True, slots=True)
class Dependency:
    """A module that is needed.

    Attributes:
        name: its dotted name.
        how: how it comes to be needed.
        origin: where it comes from.
        path: the first way to it, from what was called; it ends in the module where that ran, and in a
            statement that imports it where that did not. Empty if none is known.
    """

    name: str
    how: How
    origin: Origin
    path: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What calls need.

    Attributes:
        modules: the modules, by name.
    """

    modules: tuple[Dependency, ...]

    @property
    def ran(self) -> list[str]:
        """The names of the modules that ran, sorted."""
        return [module.name for module in self.modules if module.how is How.RAN]

    @property
    def distributions(self) -> tuple[Distribution, ...]:
        """The distributions that the modules come from, editable ones too, by name."""
        return tuple(sorted(self.by_distribution, key=lambda one: (one.name.lower(), one)))

    @property
    def by_distribution(self) -> dict[Distribution, tuple[Dependency, ...]]:
        """The modules of each distribution."""
        found: dict[Distribution, list[Dependency]] = {}
        for module in self.modules:
            if module.origin.distribution is not None:
                found.setdefault(module.origin.distribution, []).append(module)
        return {one: tuple(modules) for one, modules in found.items()}

    @property
    def requirements(self) -> tuple[str, ...]:
        """What pip is to install, pinned to what is installed here; editable distributions are left out."""
        return tuple(requirement(one) for one in self.distributions if not one.is_editable)

    def of_kind(self, kind: OriginKind) -> tuple[Dependency, ...]:
        """Return the modules of one kind of origin."""
        return tuple(module for module in self.modules if module.origin.kind is kind)

    def why(self, name: str) -> Dependency:
        """Return the module of a name; for a distribution, the module of it that has the shortest way.

        Raises:
            FootprintError: no such module is needed.
        """
        for module in self.modules:
            if module.name == name:
                return module
        for distribution, modules in self.by_distribution.items():
            if normal_name(distribution.name) == normal_name(name):
                return nearest(modules)
        raise FootprintError(_not_needed(name, self))


def nearest(modules: Iterable[Dependency]) -> Dependency:
    """Return the module that has the shortest known way, of the first names if several have."""
    return min(modules, key=lambda module: (not module.path, len(module.path)))


def trace_dependencies(
    callable: Callable[..., Any], inputs: Iterable[tuple[Any, ...]]
) -> list[str]:
    """Return the names of all Python modules that run while something is called, sorted.

    What :func:`torch.package.analyze.trace_dependencies` is for. That misses class and static methods,
    lambdas, generators and threads, runs properties twice, fails where the callable imports something, and
    takes away the profiler that was on.

    Args:
        callable: what is called.
        inputs: what it is called with, once for each: tuples of positional arguments, or dictionaries of
            keyword arguments.

    Raises:
        TypeError: one of the inputs is neither a tuple, a list, nor a dictionary.
        FootprintError: a profiler is on that could not be put back.
    """
    return _traced(callable, inputs).modules


def find_dependencies(
    callable: Callable[..., Any], inputs: Iterable[tuple[Any, ...]]
) -> Dependencies:
    """Return what calls need: modules, where they come from, and the first way to each.

    Besides what runs that is what modules of yours import, if they ran or are imported by such: without it
    they could not be imported elsewhere.

    Args:
        callable: what is called.
        inputs: what it is called with, as for :func:`trace_dependencies`.

    Raises:
        TypeError: one of the inputs is neither a tuple, a list, nor a dictionary.
        FootprintError: a profiler is on that could not be put back.
    """
    return dependencies_of(_traced(callable, inputs))


def dependencies_of(tracer: ModuleTracer, needed: Iterable[str] = ()) -> Dependencies:
    """Return what the calls of a tracer need.

    Args:
        tracer: what has called.
        needed: modules that are needed besides, whether or not their code ran; they have been imported.
    """
    index = DistributionIndex()
    found: dict[str, Dependency] = {}
    for name, use in tracer.uses.items():
        origin = index.origin(name, use.file)
        if use.package is not None:
            origin = Origin(OriginKind.PACKAGE, file=use.file)
        found[name] = Dependency(name, How.RAN, origin, use.path)
    for name in tracer.loaded:
        origin = index.origin(name, file_of(name))
        if origin.kind is not OriginKind.LOCAL or _can_be_imported(name):
            found[name] = Dependency(name, How.LOADED, origin)
    for name in needed:
        if name not in found:
            found[name] = Dependency(name, How.IMPORTED, index.origin(name, file_of(name)))
    _add_ways_to_loaded(found)
    _add_imports(found, index)
    return Dependencies(tuple(found[name] for name in sorted(found)))


def _can_be_imported(name: str) -> bool:
    """Whether a module was found by importing it, and is no table that a module written in C has made."""
    return file_of(name) is not None or names_of(name).get("__spec__") is not None


def _add_ways_to_loaded(found: dict[str, Dependency]) -> None:
    """Find the statements that imported what has no Python code, and so no frame that would tell.

    They stand in what was itself imported meanwhile, or in what is the user's.
    """
    left = {name for name, one in found.items() if one.how is How.LOADED}
    for importer in [one for one in found.values() if one.how is How.RAN]:
        file = importer.origin.file
        was_imported = importer.path[-1].function == "<module>"
        if not left or file is None or not (was_imported or importer.origin.kind in _OF_THE_USER):
            continue
        for statement in imports_of(importer.name, file):
            if statement.module in left:
                left.remove(statement.module)
                step = Step(importer.name, statement.function, file, statement.line)
                path = (*_way_into(importer), step)
                found[statement.module] = replace(found[statement.module], path=path)


def _add_imports(found: dict[str, Dependency], index: DistributionIndex) -> None:
    """Add what modules of the user import, and what modules of theirs that these import import."""
    left = deque(found.values())
    while left:
        importer = left.popleft()
        file = importer.origin.file
        if importer.origin.kind not in _OF_THE_USER or file is None:
            continue
        for statement in imports_of(importer.name, file):
            if statement.module in found:
                continue
            step = Step(importer.name, statement.function, file, statement.line)
            path = (*_way_into(importer), step)
            origin = index.origin(statement.module, file_of(statement.module))
            imported = Dependency(statement.module, How.IMPORTED, origin, path)
            found[statement.module] = imported
            left.append(imported)


def _way_into(importer: Dependency) -> tuple[Step, ...]:
    """Return the way to a module without what it did there, if that only comes to it by running it."""
    return importer.path if importer.how is How.IMPORTED else importer.path[:-1]


def _traced(callable: Callable[..., Any], inputs: Iterable[Any]) -> ModuleTracer:
    tracer = ModuleTracer()
    for given in inputs:
        if isinstance(given, Mapping):
            tracer.call(callable, **given)
        elif isinstance(given, tuple | list):
            tracer.call(callable, *given)
        else:
            raise TypeError(
                f"each of the inputs is a tuple of arguments, and one is of type {type(given).__name__}\n"
                "for a single call with a single argument, pass [(x,)]"
            )
    if not tracer.is_whole:
        warnings.warn(NOT_WHOLE, TracerWarning, stacklevel=3)
    return tracer


def _not_needed(name: str, dependencies: Dependencies) -> str:
    inside = [one.name for one in dependencies.modules if one.name.startswith(f"{name}.")]
    if inside:
        return f"{name} itself is not needed, but modules in it are: {', '.join(inside[:5])}"
    return f"no module and no distribution {name} is needed"
