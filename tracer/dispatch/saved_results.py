"""Results that autograd saved, found again when the program's own tensors are gone.

Autograd gives out what it saved of an operator's result as a new tensor, which has the history and the
memory of the first. Both are noted as numbers, so that nothing is kept alive: nodes of autograd's graph
are numbered in each thread, and two results of one number and one memory are the same.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any, TypeAlias

import torch
from torch.autograd.function import BackwardCFunction

from ...ir import Value
from .dispatcher import (
    StorageWeakRef,
    has_saved_tensor_hooks,
    plain_history,
    plain_is_view,
    plain_requires_grad,
    plain_untyped_storage,
    plain_version,
    quiet,
    without_hooks,
)
from .gradients import running_history
from .memories import memory_of
from .tensors import PLAIN_CLASSES, type_of_tensor
from .views import Geometry, geometry

History: TypeAlias = Any
"""A node of autograd's graph, of which torch's annotations tell too little."""

_SAVED = "_raw_saved_"
_OVERWRITTEN = "_raw_saved_self"
_UNTOLD = "CppFunction"  # nodes of all kinds that tell nothing of what they saved


def saves_results(history: History, parameters: Container[str]) -> bool:
    """Whether a node of autograd's graph may have saved results of the operator that made it.

    Args:
        history: the node.
        parameters: the names of the operator's parameters; what is saved under them are arguments.
    """
    if saves_untold(history):
        return True
    saved = [name.removeprefix(_SAVED) for name in dir(history) if name.startswith(_SAVED)]
    return any(name not in parameters for name in saved)


def saves_untold(history: History) -> bool:
    """Whether a node of autograd's graph does not tell what it saved."""
    return isinstance(history, BackwardCFunction) or type(history).__name__ == _UNTOLD


def history_of(result: torch.Tensor) -> History | None:
    """Return the node of autograd's graph that made a result of any class.

    None also for a view that was written in place.
    """
    if result.__class__ in PLAIN_CLASSES:
        return _history_of(result)
    with without_hooks():
        return _history_of(result)


def is_written_view(result: torch.Tensor) -> bool:
    """Whether a result is a view that was written in place, whose node autograd makes when asked for it."""
    return bool(plain_is_view(result) and plain_version(result))


def _history_of(result: torch.Tensor) -> History | None:
    if plain_requires_grad(result) and is_written_view(result):
        return None
    history: History | None = plain_history(result)
    return history


class SavedResults:
    """The values of results that autograd may have saved in one trace.

    Attributes:
        hooks: how many hooks on what autograd saves are in force, as in checkpoints. It may then give
            out something else than the result, which is looked for by its memory.
    """

    def __init__(self) -> None:
        self.hooks = int(has_saved_tensor_hooks())
        self._values: list[Value | None] = []  # None for those that are withheld
        self._by_history: dict[tuple[int, int], tuple[int | None, int]] = {}
        self._on_memory: dict[int, tuple[Any, Geometry, int]] = {}

    def note(self, result: torch.Tensor, made_by: int, value: Value) -> None:
        """Note which value a result is, which the node of autograd's graph numbered ``made_by`` has made."""
        number = len(self._values)
        if not self.hooks:
            self._by_history[made_by, result.output_nr] = (memory_of(result), number)
        elif (memory := memory_of(result)) is not None:
            owner = StorageWeakRef(plain_untyped_storage(result))
            self._on_memory[memory] = (owner, geometry(result), number)
        self._values.append(value)

    def find(self, tensor: torch.Tensor) -> Value | None:
        """Return the value of the result that a tensor is; None if nothing is known of such a result."""
        with quiet():
            history: History | None = tensor.grad_fn
            number = None
            if history is not None:
                place = history._sequence_nr(), tensor.output_nr
                memory, number = self._by_history.get(place, (None, None))
                if memory != memory_of(tensor):
                    number = None
            if number is None and self._on_memory:
                number = self._number_on_memory(tensor)
        if number is None:
            return None
        value = self._values[number]
        return value if value is not None and value.type == type_of_tensor(tensor) else None

    def written_over(self, tensor: torch.Tensor) -> Value | None:
        """Return the result of the operator that wrote in place over what a tensor is a copy of.

        Autograd makes the copy where the gradient needs what was there, and may follow it: the last thing
        that it does for the operator. It gives it out while it runs the node that the operator made.
        """
        running = running_history()
        if running is None or not hasattr(running, _OVERWRITTEN):
            return None
        with quiet():
            last: History = tensor.grad_fn or running
        _, number = self._by_history.get((last._sequence_nr(), 0), (None, None))
        return None if number is None else self._values[number]

    def _number_on_memory(self, tensor: torch.Tensor) -> int | None:
        memory = memory_of(tensor)
        owner, place, number = self._on_memory.get(memory or 0, (None, None, None))
        is_it = owner is not None and not owner.expired() and place == geometry(tensor)
        return number if is_it else None

    @property
    def count(self) -> int:
        """How many results were noted."""
        return len(self._values)

    def withhold(self, start: int, end: int) -> list[Value | None]:
        """Know no more of the results that were noted when ``count`` was between these, and return them."""
        withheld = self._values[start:end]
        self._values[start:end] = [None] * len(withheld)
        return withheld

    def restore(self, start: int, withheld: list[Value | None]) -> None:
        """Know again of results that were withheld."""
        self._values[start : start + len(withheld)] = withheld

    def replace(self, becomes: Mapping[Value, Value]) -> None:
        """Make every result that is one of these values be the other."""
        self._values = [
            None if value is None else becomes.get(value, value) for value in self._values
        ]
