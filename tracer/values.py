"""Which value of the graph a live tensor is."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

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

    def get(self, tensor: torch.Tensor) -> Value | None:
        """Return the value that the tensor object is now; None if no operator has made it."""
        entry = self.entries.get(id(tensor))
        return entry[1] if entry is not None and entry[0]() is tensor else None

    def set(self, tensor: torch.Tensor, value: Value) -> None:
        """Make ``value`` what the tensor object is from now on."""
        self.entries[id(tensor)] = (weakref.ref(tensor), value)

    def live(self) -> Iterator[tuple[torch.Tensor, Value]]:
        """Yield the tensors that are still alive, with their values."""
        for reference, value in list(self.entries.values()):
            tensor = reference()
            if tensor is not None:
                yield tensor, value
