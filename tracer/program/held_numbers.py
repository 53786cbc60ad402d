"""Numbers that optimizers and their companions hold, by reference: where each is, to be read and written.

A learning rate is state of the program as a weight is, but Python's numbers have no identity that a
graph could refer to. So it refers to the place: ``optimizer.param_groups[0]["lr"]``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import torch

from ...errors import GuardError
from ...ir.places import ABSENT, HeldPlace, find

HOLDERS: Final = (
    torch.optim.Optimizer,
    torch.optim.lr_scheduler.LRScheduler,
    torch.amp.GradScaler,
)
"""Classes whose instances keep numbers that are state of the program."""

NUMBERS: Final = (int, float)
"""The classes of the numbers; flags are none, and NumPy's have arithmetic of their own."""

_DEEPEST = 4  # containers within containers that are looked into
_MOST_ITEMS = 10_000  # in one list or dictionary


class HeldNumber(HeldPlace):
    """An ``int`` or ``float`` that an object holds, as long as it holds one there.

    Attributes:
        number_class: ``int`` or ``float``.
        is_replaced: whether the program puts another list in the place of the one that the number is in.
    """

    __slots__ = ("is_replaced", "number_class")

    def __init__(self, name: str, owner: Any, keys: tuple[Any, ...], class_: type) -> None:
        super().__init__(name, owner, keys)
        self.is_replaced = False
        self.number_class = class_

    def __repr__(self) -> str:
        return f"<HeldNumber {self.name} = {self.find()!r}>"

    def read(self) -> Any:
        """Return the number.

        Raises:
            GuardError: something else is in its place, which the traced operators do not fit.
        """
        found = self.find()
        # A number that a trace around a replay knows says the class of the plain one.
        if found.__class__ is self.number_class:
            return found
        if self.number_class is float and isinstance(found, float):  # NumPy's
            return float(found)
        what = "nothing" if found is ABSENT else f"{found!r}, of class {type(found).__name__}"
        class_ = self.number_class.__name__
        raise GuardError(
            f"this run cannot follow the trace: {self.name} was of class {class_} there, and is {what} now\n"
            f"  set it to a plain {class_}, or trace again as it is now"
        )

    def of(self, real: Callable[[Any], Any]) -> HeldNumber:
        """Return the same place with what the objects on the way to it stand for."""
        place = HeldNumber(self.name, self.owner, tuple(map(real, self.keys)), self.number_class)
        place.is_replaced = self.is_replaced
        return place

    def _put(self, keys: tuple[Any, ...], content: Any) -> None:
        container = find(self.owner, keys[:-1])
        if self.is_replaced and isinstance(container, list):
            self._put_among(container, keys[:-1], keys[-1], content)
        else:
            super()._put(keys, content)


def entries(
    name: str, owner: Any, names: Mapping[Any, str]
) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
    """Yield all that an object holds in its attributes and the containers among them.

    Each with its name, the way to it, and the object itself.

    Args:
        name: of the object.
        owner: the object.
        names: what the parameters of an optimizer are called, to name the state that belongs to them.
    """
    start = f"{name}." if name else ""
    for attribute, held in vars(owner).items():
        yield from _below(start + attribute, (attribute,), held, names, _DEEPEST)


def held_numbers(name: str, owner: Any, names: Mapping[Any, str]) -> Iterator[HeldNumber]:
    """Yield the numbers that an object holds; for ``names``, see :func:`entries`."""
    for path, keys, held in entries(name, owner, names):
        if type(held) in NUMBERS:
            yield HeldNumber(path, owner, keys, type(held))


def _below(
    name: str, keys: tuple[Any, ...], held: Any, names: Mapping[Any, str], depth: int
) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
    is_container = isinstance(held, dict | list | tuple)
    if not is_container:
        yield name, keys, held
    elif depth and len(held) <= _MOST_ITEMS:
        items = list(held.items()) if isinstance(held, dict) else enumerate(held)
        for key, item in items:
            shown = names.get(key, key) if isinstance(key, torch.Tensor) else key
            if isinstance(shown, str | int):
                yield from _below(f"{name}.{shown}", (*keys, key), item, names, depth - 1)
