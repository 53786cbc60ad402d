"""Module trees: the path through which a module was really called, and what its forward consists of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any
from weakref import WeakKeyDictionary

import torch

from ..ir import Scope


class ModulePaths:
    """Finds the step from one module call to the next.

    A module that two parents share is reached through each under the parent's own name for it.
    """

    def __init__(
        self,
        outer_names: dict[int, str],
        on_unregistered: Callable[[str, torch.nn.Module], None] = lambda path, module: None,
    ) -> None:
        self._outer_names = outer_names  # names of modules seen from outside any module, by id
        self._on_unregistered = on_unregistered
        self._below: dict[int, tuple[torch.nn.Module, dict[int, str]]] = {}

    def step(self, parent: torch.nn.Module | None, module: torch.nn.Module) -> str:
        """Return the name of ``module`` as seen from ``parent``: ``conv1``, ``layers.0``.

        A module that ``parent`` does not register is named by the attribute that holds it, else by
        how the traced function names it, else by its class.
        """
        if parent is not None:
            for name, child in parent._modules.items():
                if child is module:
                    return name
            found = self._registered(parent).get(id(module)) or _attribute_holding(parent, module)
            if found is not None:
                return found
        return self._outer_names.get(id(module), type(module).__name__)

    def meet(self, module: torch.nn.Module, scope: Scope) -> None:
        """Take note of a module call; tell of a module that no other one registers."""
        if id(module) not in self._outer_names:
            self._on_unregistered(scope.path, module)

    def _registered(self, parent: torch.nn.Module) -> dict[int, str]:
        known = self._below.get(id(parent))
        if known is None:
            below = {id(child): name for name, child in parent.named_modules() if name}
            known = self._below[id(parent)] = (parent, below)
        return known[1]


def _attribute_holding(parent: torch.nn.Module, module: torch.nn.Module) -> str | None:
    """Return the plain attribute, or the place in a plain container, in which a module is kept."""
    return next((name for name, value in held_objects(vars(parent)) if value is module), None)


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


_FORWARD_CODES: WeakKeyDictionary[type, tuple[CodeType, ...]] = WeakKeyDictionary()


def is_part_of_forward(code: CodeType, module: torch.nn.Module | None) -> bool:
    """Whether ``code`` is that of the module's ``forward`` or of a decorator around it."""
    if module is None:
        return False
    own = vars(module).get("forward")
    if own is not None:
        return any(code is part for part in _unwrapped(own))
    class_ = type(module)
    parts = _FORWARD_CODES.get(class_)
    if parts is None:
        parts = _FORWARD_CODES[class_] = tuple(_unwrapped(class_.forward))
    # Comparing identities is much cheaper than hashing code, which hashes all it contains.
    return any(code is part for part in parts)


def _unwrapped(function: Any) -> Iterator[CodeType]:
    seen = set()
    while function is not None and id(function) not in seen:
        seen.add(id(function))
        code = getattr(function, "__code__", None)
        if code is not None:
            yield code
        function = getattr(function, "__wrapped__", None) or getattr(function, "__func__", None)
