"""What ``torch.package.analyze`` tells of packages, with the cases that it gets wrong."""

from __future__ import annotations

from types import FunctionType, MethodType, ModuleType
from typing import Any

from torch.package.package_exporter import PackageExporter, PackagingError

from .first_uses import MANGLED


def is_from_package(obj: Any) -> bool:
    """Whether an object was loaded from a ``torch.package`` archive; nothing of it is run.

    Modules, classes, functions and methods are if they themselves come from one, all else if its class does.
    What a package leaves to the environment (``extern``) is not.
    """
    if type(obj) is MethodType:
        obj = obj.__func__
    if issubclass(type(obj), ModuleType):
        name = object.__getattribute__(obj, "__dict__").get("__name__")
    elif type(obj) is FunctionType:
        name = dict.get(obj.__globals__, "__name__")
    else:
        name = _module_of_class(obj if issubclass(type(obj), type) else type(obj))
    return type(name) is str and MANGLED.match(name) is not None


def find_first_use_of_broken_modules(
    source: PackagingError | PackageExporter,
) -> dict[str, list[str]]:
    """Return the modules that cannot be packaged, each with the way on which it was first come to.

    Args:
        source: what an exporter has raised, or the exporter.

    Returns:
        For each module that cannot be packaged the modules on the way, from the first to itself.

    Raises:
        AssertionError: it is neither.
    """
    if not isinstance(source, PackagingError | PackageExporter):
        raise AssertionError(  # noqa: TRY004 - what torch raises, and callers may expect
            f"exception must be a PackagingError, got {type(source).__name__}"
        )
    graph: Any = source.dependency_graph
    return {
        name: _first_path(graph, name)
        for name, facts in graph.nodes.items()
        if facts.get("error", False)
    }


def _first_path(graph: Any, name: str) -> list[str]:
    """Go back from a module, each time to what was there first of what leads to it, in no circle."""
    order = {node: index for index, node in enumerate(graph.nodes)}
    path = [name]
    on_path = {name}
    while True:
        before = [node for node in graph.predecessors(path[-1]) if node not in on_path]
        if not before:
            return path[::-1]
        path.append(min(before, key=order.__getitem__))
        on_path.add(path[-1])


def _module_of_class(cls: type) -> object:
    # Past what a metaclass may do when it is asked.
    return type.__getattribute__(cls, "__dict__").get("__module__")
