"""Where objects keep what a graph refers to by its place: ``optimizer.param_groups[0]["lr"]``.

A number has no identity, and a tensor that the program replaces at each run is another one at the next. So
the graph's state has the place, from which a replay reads what is there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ..errors import ReplayError

ABSENT: Final[Any] = object()
"""What stands where nothing is."""

_CONTAINERS = (dict, list)
_SEQUENCES = (list, tuple)


class HeldPlace:
    """The way from an object through its attributes, or a container through its items, to one thing.

    Attributes:
        name: what the graph calls what is there.
        owner: the object or dictionary.
        keys: the steps from it on.
    """

    __slots__ = ("keys", "name", "owner")

    def __init__(self, name: str, owner: Any, keys: tuple[Any, ...]) -> None:
        self.name = name
        self.owner = owner
        self.keys = keys

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, HeldPlace)
            and self.owner is other.owner
            and len(self.keys) == len(other.keys)
            and all(map(is_same_key, self.keys, other.keys))
        )

    def __hash__(self) -> int:
        return hash((id(self.owner), self.keys))

    @property
    def owner_name(self) -> str:
        """What the graph calls the object; nothing if the program is a method of it."""
        if not isinstance(self.keys[0], str):
            return self.name.rpartition(".")[0]
        return f".{self.name}.".partition(f".{self.keys[0]}.")[0].removeprefix(".")

    def find(self, depth: int = 0) -> Any:
        """Return what is there now, or in the place of the container ``depth`` steps above.

        ``ABSENT`` where nothing is.
        """
        return find(self.owner, self.keys[: len(self.keys) - depth])

    def read(self) -> Any:
        """Return what is there now."""
        return self.find()

    def of(self, real: Callable[[Any], Any]) -> HeldPlace:
        """Return the same place with what the objects on the way to it stand for; ``real`` gives that."""
        return HeldPlace(self.name, self.owner, tuple(map(real, self.keys)))

    def write(self, content: Any) -> None:
        """Put something else there."""
        self._put(self.keys, content)

    def remove(self) -> None:
        """Leave nothing there."""
        container = self.find(1)
        if isinstance(container, dict):
            container.pop(self.keys[-1], None)

    def _put(self, keys: tuple[Any, ...], content: Any) -> None:
        *above, key = keys
        container = find(self.owner, tuple(above))
        if container is ABSENT:
            raise ReplayError(
                f"{self.name} cannot be set: what it was in is gone\n  trace again as it is now"
            )
        if isinstance(container, tuple):
            self._put_among(container, tuple(above), key, content)
        else:
            container[key] = content

    def _put_among(self, container: Any, above: tuple[Any, ...], key: int, content: Any) -> None:
        """Put another list or tuple in the place of one, with one item changed."""
        items = list(container)
        items[key] = content
        self._put(above, like(container, items))


def is_same_key(one: Any, other: Any) -> bool:
    """Whether two keys are one; tensors are where they are the same object, and are not asked."""
    return one is other or (type(one) is type(other) and type(one) in (str, int) and one == other)


def find(owner: Any, keys: tuple[Any, ...]) -> Any:
    """Return what stands at the end of a way; ``ABSENT`` if nothing does."""
    held: Any = owner if isinstance(owner, _CONTAINERS) else vars(owner)
    for key in keys:  # hundreds of them at each replay of a training step
        held = held.get(key, ABSENT) if isinstance(held, dict) else item(held, key)
    return held


def item(container: Any, key: Any) -> Any:
    """Return one item of a dictionary, list or tuple; ``ABSENT`` if there is none, or no container."""
    if isinstance(container, dict):  # a defaultdict must not make what is asked for
        return container.get(key, ABSENT)
    if isinstance(container, _SEQUENCES) and isinstance(key, int) and key < len(container):
        return container[key]
    return ABSENT


def like(whole: Any, items: list[Any]) -> Any:
    """Return items in a list or tuple of the class of another."""
    class_ = type(whole)
    return class_._make(items) if hasattr(class_, "_make") else class_(items)
