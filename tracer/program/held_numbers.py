"""Numbers that optimizers and their companions hold, by reference: where each is, to be read and written.

A learning rate is state of the program as a weight is, but Python's numbers have no identity that a
graph could refer to. So it refers to the place: ``optimizer.param_groups[0]["lr"]``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import torch

from ...errors import GuardError, ReplayError

HOLDERS: Final = (
    torch.optim.Optimizer,
    torch.optim.lr_scheduler.LRScheduler,
    torch.amp.GradScaler,
)
"""Classes whose instances keep numbers that are state of the program."""

NUMBERS: Final = (int, float)
"""The classes of the numbers; flags are none, and NumPy's have arithmetic of their own."""

ABSENT: Final[Any] = object()
_DEEPEST = 4  # containers within containers that are looked into
_MOST_ITEMS = 10_000  # in one list or dictionary


class HeldNumber:
    """An ``int`` or ``float`` that an object holds, as long as it holds one there.

    Attributes:
        name: what the graph calls it: ``optimizer.param_groups.0.lr``.
        owner: the object.
        keys: the way to the number, from the attributes of its owner on.
        number_class: ``int`` or ``float``.
        is_replaced: whether the program puts another list in the place of the one that the number is in.
    """

    __slots__ = ("is_replaced", "keys", "name", "number_class", "owner")

    def __init__(self, name: str, owner: Any, keys: tuple[Any, ...], class_: type) -> None:
        self.name = name
        self.owner = owner
        self.keys = keys
        self.is_replaced = False
        self.number_class = class_

    def __repr__(self) -> str:
        return f"<HeldNumber {self.name} = {self.find()!r}>"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, HeldNumber)
            and self.owner is other.owner
            and len(self.keys) == len(other.keys)
            and all(map(_same_key, self.keys, other.keys))
        )

    def __hash__(self) -> int:
        return hash((id(self.owner), self.keys))

    @property
    def owner_name(self) -> str:
        """What the graph calls the object; nothing if the program is a method of it."""
        return f".{self.name}.".partition(f".{self.keys[0]}.")[0].removeprefix(".")

    def find(self, depth: int = 0) -> Any:
        """Return what is in its place now, or in that of the container ``depth`` steps above it.

        ``ABSENT`` where nothing is.
        """
        return find(self.owner, self.keys[: len(self.keys) - depth])

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

    def write(self, number: Any) -> None:
        """Put another number in its place."""
        self._put(self.keys, number)

    def _put(self, keys: tuple[Any, ...], content: Any) -> None:
        *above, key = keys
        container = find(self.owner, tuple(above))
        if container is ABSENT:
            raise ReplayError(
                f"{self.name} cannot be set: what it was in is gone\n  trace again as it is now"
            )
        if isinstance(container, tuple) or (self.is_replaced and isinstance(container, list)):
            items = list(container)
            items[key] = content
            self._put(tuple(above), like(container, items))
        else:
            container[key] = content


def _same_key(one: Any, other: Any) -> bool:
    return one is other or not (isinstance(one, torch.Tensor) or one != other)


def find(owner: Any, keys: tuple[Any, ...]) -> Any:
    """Return what stands at the end of a way through an object's attributes; ``ABSENT`` if nothing does."""
    held: Any = vars(owner)
    for key in keys:
        held = item(held, key)
    return held


def item(container: Any, key: Any) -> Any:
    """Return one item of a dictionary, list or tuple; ``ABSENT`` if there is none, or no container."""
    if isinstance(container, dict):  # a defaultdict must not make what is asked for
        return container.get(key, ABSENT)
    if isinstance(container, list | tuple) and isinstance(key, int) and key < len(container):
        return container[key]
    return ABSENT


def like(whole: Any, items: list[Any]) -> Any:
    """Return items in a list or tuple of the class of another."""
    class_ = type(whole)
    return class_._make(items) if hasattr(class_, "_make") else class_(items)


def entries(name: str, owner: Any) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
    """Yield all that an object holds in its attributes and the containers among them.

    Each with its name, the way to it, and the object itself. What belongs to a parameter of an optimizer
    is called ``state.0.step`` after the parameter's number, as in ``state_dict()``.
    """
    start = f"{name}." if name else ""
    numbers = _parameter_numbers(owner)
    for attribute, held in vars(owner).items():
        yield from _below(start + attribute, (attribute,), held, numbers, _DEEPEST)


def held_numbers(name: str, owner: Any) -> Iterator[HeldNumber]:
    """Yield the numbers that an object holds."""
    for path, keys, held in entries(name, owner):
        if type(held) in NUMBERS:
            yield HeldNumber(path, owner, keys, type(held))


def _below(
    name: str, keys: tuple[Any, ...], held: Any, numbers: dict[Any, int], depth: int
) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
    is_container = isinstance(held, dict | list | tuple)
    if not is_container:
        yield name, keys, held
    elif depth and len(held) <= _MOST_ITEMS:
        items = list(held.items()) if isinstance(held, dict) else enumerate(held)
        for key, item in items:
            shown = numbers.get(key, key) if isinstance(key, torch.Tensor) else key
            if isinstance(shown, str | int):
                yield from _below(f"{name}.{shown}", (*keys, key), item, numbers, depth - 1)


def _parameter_numbers(owner: Any) -> dict[Any, int]:
    if not isinstance(owner, torch.optim.Optimizer):
        return {}
    parameters = (p for group in owner.param_groups for p in group["params"])
    return {parameter: number for number, parameter in enumerate(parameters)}
