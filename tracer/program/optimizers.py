"""What an optimizer holds: its tensors under the names of its state dictionary, and what a run changes."""

from __future__ import annotations

import weakref
from collections.abc import Container, Iterator
from typing import Any

import torch

from ...ir import StateKind
from ..dispatch.literals import PLAIN, equal_literals

_SHOWN = 3  # names in a message


def optimizer_tensors(
    optimizer: torch.optim.Optimizer,
) -> Iterator[tuple[str, torch.Tensor, StateKind]]:
    """Yield parameters, tensors among the options, and the state of each parameter.

    State is called ``state.0.exp_avg`` after the number of its parameter, as in ``state_dict()``.
    """
    for path, held in _held(optimizer):
        if isinstance(held, torch.Tensor):
            is_parameter = ".params." in path and path.startswith("param_groups.")
            yield path, held, StateKind.PARAMETER if is_parameter else StateKind.BUFFER


class OptimizerNote:
    """What an optimizer held before a run, to tell what the run changed besides by operators."""

    def __init__(self, name: str, optimizer: torch.optim.Optimizer) -> None:
        self._start = f"{name}." if name else ""
        self._name = name or type(optimizer).__name__
        self._optimizer = optimizer
        self._before = {path: _note(held) for path, held in _held(optimizer)}

    def is_of(self, optimizer: torch.optim.Optimizer) -> bool:
        """Whether this is the note of an optimizer."""
        return self._optimizer is optimizer

    def changes(self, stored: Container[str]) -> Iterator[str]:
        """Yield, in words, what a replay will not do again.

        Args:
            stored: names of the numbers that it will store.
        """
        new, replaced, counted = [], [], []
        for path, held in _held(self._optimizer):
            before = self._before.get(path)
            if before is None:
                new.append(path)
            elif isinstance(before, weakref.ref):
                if before() is not held:
                    replaced.append(path)
            elif not (equal_literals(before[0], held) or self._start + path in stored):
                counted.append(f"{path} from {before[0]!r} to {held!r}")
        if new:
            yield (
                f"{self._name} made new state, {_listed(new)}; a replay makes it anew each time instead of "
                "going on with it. Take a step before the trace, in which state is made"
            )
        if replaced:
            yield (
                f"{self._name} put other tensors in the place of {_listed(replaced)}; a replay reads those "
                "that were there at the trace"
            )
        if counted:
            yield (
                f"{self._name} changed options that are no numbers, {_listed(counted)}; a replay leaves them "
                "as they are"
            )


def _held(optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, Any]]:
    """Yield the tensors and plain objects that an optimizer holds, each with the way to it."""
    number = 0
    for place, group in enumerate(optimizer.param_groups):
        for name, option in group.items():
            yield from _leaves(f"param_groups.{place}.{name}", option)
        for parameter in group["params"]:
            # The state is a defaultdict: asking for what is not there would make it.
            if parameter in optimizer.state:
                yield from _leaves(f"state.{number}", optimizer.state[parameter])
            number += 1


def _leaves(path: str, held: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(held, torch.Tensor) or held.__class__ in PLAIN:
        yield path, held
    elif isinstance(held, dict):
        for key, item in held.items():
            yield from _leaves(f"{path}.{key}", item)
    elif isinstance(held, list | tuple):
        for position, item in enumerate(held):
            yield from _leaves(f"{path}.{position}", item)


def _note(held: Any) -> Any:
    """Return what tells later whether something else is held: a weak reference, or the plain object."""
    return weakref.ref(held) if isinstance(held, torch.Tensor) else (held,)


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
