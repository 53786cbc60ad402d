"""Tensors that a program holds by their place: each replay reads the one that is there.

Those that an optimizer keeps for its parameters are such, since ``load_state_dict`` puts others in their
place, and so are those that the program itself replaces at each run.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch

from ...errors import GuardError
from ...ir import TensorType
from ...ir.places import ABSENT, HeldPlace
from ..dispatch.dispatcher import without_hooks
from ..dispatch.tensors import type_of_tensor


class HeldTensor(HeldPlace):
    """A tensor that an object holds, of the type that it had at the trace."""

    __slots__ = ("_known", "_type")

    def __init__(self, place: HeldPlace, name: str, tensor: torch.Tensor) -> None:
        super().__init__(name, place.owner, place.keys)
        self._known = weakref.ref(tensor)  # the one that was read last
        self._type = type_of_tensor(tensor)

    @property
    def type(self) -> TensorType:
        """The type that the traced operators fit."""
        return self._type

    def expecting(self, type_: TensorType) -> HeldTensor:
        """Expect a tensor of another type than that of the one that is there; return the place itself."""
        self._type = type_
        return self

    @property
    def known(self) -> Any:
        """The tensor that was read last, or what stands in its place if it is gone."""
        known = self._known()
        return self.find() if known is None else known

    def of(self, real: Callable[[Any], Any]) -> HeldTensor:
        """Return the same place with what its tensor, and the objects on the way to it, stand for."""
        return HeldTensor(super().of(real), self.name, real(self.known))

    def read(self) -> torch.Tensor:
        """Return the tensor.

        Raises:
            GuardError: there is none, or one of another type, which the traced operators do not fit.
        """
        found = self.find()
        if found is not self._known():
            self._require_fit(found)
            self._known = weakref.ref(found)
        return found  # type: ignore[no-any-return]  # which is now known to be a tensor

    def _require_fit(self, found: Any) -> None:
        now: TensorType | str = "nothing" if found is ABSENT else f"a {type(found).__name__}"
        if isinstance(found, torch.Tensor):
            with without_hooks():  # a mode around us does not see this
                now = type_of_tensor(found)
        if now == self._type:
            return
        advice = "trace again as it is now"
        if found is ABSENT or found is None:
            advice = f"run the program itself once, which makes it, or {advice}"
        raise GuardError(
            f"this run cannot follow the trace: {self.name} was {self._type} there, and is {now} now\n"
            f"  {advice}"
        )
