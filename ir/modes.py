"""Ambient modes of torch that change what an operator does: gradients, inference, autocast."""

from __future__ import annotations

from dataclasses import dataclass

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

    def __str__(self) -> str:
        parts = ["inference" if self.inference else "grad" if self.grad else "no_grad"]
        if self.inference and self.grad:
            parts.append("grad")
        parts.extend(map(str, self.autocast))
        if self.fixed:
            parts.append(f"fixed({', '.join(self.fixed)})")
        return ", ".join(parts)


DEFAULT_MODES = Modes()
