"""Which value of the graph a live tensor is."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch

from ..ir import Block, Value

Entries: TypeAlias = dict[int, tuple[weakref.ref[torch.Tensor], Value]]
"""Values of tensors by the tensors' addresses."""

Moment: TypeAlias = tuple[Block, int]
"""The block that nodes go into, and how many it has: what is known changes only when that does."""


class _Layer(Entries):
    """Entries over others: reads find both, writes stay here."""

    __slots__ = ("below",)

    def __init__(self, below: Entries) -> None:
        super().__init__()
        self.below = below

    def get(self, key: int, default: Any = None) -> Any:
        found = super().get(key)
        if found is None or found[0]() is None:  # another tensor may be there since
            return self.below.get(key, default)
        return found

    def values(self) -> Any:
        return [*self.below.values(), *super().values()]


class _Layered:
    """A context in which a map sets values in a layer of their own."""

    __slots__ = ("_below", "_map", "_on")

    def __init__(self, map_: ValueMap, on: Entries | None) -> None:
        self._map = map_
        self._on = on
        self._below = map_.entries

    def __enter__(self) -> Entries:
        self._below = self._map.entries
        layer = self._map.entries = _Layer(self._below if self._on is None else self._on)
        return layer

    def __exit__(self, *error: object) -> None:
        self._map.entries = self._below


class ValueMap:
    """Maps tensors to values by identity, and keeps no tensor alive.

    An entry holds a weak reference: the address alone would be wrong, since the next tensor may be
    made where the last one died. Dead entries stay until their address is used again, so the map
    never has more of them than the program had tensors alive at once.

    Attributes:
        entries: the values of tensors.
        handed_on: values of results that were an argument of their operator itself, as dropout's in
            evaluation, which its schema does not tell; and that argument.
    """

    def __init__(self) -> None:
        self.entries: Entries = {}
        self._inside: Entries = {}  # what functions made that became blocks
        self.handed_on: dict[Value, Value] = {}
        self._by_storage: dict[int, list[weakref.ref[torch.Tensor]]] = {}
        self._indexed_at: Moment | None = None

    def apart(self) -> Entries:
        """Return a layer over what is known, for what is to be found in a :meth:`layer` on it alone."""
        return _Layer(self.entries)

    def layer(self, on: Entries | None = None) -> _Layered:
        """Keep what is set until the ``with`` ends apart, and give it; then what was before is in force.

        It lies over what is known, or over a layer that was made :meth:`apart`.
        """
        return _Layered(self, on)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Forget what is set until the ``with`` ends, but for :meth:`was_inside`."""
        with self.layer() as made:
            try:
                yield
            finally:
                self._inside.update(made)

    def was_inside(self, tensor: torch.Tensor) -> bool:
        """Whether a function made the tensor object whose values nothing outside it can read."""
        entry = self._inside.get(id(tensor))
        return entry is not None and entry[0]() is tensor

    def get(self, tensor: torch.Tensor) -> Value | None:
        """Return the value that the tensor object is now; None if no operator has made it."""
        entry = self.entries.get(id(tensor))
        return entry[1] if entry is not None and entry[0]() is tensor else None

    def set(self, tensor: torch.Tensor, value: Value) -> None:
        """Make ``value`` what the tensor object is from now on."""
        self.entries[id(tensor)] = (weakref.ref(tensor), value)

    def add(self, tensor: torch.Tensor, value: Value) -> None:
        """Make ``value``, which was there before, what the tensor object is; :meth:`sharing` looks again."""
        self.set(tensor, value)
        self.looked_at_anew()

    def looked_at_anew(self) -> None:
        """Let :meth:`sharing` look again, though no node was added since."""
        self._indexed_at = None

    def sharing(
        self, key: int, at: Moment, key_of: Callable[[torch.Tensor], int | None]
    ) -> list[torch.Tensor]:
        """Return the live tensors whose storage has this key, oldest first.

        All are indexed at the first call for one moment, ``at``, since entries are added as nodes are;
        further calls for that moment are O(tensors of the storage).
        """
        if at != self._indexed_at:
            self._by_storage = {}
            for tensor, _ in self.live():
                storage = key_of(tensor)
                if storage is not None:
                    self._by_storage.setdefault(storage, []).append(weakref.ref(tensor))
            self._indexed_at = at
        found = [reference() for reference in self._by_storage.get(key, ())]
        return [tensor for tensor in found if tensor is not None and key_of(tensor) == key]

    def index(self, tensor: torch.Tensor, key: int, at: Moment) -> None:
        """Add a tensor to the index that :meth:`sharing` made, and call it one of the moment ``at``."""
        self._by_storage.setdefault(key, []).append(weakref.ref(tensor))
        self._indexed_at = at

    def replace(self, becomes: Mapping[Value, Value]) -> None:
        """Make every tensor that is one of these values be the other, in all layers. O(entries)."""
        entries: Entries | None = self.entries
        while entries is not None:
            for key, (reference, value) in list(dict.items(entries)):
                if value in becomes:
                    entries[key] = (reference, becomes[value])
            entries = entries.below if isinstance(entries, _Layer) else None

    def live(self) -> Iterator[tuple[torch.Tensor, Value]]:
        """Yield the tensors that are still alive, with their values."""
        for reference, value in list(self.entries.values()):
            tensor = reference()
            if tensor is not None:
                yield tensor, value
