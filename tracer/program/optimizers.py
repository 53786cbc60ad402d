"""What an optimizer holds: its tensors, with their names, and its options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import torch

from ...ir import StateKind
from ...ir.conditions import Circumstance
from ...ir.places import HeldPlace, find
from ..dispatch.literals import PLAIN, equal_literals
from .held_numbers import NUMBERS, entries

_REGISTRIES: Final = (
    "param_groups",
    "state",
)  # what there is twice, as defaults are, is called after these


def optimizer_tensors(
    name: str, optimizer: torch.optim.Optimizer, names: Mapping[Any, str]
) -> Iterator[tuple[str, torch.Tensor, StateKind]]:
    """Yield parameters, tensors among the options, the state of each parameter, and others, with their names.

    State is called ``optimizer.state.layer1.weight.exp_avg`` after the parameter that it belongs to.
    """
    found = entries(name, optimizer, names)
    for path, keys, held in sorted(found, key=lambda entry: entry[1][0] not in _REGISTRIES):
        if isinstance(held, torch.Tensor):
            is_parameter = keys[0] == "param_groups" and "params" in keys[2:3]
            yield path, held, StateKind.PARAMETER if is_parameter else StateKind.BUFFER


def is_read_by_place(place: HeldPlace) -> bool:
    """Whether a place is in the state or the options of an optimizer, where others may put another tensor."""
    if not isinstance(place.owner, torch.optim.Optimizer):
        return False
    return place.keys[0] == "state" or (
        place.keys[0] == "param_groups" and "params" not in place.keys
    )


class OfOptions(Circumstance):
    """What the groups of an optimizer hold."""

    __slots__ = ()


class Options:
    """What the groups of an optimizer hold that no replay reads, and how many parameters they have."""

    def __init__(self, name: str, optimizer: torch.optim.Optimizer) -> None:
        self._name = name or type(optimizer).__name__
        self._optimizer = optimizer
        self._counts = [len(group["params"]) for group in optimizer.param_groups]
        self._options = [
            (path, keys, held)
            for path, keys, held in entries(name, optimizer, {})
            if keys[0] == "param_groups" and "params" not in keys and not _is_read(held)
        ]

    def circumstance(self) -> Circumstance:
        """Return the circumstance that all is as it was, but for what the program itself has changed."""
        kept = [option for option in self._options if self._is_kept(*option)]
        if len(kept) < len(self._options):
            self._options = kept
        text = f"the options of {self._name}"
        if kept:
            path, _, held = kept[0]
            text = f"{path} is {held!r}"
            text += f", as for {len(kept) - 1} more options" if len(kept) > 1 else ""
        return OfOptions(text, None, self._failing)

    def _is_kept(self, path: str, keys: tuple[Any, ...], held: Any) -> bool:
        now = find(self._optimizer, keys)
        if now is held:
            return True
        is_compared = isinstance(held, PLAIN) or type(held).__module__ == "numpy"
        return is_compared and type(now) is type(held) and equal_literals(now, held)

    def _failing(self) -> str | None:
        """Return, in words, the first thing that is not as it was."""
        groups = self._optimizer.param_groups
        counts = [len(group["params"]) for group in groups]
        if counts != self._counts:
            return f"the groups of {self._name} have {_sum(self._counts)} parameters"
        for path, keys, held in self._options:
            if not self._is_kept(path, keys, held):
                return f"{path} is {held!r}"
        return None


def _is_read(option: Any) -> bool:
    return option.__class__ in NUMBERS or isinstance(option, torch.Tensor)


def _sum(counts: list[int]) -> str:
    return " + ".join(map(str, counts))
