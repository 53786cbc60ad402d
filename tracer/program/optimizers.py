"""What an optimizer holds: its tensors under the names of its state dictionary, and what a run changes."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Container, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from ...ir import Graph, StateKind
from ...ir.conditions import Circumstance
from ..dispatch.literals import PLAIN, equal_literals
from .held_numbers import NUMBERS, HeldNumber, entries, find

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
        self._options = Options(name, optimizer)

    def is_of(self, optimizer: torch.optim.Optimizer) -> bool:
        """Whether this is the note of an optimizer."""
        return self._optimizer is optimizer

    def circumstance(self, graph: Graph, objects: Mapping[str, Any]) -> Circumstance | None:
        """Return what of the optimizer, besides numbers, a replay must find as it was; None if it is unused.

        Args:
            graph: what was recorded.
            objects: what its state stands for.
        """
        places = [objects[name] for name in graph.state if isinstance(objects[name], HeldNumber)]
        if not any(place.owner is self._optimizer for place in places):
            return None
        reads_state = any(
            name.startswith(f"{self._start}state.") and isinstance(objects[name], torch.Tensor)
            for name in graph.state
        )
        return self._options.circumstance(with_state=reads_state)

    def changes(self, stored: Container[str]) -> Iterator[str]:
        """Yield, in words, what a replay will not do again.

        Args:
            stored: names of the numbers that it will store.
        """
        new, replaced = self.lost()
        set_ = [
            f"{path} from {before[0]!r} to {held!r}"
            for path, before, held in self._kept()
            if not (
                isinstance(before, weakref.ref)
                or equal_literals(before[0], held)
                or self._start + path in stored
            )
        ]
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
        if set_:
            yield (
                f"{self._name} changed what is no number, {_listed(set_)}; a replay leaves it as it is"
            )

    def lost(self) -> tuple[list[str], list[str]]:
        """Return what the run made, and where it put other tensors: a replay does not go on with these."""
        new = [path for path, _ in _held(self._optimizer) if path not in self._before]
        replaced = [
            path
            for path, before, held in self._kept()
            if isinstance(before, weakref.ref) and before() is not held
        ]
        return new, replaced

    def _kept(self) -> Iterator[tuple[str, Any, Any]]:
        """Yield what was there before: its path, the note of it, and what is there now."""
        for path, held in _held(self._optimizer):
            if path in self._before:
                yield path, self._before[path], held


class Options:
    """What the groups of an optimizer hold besides numbers, and how many groups and parameters there are."""

    def __init__(self, name: str, optimizer: torch.optim.Optimizer) -> None:
        self._name = name or type(optimizer).__name__
        self._optimizer = optimizer
        self._state = optimizer.state
        self._counts = [len(group["params"]) for group in optimizer.param_groups]
        self._options = [
            (path, keys, held)
            for path, keys, held in entries(name, optimizer)
            if keys[0] == "param_groups" and "params" not in keys and held.__class__ not in NUMBERS
        ]

    def circumstance(self, *, with_state: bool) -> Circumstance:
        """Return the circumstance that all is as it was, but for what the program itself has changed.

        Args:
            with_state: whether the state must be in the very dictionary in which it was.
        """
        kept = [option for option in self._options if self._is_kept(*option)]
        if len(kept) < len(self._options):
            self._options = kept
        text = f"the options of {self._name}"
        if kept:
            path, _, held = kept[0]
            text = f"{path} is {_shown(held)}"
            text += f", as for {len(kept) - 1} more options" if len(kept) > 1 else ""
        return _OfOptions(text, None, partial(self.failing, with_state), self, with_state)

    def of(self, real: Callable[[Any], Any]) -> Options:
        """Return the same with the tensors that those among the options stand for."""
        other = copy(self)
        other._options = [(path, keys, real(held)) for path, keys, held in self._options]
        return other

    def _is_kept(self, path: str, keys: tuple[Any, ...], held: Any) -> bool:
        now = find(self._optimizer, keys)
        if now is held:
            return True
        is_compared = isinstance(held, PLAIN) or type(held).__module__ == "numpy"
        return is_compared and type(now) is type(held) and equal_literals(now, held)

    def failing(self, with_state: bool) -> str | None:
        """Return, in words, the first thing that is not as it was."""
        groups = self._optimizer.param_groups
        counts = [len(group["params"]) for group in groups]
        if counts != self._counts:
            return f"the groups of {self._name} have {_sum(self._counts)} parameters"
        for path, keys, held in self._options:
            if not self._is_kept(path, keys, held):
                return f"{path} is {_shown(held)}"
        if with_state and self._optimizer.state is not self._state:
            return f"the state of {self._name} is in the dictionary that the program read"
        return None


@dataclass(frozen=True, slots=True)
class _OfOptions(Circumstance):
    """That the options of an optimizer are as they were, and perhaps in which dictionary its state is."""

    options: Options | None = None
    with_state: bool = False

    def of(self, real: Callable[[Any], Any]) -> Circumstance:
        """Return the same with the tensors that those among the options stand for."""
        assert self.options is not None, "it is made with them"
        options = self.options.of(real)
        failing = partial(options.failing, self.with_state)
        return _OfOptions(self.text, self.source, failing, options, self.with_state)


def _shown(option: Any) -> str:
    return "the tensor that it was" if isinstance(option, torch.Tensor) else repr(option)


def _sum(counts: list[int]) -> str:
    return " + ".join(map(str, counts))


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
