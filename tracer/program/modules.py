"""Module trees: the path through which a module was really called, and what its forward consists of."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

import torch

from ...ir import Scope

_FEW = 8  # children of a module that are looked through each time


class ModulePaths:
    """Finds the step from one module call to the next.

    A module that two parents share is reached through each under the parent's own name for it.
    """

    def __init__(
        self,
        outer_names: dict[int, str],
        on_unregistered: Callable[[str, torch.nn.Module], None] = lambda path, module: None,
    ) -> None:
        self._outer_names = (
            outer_names  # names of modules and optimizers seen from outside any module, by id
        )
        self._on_unregistered = on_unregistered
        self._below: dict[int, _Below] = {}
        self._names: dict[int, dict[int, str]] = {}
        self._places: dict[int, dict[int, tuple[torch.nn.Module, str]]] = {}

    def step(self, parent: torch.nn.Module | None, module: torch.nn.Module) -> str:
        """Return the name of ``module`` as seen from ``parent``: ``conv1``, ``layers.0``.

        A module that ``parent`` does not register is named by the attribute that holds it, else by
        how the traced function names it, else by its class.
        """
        if parent is not None:
            child_name = self._child_name(parent, module)
            if child_name is not None:
                return child_name
            found = self._registered(parent, module) or self._attribute(parent, module)
            if found is not None:
                return found
        return self.name_outside(module)

    def _child_name(self, parent: torch.nn.Module, module: torch.nn.Module) -> str | None:
        """Return under which name ``parent`` registers a module; None where it does not.

        The many children of a long list are looked up once, and again where one is not in its place.
        """
        children = parent._modules
        if len(children) > _FEW:
            name = self._names.get(id(parent), {}).get(id(module))
            if name is not None and children.get(name) is module:
                return name
            self._names[id(parent)] = {
                id(child): name for name, child in reversed(children.items())
            }
        return next((name for name, child in children.items() if child is module), None)

    def name_outside(self, named: object) -> str:
        """Return how the traced function names a module or an optimizer; else its class."""
        return self._outer_names.get(id(named)) or type(named).__name__

    def _attribute(self, parent: torch.nn.Module, module: torch.nn.Module) -> str | None:
        """Return the plain attribute, or the place in a plain container, in which a module is kept.

        The places are looked up once, and again where a module is not in its place.
        """
        for is_new in (False, True):
            if is_new or id(parent) not in self._places:
                places = self._places[id(parent)] = {}
                for name, held in held_objects(vars(parent)):
                    if isinstance(held, torch.nn.Module):
                        places.setdefault(id(held), (held, name))
            found = self._places[id(parent)].get(id(module))
            if found is not None and found[0] is module:
                return found[1]
        return None

    def meet(self, module: torch.nn.Module, scope: Scope) -> None:
        """Take note of a module call; tell of a module that no other one registers."""
        if id(module) not in self._outer_names:
            self._on_unregistered(scope.path, module)

    def _registered(self, parent: torch.nn.Module, module: torch.nn.Module) -> str | None:
        """Return the path from ``parent`` to a module somewhere below it; None if it is not there."""
        below = self._below.get(id(parent))
        if below is None:
            below = self._below[id(parent)] = _Below(parent)
        return below.path(module)


class _Below:
    """The paths to all modules below one, found level by level as they are asked for."""

    def __init__(self, parent: torch.nn.Module) -> None:
        self._paths: dict[int, str] = {}
        self._lowest = [("", parent)]  # holds the parent, so that its address stays its own

    def path(self, module: torch.nn.Module) -> str | None:
        paths = self._paths
        while (found := paths.get(id(module))) is None:
            level: list[tuple[str, torch.nn.Module]] = []
            for start, above in self._lowest:
                for name, child in above._modules.items():
                    if child is not None and id(child) not in paths:
                        paths[id(child)] = start + name
                        level.append((f"{start}{name}.", child))
            if not level:
                return None
            self._lowest = level
        return found


def module_tree(path: str, root: torch.nn.Module) -> list[tuple[str, torch.nn.Module]]:
    """Return a module and all below it with their paths, each as often as it is registered.

    It is ``named_modules(remove_duplicate=False)``, whose generators stand as deep as the tree.

    Raises:
        RecursionError: a module holds itself.
    """
    found: list[tuple[str, torch.nn.Module]] = []
    left = [(path, root)]
    deepest = sys.getrecursionlimit()
    while left:
        path, module = left.pop()
        found.append((path, module))
        if len(found) % deepest == 0 and path.count(".") > deepest:
            raise RecursionError(f"the module {path[:100]}... holds itself")
        children = module._modules
        if children:
            start = f"{path}." if path else ""
            below = [(start + name, child) for name, child in children.items() if child is not None]
            left.extend(reversed(below))
    return found


def held_objects(names: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield every named object, and those inside named lists, tuples and dictionaries, with its name."""
    for name, value in names.items():
        yield name, value
        if name.startswith("_"):
            continue
        if isinstance(value, list | tuple):
            for position, item in enumerate(value):
                yield f"{name}.{position}", item
        elif isinstance(value, dict):
            for key, item in value.items():
                yield f"{name}.{key}", item


class ForwardCodes:
    """Knows the code that the ``forward`` of a class consists of: its own and that of its decorators."""

    def __init__(self) -> None:
        # By address of the class, which is held; hashing a code object would hash all it contains.
        self._known: dict[int, tuple[type, tuple[CodeType, ...]]] = {}

    def include(self, code: CodeType, module: torch.nn.Module | None) -> bool:
        """Whether ``code`` is part of the module's ``forward``."""
        if module is None:
            return False
        class_ = type(module)
        known = self._known.get(id(class_))
        if known is None:
            known = self._known[id(class_)] = (class_, tuple(_unwrapped(class_.forward)))
        for part in known[1]:
            if part is code:
                return True
        own = module.__dict__.get("forward")
        return own is not None and any(part is code for part in _unwrapped(own))


def _unwrapped(function: Any) -> Iterator[CodeType]:
    seen = set()
    while function is not None and id(function) not in seen:
        seen.add(id(function))
        code = getattr(function, "__code__", None)
        if code is not None:
            yield code
        function = getattr(function, "__wrapped__", None) or getattr(function, "__func__", None)
