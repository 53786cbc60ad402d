"""The gradients that a program's tensors have: those from before the run, and those that nodes store."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import torch

from ..dispatch.gradients import gradient_of


class _Note:
    """The gradient of one tensor; keeps neither alive, for the program may let go of both."""

    __slots__ = ("gradient", "is_stored", "tensor", "version", "was_set")

    def __init__(
        self,
        tensor: torch.Tensor,
        gradient: torch.Tensor | None,
        version: int | None,
        *,
        is_stored: bool,
    ) -> None:
        self.tensor = weakref.ref(tensor)
        self.gradient = None if gradient is None else weakref.ref(gradient)
        self.version = version
        self.is_stored = is_stored  # by a node
        self.was_set = False  # by Python since then, perhaps to None, and to this one again

    def is_it(self, gradient: torch.Tensor | None) -> bool:
        """Whether the tensor has this gradient, whatever was written into it."""
        if gradient is None or self.gradient is None:
            return gradient is None and self.gradient is None
        return self.gradient() is gradient


class Gradients:
    """Which gradient each tensor of one program has as far as its graph goes."""

    def __init__(self) -> None:
        self._notes: dict[int, _Note] = {}

    def found(self, tensor: torch.Tensor, gradient: torch.Tensor | None) -> None:
        """Note which gradient a tensor has before the run."""
        version = None if gradient is None or gradient.is_inference() else gradient._version
        self._notes[id(tensor)] = _Note(tensor, gradient, version, is_stored=False)

    def stored(self, tensor: torch.Tensor, gradient: torch.Tensor | None) -> None:
        """Note that a node gives a tensor its gradient."""
        self._notes[id(tensor)] = _Note(tensor, gradient, None, is_stored=True)

    def set_by_program(self, tensor: torch.Tensor) -> None:
        """Note that Python sets the gradient of a tensor; a reducer may put the same one back."""
        note = self._notes.get(id(tensor))
        if note is not None and note.tensor() is tensor:
            note.was_set = True

    def has_stored(self, tensor: torch.Tensor) -> bool:
        """Whether a node gives a tensor its gradient, or takes it away."""
        note = self._notes.get(id(tensor))
        return note is not None and note.tensor() is tensor and note.is_stored

    def is_given(self, tensor: torch.Tensor) -> bool:
        """Whether the run has given a tensor a gradient, or added to the one that it had."""
        gradient = gradient_of(tensor)
        note = self._notes.get(id(tensor))
        if note is None or note.tensor() is not tensor or gradient is None:
            return False
        if note.is_stored or not note.is_it(gradient):
            return True
        return note.version is not None and gradient._version != note.version

    def is_as_noted(self, tensor: torch.Tensor, gradient: torch.Tensor | None) -> bool | None:
        """Whether a tensor was noted with this gradient; None if it was not noted."""
        note = self._notes.get(id(tensor))
        if note is None or note.tensor() is not tensor:
            return None
        return note.is_it(gradient) and not (note.was_set and gradient is not None)

    def is_noted(self, tensor: torch.Tensor) -> bool:
        """Whether it is noted which gradient a tensor has."""
        note = self._notes.get(id(tensor))
        return note is not None and note.tensor() is tensor

    def others(self) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
        """Yield the tensors that have another gradient than was noted, or were given that again, with it."""
        for note in list(self._notes.values()):
            tensor = note.tensor()
            if tensor is None:
                continue
            gradient = gradient_of(tensor)
            if gradient is None and note.gradient is None:
                continue
            if not note.is_it(gradient) or (note.was_set and gradient is not None):
                yield tensor, gradient

    def changed(self) -> Iterator[tuple[torch.Tensor, bool]]:
        """Yield the tensors whose gradient is not as noted, and whether it is the same, written into."""
        for note in self._notes.values():
            tensor = note.tensor()
            if tensor is not None:
                gradient = gradient_of(tensor)
                if not note.is_it(gradient):
                    yield tensor, False
                elif gradient is None or note.version is None:  # inference tensors count no writes
                    continue
                elif gradient._version != note.version:
                    yield tensor, True
