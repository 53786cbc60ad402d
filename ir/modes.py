"""Ambient modes of torch that change what an operator does: gradients, inference, autocast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .dtype import DType


@dataclass(frozen=True, slots=True)
class Autocast:
    """Automatic mixed precision on one kind of device."""

    device: str
    dtype: DType
    caches: bool = True  # whether casts of parameters are cached inside the region

    def __str__(self) -> str:
        return f"autocast({self.device}, {self.dtype}{'' if self.caches else ', uncached'})"


@dataclass(frozen=True, slots=True)
class Modes:
    """The modes in force while an operator ran.

    Attributes:
        grad: whether autograd follows what operators do.
        inference: whether tensors are made that autograd never follows.
        autocast: where mixed precision is on.
        fixed: what the program set itself to what it was around the program already: "grad",
            "inference", or a kind of device for autocast. A caller's other modes do not reach there.
    """

    grad: bool = True
    inference: bool = False
    autocast: tuple[Autocast, ...] = ()
    fixed: tuple[str, ...] = ()

    def inside(self, before: Modes, around: Modes, ambient: Modes) -> Modes:
        """Return what the modes of a node are where its function runs in other modes than when it was traced.

        A mode that the function left as it was is that around the call.

        Args:
            before: the modes around the function when it was traced.
            around: the modes in which it is called.
            ambient: the modes around the caller.
        """
        fixed: list[str] = []

        def chosen(name: str, *modes: Any) -> Any:
            own, traced, called, outermost = modes
            if own == traced and name not in self.fixed:
                fixed.extend([name] if name in around.fixed else ())
                return called
            fixed.extend([name] if own == outermost else ())
            return own

        every = (self, before, around, ambient)
        grad = chosen("grad", *[modes.grad for modes in every])
        inference = chosen("inference", *[modes.inference for modes in every])
        devices = dict.fromkeys(region.device for modes in every for region in modes.autocast)
        regions = [chosen(d, *[modes.autocast_on(d) for modes in every]) for d in devices]
        autocast = tuple([region for region in regions if region is not None])
        found = Modes(grad, inference, autocast, tuple(fixed))
        return self if found == self else around if found == around else found

    def autocast_on(self, device: str) -> Autocast | None:
        """Return the region of automatic mixed precision on a kind of device; None if there is none."""
        return next((region for region in self.autocast if region.device == device), None)

    def __str__(self) -> str:
        parts = ["inference" if self.inference else "grad" if self.grad else "no_grad"]
        if self.inference and self.grad:
            parts.append("grad")
        parts.extend(map(str, self.autocast))
        if self.fixed:
            parts.append(f"fixed({', '.join(self.fixed)})")
        return ", ".join(parts)


DEFAULT_MODES = Modes()
