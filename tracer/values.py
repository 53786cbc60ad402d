"""Which value of the graph a live tensor is."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator

import torch

from ..ir import Value


class ValueMap:
    """Maps tensors to values by identity, and keeps no tensor alive.

    An entry holds a weak reference: the address alone would be wrong, since the next tensor may be
    made where the last one died. Dead entries stay until their address is used again, so the map
    never has more of them than the program had tensors alive at once.
    """

    def __init__(self) -> None:
        self.entries: dict[int, tuple[weakref.ref[torch.Tensor], Value]] = {}
        self._by_storage: dict[int, list[weakref.ref[torch.Tensor]]] = {}
        self._indexed_at = -1

    def get(self, tensor: torch.Tensor) -> Value | None:
        """Return the value that the tensor object is now; None if no operator has made it."""
        entry = self.entries.get(id(tensor))
        return entry[1] if entry is not None and entry[0]() is tensor else None

    def set(self, tensor: torch.Tensor, value: Value) -> None:
        """Make ``value`` what the tensor object is from now on."""
        self.entries[id(tensor)] = (weakref.ref(tensor), value)

    def sharing(
        self, key: int, at: int, key_of: Callable[[torch.Tensor], int | None]
    ) -> list[torch.Tensor]:
        """Return the live tensors whose storage has this key, oldest first.

        All are indexed at the first call for one length of the graph, ``at``, since entries are added
        as nodes are; further calls for that length are O(tensors of the storage).
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

    def index(self, tensor: torch.Tensor, key: int, at: int) -> None:
        """Add a tensor to the index that :meth:`sharing` made, and call it one of length ``at``."""
        self._by_storage.setdefault(key, []).append(weakref.ref(tensor))
        self._indexed_at = at

    def live(self) -> Iterator[tuple[torch.Tensor, Value]]:
        """Yield the tensors that are still alive, with their values."""
        for reference, value in list(self.entries.values()):
            tensor = reference()
            if tensor is not None:
                yield tensor, value
