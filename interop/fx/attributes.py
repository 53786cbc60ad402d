"""The state of a program as attributes of a module: each piece under a name that a module can have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from ...runtime.writer import readable


class Attributes:
    """Gives names like ``fc.weight`` to what a module shall hold.

    Attributes:
        held: what was given a name, by its name.
    """

    def __init__(self) -> None:
        self.held: dict[str, Any] = {}
        self._inner: set[str] = set()  # what is, or is to be, a module on the way to something

    def add(self, wanted: str, held: Any) -> str:
        """Keep an object under a name like the one wanted, and return that."""
        steps = [_step(step) for step in wanted.split(".") if step] or ["state"]
        name = self._free(steps)
        self.held[name] = held
        self._inner.update(_outer(name))
        return name

    def _free(self, steps: list[str]) -> str:
        if not self.held.keys().isdisjoint(_outer(".".join(steps))):
            steps = ["_".join(steps)]  # what would be around it is something else
        name, suffix = ".".join(steps), 0
        while name in self.held or name in self._inner:
            suffix += 1
            name = f"{'.'.join(steps)}_{suffix}"
        return name


def _step(step: str) -> str:
    """Return what a module can call an attribute; all modules have some already."""
    name = step if step.isdigit() else readable(step)
    return f"{name}_" if hasattr(torch.fx.GraphModule, name) or name in _TAKEN else name


_TAKEN = frozenset(vars(torch.nn.Module()))


def _outer(name: str) -> Iterable[str]:
    steps = name.split(".")
    return [".".join(steps[:count]) for count in range(1, len(steps))]
